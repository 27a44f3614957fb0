package hub

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/bigtransfer/bit/internal/hubtest"
)

// answers makes the server refuse the first n requests for a path that contains part; -1 refuses all.
func answers(s *hubtest.Server, part string, n, status int, header ...string) {
	s.SetIntercept(func(w http.ResponseWriter, r *http.Request) bool {
		if n == 0 || !strings.Contains(r.URL.Path, part) {
			return false
		}
		n--
		for i := 0; i < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(status)
		return true
	})
}

// Every failure is one sentence that says what was looked for, where, what came of it and what to do by hand.
func TestErrors(t *testing.T) {
	for name, c := range map[string]struct {
		ref     string
		prepare func(s *hubtest.Server)
		is      error
		says    string
	}{
		"no repository": {"google/none", nil, ErrDenied, "401"},
		"no revision":   {testRepo + "@v9", nil, ErrNotFound, "no such revision"},
		"no file":       {"BiT-S-R152x2", nil, ErrNotFound, "404"},
		"no task":       {"BiT-M-R50x1-run2-svhn", nil, ErrNotFound, "/vtab/BiT-M-R50x1-run2-svhn.npz"},
		"no weights": {"org/text", func(s *hubtest.Server) {
			s.AddRepo("org/text", &hubtest.Repo{Commit: testCommit, Revisions: []string{"main"}, Files: map[string][]byte{configFile: []byte("{}")}})
		}, ErrNotFound, "none of model.safetensors, "},
		"no config": {"org/text", func(s *hubtest.Server) {
			s.AddRepo("org/text", &hubtest.Repo{Commit: testCommit, Revisions: []string{"main"}, Files: map[string][]byte{tensorsFile: nil}})
		}, ErrNotFound, "config.json"},
		"forbidden":       {testRepo, func(s *hubtest.Server) { answers(s, "/resolve/", -1, http.StatusForbidden) }, ErrDenied, "403"},
		"forbidden file":  {"BiT-M-R50x1", func(s *hubtest.Server) { answers(s, "/bit_models/", -1, http.StatusForbidden) }, ErrDenied, "403"},
		"busy":            {testRepo, func(s *hubtest.Server) { answers(s, "/api/", -1, http.StatusTooManyRequests) }, ErrBusy, "5 attempts"},
		"busy for long":   {"BiT-M-R50x1", func(s *hubtest.Server) { answers(s, "", -1, http.StatusTooManyRequests, "Retry-After", "3600") }, ErrBusy, "try again in 1h0m0s"},
		"down":            {testRepo, func(s *hubtest.Server) { answers(s, "", -1, http.StatusServiceUnavailable) }, ErrUnreachable, "503"},
		"gone":            {testRepo, func(s *hubtest.Server) { s.Close() }, ErrUnreachable, "connection refused"},
		"redirect circle": {"BiT-M-R50x1", func(s *hubtest.Server) { answers(s, "", -1, http.StatusFound, "Location", "/bit_models/x") }, ErrCorrupt, "redirects"},
		"nonsense":        {testRepo, func(s *hubtest.Server) { answers(s, "/api/", -1, http.StatusOK) }, ErrCorrupt, "no description of a repository"},
	} {
		s := standIn(t)
		if c.prepare != nil {
			c.prepare(s)
		}
		client := client(t, s)
		path, err := pull(t, client, c.ref)
		e, ok := errors.AsType[*Error](err)
		if !ok || !errors.Is(err, c.is) {
			t.Errorf("%s: %q, %v", name, path, err)
			continue
		}
		text := err.Error()
		for _, want := range []string{"cannot fetch " + c.ref, e.URL, c.says, "to bring it by hand, "} {
			if !strings.Contains(text, want) {
				t.Errorf("%s: %q does not say %q", name, text, want)
			}
		}
		if strings.Contains(text, "\n") || !strings.HasPrefix(e.URL, "http://127.0.0.1:") {
			t.Errorf("%s: %q", name, text)
		}
		if got, err := client.Cached(e.Ref); err == nil {
			t.Errorf("%s: then cached at %s", name, got)
		}
	}
}

