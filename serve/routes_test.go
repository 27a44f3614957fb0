package serve

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// After an error in the middle of an answer the client sees that it has not got all of it.
func TestBrokenAnswer(t *testing.T) {
	s, h := undescribed(t, nil)
	s.Handle(Route{Method: "GET", Pattern: "/half", Answer: func(w http.ResponseWriter, _ *http.Request) error {
		io.WriteString(w, "half of it")
		return errors.New("the disk is broken")
	}})
	resp, err := http.Get(h.URL + "/half")
	if err != nil {
		return // it broke before the header left
	}
	defer resp.Body.Close()
	if text, err := io.ReadAll(resp.Body); err == nil {
		t.Errorf("the answer %q looks complete", text)
	}
}

// On a slow route an answer may take its time. A body may not.
func TestSlowRoute(t *testing.T) {
	s, addr, _ := listening(t, func(c *Config) { c.Timeout, c.Queue = 100*time.Millisecond, 1 })
	s.Handle(Route{Method: "POST", Pattern: "/slow", Slow: true, Answer: func(w http.ResponseWriter, r *http.Request) error {
		_, release, err := s.ReadPictures(w, r)
		if err != nil {
			return err
		}
		defer release()
		select {
		case <-time.After(stallTime + 500*time.Millisecond): // beyond the time of a body
			return Answer(w, "done")
		case <-r.Context().Done():
			return r.Context().Err()
		}
	}})
	for name, body := range map[string]io.Reader{"of known length": strings.NewReader("x"), "of unknown length": struct{ io.Reader }{strings.NewReader("x")}} {
		resp, err := http.Post("http://"+addr+"/slow", "", body)
		if err != nil {
			t.Fatalf("a body %s: %v", name, err)
		}
		text, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != 200 || err != nil {
			t.Errorf("a body %s: status %d, %v: %s", name, resp.StatusCode, err, text)
		}
	}
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	io.WriteString(conn, "POST /slow HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\nx")
	conn.SetReadDeadline(time.Now().Add(20 * time.Second))
	if answer, _ := io.ReadAll(conn); !bytes.HasPrefix(answer, []byte("HTTP/1.1 408")) {
		t.Errorf("a body that stalls: %.200q, want status 408", answer)
	}
	until(t, "its place is free", func() bool {
		ok := s.admission.places.free.TryAcquire(1)
		if ok {
			s.admission.places.free.Release(1)
		}
		return ok
	})
}
