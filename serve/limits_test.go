package serve

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bigtransfer/bit/imaging"
)

// undescribed returns a server whose requests are not read by the test on their way.
func undescribed(t testing.TB, change func(*Config)) (*Server, *httptest.Server) {
	t.Helper()
	s, _ := newServer(t, change)
	h := httptest.NewServer(s.Handler())
	t.Cleanup(h.Close)
	return s, h
}

// busyEngine keeps the networks of a server from running until the function that it returns is called.
func busyEngine(s *Server) (release func()) {
	s.engine <- struct{}{}
	return sync.OnceFunc(func() { <-s.engine })
}

// until waits for a condition, which comes with what the test has started.
func until(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for started := time.Now(); !ok(); time.Sleep(time.Millisecond) {
		if time.Since(started) > 30*time.Second {
			t.Fatalf("after 30 s still not: %s", what)
		}
	}
}

// zeros is a body of so many zeros that counts what is taken of it.
type zeros struct {
	left  int64
	taken atomic.Int64
}

func (z *zeros) Read(p []byte) (int, error) {
	if z.left == 0 {
		return 0, io.EOF
	}
	n := int(min(int64(len(p)), z.left))
	clear(p[:n])
	z.left -= int64(n)
	z.taken.Add(int64(n))
	return n, nil
}

// 200 MB are refused: by their announced length before they are sent, else when they have become too many. Neither takes
// memory.
func TestLargeBody(t *testing.T) {
	_, h := undescribed(t, func(c *Config) { c.MaxBytes = 1 << 20 })
	const size = 200 << 20
	for _, c := range []struct {
		announced bool
		most      int64 // that may leave the client
	}{{true, 8 << 20}, {false, 16 << 20}} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		body := &zeros{left: size}
		req, _ := http.NewRequestWithContext(t.Context(), "PUT", h.URL+"/v1/classify", body)
		if c.announced {
			req.ContentLength = size
		}
		resp, err := http.DefaultTransport.RoundTrip(req)
		runtime.ReadMemStats(&after)
		// The server may close the connection on a client that goes on sending; that is a refusal too, but the answer
		// should have come first.
		if err != nil {
			t.Errorf("announced %v: %v, want an answer", c.announced, err)
			continue
		}
		text, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != http.StatusRequestEntityTooLarge || body.taken.Load() > c.most {
			t.Errorf("announced %v: status %d after %d bytes: %s, want 413 after at most %d", c.announced, resp.StatusCode, body.taken.Load(), text, c.most)
		}
		if grown := int64(after.TotalAlloc - before.TotalAlloc); grown > 8<<20 {
			t.Errorf("announced %v: %d bytes were allocated for it", c.announced, grown)
		}
	}
}

// pngOf returns a small PNG file whose header claims a size, with a sound checksum.
func pngOf(w, h uint32) []byte {
	head := []byte("IHDR")
	head = binary.BigEndian.AppendUint32(head, w)
	head = binary.BigEndian.AppendUint32(head, h)
	head = append(head, 8, 2, 0, 0, 0)
	b := append([]byte("\x89PNG\r\n\x1a\n"), 0, 0, 0, 13)
	b = append(b, head...)
	b = binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(head))
	return append(b, bytes.Repeat([]byte{0}, 1000)...)
}

// A picture of too many pixels is refused by its header, before memory for them is asked for.
func TestPixelBomb(t *testing.T) {
	_, h := newServer(t, func(c *Config) { c.MaxPixels = 1_000_000 })
	for name, c := range map[string]struct {
		file   []byte
		status int
	}{
		"a thousand million pixels": {pngOf(31_623, 31_623), 413},
		"just too many":             {pngOf(1000, 1001), 413},
		"as many as allowed":        {pngOf(1000, 1000), 422}, // and then no pixels
		"four thousand million":     {pngOf(65_535, 65_535), 413},
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		a := send(t, "POST", h.URL+"/v1/classify", c.file)
		runtime.ReadMemStats(&after)
		if a.status != c.status {
			t.Errorf("%s: status %d: %s, want %d", name, a.status, a.body, c.status)
		}
		if grown := int64(after.TotalAlloc - before.TotalAlloc); grown > 16<<20 {
			t.Errorf("%s: %d bytes were allocated for it", name, grown)
		}
	}
}