// The advice is true: the file put where the sentence says is found.
func TestByHand(t *testing.T) {
	s := standIn(t)
	c := client(t, s)
	c.Offline = true
	_, err := pull(t, c, "BiT-M-R50x1")
	if !errors.Is(err, ErrOffline) {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(err.Error(), "save that file as ")
	path, _, _ := strings.Cut(rest, ", or")
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("by hand"), 0o666); err != nil {
		t.Fatal(err)
	}
	if got := mustPull(t, c, "BiT-M-R50x1"); got != path {
		t.Errorf("found %s, not %s", got, path)
	}
	if n := len(s.Requests(nil)); n != 0 {
		t.Errorf("%d requests offline", n)
	}
}

// What fails for the moment is tried again, after the time that the server names.
func TestRetry(t *testing.T) {
	var waits []time.Duration
	note := func(ctx context.Context, d time.Duration) error {
		waits = append(waits, d)
		return nil
	}
	for _, c := range []struct {
		status int
		after  string
		want   time.Duration
	}{{http.StatusTooManyRequests, "7", 7 * time.Second}, {http.StatusServiceUnavailable, "", time.Second}, {http.StatusGatewayTimeout, "0", time.Second}} {
		for _, part := range []string{"/api/", "/resolve/", ""} {
			s := standIn(t)
			answers(s, part, 1, c.status, "Retry-After", c.after)
			client := client(t, s)
			waits, client.wait = nil, note
			mustPull(t, client, testRepo)
			if len(waits) != 1 || waits[0] != c.want {
				t.Errorf("%d for %q: waited %v, want %v", c.status, part, waits, c.want)
			}
		}
	}
	r := &http.Response{Header: http.Header{"Retry-After": {time.Now().Add(time.Minute).UTC().Format(http.TimeFormat)}}}
	if d := retryAfter(r); d < 55*time.Second || d > time.Minute {
		t.Errorf("a date in a minute is %v away", d)
	}
}

// A connection that breaks again and again gets the file in the end, each time from where it broke.
func TestCutConnection(t *testing.T) {
	for _, ref := range []string{"org/large", "BiT-M-R50x1"} {
		s := standIn(t)
		content := largeRepo(s)
		s.AddObject("BiT-M-R50x1.npz", content)
		s.SetBody(func(w http.ResponseWriter, r *http.Request) http.ResponseWriter {
			if r.Method == http.MethodHead {
				return w
			}
			return &hubtest.Cut{ResponseWriter: w, Left: len(content)/8 + 1}
		})
		c := client(t, s)
		var last Progress
		c.Progress = func(p Progress) {
			if p.File == last.File && p.Done <= last.Done {
				t.Errorf("%v after %v", p, last)
			}
			last = p
		}
		file := mustPull(t, c, ref)
		if ref == "org/large" {
			file = filepath.Join(file, tensorsFile)
		}
		if !bytes.Equal(read(t, file), content) {
			t.Errorf("%s: the file differs", ref)
		}
		if n := int64(len(content)); last.Done != n || last.Total != n {
			t.Errorf("%s: progress ended with %+v", ref, last)
		}
		gets := 0
		for _, r := range append(s.Requests(s.CDN), s.Requests(s.Bucket)...) {
			if r.Method == http.MethodGet {
				gets++
			}
		}
		if gets != 8 {
			t.Errorf("%s: %d requests for 8 parts", ref, gets)
		}
	}
	// One that breaks at once, always, does not.
	s := standIn(t)
	s.SetBody(func(w http.ResponseWriter, r *http.Request) http.ResponseWriter {
		if r.Method == http.MethodHead {
			return w
		}
		return &hubtest.Cut{ResponseWriter: w}
	})
	if _, err := pull(t, client(t, s), "BiT-M-R50x1"); !errors.Is(err, ErrUnreachable) || !strings.Contains(err.Error(), "5 attempts") {
		t.Errorf("always cut: %v", err)
	}
}

