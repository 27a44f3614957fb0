package hub

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/bigtransfer/bit/internal/hubtest"
)

const testData = "hf://datasets/org/cats"

// cats publishes a data set of seven files, one of them large, and returns that one.
func cats(s *hubtest.Server) []byte {
	large := make([]byte, 8<<20+12345)
	r := rand.New(rand.NewPCG(3, 4))
	for i := range large {
		large[i] = byte(r.Uint32())
	}
	s.AddDataset("org/cats", &hubtest.Repo{
		Commit: testCommit, Revisions: []string{"main", "refs/convert/parquet"}, Large: []string{"data/train.parquet"},
		Files: map[string][]byte{
			"data/train.parquet": large, "data/a b%.txt": []byte("odd"), "data-2/x": []byte("x"), "README.md": []byte("card"),
			"b": []byte("b"), "c": nil, "d/e/f": []byte("f"),
		},
	})
	return large
}

func openDataset(t *testing.T, c *Client, s string) (*Dataset, error) {
	t.Helper()
	ref, err := c.ParseDataset(s)
	if err != nil {
		t.Fatal(err)
	}
	return c.Dataset(t.Context(), ref)
}

func TestParseDataset(t *testing.T) {
	c := &Client{Endpoint: DefaultEndpoint}
	for in, want := range map[string]Ref{
		"hf://datasets/org/cats":                                           {Repo: "org/cats", Revision: "main"},
		"hf://datasets/org/cats@v1/data/a.parquet":                         {Repo: "org/cats", Revision: "v1", Path: "data/a.parquet"},
		"hf://datasets/org/cats@refs/convert/parquet/default":              {Repo: "org/cats", Revision: "refs/convert/parquet", Path: "default"},
		"hf://datasets/org/cats@refs/pr/1":                                 {Repo: "org/cats", Revision: "refs/pr/1"},
		"hf://datasets/org/cats@a%2Fb/c":                                   {Repo: "org/cats", Revision: "a/b", Path: "c"},
		"hf://datasets/org/cats/data/":                                     {Repo: "org/cats", Revision: "main", Path: "data"},
		"https://huggingface.co/datasets/org/cats":                         {Repo: "org/cats", Revision: "main"},
		"https://huggingface.co/datasets/org/cats/tree/main/data":          {Repo: "org/cats", Revision: "main", Path: "data"},
		"https://huggingface.co/datasets/org/cats/blob/v1/data/a%20b.jpeg": {Repo: "org/cats", Revision: "v1", Path: "data/a b.jpeg"},
	} {
		want.Dataset = true
		ref, err := c.ParseDataset(in)
		if err != nil || ref != want {
			t.Errorf("%q: %+v, %v, want %+v", in, ref, err, want)
		}
		if again, err := c.ParseDataset(ref.String()); err != nil || again != ref {
			t.Errorf("%q reads back as %+v, %v", ref, again, err)
		}
	}
	for _, in := range []string{
		"", "org/cats", "hf://org/cats", "hf://datasets/", "hf://datasets/cats", "hf://datasets/../x", "hf://datasets/org/cats/../x",
		"hf://datasets/org/cats@../x", "hf://datasets/org/cats@..%2Fx", "hf://datasets/org/cats@", `hf://datasets/org/cats/a\..\b`, "hf://datasets/org/cats//x",
		"https://example.org/datasets/org/cats", "https://huggingface.co/datasets/org/cats/blob/v1/%zz",
	} {
		if ref, err := c.ParseDataset(in); err == nil {
			t.Errorf("%q is taken for %+v", in, ref)
		}
	}
	if _, err := c.ParseRef(testData); err == nil || errors.Is(err, ErrNoRef) {
		t.Errorf("as a model: %v", err)
	}
}

