package serve

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"math"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"

	"github.com/bigtransfer/bit"
	"github.com/bigtransfer/bit/internal/fixture"
	"github.com/bigtransfer/bit/weights"
)

// tolerance is float32 against the reference's float64, relative to the largest value.
const tolerance = 1e-4

// openTiny opens the reference's model: 10 classes, 64 pixels.
func openTiny(t testing.TB) func(context.Context) (*bit.Classifier, error) {
	dir := fixture.Case(t, "hf-tiny")
	return func(ctx context.Context) (*bit.Classifier, error) {
		return bit.Opener{Threads: 1}.OpenClassifier(ctx, dir)
	}
}

// newServer returns a server of the reference's model, called "tiny", and a server of HTTP round it.
func newServer(t testing.TB, change func(*Config)) (*Server, *httptest.Server) {
	t.Helper()
	c := Config{Models: []Model{{"tiny", openTiny(t)}}, Version: "v0", Log: slog.New(slog.DiscardHandler)}
	if change != nil {
		change(&c)
	}
	s, err := New(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	h := httptest.NewServer(described(t, s.Handler()))
	t.Cleanup(h.Close)
	return s, h
}

// reference is what the reference implementation computed for a picture file with the model "tiny".
type reference struct {
	name             string
	file             []byte
	logits, features []float64
	pixels           []float64 // [3,64,64], prepared
}

// references are those of pictures whose pixels every decoder agrees on, and which the reference reads as this module does.
func references(t testing.TB) []reference {
	t.Helper()
	arrays, err := weights.ReadNpz(fixture.Case(t, "hf-tiny", "arrays.npz"))
	if err != nil {
		t.Fatal(err)
	}
	var list []reference
	for _, name := range []string{"cat.png", "astronaut-alpha.png", "coffee.tif", "thin-3x200.png"} {
		r := reference{name: name, file: fixture.Picture(t, name), logits: arrays[name+"/logits"].Float64s(),
			features: arrays[name+"/features"].Float64s(), pixels: arrays[name+"/pixel_values"].Float64s()}
		if len(r.logits) != 10 || len(r.features) == 0 || len(r.pixels) != 3*64*64 {
			t.Fatalf("%s: %d logits, %d features and %d values of pixels in the reference", name, len(r.logits), len(r.features), len(r.pixels))
		}
		list = append(list, r)
	}
	return list
}

// softmax returns the scores of logits.
func softmax(logits []float64) []float64 {
	scores, sum := make([]float64, len(logits)), 0.0
	for _, z := range logits {
		sum += math.Exp(z)
	}
	for i, z := range logits {
		scores[i] = math.Exp(z) / sum
	}
	return scores
}

// near fails unless values are those of the reference.
func near[F float32 | float64](t testing.TB, what string, got []F, want []float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%s: %d values, want %d", what, len(got), len(want))
		return
	}
	diff, largest := 0.0, 0.0
	for i, w := range want {
		diff, largest = max(diff, math.Abs(float64(got[i])-w)), max(largest, math.Abs(w))
	}
	if !(diff <= tolerance*largest) {
		t.Errorf("%s: off by %.3g of %.3g, want at most %g of it", what, diff, largest, tolerance)
	}
}

// order lists classes, the highest logit first.
func order(logits []float64) []int {
	classes := make([]int, len(logits))
	for i := range classes {
		classes[i] = i
	}
	slices.SortStableFunc(classes, func(a, b int) int {
		switch {
		case logits[a] > logits[b]:
			return -1
		case logits[a] < logits[b]:
			return 1
		}
		return 0
	})
	return classes
}

// answer is what a server sent.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// send sends a request. Headers come in pairs.
func send(t testing.TB, method, url string, body []byte, headers ...string) answer {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
		if headers[i] == "Host" {
			req.Host = headers[i+1]
		}
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{resp.StatusCode, resp.Header, got}
}

// read wants a status and reads the body as JSON.
func (a answer) read(t testing.TB, status int, v any) {
	t.Helper()
	if a.status != status {
		t.Fatalf("status %d, want %d: %s", a.status, status, a.body)
	}
	if err := json.Unmarshal(a.body, v); err != nil {
		t.Fatalf("%v: %s", err, a.body)
	}
}

// form makes a multipart form of files.
func form(t testing.TB, names []string, files [][]byte) (body []byte, contentType string) {
	t.Helper()
	var b bytes.Buffer
	m := multipart.NewWriter(&b)
	for i, name := range names {
		w, err := m.CreateFormFile("file", name)
		if err != nil {
			t.Fatal(err)
		}
		w.Write(files[i])
	}
	m.Close()
	return b.Bytes(), m.FormDataContentType()
}