// A body that stands still is given up, not waited for.
func TestStall(t *testing.T) {
	s := standIn(t)
	release := make(chan struct{})
	s.SetIntercept(func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodHead {
			return false
		}
		w.WriteHeader(http.StatusOK)
		w.(http.Flusher).Flush()
		<-release
		return true
	})
	defer close(release)
	c := client(t, s)
	c.stall = 50 * time.Millisecond
	if _, err := pull(t, c, "BiT-M-R50x1"); !errors.Is(err, ErrUnreachable) || !strings.Contains(err.Error(), "no data for 50ms") {
		t.Errorf("standing still: %v", err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	stop := errors.New("stop")
	time.AfterFunc(20*time.Millisecond, func() { cancel(stop) })
	c.stall = time.Minute
	ref, _ := c.ParseRef("BiT-M-R50x1")
	if _, err := c.Pull(ctx, ref); err != stop {
		t.Errorf("cancelled: %v", err)
	}
}

// Content that is not what was announced never gets its name, and the next attempt starts without it.
func TestLies(t *testing.T) {
	lie := func(change func(w http.ResponseWriter, content []byte) []byte) func(http.ResponseWriter, *http.Request) http.ResponseWriter {
		return func(w http.ResponseWriter, r *http.Request) http.ResponseWriter {
			if r.Method == http.MethodHead {
				return w
			}
			return &lying{w, change}
		}
	}
	flip := func(_ http.ResponseWriter, p []byte) []byte {
		p = bytes.Clone(p)
		p[0] ^= 1
		return p
	}
	for _, ref := range []string{testRepo, "BiT-M-R50x1"} {
		s := standIn(t)
		s.SetBody(lie(flip))
		c := client(t, s)
		path, err := pull(t, c, ref)
		if !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), "want ") {
			t.Errorf("%s: %s, %v", ref, path, err)
		}
		r, _ := c.ParseRef(ref)
		if got, err := c.Cached(r); err == nil {
			t.Errorf("%s: cached at %s", ref, got)
		}
		s.SetBody(nil)
		mustPull(t, c, ref)
		noPartials(t, filepath.Dir(c.Cache))
	}
	// Bytes that lay there from before and are wrong are replaced in the same pull, be they few, all or too many.
	s := standIn(t)
	content := largeRepo(s)
	for _, n := range []int{1000, len(content), len(content) + 1000} {
		c := client(t, s)
		blobs := filepath.Join(c.Cache, "models--org--large", "blobs")
		if err := os.MkdirAll(blobs, 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(blobs, hubtest.SHA256(content)+".incomplete"), make([]byte, n), 0o666); err != nil {
			t.Fatal(err)
		}
		if got := read(t, filepath.Join(mustPull(t, c, "org/large"), tensorsFile)); !bytes.Equal(got, content) {
			t.Errorf("%d wrong bytes: the file differs", n)
		}
	}
	// A host that ignores ranges, or answers with another one.
	for name, intercept := range map[string]func(w http.ResponseWriter, r *http.Request) bool{
		"no ranges": func(w http.ResponseWriter, r *http.Request) bool {
			r.Header.Del("Range")
			return false
		},
		"another range": func(w http.ResponseWriter, r *http.Request) bool {
			if r.Header.Get("Range") == "" {
				return false
			}
			w.Header().Set("Content-Range", fmt.Sprintf("bytes 5-9/%d", len(content)))
			w.WriteHeader(http.StatusPartialContent)
			w.Write([]byte("wrong"))
			return true
		},
	} {
		s := standIn(t)
		largeRepo(s)
		s.SetIntercept(intercept)
		c := client(t, s)
		blobs := filepath.Join(c.Cache, "models--org--large", "blobs")
		if err := os.MkdirAll(blobs, 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(blobs, hubtest.SHA256(content)+".incomplete"), content[:1000], 0o666); err != nil {
			t.Fatal(err)
		}
		if got := read(t, filepath.Join(mustPull(t, c, "org/large"), tensorsFile)); !bytes.Equal(got, content) {
			t.Errorf("%s: the file differs", name)
		}
	}
}

// lying changes what it passes on.
type lying struct {
	http.ResponseWriter
	change func(w http.ResponseWriter, content []byte) []byte
}

