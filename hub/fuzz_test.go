package hub

import (
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/bigtransfer/bit/internal/fuzztest"
)

// Whatever a reference is, what would be kept of it lies in the cache.
func FuzzParseRef(f *testing.F) {
	for _, s := range []string{
		"google/bit-50", "google/bit-50@refs/pr/1", "BiT-M-R50x1-run0-caltech101", "R50x1_224", "https://example.org/a/b.npz?x=1",
		"hf://a/b@v1", "https://huggingface.co/google/bit-50/tree/main", "../x", "a/b@../..", `a/b@..\..`, "https://[::1]:80/x", "http://localhost/%2e%2e/x",
	} {
		f.Add(s)
	}
	root := f.TempDir()
	c := &Client{Cache: filepath.Join(root, "hub"), Assets: filepath.Join(root, "assets"), Endpoint: DefaultEndpoint, Bucket: DefaultBucket, Offline: true}
	inside := func(t *testing.T, dir, path string) {
		if rel, err := filepath.Rel(dir, path); err != nil || rel == "." || !filepath.IsLocal(rel) {
			t.Errorf("%s is not inside %s", path, dir)
		}
	}
	f.Fuzz(func(t *testing.T, s string) {
		var ref Ref
		var err error
		fuzztest.Within(t, len(s), func() { ref, err = c.ParseRef(s) })
		if err != nil {
			return
		}
		if ref.Repo != "" {
			folder := c.repository(ref).folder()
			inside(t, c.Cache, folder)
			inside(t, filepath.Join(folder, "refs"), filepath.Join(folder, "refs", filepath.FromSlash(ref.Revision)))
		} else {
			for _, u := range ref.urls(c) {
				path, err := c.assetPath(u)
				if err != nil {
					t.Fatalf("%q is accepted, but: %v", s, err)
				}
				inside(t, filepath.Join(c.Assets, "bit"), path)
			}
		}
		again, err := c.ParseRef(ref.String())
		if err != nil || again != ref {
			t.Errorf("%q is %+v, read again %+v, %v", s, ref, again, err)
		}
		if _, err := c.Cached(ref); err == nil {
			t.Errorf("%q is cached in an empty cache", s)
		}
	})
}

// Whatever a data set's reference is, what would be kept of it lies in the cache.
func FuzzParseDataset(f *testing.F) {
	for _, s := range []string{
		"hf://datasets/org/cats", "hf://datasets/org/cats@refs/pr/1/a/b", "hf://datasets/org/cats@a%2Fb/c", "hf://datasets/a/b@..%2Fx", "hf://datasets/a/b/../x",
		"https://huggingface.co/datasets/org/cats/blob/v1/data/a%20b.jpeg",
	} {
		f.Add(s)
	}
	root := f.TempDir()
	c := &Client{Cache: root, Endpoint: DefaultEndpoint, Offline: true}
	f.Fuzz(func(t *testing.T, s string) {
		var ref Ref
		var err error
		fuzztest.Within(t, len(s), func() { ref, err = c.ParseDataset(s) })
		if err != nil {
			return
		}
		for _, path := range []string{c.repository(ref).folderName(), ref.Revision, ref.Path} {
			if path != "" && !filepath.IsLocal(filepath.FromSlash(path)) {
				t.Errorf("%q: %q leads elsewhere", s, path)
			}
		}
		if again, err := c.ParseDataset(ref.String()); err != nil || again != ref {
			t.Errorf("%q is %+v, read again %+v, %v", s, ref, again, err)
		}
	})
}

// Whatever a server says of a file, its blob has a plain name and its size is not negative.
func FuzzDescribe(f *testing.F) {
	f.Add(`"d7edf6bd2a681fb0175f7735299831ee1b22b812"`, "", "", int64(5))
	f.Add("", `W/"403450e234d65943a7dcf7e05a771ce3c92faa84dd07db4ac20f592037a1e4bd"`, "100", int64(-1))
	f.Add(`"../../x"`, "", "-1", int64(0))
	f.Fuzz(func(t *testing.T, etag, linked, size string, length int64) {
		h := http.Header{"Etag": {etag}, http.CanonicalHeaderKey(headerLinkedETag): {linked}, http.CanonicalHeaderKey(headerLinkedSize): {size}}
		var s source
		var name string
		var err error
		fuzztest.Within(t, len(etag)+len(linked)+len(size), func() { s, name, err = describe(h, length) })
		if err != nil {
			return
		}
		if !filepath.IsLocal(name) || strings.ContainsAny(name, `/\:`) || s.size < 0 {
			t.Errorf("blob %q of %d bytes", name, s.size)
		}
	})
}

// Whatever an index of shards says, the files that it names lie in the repository.
func FuzzShards(f *testing.F) {
	f.Add([]byte(`{"weight_map":{"a":"model-00001-of-00002.safetensors"}}`))
	f.Add([]byte(`{"weight_map":{"a":"../x","b":"a\\b","c":"/x"}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		var files []string
		var err error
		fuzztest.Within(t, len(text), func() { files, err = shards(text) })
		if err != nil {
			return
		}
		for _, name := range files {
			if !filepath.IsLocal(filepath.FromSlash(name)) || strings.Contains(name, `\`) {
				t.Errorf("%q", name)
			}
		}
	})
}