// What is no picture, or a broken one, is the client's mistake, and says so.
func TestBrokenPictures(t *testing.T) {
	_, h := newServer(t, nil)
	cat := references(t)[0].file
	for name, c := range map[string]struct {
		file   []byte
		status int
	}{
		"nothing": {nil, 400}, "text": {[]byte("a cat"), 415}, "half": {cat[:len(cat)/2], 422}, "zeros": {make([]byte, 100), 415},
	} {
		if a := send(t, "POST", h.URL+"/v1/classify", c.file); a.status != c.status {
			t.Errorf("%s: status %d: %s, want %d", name, a.status, a.body, c.status)
		}
	}
	for name, c := range map[string]struct {
		kind, body string
		status     int
	}{
		"no boundary": {"multipart/form-data", "x", 400}, "no parts": {"multipart/form-data; boundary=b", "--b--\r\n", 400},
		"cut short":  {"multipart/form-data; boundary=b", "--b\r\nContent-Disposition: form-data; name=f; filename=f\r\n\r\nabc", 400},
		"no file":    {"multipart/form-data; boundary=b", "--b\r\nContent-Disposition: form-data; name=top\r\n\r\n5\r\n--b--\r\n", 400},
		"compressed": {"image/png", "x", 415},
	} {
		headers := []string{"Content-Type", c.kind}
		if name == "compressed" {
			headers = append(headers, "Content-Encoding", "gzip")
		}
		if a := send(t, "POST", h.URL+"/v1/classify", []byte(c.body), headers...); a.status != c.status {
			t.Errorf("%s: status %d: %s, want %d", name, a.status, a.body, c.status)
		}
	}
	for _, top := range []string{"0", "-1", "many"} {
		if a := send(t, "POST", h.URL+"/v1/classify?top="+top, cat); a.status != 400 {
			t.Errorf("top=%s: status %d, want 400", top, a.status)
		}
	}
}

// Beyond the places there are, requests are turned away at once, and told when to come again. Those that have a place are
// answered.
func TestQueueFull(t *testing.T) {
	s, h := newServer(t, func(c *Config) { c.Queue = 2 })
	file := references(t)[0].file
	release := busyEngine(s)
	defer release()
	var waiting sync.WaitGroup
	for range 2 {
		waiting.Go(func() {
			if a := send(t, "POST", h.URL+"/v1/classify", file); a.status != 200 {
				t.Errorf("a request that had a place: status %d: %s", a.status, a.body)
			}
		})
	}
	until(t, "two pictures wait", func() bool { return s.models[0].present().depth() == 2 })
	for range 20 {
		a := send(t, "POST", h.URL+"/v1/classify", file)
		if after := a.header.Get("Retry-After"); a.status != 503 || after == "" {
			t.Fatalf("a third request: status %d, Retry-After %q, want 503 and seconds", a.status, after)
		}
	}
	// More pictures in one request than there are places ever are no matter of waiting.
	body, kind := form(t, []string{"a", "b", "c"}, [][]byte{file, file, file})
	release()
	waiting.Wait()
	if a := send(t, "POST", h.URL+"/v1/classify", body, "Content-Type", kind); a.status != 413 {
		t.Errorf("three pictures for two places: status %d, want 413", a.status)
	}
	body, kind = form(t, []string{"a", "b"}, [][]byte{file, file})
	if a := send(t, "POST", h.URL+"/v1/classify", body, "Content-Type", kind); a.status != 200 {
		t.Errorf("afterwards: status %d: %s", a.status, a.body)
	}
	metrics := string(send(t, "GET", h.URL+"/metrics", nil).body)
	if want := `bit_requests_rejected_total{reason="queue"} 20`; !strings.Contains(metrics, want) {
		t.Errorf("the metrics lack %s", want)
	}
}

