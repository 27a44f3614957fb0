package hub

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/bigtransfer/bit/internal/fixture"
	"github.com/bigtransfer/bit/internal/hubtest"
)

const pushRepo = hubtest.Owner + "/bit-flowers"

// writable is a hub with a client that may write to it.
func writable(t *testing.T) (*hubtest.Server, *Client) {
	s := standIn(t)
	s.SetToken("hf_secret")
	c := client(t, s)
	c.Token = "hf_secret"
	return s, c
}

// aModel writes a model's folder with a large file of a size that no part divides.
func aModel(t *testing.T) (string, map[string][]byte) {
	t.Helper()
	dir := t.TempDir()
	tensors := make([]byte, 3<<20+17)
	r := rand.New(rand.NewPCG(7, 8))
	for i := range tensors {
		tensors[i] = byte(r.Uint32())
	}
	files := map[string][]byte{
		configFile: []byte(`{"model_type":"bit"}`), preprocessorFile: []byte("{}"), "README.md": []byte("---\nlicense: apache-2.0\n---\n"),
		tensorsFile: tensors, "more/labels é.txt": []byte("daisy\n"), "empty.safetensors": nil,
	}
	for name, content := range files {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, content, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	for _, hidden := range []string{".git/config", ".cache/x", ".DS_Store"} {
		path := filepath.Join(dir, filepath.FromSlash(hidden))
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte("secret"), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	return dir, files
}

func push(t *testing.T, c *Client, dir, name string, o PushOptions) (*Pushed, error) {
	t.Helper()
	ref, err := c.ParseRef(name)
	if err != nil {
		t.Fatal(err)
	}
	return c.Push(t.Context(), dir, ref, o)
}

func mustPush(t *testing.T, c *Client, dir, name string, o PushOptions) *Pushed {
	t.Helper()
	p, err := push(t, c, dir, name, o)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// has fails unless a repository has just these files, beside .gitattributes that it was made with.
func has(t *testing.T, s *hubtest.Server, revision string, want map[string][]byte) {
	t.Helper()
	r := s.Repo(pushRepo, revision)
	if r == nil {
		t.Fatalf("no revision %s", revision)
	}
	got := maps.Clone(r.Files)
	delete(got, ".gitattributes")
	if !maps.EqualFunc(got, want, bytes.Equal) {
		t.Errorf("%s has %q, want %q", revision, slices.Sorted(maps.Keys(got)), slices.Sorted(maps.Keys(want)))
	}
}

func TestPush(t *testing.T) {
	s, c := writable(t)
	dir, files := aModel(t)
	run := filepath.Join(dir, "more", "checkpoints")
	if err := os.MkdirAll(run, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(run, "last"), []byte("not for others"), 0o666); err != nil {
		t.Fatal(err)
	}
	p := mustPush(t, c, dir, pushRepo, PushOptions{Private: true, Message: "first", Leave: []string{"more/checkpoints"}})
	has(t, s, "main", files)
	if err := os.RemoveAll(run); err != nil {
		t.Fatal(err)
	}
	r := s.Repo(pushRepo, "main")
	if !r.Private || !slices.Equal(r.Large, []string{tensorsFile}) || p.Commit != r.Commit || !p.Created || len(p.Committed) != len(files) ||
		p.Uploaded != int64(len(files[tensorsFile])) || p.URL != s.Hub.URL+"/"+pushRepo+"/commit/"+p.Commit {
		t.Errorf("%+v, large %q, private %v", p, r.Large, r.Private)
	}
	// What is pulled is what was pushed.
	pulled := mustPull(t, c, pushRepo)
	for _, name := range []string{configFile, preprocessorFile, tensorsFile} {
		if !bytes.Equal(read(t, filepath.Join(pulled, name)), files[name]) {
			t.Errorf("%s differs after a pull", name)
		}
	}
	// Again: nothing is sent and no commit made.
	before := len(s.Requests(s.CDN))
	if again := mustPush(t, c, dir, pushRepo, PushOptions{}); again.Created || len(again.Committed) != 0 || len(again.Unchanged) != len(files) || again.Commit != p.Commit {
		t.Errorf("again: %+v", again)
	}
	if n := len(s.Requests(s.CDN)) - before; n != 0 {
		t.Errorf("again: %d uploads", n)
	}
	// One file more and one changed; those that are only there stay.
	if err := os.WriteFile(filepath.Join(dir, configFile), []byte("{}"), 0o666); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(dir, "README.md")); err != nil {
		t.Fatal(err)
	}
	if more := mustPush(t, c, dir, pushRepo, PushOptions{}); !slices.Equal(more.Committed, []string{configFile}) {
		t.Errorf("one file changed: %+v", more)
	}
	files[configFile] = []byte("{}")
	has(t, s, "main", files)

	// Branches, pull requests and single files.
	file := filepath.Join(fixture.Case(t, "official-tiny"), "weights.npz")
	mustPush(t, c, file, pushRepo+"@trial", PushOptions{})
	if r := s.Repo(pushRepo, "trial"); !bytes.Equal(r.Files["weights.npz"], read(t, file)) {
		t.Error("the branch does not have the file")
	}
	has(t, s, "main", files)
	if p := mustPush(t, c, file, pushRepo, PushOptions{PullRequest: true}); p.PullRequest != s.Hub.URL+"/"+pushRepo+"/discussions/1" {
		t.Errorf("pull request: %+v", p)
	}
	if r := s.Repo(pushRepo, hubtest.PullRequest); r == nil || r.Files["weights.npz"] == nil {
		t.Error("the pull request does not have the file")
	}
	has(t, s, "main", files)
	mustPush(t, c, filepath.Join(dir, configFile), pushRepo+"@"+hubtest.PullRequest, PushOptions{})

	for _, r := range append(s.Requests(s.CDN), s.Requests(s.Bucket)...) {
		if strings.Contains(fmt.Sprint(r.Header), "hf_secret") {
			t.Errorf("%s %s%s got the token", r.Method, r.Host, r.Path)
		}
	}
}

// Large files go in parts where the hub wants that; a part that is cut is sent again, and no other.
func TestPushInParts(t *testing.T) {
	s, c := writable(t)
	s.SetPartSize(1 << 20)
	dir, files := aModel(t)
	var puts, cut atomic.Int32
	s.SetIntercept(func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodPut {
			return false
		}
		puts.Add(1)
		if strings.HasSuffix(r.URL.Path, "/2") && cut.Add(1) <= 2 {
			r.Body.Read(make([]byte, 1000))
			panic(http.ErrAbortHandler)
		}
		return false
	})
	last := Progress{}
	c.Progress = func(p Progress) { last = p }
	mustPush(t, c, dir, pushRepo, PushOptions{})
	has(t, s, "main", files)
	if n := puts.Load(); n != 4+2 {
		t.Errorf("%d requests for 4 parts, of which one was cut twice", n)
	}
	if want := (Progress{tensorsFile, 3<<20 + 17, 3<<20 + 17}); last != want {
		t.Errorf("progress ends with %+v, want %+v", last, want)
	}
}

// A push that dies after its uploads goes on with the commit.
func TestPushGoesOn(t *testing.T) {
	s, c := writable(t)
	dir, files := aModel(t)
	stop := errors.New("stop")
	ctx, cancel := context.WithCancelCause(t.Context())
	s.SetIntercept(func(w http.ResponseWriter, r *http.Request) bool {
		if strings.Contains(r.URL.Path, "/commit/") {
			cancel(stop)
			panic(http.ErrAbortHandler)
		}
		return false
	})
	ref, _ := c.ParseRef(pushRepo)
	if _, err := c.Push(ctx, dir, ref, PushOptions{}); err != stop {
		t.Errorf("interrupted: %v", err)
	}
	s.SetIntercept(nil)
	if p := mustPush(t, c, dir, pushRepo, PushOptions{}); p.Uploaded != 0 || len(p.Committed) != len(files) {
		t.Errorf("%+v, want nothing uploaded twice", p)
	}
	has(t, s, "main", files)
}

// An answer that is lost does not make two commits; nor does one overwrite what others have committed meanwhile.
func TestPushMeetsOthers(t *testing.T) {
	s, c := writable(t)
	dir, files := aModel(t)
	lost := &atomic.Int32{}
	s.SetIntercept(func(w http.ResponseWriter, r *http.Request) bool {
		if strings.Contains(r.URL.Path, "/commit/") && lost.Add(1) == 1 {
			body := new(bytes.Buffer)
			body.ReadFrom(r.Body)
			req, _ := http.NewRequest(r.Method, s.Hub.URL+r.URL.String(), body)
			req.Header = r.Header.Clone()
			if resp, err := http.DefaultClient.Do(req); err != nil || resp.StatusCode != http.StatusOK {
				t.Errorf("the commit behind the cut: %v, %v", resp, err)
			}
			panic(http.ErrAbortHandler)
		}
		return false
	})
	p := mustPush(t, c, dir, pushRepo, PushOptions{})
	if len(p.Committed) != 0 || len(p.Unchanged) != len(files) || p.Commit != s.Repo(pushRepo, "main").Commit {
		t.Errorf("%+v", p)
	}
	has(t, s, "main", files)
}

// says makes the server answer requests for a path that contains part with a text.
func says(s *hubtest.Server, part string, status int, text string) {
	s.SetIntercept(func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.Contains(r.URL.Path, part) {
			return false
		}
		w.WriteHeader(status)
		io.WriteString(w, text)
		return true
	})
}

