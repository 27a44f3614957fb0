package bit

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image/color"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/fstest"

	"github.com/bigtransfer/bit/data"
	"github.com/bigtransfer/bit/imaging"
	"github.com/bigtransfer/bit/internal/fixture"
)

// counted is a source that counts how many pictures it decodes.
type counted struct {
	data.Files
	decoded *atomic.Int64
}

func (c counted) Image(e data.Example) (*imaging.Image, error) {
	c.decoded.Add(1)
	return c.Files.Image(e)
}

// pixels is a source that cannot tell pictures apart without decoding them.
type pixels struct{ data.Source }

// mini returns some of the training pictures of CIFAR-10-mini, the first file of them named twice.
func mini(t testing.TB, n int) (counted, []data.Example) {
	t.Helper()
	dir := fixture.Data(t, "cifar10-mini")
	ds, err := data.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	var examples []data.Example
	for i := range n - 1 {
		examples = append(examples, ds.Train[i*len(ds.Train)/n])
	}
	return counted{data.Files{FS: os.DirFS(dir)}, new(atomic.Int64)}, append(examples, examples[0])
}

func embedAll(t testing.TB, m *Classifier, src data.Source, examples []data.Example, o EmbedOptions) *Embedding {
	t.Helper()
	e, skipped, err := m.Embed(t.Context(), src, examples, o)
	if err != nil || len(skipped) > 0 {
		t.Fatalf("%v, skipped %v", err, skipped)
	}
	if e.CacheErr != nil {
		t.Error(e.CacheErr)
	}
	return e
}

// The features are those of Features, to the bit, from the network, from the cache, and in batches of any size.
func TestEmbed(t *testing.T) {
	m := tiny(t)
	src, examples := mini(t, 21)
	var want []float32
	for _, e := range examples {
		img, err := src.Files.Image(e)
		if err != nil {
			t.Fatal(err)
		}
		f, err := m.Features(t.Context(), img)
		if err != nil {
			t.Fatal(err)
		}
		want = append(want, f[0]...)
	}
	o := EmbedOptions{Cache: filepath.Join(t.TempDir(), "new"), Batch: 4}
	var progress []int
	o.OnProgress = func(done int) { progress = append(progress, done) }
	for _, c := range []struct {
		what            string
		model           *Classifier
		cached, decoded int
		progress        []int
	}{
		{"first", m.Classifier, 0, 21, []int{4, 8, 12, 16, 20, 21}},
		{"again", m.Classifier, 21, 0, []int{21}},
		{"another process", tiny(t).Classifier, 21, 0, []int{21}},
	} {
		progress = nil
		src.decoded.Store(0)
		e := embedAll(t, c.model, src, examples, o)
		if e.Width*21 != len(want) || !slices.Equal(e.Features, want) {
			t.Errorf("%s: other features than those of Features", c.what)
		}
		if e.Cached != c.cached || int(src.decoded.Load()) != c.decoded || !slices.Equal(progress, c.progress) {
			t.Errorf("%s: %d from the cache, %d decoded, progress %v, want %d, %d, %v", c.what, e.Cached, src.decoded.Load(), progress, c.cached, c.decoded, c.progress)
		}
		for i := range examples {
			if e.Index[i] != i || e.Labels(examples)[i] != examples[i].Label || &e.Row(i)[0] != &e.Features[i*e.Width] {
				t.Fatalf("%s: row %d is of example %d", c.what, i, e.Index[i])
			}
		}
	}
}

// What features depend on keeps them apart, and what they do not depend on does not.
func TestEmbedKeys(t *testing.T) {
	m := tiny(t)
	src, examples := mini(t, 5)
	o := EmbedOptions{Cache: t.TempDir()}
	embedAll(t, m.Classifier, src, examples, o)
	cached := func(m *Classifier, src data.Source, examples []data.Example) int {
		t.Helper()
		return embedAll(t, m, src, examples, o).Cached
	}
	headed, err := m.Untrained(1)
	if err != nil {
		t.Fatal(err)
	}
	if got := cached(headed.Classifier, src, examples); got != 0 {
		t.Errorf("other weights: %d from the cache, want none", got)
	}
	for i, p := range m.net.Params() {
		copy(headed.net.Params()[i].Value, p.Value)
	}
	headed = headed.derive("", headed.net, nil, m.processor)
	headed.net.NewHead(3)
	if got := cached(headed.Classifier, src, examples); got != 5 {
		t.Errorf("another head: %d from the cache, want all 5", got)
	}
	other, err := Opener{Resolution: 48}.Open(t.Context(), fixture.Case(t, "hf-tiny"))
	if err != nil {
		t.Fatal(err)
	}
	if got := cached(other.Classifier, src, examples); got != 0 {
		t.Errorf("another resolution: %d from the cache, want none", got)
	}
	moved := fstest.MapFS{}
	for i, e := range examples {
		text, err := fs.ReadFile(src.FS, e.Path)
		if err != nil {
			t.Fatal(err)
		}
		name := fmt.Sprint("moved/", i, ".png")
		moved[name] = &fstest.MapFile{Data: text}
		examples[i].Path = name
	}
	if got := cached(m.Classifier, data.Files{FS: moved}, examples); got != 5 {
		t.Errorf("other names: %d from the cache, want all 5", got)
	}
	// By their pixels.
	if got := cached(m.Classifier, pixels{data.Files{FS: moved}}, examples); got != 0 {
		t.Errorf("a source without digests: %d from the cache, want none the first time", got)
	}
	if got := cached(m.Classifier, pixels{data.Files{FS: moved}}, examples); got != 5 {
		t.Errorf("a source without digests: %d from the cache, want all 5 the second time", got)
	}
	// A frozen network has no weights left to name its features by, unless it has done so before.
	frozen, err := OpenClassifier(t.Context(), fixture.Case(t, "hf-tiny"))
	if err != nil {
		t.Fatal(err)
	}
	if got := cached(frozen, src, examples[:0]); got != 0 {
		t.Errorf("nothing: %d from the cache", got)
	}
	if _, err := frozen.ClassifyFile(picture(t, "cat.png"), 1); err != nil {
		t.Fatal(err)
	}
	if got := cached(frozen, data.Files{FS: moved}, examples); got != 0 {
		t.Errorf("a frozen network: %d from the cache", got)
	}
	fresh, err := OpenClassifier(t.Context(), fixture.Case(t, "hf-tiny"))
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if got := cached(fresh, data.Files{FS: moved}, examples); got != 5 {
			t.Errorf("a classifier: %d from the cache, want all 5", got)
		}
	}
}