func (l *lying) Write(p []byte) (int, error) {
	if _, err := l.ResponseWriter.Write(l.change(l.ResponseWriter, p)); err != nil {
		return 0, err
	}
	return len(p), nil
}

// A file of the bucket that has changed since a download of it was cut is not continued but fetched anew.
func TestNewVersionIsNotContinued(t *testing.T) {
	s := standIn(t)
	first := largeRepo(s)
	s.AddObject("BiT-M-R50x1.npz", first)
	s.SetBody(func(w http.ResponseWriter, r *http.Request) http.ResponseWriter {
		if r.Method == http.MethodHead {
			return w
		}
		return &hubtest.Cut{ResponseWriter: w, Left: 1 << 20}
	})
	c := client(t, s)
	stop := errors.New("stop")
	c.wait = func(context.Context, time.Duration) error { return stop }
	if _, err := pull(t, c, "BiT-M-R50x1"); !errors.Is(err, stop) {
		t.Fatal(err)
	}
	second := bytes.Clone(first)
	second[10] ^= 1
	s.AddObject("BiT-M-R50x1.npz", second)
	s.SetBody(nil)
	if got := read(t, mustPull(t, c, "BiT-M-R50x1")); !bytes.Equal(got, second) {
		t.Error("the file is not the new version")
	}
	for _, r := range s.Requests(s.Bucket) {
		if r.Header.Get("Range") != "" {
			t.Errorf("asked for %s of another version", r.Header.Get("Range"))
		}
	}
}

// A server that says neither size nor tag nor checksum: the file is fetched as a whole, each time.
func TestUnknownSize(t *testing.T) {
	s := standIn(t)
	content := largeRepo(s)
	cuts := 2
	s.SetIntercept(func(w http.ResponseWriter, r *http.Request) bool {
		w.(http.Flusher).Flush() // so that there is no Content-Length
		if r.Method == http.MethodGet {
			if cuts--; cuts >= 0 {
				w = &hubtest.Cut{ResponseWriter: w, Left: 1 << 20}
			}
			w.Write(content)
		}
		return true
	})
	c := client(t, s)
	address := s.BucketURL() + "/some.npz"
	for range 2 {
		if got := read(t, mustPull(t, c, address)); !bytes.Equal(got, content) {
			t.Error("the file differs")
		}
	}
	gets := 0
	for _, r := range s.Requests(s.Bucket) {
		if r.Header.Get("Range") != "" {
			t.Errorf("asked for the rest of what may be another version, %s", r.Header.Get("Range"))
		}
		if r.Method == http.MethodGet {
			gets++
		}
	}
	if gets != 4 {
		t.Errorf("%d requests, want two that were cut and two that were not", gets)
	}
	noPartials(t, c.Assets)
}

// Without a checksum it is the range that tells whether an answer is the rest that was asked for.
func TestRangeThatWasNotAskedFor(t *testing.T) {
	s := standIn(t)
	content := []byte("0123456789")
	first, offset := true, 4
	s.SetIntercept(func(w http.ResponseWriter, r *http.Request) bool {
		w.Header().Set("ETag", `"v1"`)
		w.Header().Set("Content-Length", "10")
		switch {
		case r.Method == http.MethodHead:
		case first:
			first = false
			(&hubtest.Cut{ResponseWriter: w, Left: 5}).Write(content)
		case r.Header.Get("Range") != "":
			w.Header().Set("Content-Length", "5")
			w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/10", offset, offset+4))
			w.WriteHeader(http.StatusPartialContent)
			w.Write(content[offset : offset+5])
		default:
			w.Write(content)
		}
		return true
	})
	if path, err := pull(t, client(t, s), s.BucketURL()+"/x.npz"); !errors.Is(err, ErrCorrupt) {
		t.Errorf("bytes 4 to 8 in place of 5 to 9: %s, %v", path, err)
	}
	first, offset = true, 5
	if got := read(t, mustPull(t, client(t, s), s.BucketURL()+"/x.npz")); !bytes.Equal(got, content) {
		t.Errorf("%q, want %q", got, content)
	}
}
