package serve

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/bigtransfer/bit"
)

// listening serves on a port of its own. stop ends it, as a signal would, and returns what Serve returned.
func listening(t testing.TB, change func(*Config)) (s *Server, addr string, stop func() error) {
	t.Helper()
	s, _ = newServer(t, change)
	l, err := Listen(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx, l) }()
	stop = sync.OnceValue(func() error {
		cancel()
		return <-ended
	})
	t.Cleanup(func() { stop() })
	return s, l.Addr().String(), stop
}

// hammer sends a picture over and over on n connections until a connection is refused, and counts what went wrong else.
// Every second client keeps its connection open. Such a client may send at the moment in which the server closes what is
// idle: it loses a request that the server has not seen, in any server of HTTP, and kept counts that.
func hammer(t testing.TB, addr string, n int, file []byte, until func() bool) (answered, failed, kept *atomic.Int64, wait func()) {
	answered, failed, kept = new(atomic.Int64), new(atomic.Int64), new(atomic.Int64)
	var running sync.WaitGroup
	for k := range n {
		client := &http.Client{Transport: &http.Transport{DisableKeepAlives: k%2 == 0}}
		running.Go(func() {
			defer client.CloseIdleConnections()
			for !until() {
				resp, err := client.Post("http://"+addr+"/v1/classify", "image/png", bytes.NewReader(file))
				if errors.Is(err, syscall.ECONNREFUSED) {
					return
				}
				if err != nil {
					t.Logf("a request: %v", err)
					if k%2 == 0 {
						failed.Add(1)
					} else {
						kept.Add(1)
					}
					continue
				}
				body, err := io.ReadAll(resp.Body)
				resp.Body.Close()
				if err != nil || resp.StatusCode != 200 || !bytes.Contains(body, []byte(`"predictions":[`)) {
					failed.Add(1)
					t.Logf("a request: %d, %v: %s", resp.StatusCode, err, body)
					continue
				}
				answered.Add(1)
			}
		})
	}
	return answered, failed, kept, running.Wait
}

func never() bool { return false }

// A server that is to stop under load answers all that it has taken on, and connections end between two requests.
func TestDrain(t *testing.T) {
	s, addr, stop := listening(t, nil)
	answered, failed, kept, wait := hammer(t, addr, 8, references(t)[0].file, never)
	until(t, "twenty answers", func() bool { return answered.Load() >= 20 })
	if err := stop(); err != nil {
		t.Errorf("Serve returned %v", err)
	}
	wait()
	t.Logf("%d answered, %d failed", answered.Load(), failed.Load())
	if failed.Load() != 0 {
		t.Errorf("%d of %d requests failed", failed.Load(), failed.Load()+answered.Load())
	}
	// What the server has seen it has answered, and the answers arrived.
	rec := httptest.NewRecorder()
	s.metrics.handler.ServeHTTP(rec, httptest.NewRequest("GET", "/metrics", nil))
	want := fmt.Sprintf("bit_requests_total{code=\"200\",method=\"POST\",route=\"/v1/classify\"} %d\n", answered.Load())
	if text := rec.Body.String(); !strings.Contains(text, want) || strings.Count(text, "bit_requests_total{") != 1 {
		t.Errorf("the server counts other requests than %s", want)
	}
	if n := kept.Load(); n > 4 {
		t.Errorf("%d of 4 connections that were kept open ended in the middle of a request", n)
	}
	if !s.draining.Load() {
		t.Error("the server does not say that it drains")
	}
}

// While it drains it is not ready, lives, and answers on open connections; what waits in the queue is answered; what takes
// too long is cut off and counted.
func TestDrainWaits(t *testing.T) {
	s, addr, stop := listening(t, nil)
	file := references(t)[0].file
	release := busyEngine(s)
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "POST /v1/classify HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%s", len(file), file)
	until(t, "the picture waits", func() bool { return s.models[0].present().depth() == 1 })
	ended := make(chan error, 1)
	go func() { ended <- stop() }()
	until(t, "draining", s.draining.Load)
	if a := send(t, "GET", "http://"+addr+"/readyz", nil); a.status != 503 {
		t.Errorf("/readyz: status %d, want 503", a.status)
	}
	if alive, err := http.Get("http://" + addr + "/healthz"); err != nil || alive.StatusCode != 200 || !alive.Close {
		t.Errorf("/healthz: %v, %v, want 200 and the connection to close", alive, err)
	} else {
		alive.Body.Close()
	}
	release()
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil || resp.StatusCode != 200 {
		t.Errorf("the picture that waited: %v, %v", resp, err)
	}
	if err := <-ended; err != nil {
		t.Errorf("Serve returned %v", err)
	}

	s, addr, stop = listening(t, func(c *Config) { c.Drain = 200 * time.Millisecond })
	defer busyEngine(s)()
	conn, err = net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "POST /v1/classify HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%s", len(file), file)
	until(t, "the picture waits", func() bool { return s.models[0].present().depth() == 1 })
	if err := stop(); err == nil || !strings.Contains(err.Error(), "with 1 requests unfinished") {
		t.Errorf("Serve returned %v, want an error that counts one request", err)
	}
}