// A body of unknown length takes memory as it comes, and no more than there is.
func TestMemoryFull(t *testing.T) {
	s, h := undescribed(t, func(c *Config) { c.Memory, c.MaxBytes = 2<<20, 8<<20 })
	resp, err := http.Post(h.URL+"/v1/classify", "image/png", io.MultiReader(&zeros{left: 4 << 20}))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != 503 {
		t.Errorf("4 MB where 1 MB may be in memory: status %d, want 503", resp.StatusCode)
	}
	until(t, "all memory is free", func() bool {
		ok := s.admission.bodies.free.TryAcquire(1 << 20)
		if ok {
			s.admission.bodies.free.Release(1 << 20)
		}
		return ok
	})
}

// The values of a tensor take memory beside the text that they are read from.
func TestMemoryOfValues(t *testing.T) {
	s, h := undescribed(t, nil)
	const values = 3 * 64 * 64
	body := []byte(`{"inputs":[{"name":"images","datatype":"FP32","shape":[1,3,64,64],"data":[0` + strings.Repeat(",0", values-1) + `]}]}`)
	for _, c := range []struct {
		left   int64 // of memory, beside the body
		status int
	}{{4*values - 1, 503}, {4 * values, 200}} {
		taken := s.admission.bodies.all - int64(len(body)) - c.left
		if !s.admission.bodies.free.TryAcquire(taken) {
			t.Fatal("memory is not free")
		}
		if a := send(t, "POST", h.URL+"/v2/models/tiny/infer", body); a.status != c.status {
			t.Errorf("%d bytes left: status %d: %.200s, want %d", c.left, a.status, a.body, c.status)
		}
		s.admission.bodies.free.Release(taken)
	}
}

// A request whose time is over is answered 504, one whose client goes away not at all; both leave the queue and their places.
func TestDeadlineAndCancellation(t *testing.T) {
	s, h := undescribed(t, func(c *Config) { c.Queue = 4 })
	file := references(t)[0].file
	release := busyEngine(s)
	defer release()
	depth := func() int { return s.models[0].present().depth() }
	var late sync.WaitGroup
	for range 4 {
		late.Go(func() {
			if a := send(t, "POST", h.URL+"/v1/classify", file, headerTimeout, "1s"); a.status != http.StatusGatewayTimeout {
				t.Errorf("status %d: %s, want 504", a.status, a.body)
			}
		})
	}
	late.Wait()
	if depth() != 0 {
		t.Errorf("%d in the queue afterwards, want none", depth())
	}
	for _, bad := range []string{"-1s", "0s", "soon", "1"} {
		if a := send(t, "POST", h.URL+"/v1/classify", file, headerTimeout, bad); a.status != 400 {
			t.Errorf("%s: %s: status %d, want 400", headerTimeout, bad, a.status)
		}
	}
	timeout := []byte(`{"parameters":{"timeout":50000},"inputs":[{"name":"pixels","datatype":"UINT8","shape":[1,1,1,3],"data":[1,2,3]}]}`)
	if a := send(t, "POST", h.URL+"/v2/models/tiny/infer", timeout); a.status != http.StatusGatewayTimeout {
		t.Errorf("timeout of 50000 microseconds: status %d: %s, want 504", a.status, a.body)
	}

	addr := strings.TrimPrefix(h.URL, "http://")
	var conns []net.Conn
	for range 4 {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(c, "POST /v1/classify HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%s", len(file), file)
		conns = append(conns, c)
	}
	until(t, "four pictures wait", func() bool { return depth() == 4 })
	for _, c := range conns {
		c.Close()
	}
	until(t, "the queue is empty", func() bool { return depth() == 0 })
	until(t, "all places are free", func() bool {
		ok := s.admission.places.free.TryAcquire(4)
		if ok {
			s.admission.places.free.Release(4)
		}
		return ok
	})
	release()
	if a := send(t, "POST", h.URL+"/v1/classify", file); a.status != 200 {
		t.Errorf("afterwards: status %d", a.status)
	}
}

// The size of a stored picture that Size reads is what Decode then refuses or takes.
func TestSizeBeforeDecoding(t *testing.T) {
	for _, ref := range references(t) {
		im, err := imaging.Decode(ref.file)
		if err != nil {
			t.Fatal(err)
		}
		w, h, err := imaging.Decoder{}.Size(ref.file)
		if err != nil || w != im.W || h != im.H {
			t.Errorf("%s: size %d x %d, %v; decoded %d x %d", ref.name, w, h, err, im.W, im.H)
		}
	}
}
