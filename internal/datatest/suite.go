package datatest

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/bigtransfer/bit/data"
	"github.com/bigtransfer/bit/imaging"
	"github.com/bigtransfer/bit/internal/fuzztest"
)

// Format is a way to write a data set, and what its reader does with it.
type Format struct {
	Name    string
	Sample  *Sample                                                 // in what the format can hold: splits, gray
	Write   func(t testing.TB, s *Sample, dir string) (path string) // writes s and returns what to open
	Open    func(path string) (*data.Dataset, error)                // nil for data.Open
	Classes []string                                                // as the reader names them; nil if as the sample does
	Loose   bool                                                    // every picture is a file of its own, so that listing does not see cuts
	Raw     bool                                                    // pictures are pixels, so that none is broken
	Cut     func(path string) bool                                  // files that must be whole; nil for all
}

func (f Format) open(path string) (*data.Dataset, error) {
	if f.Open != nil {
		return f.Open(path)
	}
	return data.Open(path)
}

func (f Format) mustOpen(t *testing.T, path string) *data.Dataset {
	t.Helper()
	d, err := f.open(path)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// Run runs the suite.
func Run(t *testing.T, f Format) {
	t.Run(f.Name, func(t *testing.T) {
		t.Run("pictures", f.pictures)
		t.Run("together", f.together)
		t.Run("owned", f.owned)
		t.Run("digests", f.digests)
		t.Run("broken", f.broken)
		t.Run("gone", f.gone)
		t.Run("cut", f.cut)
	})
}

// fact is what is known of a picture: its split, the name of its class and its pixels.
type fact struct {
	split, class string
	pixels       [sha256.Size]byte
}

func digest(im *imaging.Image) [sha256.Size]byte {
	return sha256.Sum256(fmt.Appendf(slices.Clone(im.Pix), "%d x %d", im.W, im.H))
}

// facts returns what is true of the sample, each with how often.
func (f Format) facts(s *Sample) map[fact]int {
	classes := f.Classes
	if classes == nil {
		classes = s.Classes
	}
	facts := map[fact]int{}
	for _, p := range s.Pictures {
		facts[fact{p.Split, classes[p.Label], digest(p.Image)}]++
	}
	return facts
}

// splits returns the examples of a data set by split.
func splits(d *data.Dataset) map[string][]data.Example {
	return map[string][]data.Example{"train": d.Train, "val": d.Val, "test": d.Test}
}

// pictures: classes, splits, labels and pixels are the sample's; listing again gives the same; paths are unique.
func (f Format) pictures(t *testing.T) {
	path := f.Write(t, f.Sample, t.TempDir())
	d := f.mustOpen(t, path)
	classes := f.Classes
	if classes == nil {
		classes = f.Sample.Classes
	}
	if !slices.Equal(d.Classes, classes) {
		t.Errorf("classes %q, want %q", d.Classes, classes)
	}
	want := f.facts(f.Sample)
	seen := map[string]bool{}
	for split, examples := range splits(d) {
		for _, e := range examples {
			im, err := d.Image(e)
			if err != nil {
				t.Errorf("%s: %v", e.Path, err)
				continue
			}
			if e.Label < 0 || e.Label >= len(d.Classes) {
				t.Fatalf("%s: label %d of %d classes", e.Path, e.Label, len(d.Classes))
			}
			is := fact{split, d.Classes[e.Label], digest(im)}
			if want[is]--; want[is] < 0 {
				t.Errorf("%s (%s, %s) is not in the sample, or not as often", e.Path, is.split, is.class)
			}
			if e.Path == "" || !fs.ValidPath(e.Path) || seen[e.Path] {
				t.Errorf("path %q is not valid or there twice", e.Path)
			}
			seen[e.Path] = true
		}
	}
	for is, n := range want {
		if n > 0 {
			t.Errorf("%d pictures of %s, %s are missing", n, is.split, is.class)
		}
	}
	again := f.mustOpen(t, path)
	if !reflect.DeepEqual(splits(d), splits(again)) || !reflect.DeepEqual(d.Skipped, again.Skipped) {
		t.Error("listing again gives something else")
	}
}

// shuffled returns all examples in a random order.
func shuffled(d *data.Dataset) []data.Example {
	all := slices.Concat(d.Train, d.Val, d.Test)
	rng := rand.New(rand.NewPCG(1, 2))
	rng.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return all
}

// together: any order and many goroutines give the same pictures.
func (f Format) together(t *testing.T) {
	d := f.mustOpen(t, f.Write(t, f.Sample, t.TempDir()))
	all := shuffled(d)
	want := make([][sha256.Size]byte, len(all))
	for i, e := range all {
		im, err := d.Image(e)
		if err != nil {
			t.Fatal(err)
		}
		want[i] = digest(im)
	}
	var running sync.WaitGroup
	for g := range 8 {
		running.Go(func() {
			for i := range all {
				at := (i*(2*g+1) + g*7) % len(all)
				im, err := d.Image(all[at])
				if err != nil || digest(im) != want[at] {
					t.Errorf("%s: another picture, or the error %v", all[at].Path, err)
					return
				}
			}
		})
	}
	running.Wait()
}

// owned: what a caller does with a picture does not change the next.
func (f Format) owned(t *testing.T) {
	d := f.mustOpen(t, f.Write(t, f.Sample, t.TempDir()))
	e := shuffled(d)[0]
	first, err := d.Image(e)
	if err != nil {
		t.Fatal(err)
	}
	want := digest(first)
	clear(first.Pix)
	if again, err := d.Image(e); err != nil || digest(again) != want {
		t.Errorf("%s: another picture after the first was cleared, error %v", e.Path, err)
	}
}

// digests: a source that tells pictures apart without decoding them tells the same ones apart as their pixels do.
func (f Format) digests(t *testing.T) {
	d := f.mustOpen(t, f.Write(t, f.Sample, t.TempDir()))
	src, ok := d.Source.(data.Digester)
	if !ok {
		return
	}
	of := map[[sha256.Size]byte][sha256.Size]byte{} // pixels by digest
	for _, e := range shuffled(d) {
		got, err := src.Digest(e)
		if errors.Is(err, errors.ErrUnsupported) {
			continue
		}
		if err != nil {
			t.Fatalf("%s: %v", e.Path, err)
		}
		im, err := d.Image(e)
		if err != nil {
			t.Fatalf("%s: %v", e.Path, err)
		}
		pixels := digest(im)
		if before, ok := of[got]; ok && before != pixels {
			t.Errorf("%s has the digest of another picture", e.Path)
		}
		of[got] = pixels
		if again, err := src.Digest(e); err != nil || again != got {
			t.Errorf("%s has another digest the second time: %v", e.Path, err)
		}
	}
}

// broken: pictures that are none are BrokenErrors and listed all the same; the others are as they were.
func (f Format) broken(t *testing.T) {
	if f.Raw {
		return
	}
	s := &Sample{Classes: f.Sample.Classes, Pictures: slices.Clone(f.Sample.Pictures)}
	bad := [][]byte{[]byte("no picture at all, but some text"), s.Pictures[1].File[:len(s.Pictures[1].File)/2]}
	for i, content := range bad {
		s.Pictures[i].File = content
	}
	want := f.facts(&Sample{Classes: s.Classes, Pictures: s.Pictures[len(bad):]})
	d := f.mustOpen(t, f.Write(t, s, t.TempDir()))
	n := 0
	for split, examples := range splits(d) {
		for _, e := range examples {
			im, err := d.Image(e)
			if _, broken := errors.AsType[*data.BrokenError](err); broken {
				n++
				continue
			}
			if err != nil {
				t.Errorf("%s: %v", e.Path, err)
				continue
			}
			want[fact{split, d.Classes[e.Label], digest(im)}]--
		}
	}
	if n != len(bad) {
		t.Errorf("%d pictures are broken, want %d", n, len(bad))
	}
	for is, n := range want {
		if n != 0 {
			t.Errorf("%s, %s: %d too few", is.split, is.class, n)
		}
	}
}

// files returns the files of a data set, largest first.
func files(t *testing.T, path string) []string {
	var found []string
	size := map[string]int64{}
	err := filepath.WalkDir(path, func(path string, e fs.DirEntry, err error) error {
		if err == nil && e.Type().IsRegular() {
			var info fs.FileInfo
			if info, err = e.Info(); err == nil {
				found, size[path] = append(found, path), info.Size()
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.SortStableFunc(found, func(a, b string) int { return int(size[b] - size[a]) })
	return found
}

// gone: files that vanish or are cut while they are read are errors that end what is done, not broken pictures.
func (f Format) gone(t *testing.T) {
	path := f.Write(t, f.Sample, t.TempDir())
	d := f.mustOpen(t, path)
	for _, file := range files(t, path) {
		var err error
		if f.Loose {
			err = os.Remove(file)
		} else {
			err = os.Truncate(file, 1)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	failed := 0
	all := shuffled(d)
	for _, e := range all {
		im, err := d.Image(e)
		if _, broken := errors.AsType[*data.BrokenError](err); broken {
			t.Errorf("%s: it has vanished, but %v", e.Path, err)
		}
		if err == nil && im == nil {
			t.Errorf("%s: neither a picture nor an error", e.Path)
		}
		if err != nil {
			failed++
		}
	}
	// What was unpacked when it was opened stays.
	if failed != 0 && failed != len(all) {
		t.Errorf("%d of %d pictures have vanished", failed, len(all))
	}
}

// cut: a file that ends early is an error that names it, or nothing is lost; and memory is that of the file.
func (f Format) cut(t *testing.T) {
	if f.Loose {
		return
	}
	path := f.Write(t, f.Sample, t.TempDir())
	whole := len(shuffled(f.mustOpen(t, path)))
	for _, file := range files(t, path) {
		if f.Cut != nil && !f.Cut(file) {
			continue
		}
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range []int{0, 1, 11, len(content)/3 + 1, len(content) - 100, len(content) - 1} {
			if n >= len(content) || n < 0 {
				continue
			}
			if err := os.WriteFile(file, content[:n], 0o666); err != nil {
				t.Fatal(err)
			}
			fuzztest.Within(t, len(content), func() {
				d, err := f.open(path)
				switch {
				case err != nil && !strings.Contains(err.Error(), filepath.Base(file)):
					t.Errorf("%s cut to %d of %d bytes: the error does not name it: %v", filepath.Base(file), n, len(content), err)
				case err == nil && len(shuffled(d)) != whole:
					t.Errorf("%s cut to %d of %d bytes: no error, and %d pictures of %d", filepath.Base(file), n, len(content), len(shuffled(d)), whole)
				}
			})
		}
		if err := os.WriteFile(file, content, 0o666); err != nil {
			t.Fatal(err)
		}
	}
}

// Refuse checks that a data set is refused with an error that has all the texts, in the memory that the files warrant.
func Refuse(t *testing.T, path string, texts ...string) {
	t.Helper()
	size := 0
	for _, file := range files(t, path) {
		if info, err := os.Stat(file); err == nil {
			size += int(info.Size())
		}
	}
	fuzztest.Within(t, size, func() {
		_, err := data.Open(path)
		if err == nil {
			t.Errorf("%s: no error, want one with %q", filepath.Base(path), texts)
			return
		}
		for _, text := range texts {
			if !strings.Contains(err.Error(), text) {
				t.Errorf("%s: error %q, want one with %q", filepath.Base(path), err, text)
			}
		}
	})
}
