package hub

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bigtransfer/bit/internal/fixture"
	"github.com/bigtransfer/bit/internal/hubtest"
	"github.com/bigtransfer/bit/weights"
)

const (
	testRepo   = "google/bit-tiny"
	testCommit = "0123456789abcdef0123456789abcdef01234567"
)

// TestMain lets the tests start this program as another process that pulls one reference.
func TestMain(m *testing.M) {
	if name := os.Getenv("HUB_TEST_PULL"); name != "" {
		c := FromEnv()
		ref, err := c.ParseRef(name)
		if err == nil {
			var path string
			if path, err = c.Pull(context.Background(), ref); err == nil {
				fmt.Println(path)
				os.Exit(0)
			}
		}
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// standIn is a hub with one repository, a real checkpoint, and a bucket with another.
func standIn(t *testing.T) *hubtest.Server {
	s := hubtest.New()
	t.Cleanup(s.Close)
	dir := fixture.Case(t, "hf-tiny")
	files := map[string][]byte{"README.md": []byte("not needed")}
	for _, name := range []string{configFile, preprocessorFile, tensorsFile} {
		files[name] = read(t, filepath.Join(dir, name))
	}
	s.AddRepo(testRepo, &hubtest.Repo{Commit: testCommit, Revisions: []string{"main", "refs/pr/1"}, Files: files, Large: []string{tensorsFile}})
	npz := read(t, filepath.Join(fixture.Case(t, "official-tiny"), "weights.npz"))
	for _, path := range []string{"BiT-M-R50x1.npz", "vtab/BiT-M-R50x1-run0-caltech101.npz", "BiT-M-R50x1-run1-dtd.npz", "distill/R50x1_224.npz"} {
		s.AddObject(path, npz)
	}
	return s
}

// client returns one with an empty cache that does not wait between attempts.
func client(t *testing.T, s *hubtest.Server) *Client {
	dir := t.TempDir()
	return &Client{
		Cache: filepath.Join(dir, "hub"), Assets: filepath.Join(dir, "assets"), Endpoint: s.Hub.URL, Bucket: s.BucketURL(),
		wait: func(ctx context.Context, d time.Duration) error { return ctx.Err() },
	}
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func pull(t *testing.T, c *Client, name string) (string, error) {
	t.Helper()
	ref, err := c.ParseRef(name)
	if err != nil {
		t.Fatal(err)
	}
	return c.Pull(t.Context(), ref)
}

func mustPull(t *testing.T, c *Client, name string) string {
	t.Helper()
	path, err := pull(t, c, name)
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// same fails unless two checkpoints have the same tensors.
func same(t *testing.T, got, want string) {
	t.Helper()
	g, err := weights.Open(got)
	if err != nil {
		t.Fatal(err)
	}
	w, err := weights.Open(want)
	if err != nil {
		t.Fatal(err)
	}
	if len(g.Tensors) != len(w.Tensors) {
		t.Fatalf("%d tensors, want %d", len(g.Tensors), len(w.Tensors))
	}
	for name, tensor := range w.Tensors {
		if !slices.Equal(g.Tensors[name].Data, tensor.Data) {
			t.Errorf("%s differs", name)
		}
	}
}

// listing describes a folder as testdata/python-cache.txt does.
func listing(t *testing.T, dir string) []string {
	var lines []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == dir {
			return err
		}
		rel, _ := filepath.Rel(dir, path)
		switch rel = filepath.ToSlash(rel); {
		case d.Type()&fs.ModeSymlink != 0:
			to, err := os.Readlink(path)
			lines = append(lines, "link "+rel+" "+to)
			return err
		case d.IsDir():
			lines = append(lines, "dir "+rel)
		default:
			lines = append(lines, "file "+rel+" "+hubtest.SHA256(read(t, path)))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(lines)
	return lines
}

func pythonListing(t *testing.T) []string {
	var lines []string
	for line := range strings.Lines(string(read(t, "testdata/python-cache.txt"))) {
		if !strings.HasPrefix(line, "#") {
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	slices.Sort(lines)
	return lines
}

// What we leave in the cache is what huggingface_hub leaves there, name by name, link by link and byte by byte.
func TestCacheIsPythons(t *testing.T) {
	s := standIn(t)
	c := client(t, s)
	path := mustPull(t, c, testRepo)
	if want := filepath.Join(c.Cache, "models--google--bit-tiny", "snapshots", testCommit); path != want {
		t.Errorf("pulled to %s, want %s", path, want)
	}
	if other := mustPull(t, c, testRepo+"@refs/pr/1"); other != path {
		t.Errorf("the other revision is %s, want the same commit's %s", other, path)
	}
	same(t, path, fixture.Case(t, "hf-tiny"))
	got, want := listing(t, c.Cache), pythonListing(t)
	for _, line := range got {
		if !slices.Contains(want, line) {
			t.Errorf("only here: %s", line)
		}
	}
	for _, line := range want {
		if !slices.Contains(got, line) {
			t.Errorf("only there: %s", line)
		}
	}
}

// What huggingface_hub has downloaded is found without asking anybody.
func TestPythonsCacheIsFound(t *testing.T) {
	dir := t.TempDir()
	contents := map[string][]byte{}
	for _, name := range []string{configFile, preprocessorFile, tensorsFile} {
		b := read(t, filepath.Join(fixture.Case(t, "hf-tiny"), name))
		contents[hubtest.SHA256(b)] = b
	}
	for _, b := range [][]byte{nil, []byte(testCommit), []byte(cacheTag)} {
		contents[hubtest.SHA256(b)] = b
	}
	for _, line := range pythonListing(t) {
		f := strings.Fields(line)
		path := filepath.Join(dir, filepath.FromSlash(f[1]))
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		var err error
		switch f[0] {
		case "link":
			err = os.Symlink(f[2], path)
		case "dir":
			err = os.MkdirAll(path, 0o777)
		case "file":
			b, ok := contents[f[2]]
			if !ok {
				t.Fatalf("unknown content: %s", line)
			}
			err = os.WriteFile(path, b, 0o666)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	c := &Client{Cache: dir, Assets: t.TempDir(), Endpoint: "http://127.0.0.1:1", Offline: true}
	for _, name := range []string{testRepo, testRepo + "@main", testRepo + "@refs/pr/1", testRepo + "@" + testCommit} {
		same(t, mustPull(t, c, name), fixture.Case(t, "hf-tiny"))
	}
	if _, err := pull(t, c, testRepo+"@v2"); !errors.Is(err, ErrOffline) {
		t.Errorf("a revision that is not there: %v", err)
	}
	// A snapshot that lacks a file, as an interrupted download leaves it, is not taken for a model.
	if err := os.Remove(filepath.Join(dir, "models--google--bit-tiny", "snapshots", testCommit, tensorsFile)); err != nil {
		t.Fatal(err)
	}
	if path, err := pull(t, c, testRepo); !errors.Is(err, ErrOffline) {
		t.Errorf("without its tensors: %s, %v", path, err)
	}
}

func TestBucket(t *testing.T) {
	s := standIn(t)
	c := client(t, s)
	for name, path := range map[string]string{
		"BiT-M-R50x1":                 "BiT-M-R50x1.npz",
		"BiT-M-R50x1-run0-caltech101": "vtab/BiT-M-R50x1-run0-caltech101.npz",
		"BiT-M-R50x1-run1-dtd":        "BiT-M-R50x1-run1-dtd.npz", // not in the folder, where it is tried first
		"R50x1_224":                   "distill/R50x1_224.npz",
	} {
		got := mustPull(t, c, name)
		if want := filepath.Join(c.Assets, "bit", "storage.googleapis.com", "bit_models", filepath.FromSlash(path)); got != want {
			t.Errorf("%s lies at %s, want %s", name, got, want)
		}
		same(t, got, filepath.Join(fixture.Case(t, "official-tiny"), "weights.npz"))
	}
	// Once here it is not fetched again, nor is anybody asked for it; if it has changed here, a pull repairs it.
	ref, err := c.ParseRef("BiT-M-R50x1")
	if err != nil {
		t.Fatal(err)
	}
	before := len(s.Requests(nil))
	path, err := c.Get(t.Context(), ref)
	if err != nil || len(s.Requests(nil)) != before {
		t.Errorf("cached: %v, %d requests", err, len(s.Requests(nil))-before)
	}
	mustPull(t, c, "BiT-M-R50x1")
	for _, r := range s.Requests(nil)[before:] {
		if r.Method != http.MethodHead {
			t.Errorf("%s %s of what is here", r.Method, r.Path)
		}
	}
	content := read(t, path)
	damaged := slices.Clone(content)
	damaged[len(damaged)/2]++
	if err := os.WriteFile(path, damaged, 0o666); err != nil {
		t.Fatal(err)
	}
	mustPull(t, c, "BiT-M-R50x1")
	if !bytes.Equal(read(t, path), content) {
		t.Error("a damaged file was not repaired")
	}
}

func TestURL(t *testing.T) {
	s := standIn(t)
	c := client(t, s)
	c.Bucket = DefaultBucket // so that the URLs below are of no particular host
	a := mustPull(t, c, s.BucketURL()+"/BiT-M-R50x1.npz")
	b := mustPull(t, c, s.BucketURL()+"/BiT-M-R50x1.npz?version=2")
	if a == b {
		t.Errorf("two queries share %s", a)
	}
	for _, path := range []string{a, b} {
		if !strings.HasPrefix(path, filepath.Join(c.Assets, "bit")+string(filepath.Separator)) || strings.ContainsAny(filepath.Base(path), ":?") {
			t.Errorf("kept at %s", path)
		}
		same(t, path, filepath.Join(fixture.Case(t, "official-tiny"), "weights.npz"))
	}
	// A page of the hub is its repository.
	same(t, mustPull(t, c, s.Hub.URL+"/"+testRepo+"/tree/refs%2Fpr%2F1"), fixture.Case(t, "hf-tiny"))
}

func TestParseRef(t *testing.T) {
	c := &Client{Endpoint: DefaultEndpoint, Bucket: DefaultBucket}
	for in, want := range map[string]string{
		"google/bit-50":                                       "google/bit-50",
		"google/bit-50@main":                                  "google/bit-50",
		"hf://google/bit-50@refs/pr/1":                        "google/bit-50@refs/pr/1",
		"timm/resnetv2_50x1_bit.goog_in21k":                   "timm/resnetv2_50x1_bit.goog_in21k",
		"BiT-S-R101x3":                                        "BiT-S-R101x3",
		"R152x2_T_384":                                        "R152x2_T_384",
		"https://huggingface.co/google/bit-50":                "google/bit-50",
		"https://huggingface.co/google/bit-50/tree/refs/pr/1": "google/bit-50@refs/pr/1",
		"https://example.org/a/b.npz":                         "https://example.org/a/b.npz",
	} {
		ref, err := c.ParseRef(in)
		if err != nil || ref.String() != want {
			t.Errorf("%q: %v, %v, want %s", in, ref, err, want)
		}
	}
	// All that could lead out of the cache, to another host or to nowhere is refused before a path is made of it.
	for _, in := range []string{
		"", "word", "../x", "a/..", "../../etc/passwd", "a/b/c", "/a/b", "a//b", ".a/b", "a/b.", "a--b/c", "a/b.git", `a\b/c`, "a/b c",
		"a/b@", "a/b@..", "a/b@../../x", "a/b@/x", "a/b@x//y", `a/b@..\x`, "a/b@C:x", "a/b@x\x00", "a/b@./x", "a/b@x.", strings.Repeat("a", 60) + "/" + strings.Repeat("b", 60),
		"http://example.org/x.npz", "https:///x", "https://user:secret@example.org/x", "https://example.org/../x", "https://example.org/%2e%2e/x",
		`https://example.org/a%5c..%5cx`, "https://example.org/", "BiT-L-R50x1", "BiT-M-R50x2", "BiT-M-R50x1-run3-dtd",
	} {
		if ref, err := c.ParseRef(in); err == nil {
			t.Errorf("%q is taken for %+v", in, ref)
		}
	}
}

// What a server says must not lead out of the cache either.
func TestServerCannotEscape(t *testing.T) {
	index := func(file string) []byte {
		return fmt.Appendf(nil, `{"metadata":{},"weight_map":{"w":%q}}`, file)
	}
	info := func(sha string) func(http.ResponseWriter, *http.Request) bool {
		return func(w http.ResponseWriter, r *http.Request) bool {
			if strings.HasPrefix(r.URL.Path, "/api/") {
				fmt.Fprintf(w, `{"sha":%q,"siblings":[{"rfilename":"config.json"},{"rfilename":"model.safetensors"}]}`, sha)
				return true
			}
			return false
		}
	}
	tag := func(etag string) func(http.ResponseWriter, *http.Request) bool {
		return func(w http.ResponseWriter, r *http.Request) bool {
			if strings.HasPrefix(r.URL.Path, "/google/") {
				w.Header().Set("X-Repo-Commit", testCommit)
				w.Header().Set("ETag", etag)
				return true
			}
			return false
		}
	}
	for name, prepare := range map[string]func(s *hubtest.Server){
		"commit": func(s *hubtest.Server) { s.SetIntercept(info("../../../../evil")) },
		"tag":    func(s *hubtest.Server) { s.SetIntercept(tag(`"../../../evil"`)) },
		"no tag": func(s *hubtest.Server) { s.SetIntercept(tag("")) },
		"shard": func(s *hubtest.Server) {
			s.AddRepo(testRepo, &hubtest.Repo{Commit: testCommit, Revisions: []string{"main"}, Files: map[string][]byte{
				configFile: []byte("{}"), tensorsFile + indexSuffix: index("../../../../evil"), "../../../../evil": []byte("x"),
			}})
		},
	} {
		s := standIn(t)
		prepare(s)
		c := client(t, s)
		path, err := pull(t, c, testRepo)
		if !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: %s, %v", name, path, err)
		}
		for _, line := range listing(t, filepath.Dir(c.Cache)) {
			if strings.Contains(line, "evil") {
				t.Errorf("%s: wrote %s", name, line)
			}
		}
	}
}

// Of what a repository has, what a model is read from is downloaded and nothing else; safetensors rather than pickles.
func TestFilesWanted(t *testing.T) {
	index := []byte(`{"weight_map":{"a":"a-00001-of-00002","b":"a-00002-of-00002","c":"a-00001-of-00002"}}`)
	for name, c := range map[string]struct{ has, want []string }{
		"whole":       {[]string{tensorsFile, tensorsFile + indexSuffix, torchFile, preprocessorFile, "onnx/model.onnx"}, []string{configFile, tensorsFile, preprocessorFile}},
		"shards":      {[]string{tensorsFile + indexSuffix, torchFile, "a-00001-of-00002", "a-00002-of-00002", "a-00001-of-00003"}, []string{"a-00001-of-00002", "a-00002-of-00002", configFile, tensorsFile + indexSuffix}},
		"torch":       {[]string{torchFile, torchFile + indexSuffix}, []string{configFile, torchFile}},
		"torchshards": {[]string{torchFile + indexSuffix, "a-00001-of-00002", "a-00002-of-00002"}, []string{"a-00001-of-00002", "a-00002-of-00002", configFile, torchFile + indexSuffix}},
	} {
		s := standIn(t)
		files := map[string][]byte{configFile: []byte("{}")}
		for _, f := range c.has {
			files[f] = []byte("content of " + f)
			if strings.HasSuffix(f, indexSuffix) {
				files[f] = index
			}
		}
		s.AddRepo("org/"+name, &hubtest.Repo{Commit: testCommit, Revisions: []string{"main"}, Files: files, Large: c.has[:1]})
		cl := client(t, s)
		path := mustPull(t, cl, "org/"+name)
		entries, err := os.ReadDir(path)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, e := range entries {
			got = append(got, e.Name())
			if !bytes.Equal(read(t, filepath.Join(path, e.Name())), files[e.Name()]) {
				t.Errorf("%s: %s differs", name, e.Name())
			}
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: pulled %q, want %q", name, got, c.want)
		}
		// Each is needed: without it the snapshot is no model.
		ref, err := cl.ParseRef("org/" + name)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range got {
			if f == preprocessorFile {
				continue
			}
			if err := os.Rename(filepath.Join(path, f), filepath.Join(path, "aside")); err != nil {
				t.Fatal(err)
			}
			if at, err := cl.Cached(ref); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%s without %s: %s, %v", name, f, at, err)
			}
			if err := os.Rename(filepath.Join(path, "aside"), filepath.Join(path, f)); err != nil {
				t.Fatal(err)
			}
		}
		if at, err := cl.Cached(ref); err != nil || at != path {
			t.Errorf("%s: then %s, %v", name, at, err)
		}
	}
}

// The token goes to the hub, and neither to the host that it redirects to nor to the bucket.
func TestTokenStaysHome(t *testing.T) {
	s := standIn(t)
	s.SetToken("hf_secret")
	c := client(t, s)
	if _, err := pull(t, c, testRepo); !errors.Is(err, ErrDenied) || !strings.Contains(err.Error(), "HF_TOKEN") {
		t.Errorf("without a token: %v", err)
	}
	c.Token = "hf_secret"
	mustPull(t, c, testRepo)
	mustPull(t, c, "BiT-M-R50x1")
	if n := len(s.Requests(s.CDN)); n == 0 {
		t.Fatal("the other host was not asked")
	}
	for _, r := range append(s.Requests(s.CDN), s.Requests(s.Bucket)...) {
		if got := fmt.Sprint(r.Header); strings.Contains(got, "hf_secret") {
			t.Errorf("%s %s%s got %s", r.Method, r.Host, r.Path, got)
		}
	}
	for _, r := range s.Requests(s.Hub)[1:] {
		if r.Header.Get("Authorization") != "Bearer hf_secret" {
			t.Errorf("%s %s without the token", r.Method, r.Path)
		}
	}
}

// Without links, as on most Windows machines, there are files in their places.
func TestWithoutLinks(t *testing.T) {
	s := standIn(t)
	c := client(t, s)
	c.symlink = func(string, string) error { return errors.New("not permitted") }
	path := mustPull(t, c, testRepo)
	same(t, path, fixture.Case(t, "hf-tiny"))
	for _, line := range listing(t, c.Cache) {
		if strings.HasPrefix(line, "link") {
			t.Error(line)
		}
	}
	if again := mustPull(t, c, testRepo); again != path {
		t.Errorf("then %s", again)
	}
	// A blob that lies there is another snapshot's: it is copied.
	blob := filepath.Join(c.Cache, "models--google--bit-tiny", "blobs", "there")
	if err := os.WriteFile(blob, []byte("x"), 0o666); err != nil {
		t.Fatal(err)
	}
	if err := c.point(blob, filepath.Join(path, "copy"), false); err != nil {
		t.Fatal(err)
	}
	if string(read(t, blob)) != "x" || string(read(t, filepath.Join(path, "copy"))) != "x" {
		t.Error("not copied")
	}
}

func TestFromEnv(t *testing.T) {
	for _, name := range []string{"HF_HOME", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_ASSETS_CACHE", "HUGGINGFACE_ASSETS_CACHE", "XDG_CACHE_HOME",
		"HF_TOKEN", "HF_TOKEN_PATH", "HF_ENDPOINT", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "BIT_BUCKET"} {
		t.Setenv(name, "")
	}
	home := t.TempDir()
	t.Setenv("HOME", home)
	t.Setenv("USERPROFILE", home)
	at := func(parts ...string) string { return filepath.Join(append([]string{home}, parts...)...) }
	check := func(what string, got, want any) {
		t.Helper()
		if got != want {
			t.Errorf("%s is %v, want %v", what, got, want)
		}
	}
	c := FromEnv()
	check("cache", c.Cache, at(".cache", "huggingface", "hub"))
	check("assets", c.Assets, at(".cache", "huggingface", "assets"))
	check("endpoint", c.Endpoint, "https://huggingface.co")
	check("bucket", c.Bucket, "https://storage.googleapis.com/bit_models")
	check("token", c.Token, "")
	check("offline", c.Offline, false)

	t.Setenv("XDG_CACHE_HOME", at("xdg"))
	check("cache", FromEnv().Cache, at("xdg", "huggingface", "hub"))
	t.Setenv("HF_HOME", "~/hf")
	check("cache", FromEnv().Cache, at("hf", "hub"))
	if err := os.MkdirAll(at("hf"), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(at("hf", "token"), []byte("hf_file\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	check("token", FromEnv().Token, "hf_file")
	if err := os.WriteFile(at("elsewhere"), []byte(" hf_else "), 0o666); err != nil {
		t.Fatal(err)
	}
	t.Setenv("HF_TOKEN_PATH", "$HOME/elsewhere")
	check("token", FromEnv().Token, "hf_else")
	t.Setenv("HF_TOKEN", "hf_env\r\n")
	check("token", FromEnv().Token, "hf_env")
	t.Setenv("HF_HUB_CACHE", "$HF_HOME/../deep")
	t.Setenv("HF_HOME", at("hf"))
	check("cache", FromEnv().Cache, filepath.FromSlash(at("hf")+"/../deep"))
	t.Setenv("HF_ENDPOINT", "https://mirror.example/")
	check("endpoint", FromEnv().Endpoint, "https://mirror.example")
	for v, want := range map[string]bool{"1": true, "yes": true, "On": true, "TRUE": true, "0": false, "no": false} {
		t.Setenv("HF_HUB_OFFLINE", v)
		check("offline "+v, FromEnv().Offline, want)
	}
}

// process is this program pulling a reference in a process of its own.
func process(t *testing.T, s *hubtest.Server, home, ref string) *exec.Cmd {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "HUB_TEST_PULL="+ref, "HF_HOME="+home, "HF_ENDPOINT="+s.Hub.URL, "BIT_BUCKET="+s.BucketURL(), "HF_TOKEN=", "HF_HUB_CACHE=", "HF_HUB_OFFLINE=")
	return cmd
}

// largeRepo publishes a repository with a file of 4 MiB that no one could guess.
func largeRepo(s *hubtest.Server) []byte {
	content := make([]byte, 4<<20)
	r := rand.New(rand.NewPCG(1, 2))
	for i := range content {
		content[i] = byte(r.Uint32())
	}
	s.AddRepo("org/large", &hubtest.Repo{
		Commit: testCommit, Revisions: []string{"main"}, Large: []string{tensorsFile},
		Files: map[string][]byte{configFile: []byte("{}"), tensorsFile: content},
	})
	return content
}

// slowly makes a host send 64 KiB every few milliseconds.
func slowly(s *hubtest.Server, pause time.Duration) {
	s.SetBody(func(w http.ResponseWriter, r *http.Request) http.ResponseWriter {
		return &hubtest.Slow{ResponseWriter: w, Piece: 64 << 10, Pause: pause}
	})
}

// Of processes that want one file at a time one downloads it, and all find it.
func TestProcessesRace(t *testing.T) {
	for _, ref := range []string{"org/large", "BiT-M-R50x1"} {
		s := standIn(t)
		content := largeRepo(s)
		s.AddObject("BiT-M-R50x1.npz", content)
		slowly(s, 5*time.Millisecond)
		home := t.TempDir()
		var wg sync.WaitGroup
		out := make([]string, 3)
		for i := range out {
			wg.Go(func() {
				b, err := process(t, s, home, ref).CombinedOutput()
				if out[i] = strings.TrimSpace(string(b)); err != nil {
					t.Errorf("%v: %s", err, b)
				}
			})
		}
		wg.Wait()
		for _, path := range out {
			if path != out[0] {
				t.Fatalf("%s: they found %q", ref, out)
			}
		}
		file := out[0]
		if ref == "org/large" {
			file = filepath.Join(file, tensorsFile)
		}
		if !bytes.Equal(read(t, file), content) {
			t.Errorf("%s: the file differs", ref)
		}
		gets := 0
		for _, r := range append(s.Requests(s.CDN), s.Requests(s.Bucket)...) {
			if r.Method == http.MethodGet {
				gets++
			}
		}
		if gets != 1 {
			t.Errorf("%s: downloaded %d times", ref, gets)
		}
		noPartials(t, home)
	}
}

func noPartials(t *testing.T, dir string) {
	t.Helper()
	for _, line := range listing(t, dir) {
		if strings.Contains(line, ".incomplete") || strings.Contains(line, ".tmp") {
			t.Errorf("left %s", line)
		}
	}
}

// A process that is killed in the middle leaves what the next one goes on with.
func TestResumeAfterKill(t *testing.T) {
	for _, ref := range []string{"org/large", "BiT-M-R50x1"} {
		s := standIn(t)
		content := largeRepo(s)
		s.AddObject("BiT-M-R50x1.npz", content)
		slowly(s, 20*time.Millisecond)
		home := t.TempDir()
		cmd := process(t, s, home, ref)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		var partial string
		var size int64
		for deadline := time.Now().Add(time.Minute); size < 512<<10; time.Sleep(5 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatal("no partial file appeared")
			}
			filepath.WalkDir(home, func(path string, d fs.DirEntry, err error) error {
				if err == nil && strings.HasSuffix(path, ".incomplete") {
					if st, err := d.Info(); err == nil {
						partial, size = path, st.Size()
					}
				}
				return nil
			})
		}
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		cmd.Wait()
		kept := int64(len(read(t, partial)))
		if kept < size || kept >= int64(len(content)) {
			t.Fatalf("%d bytes were left", kept)
		}
		s.SetBody(nil)
		before := len(s.Requests(nil))
		out, err := process(t, s, home, ref).CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		var ranges []string
		for _, r := range s.Requests(nil)[before:] {
			if v := r.Header.Get("Range"); v != "" {
				ranges = append(ranges, v)
			}
		}
		if want := fmt.Sprintf("bytes=%d-", kept); len(ranges) == 0 || ranges[len(ranges)-1] != want {
			t.Errorf("%s: asked for %q, want %s", ref, ranges, want)
		}
		file := strings.TrimSpace(string(out))
		if ref == "org/large" {
			file = filepath.Join(file, tensorsFile)
		}
		if !bytes.Equal(read(t, file), content) {
			t.Errorf("%s: the file differs", ref)
		}
		noPartials(t, home)
	}
}