// Every refusal is one sentence that says what was refused, where and why.
func TestPushErrors(t *testing.T) {
	dir, _ := aModel(t)
	for name, test := range map[string]struct {
		repo    string
		prepare func(s *hubtest.Server, c *Client)
		is      error
		says    string
	}{
		"no token":        {pushRepo, func(_ *hubtest.Server, c *Client) { c.Token = "" }, ErrNoToken, "HF_TOKEN is not set"},
		"wrong token":     {pushRepo, func(_ *hubtest.Server, c *Client) { c.Token = "hf_other" }, ErrDenied, "/settings/tokens makes one with write access"},
		"another's name":  {"google/bit-new", nil, ErrDenied, "403 Forbidden (You don't have the rights to create a model under the namespace \"google\"); HF_TOKEN may not write to google/bit-new"},
		"another's model": {testRepo, nil, ErrDenied, "403 Forbidden (You have read access but not the required permissions for this operation)"},
		"offline":         {pushRepo, func(_ *hubtest.Server, c *Client) { c.Offline = true }, ErrOffline, "HF_HUB_OFFLINE"},
		"a commit":        {pushRepo + "@" + testCommit, nil, nil, "is a commit, want a branch"},
		"busy for long":   {pushRepo, func(s *hubtest.Server, _ *Client) { answers(s, "/commit/", -1, 429, "Retry-After", "3600") }, ErrBusy, "try again in 1h0m0s"},
		"always busy":     {pushRepo, func(s *hubtest.Server, _ *Client) { answers(s, "/preupload/", -1, 429) }, ErrBusy, "5 attempts"},
		"conflict":        {pushRepo, func(s *hubtest.Server, _ *Client) { answers(s, "/commit/", -1, 412) }, ErrConflict, "changed meanwhile"},
		"bad content":     {pushRepo, func(s *hubtest.Server, _ *Client) { answers(s, "/upload/", -1, 400) }, errRefused, "model.safetensors: refused by 127.0.0.1"},
		"bad commit":      {pushRepo, func(s *hubtest.Server, _ *Client) { says(s, "/commit/", 400, `{"error":"no \u001b[31mway"}`) }, errRefused, "400 Bad Request (no [31mway)"},
		"nonsense":        {pushRepo, func(s *hubtest.Server, _ *Client) { answers(s, "/preupload/", -1, 200) }, ErrCorrupt, "the answer to /api/models/me/bit-flowers/preupload/main"},
		"a redirect":      {pushRepo, func(s *hubtest.Server, _ *Client) { answers(s, "/upload/", -1, 302, "Location", "/x") }, ErrCorrupt, "302"},
		"gone":            {pushRepo, func(s *hubtest.Server, _ *Client) { s.Close() }, ErrUnreachable, "connection refused"},
	} {
		s, c := writable(t)
		if test.prepare != nil {
			test.prepare(s, c)
		}
		_, err := push(t, c, dir, test.repo, PushOptions{})
		if err == nil || test.is != nil && !errors.Is(err, test.is) || !strings.Contains(err.Error(), test.says) || !strings.HasPrefix(err.Error(), "cannot push "+dir+" to ") {
			t.Errorf("%s: %v", name, err)
		}
	}
	s, c := writable(t)
	if _, err := push(t, c, t.TempDir(), pushRepo, PushOptions{}); err == nil || !strings.Contains(err.Error(), "no files") {
		t.Errorf("an empty folder: %v", err)
	}
	if _, err := push(t, c, dir, pushRepo+"@x", PushOptions{PullRequest: true}); err == nil {
		t.Error("a pull request to a branch")
	}
	// What is only for the moment is tried again.
	for part, status := range map[string]int{"/repos/create": 429, "/preupload/": 503, "/objects/batch": 500, "/upload/": 503, "/objects/verify": 429, "/commit/": 429} {
		answers(s, part, 2, status, "Retry-After", "1")
		if err := os.WriteFile(filepath.Join(dir, tensorsFile), []byte(part), 0o666); err != nil {
			t.Fatal(err)
		}
		mustPush(t, c, dir, pushRepo, PushOptions{})
	}
}

