package serve

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bigtransfer/bit"
	"github.com/bigtransfer/bit/api"
)

// metric returns the value of a line of the metrics.
func metric(t testing.TB, url, name string) string {
	t.Helper()
	for line := range strings.Lines(string(send(t, "GET", url+"/metrics", nil).body)) {
		if rest, ok := strings.CutPrefix(line, name+" "); ok {
			return strings.TrimSpace(rest)
		}
	}
	return ""
}

// What waits while the network runs shares the next passes, and every picture gets the bits that it gets alone.
func TestBatching(t *testing.T) {
	s, h := newServer(t, func(c *Config) { c.Batch, c.BatchTime = 4, time.Hour })
	refs := references(t)
	alone := map[string]string{}
	for _, ref := range refs {
		alone[ref.name] = string(send(t, "POST", h.URL+"/v1/embed", ref.file).body)
	}
	before := metric(t, h.URL, `bit_batches_total{model="tiny"}`)
	release := busyEngine(s)
	defer release()
	var running sync.WaitGroup
	for k := range 10 {
		ref := refs[k%len(refs)]
		running.Go(func() {
			if got := string(send(t, "POST", h.URL+"/v1/embed", ref.file).body); got != alone[ref.name] {
				t.Errorf("%s: in a batch the answer is another than alone", ref.name)
			}
		})
	}
	until(t, "ten pictures wait", func() bool { return s.models[0].present().depth() == 10 })
	release()
	running.Wait()
	after := metric(t, h.URL, `bit_batches_total{model="tiny"}`)
	if before != fmt.Sprint(len(refs)) || after != fmt.Sprint(len(refs)+3) {
		t.Errorf("%s and then %s batches, want %d and 3 more: 4, 4 and 2 pictures", before, after, len(refs))
	}
	if got := metric(t, h.URL, `bit_batch_size_bucket{model="tiny",le="2"}`); got != fmt.Sprint(len(refs)+1) {
		t.Errorf("%s batches of at most 2 pictures, want %d", got, len(refs)+1)
	}
}

// Pictures of different sizes take turns in the order in which they came, and never share a pass.
func TestBatchSizes(t *testing.T) {
	b := &batcher{most: 16, aim: time.Hour}
	for k := range 6 {
		b.queue = append(b.queue, &task{h: 8 + k%2, w: 8})
	}
	b.queue = append(b.queue, &task{alone: func() error { return nil }})
	var got []string
	for batch := b.take(); batch != nil; batch = b.take() {
		got = append(got, fmt.Sprintf("%d of height %d", len(batch), batch[0].h))
	}
	if want := "[3 of height 8 3 of height 9 1 of height 0]"; fmt.Sprint(got) != want {
		t.Errorf("batches %v, want %s", got, want)
	}
}

// The number of pictures of a pass follows from how long they take: 10 ms each for a pass of 100 ms are 10.
func TestBatchTime(t *testing.T) {
	b := &batcher{most: 16, aim: 100 * time.Millisecond}
	for perPicture, want := range map[time.Duration]int{0: 16, time.Millisecond: 16, 10 * time.Millisecond: 10, time.Second: 1} {
		b.perPixel = perPicture.Seconds() / (64 * 64)
		if got := b.limit(&task{h: 64, w: 64}); got != want {
			t.Errorf("%v a picture: %d share a pass, want %d", perPicture, got, want)
		}
	}
}

// A lone picture does not wait for company; one that others follow does, but not for ever.
func TestBatchDelay(t *testing.T) {
	s, h := newServer(t, func(c *Config) { c.BatchDelay = time.Hour })
	file := references(t)[0].file
	if a := send(t, "POST", h.URL+"/v1/classify", file, headerTimeout, "20s"); a.status != 200 {
		t.Errorf("a lone picture: status %d: %s", a.status, a.body)
	}
	arrived := s.models[0].present().expect(1) // as if another were being decoded
	defer arrived()
	if a := send(t, "POST", h.URL+"/v1/classify", file, headerTimeout, "1s"); a.status != http.StatusGatewayTimeout {
		t.Errorf("while another is on its way: status %d, want to wait for it", a.status)
	}
	s.models[0].present().delay = 10 * time.Millisecond
	if a := send(t, "POST", h.URL+"/v1/classify", file); a.status != 200 {
		t.Errorf("another never comes: status %d: %s", a.status, a.body)
	}
}

// A mistake of ours in one pass is an error of its requests, and of no others.
func TestPanic(t *testing.T) {
	s, h := newServer(t, nil)
	i, done, err := s.model("")
	if err != nil {
		t.Fatal(err)
	}
	defer done()
	err = i.run(t.Context(), []*task{{alone: func() error { panic("a mistake") }}}, func() {})
	if f := failureOf(err); f.status != 500 || strings.Contains(f.message, "mistake") {
		t.Errorf("error %v, told as %d %q, want a 500 without details", err, f.status, f.message)
	}
	s.Handle(Route{Method: "GET", Pattern: "/panic", Answer: func(http.ResponseWriter, *http.Request) error { panic("a mistake") }})
	h2 := s.Handler()
	rec := httptest.NewRecorder()
	r, _ := http.NewRequest("GET", "http://localhost/panic", nil)
	h2.ServeHTTP(rec, r)
	if rec.Code != 500 {
		t.Errorf("a handler that panics: status %d, want 500", rec.Code)
	}
	if a := send(t, "POST", h.URL+"/v1/classify", references(t)[0].file); a.status != 200 {
		t.Errorf("afterwards: status %d", a.status)
	}
}

// Models come and go by name while the server serves.
func TestAddAndRemove(t *testing.T) {
	s, h := newServer(t, nil)
	c, err := openTiny(t)(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Add("second", c); err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{"", "a/b", ".hidden", "..", "a b", "ä", strings.Repeat("a", 101)} {
		if s.Add(bad, c) == nil {
			t.Errorf("a model may be called %q", bad)
		}
	}
	var list api.Models
	send(t, "GET", h.URL+"/v1/models", nil).read(t, 200, &list)
	if len(list.Models) != 2 || !list.Models[0].Default || list.Models[1].Name != "second" || list.Models[1].Default {
		t.Errorf("models %+v", list)
	}
	if a := send(t, "POST", h.URL+"/v1/models/second/classify", references(t)[0].file); a.status != 200 {
		t.Errorf("second: status %d", a.status)
	}
	if a := send(t, "POST", h.URL+"/v1/models/second/reload", nil); a.status != 409 {
		t.Errorf("reload of a model that is in memory alone: status %d, want 409", a.status)
	}
	if err := s.Use("second", func(c *bit.Classifier) error { _, err := c.Logits(make([]float32, 64*64*3), 1, 64, 64); return err }); err != nil {
		t.Error(err)
	}
	if !s.Remove("second") || s.Remove("second") {
		t.Error("a model was not removed once")
	}
	if a := send(t, "POST", h.URL+"/v1/models/second/classify", references(t)[0].file); a.status != 404 {
		t.Errorf("removed: status %d, want 404", a.status)
	}
}