func TestEmbedTrouble(t *testing.T) {
	m := tiny(t)
	dir := t.TempDir()
	for i := range 6 {
		writePicture(t, filepath.Join(dir, fmt.Sprint(i, ".png")), 20, 20, color.Gray{uint8(40 * i)})
	}
	if err := os.WriteFile(filepath.Join(dir, "2.png"), []byte("hello"), 0o666); err != nil {
		t.Fatal(err)
	}
	src := data.Files{FS: os.DirFS(dir)}
	var examples []data.Example
	for i := range 6 {
		examples = append(examples, data.Example{Path: fmt.Sprint(i, ".png"), Label: i})
	}
	o := EmbedOptions{Cache: t.TempDir(), Batch: 2}
	for _, cached := range []int{0, 5} {
		e, skipped, err := m.Embed(t.Context(), src, examples, o)
		if err != nil || len(skipped) != 1 || skipped[0].Path != "2.png" {
			t.Fatalf("%v, skipped %v, want 2.png", err, skipped)
		}
		if !slices.Equal(e.Index, []int{0, 1, 3, 4, 5}) || !slices.Equal(e.Labels(examples), e.Index) || len(e.Features) != 5*e.Width || e.Cached != cached {
			t.Errorf("rows of examples %v, %d from the cache, want %d", e.Index, e.Cached, cached)
		}
		all, err := m.Features(t.Context(), must(src.Image(examples[5])))
		if err != nil || !slices.Equal(e.Row(4), all[0]) {
			t.Errorf("the last row is not of the last picture: %v", err)
		}
	}

	// Ctrl-C: what is computed is kept.
	o.Cache = t.TempDir()
	ctx, cancel := context.WithCancelCause(t.Context())
	stop := errors.New("stop")
	o.OnProgress = func(done int) {
		if done == 3 { // 0, 1 and 3 of two batches
			cancel(stop)
		}
	}
	if _, _, err := m.Embed(ctx, src, examples, o); !errors.Is(err, stop) {
		t.Errorf("error %v, want the cause of the cancellation", err)
	}
	o.OnProgress = nil
	if e, _, err := m.Embed(t.Context(), src, examples, o); err != nil || e.Cached != 3 {
		t.Errorf("%v, %d from the cache after an interruption, want 3", err, e.Cached)
	}

	// A cache that cannot be written costs a message.
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	if e, _, err := m.Embed(t.Context(), src, examples, EmbedOptions{Cache: file}); err != nil || e.CacheErr == nil || len(e.Index) != 5 {
		t.Errorf("a cache in a file: %v, %v", err, e.CacheErr)
	}
	// A file that vanished is an error, with a cache and without.
	gone := append(slices.Clone(examples), data.Example{Path: "gone.png"})
	for _, no := range []bool{true, false} {
		if _, _, err := m.Embed(t.Context(), src, gone, EmbedOptions{Cache: o.Cache, NoCache: no}); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "gone.png") {
			t.Errorf("a missing file: error %v", err)
		}
	}
	// Damage in the cache is computed again.
	packs, err := filepath.Glob(filepath.Join(o.Cache, "*", "*"))
	if err != nil || len(packs) == 0 {
		t.Fatal(packs, err)
	}
	want := embedAll(t, m.Classifier, src, examples[3:], EmbedOptions{NoCache: true})
	for _, path := range packs {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, append(bytes.Clone(text[:len(text)-1]), text[len(text)-1]^1), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	if e := embedAll(t, m.Classifier, src, examples[3:], o); !slices.Equal(e.Features, want.Features) {
		t.Error("a damaged cache gives other features")
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