func TestDataset(t *testing.T) {
	s := standIn(t)
	large := cats(s)
	s.SetPageSize(3)
	s.SetToken("hf_secret")
	c := client(t, s)
	c.Token = "hf_secret"
	d, err := openDataset(t, c, testData)
	if err != nil {
		t.Fatal(err)
	}
	want := []File{{"README.md", 4}, {"b", 1}, {"c", 0}, {"d/e/f", 1}, {"data-2/x", 1}, {"data/a b%.txt", 3}, {"data/train.parquet", int64(len(large))}}
	if d.Commit != testCommit || !slices.Equal(d.Files, want) {
		t.Errorf("%s, %+v, want %+v", d.Commit, d.Files, want)
	}
	// The cache is huggingface_hub's, in the folder for its kind.
	for _, f := range d.Files {
		path, err := d.Get(t.Context(), f.Path)
		if err != nil {
			t.Fatal(err)
		}
		if want := filepath.Join(c.Cache, "datasets--org--cats", "snapshots", testCommit, filepath.FromSlash(f.Path)); path != want {
			t.Errorf("%s lies at %s, want %s", f.Path, path, want)
		}
		if st, err := os.Stat(path); err != nil || st.Size() != f.Size {
			t.Errorf("%s: %v, %v", f.Path, st, err)
		}
	}
	blob := filepath.Join(c.Cache, "datasets--org--cats", "blobs", hubtest.SHA256(large))
	if !bytes.Equal(read(t, blob), large) || string(read(t, filepath.Join(c.Cache, "datasets--org--cats", "refs", "main"))) != testCommit {
		t.Error("the cache is not huggingface_hub's")
	}
	if _, err := d.Get(t.Context(), "none"); !errors.Is(err, ErrNotFound) {
		t.Errorf("a file that is not there: %v", err)
	}
	for _, r := range s.Requests(s.CDN) {
		if r.Header.Get("Authorization") != "" {
			t.Error("the other host got the token")
		}
	}

	// A part of it: a folder, a file, or nothing.
	for path, n := range map[string]int{"/data": 2, "/d": 1, "/d/e/f": 1, "/data/a b%.txt": 1} {
		if d, err := openDataset(t, c, testData+path); err != nil || len(d.Files) != n {
			t.Errorf("%s: %+v, %v", path, d, err)
		}
	}
	if _, err := openDataset(t, c, testData+"/none"); !errors.Is(err, ErrNotFound) {
		t.Errorf("nothing there: %v", err)
	}
	if d, err := openDataset(t, c, testData+"@refs/convert/parquet/data"); err != nil || len(d.Files) != 2 {
		t.Errorf("another revision: %+v, %v", d, err)
	}

	// Without the hub all of this is still there.
	c.Offline = true
	before := len(s.Requests(nil))
	d, err = openDataset(t, c, testData)
	if err != nil || !slices.Equal(d.Files, want) {
		t.Errorf("offline: %+v, %v", d, err)
	}
	if d, err := openDataset(t, c, testData+"/data"); err != nil || len(d.Files) != 2 {
		t.Errorf("offline, a folder: %+v, %v", d, err)
	} else if path, err := d.Get(t.Context(), "data/train.parquet"); err != nil || !bytes.Equal(read(t, path), large) {
		t.Errorf("offline, a file: %v", err)
	}
	for _, ref := range []string{testData + "@v9", testData + "/none", "hf://datasets/org/dogs"} {
		if _, err := openDataset(t, c, ref); !errors.Is(err, ErrOffline) || !strings.Contains(err.Error(), "name that folder") {
			t.Errorf("offline, %s: %v", ref, err)
		}
	}
	if n := len(s.Requests(nil)); n != before {
		t.Errorf("%d requests offline", n-before)
	}
}

// What a server says of a data set must not lead out of the cache, nor elsewhere.
func TestDatasetCannotEscape(t *testing.T) {
	for name, tree := range map[string]struct{ body, link string }{
		"path":      {`[{"type":"file","path":"../../x","size":1}]`, ""},
		"other":     {`[]`, `<https://example.org/x>; rel="next"`},
		"circle":    {`[]`, `</api/datasets/org/cats/tree/` + testCommit + `?recursive=true>; rel="next"`},
		"no object": {`{}`, ""},
	} {
		s := standIn(t)
		cats(s)
		s.SetIntercept(func(w http.ResponseWriter, r *http.Request) bool {
			if !strings.Contains(r.URL.Path, "/tree/") {
				return false
			}
			w.Header().Set("Link", tree.link)
			io.WriteString(w, tree.body)
			return true
		})
		if d, err := openDataset(t, client(t, s), testData); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: %+v, %v", name, d, err)
		}
	}
}