// What a server says to send to is neither followed out of https nor believed where it is not about what was asked.
func TestPushTrustsLittle(t *testing.T) {
	dir, _ := aModel(t)
	for name, body := range map[string]string{
		"plain http":    `{"objects":[{"oid":"OID","size":SIZE,"actions":{"upload":{"href":"http://example.org/x"}}}]}`,
		"no address":    `{"objects":[{"oid":"OID","size":SIZE,"actions":{"upload":{"href":""}}}]}`,
		"another file":  `{"objects":[{"oid":"00","size":SIZE,"actions":{}}]}`,
		"no file":       `{"objects":[]}`,
		"another size":  `{"objects":[{"oid":"OID","size":1,"actions":{}}]}`,
		"odd parts":     `{"objects":[{"oid":"OID","size":SIZE,"actions":{"upload":{"href":"https://example.org","header":{"chunk_size":"0"}}}}]}`,
		"missing parts": `{"objects":[{"oid":"OID","size":SIZE,"actions":{"upload":{"href":"https://example.org","header":{"chunk_size":"1000","00001":"https://example.org/1"}}}}]}`,
	} {
		s, c := writable(t)
		tensors := read(t, filepath.Join(dir, tensorsFile))
		body = strings.NewReplacer("OID", hubtest.SHA256(tensors), "SIZE", fmt.Sprint(len(tensors))).Replace(body)
		s.SetIntercept(func(w http.ResponseWriter, r *http.Request) bool {
			if !strings.HasSuffix(r.URL.Path, "/batch") {
				return false
			}
			w.Write([]byte(body))
			return true
		})
		if p, err := push(t, c, dir, pushRepo, PushOptions{}); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: %+v, %v", name, p, err)
		}
	}
}