// A model is exchanged under load without one request failing, and the old one goes.
func TestReload(t *testing.T) {
	opened := 0
	s, addr, stop := listening(t, func(c *Config) {
		open := c.Models[0].Open
		c.Models[0].Open = func(ctx context.Context) (m *bit.Classifier, err error) { opened++; return open(ctx) }
	})
	defer stop()
	var done atomic.Bool
	answered, failed, kept, wait := hammer(t, addr, 8, references(t)[0].file, done.Load)
	until(t, "an answer", func() bool { return answered.Load() > 0 })
	first := s.models[0].present()
	for range 10 {
		if a := send(t, "POST", "http://"+addr+"/v1/models/tiny/reload", nil); a.status != 200 {
			t.Fatalf("reload: status %d: %s", a.status, a.body)
		}
	}
	done.Store(true)
	wait()
	t.Logf("%d answered, %d failed", answered.Load(), failed.Load())
	if failed.Load()+kept.Load() != 0 || opened != 11 {
		t.Errorf("%d of %d requests failed; opened %d times, want 11", failed.Load()+kept.Load(), failed.Load()+kept.Load()+answered.Load(), opened)
	}
	select {
	case <-first.ended:
	case <-time.After(30 * time.Second):
		t.Error("the first instance still runs")
	}
}

// A model that cannot be opened again stays as it is.
func TestReloadFails(t *testing.T) {
	fail := false
	s, h := newServer(t, func(c *Config) {
		open := c.Models[0].Open
		c.Models[0].Open = func(ctx context.Context) (*bit.Classifier, error) {
			if fail {
				return nil, errors.New("no such weights")
			}
			return open(ctx)
		}
	})
	fail = true
	if a := send(t, "POST", h.URL+"/v1/models/tiny/reload", nil); a.status != 500 || !strings.Contains(string(a.body), "no such weights") {
		t.Errorf("status %d: %s, want 500 and the reason", a.status, a.body)
	}
	s.ReloadAll(t.Context())
	if a := send(t, "POST", h.URL+"/v1/classify", references(t)[0].file); a.status != 200 {
		t.Errorf("afterwards: status %d", a.status)
	}
}

// A client that sends its header or its body drop by drop is cut off after the time for a request, and others are served
// meanwhile.
func TestSlowClient(t *testing.T) {
	s, addr, _ := listening(t, func(c *Config) { c.Timeout, c.Queue = time.Second, 40 })
	var slow sync.WaitGroup
	for k := range 20 {
		head := "POST /v1/classify HTTP/1.1\r\nHost: localhost\r\n"
		if k%2 == 0 {
			head += "Content-Length: 1000000\r\n\r\n"
		}
		slow.Go(func() {
			conn, err := net.Dial("tcp", addr)
			if err != nil {
				t.Error(err)
				return
			}
			defer conn.Close()
			io.WriteString(conn, head)
			started := time.Now()
			go func() {
				for range 400 {
					if _, err := io.WriteString(conn, "x"); err != nil {
						return
					}
					time.Sleep(25 * time.Millisecond)
				}
			}()
			answer, _ := io.ReadAll(conn) // until the server closes it
			if took := time.Since(started); took > 10*time.Second {
				t.Errorf("a slow client was served for %v", took)
			}
			want := "HTTP/1.1 408" // of a body; half a header is a 400 of net/http
			if k%2 == 1 {
				want = "HTTP/1.1 400"
			}
			if !strings.HasPrefix(string(answer), want) && len(answer) > 0 {
				t.Errorf("a slow client got %.200q, want %s or nothing", answer, want)
			}
		})
	}
	file := references(t)[0].file
	until(t, "another client is served meanwhile", func() bool {
		return send(t, "POST", "http://"+addr+"/v1/classify", file).status == 200 // on a busy machine a second may be too short
	})
	slow.Wait()
	until(t, "all places are free", func() bool {
		ok := s.admission.places.free.TryAcquire(40)
		if ok {
			s.admission.places.free.Release(40)
		}
		return ok
	})
}
