package data_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"image"
	"image/png"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/bigtransfer/bit/data"
	"github.com/bigtransfer/bit/imaging"
	"github.com/bigtransfer/bit/internal/datatest"
)

// noise is a source of pictures of 16 x 16 random pixels, of which those of a path up to its "@" are nearly the same.
type noise struct{}

func (noise) Image(e data.Example) (*imaging.Image, error) {
	if strings.Contains(e.Path, "broken") {
		return nil, &data.BrokenError{Err: errors.New("broken for the test")}
	}
	base, variant, _ := strings.Cut(e.Path, "@")
	h := fnv.New64a()
	h.Write([]byte(base))
	rng := rand.New(rand.NewPCG(h.Sum64(), 0))
	im := imaging.NewImage(16, 16)
	for i := range im.Pix {
		im.Pix[i] = uint8(rng.IntN(200))
	}
	im.Pix[0] = uint8(200 + len(variant)) // one pixel tells them apart
	return im, nil
}

// unsplit returns a data set of noise with the given number of training pictures of each class.
func unsplit(perClass ...int) *data.Dataset {
	d := &data.Dataset{Source: noise{}}
	d.Train, d.Classes = labelled(perClass...)
	return d
}

func TestEnsureSplitQuotas(t *testing.T) {
	for _, test := range []struct {
		perClass []int
		fraction float64
		want     []int // held out per class
	}{
		{[]int{10, 20, 30}, 0.1, []int{1, 2, 3}},
		{[]int{15, 15, 15, 15}, 0.1, []int{2, 2, 1, 1}}, // 6 in all; equal remainders go to the first
		{[]int{4, 13, 9}, 0.3, []int{1, 4, 3}},          // 7.8 in all; 1.2, 3.9, 2.7
		{[]int{1, 1, 100}, 0.5, []int{0, 0, 50}},        // a class is never emptied
		{[]int{2, 2}, 0.99, []int{1, 1}},
		{[]int{0, 10}, 0.2, []int{0, 2}},
		{[]int{1, 1, 1}, 0.5, []int{0, 0, 0}}, // none can be held out
		{[]int{2, 2}, 0.1, []int{0, 0}},       // 0.4 in all
		{[]int{50, 30}, 0, []int{5, 3}},       // a tenth where nothing is said
	} {
		d := unsplit(test.perClass...)
		all := slices.Clone(d.Train)
		r, err := d.EnsureSplit(t.Context(), data.SplitOptions{Fraction: test.fraction, Seed: 1})
		if err != nil {
			t.Errorf("%v of %v: %v", test.fraction, test.perClass, err)
			continue
		}
		if got := countLabels(d.Val, len(d.Classes)); !slices.Equal(got, test.want) || r.Held != len(d.Val) {
			t.Errorf("%v of %v: held out %v, %d reported, want %v", test.fraction, test.perClass, got, r.Held, test.want)
		}
		if r.Held > 0 && r.Unsaved == nil {
			t.Error("a data set without a path does not say that its split is not written")
		}
		checkPartition(t, all, d.Train, d.Val)
	}
}

// checkPartition checks that a and b together are all, each in the order of all.
func checkPartition(t *testing.T, all, a, b []data.Example) {
	t.Helper()
	for _, e := range all {
		switch {
		case len(a) > 0 && same(a[0], e):
			a = a[1:]
		case slices.ContainsFunc(b, func(f data.Example) bool { return same(e, f) }):
			b = slices.DeleteFunc(slices.Clone(b), func(f data.Example) bool { return same(e, f) })
		default:
			t.Fatalf("%v is in neither part at its place", e)
		}
	}
	if len(a)+len(b) > 0 {
		t.Errorf("left over: %v and %v", a, b)
	}
}

func TestEnsureSplitSeed(t *testing.T) {
	split := func(seed uint64) []data.Example {
		d := unsplit(50, 50)
		if _, err := d.EnsureSplit(t.Context(), data.SplitOptions{Fraction: 0.2, Seed: seed}); err != nil {
			t.Fatal(err)
		}
		return d.Val
	}
	one := split(1)
	if !reflect.DeepEqual(one, split(1)) {
		t.Error("the same seed gave different splits")
	}
	if reflect.DeepEqual(one, split(2)) {
		t.Error("different seeds gave the same split")
	}
	if first, _ := labelled(50, 50); reflect.DeepEqual(one[:10], first[:10]) {
		t.Error("the first examples were held out, not random ones")
	}
}

func TestEnsureSplitErrors(t *testing.T) {
	for _, fraction := range []float64{1, -1, 1.5, math.NaN()} {
		if _, err := unsplit(10, 10).EnsureSplit(t.Context(), data.SplitOptions{Fraction: fraction}); err == nil {
			t.Errorf("no error for the fraction %v", fraction)
		}
	}
	d := unsplit(10, 10)
	d.Classes = d.Classes[:1]
	if _, err := d.EnsureSplit(t.Context(), data.SplitOptions{}); err == nil || !strings.Contains(err.Error(), "the label 1, expected one below 1") {
		t.Errorf("a label without a class: error %v", err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	stop := errors.New("stop")
	cancel(stop)
	d = unsplit(10, 10)
	if _, err := d.EnsureSplit(ctx, data.SplitOptions{}); err != stop || len(d.Val) > 0 {
		t.Errorf("cancelled: error %v", err)
	}
}

func TestEnsureSplitLeavesSplits(t *testing.T) {
	d := unsplit(10)
	d.Test = d.Train[8:]
	d.Train = d.Train[:8]
	r, err := d.EnsureSplit(t.Context(), data.SplitOptions{Fraction: 0.5})
	if err != nil || r != (data.SplitReport{}) || len(d.Train) != 8 || d.Val != nil {
		t.Errorf("%+v, error %v: a data set with a test split was changed", r, err)
	}
}

func TestEnsureSplitBesideTest(t *testing.T) {
	d := unsplit(12, 12)
	all := slices.Clone(d.Train)
	d.Train, d.Test = d.Train[:20], d.Train[20:]
	if _, err := d.EnsureSplit(t.Context(), data.SplitOptions{Fraction: 0.25, BesideTest: true, NoSave: true}); err != nil {
		t.Fatal(err)
	}
	if len(d.Train) != 15 || len(d.Val) != 5 || len(d.Test) != 4 {
		t.Errorf("%d, %d and %d pictures, want 15, 5 and 4", len(d.Train), len(d.Val), len(d.Test))
	}
	d.JoinSplit()
	slices.SortFunc(all[:20], func(a, b data.Example) int { return strings.Compare(a.Path, b.Path) })
	if !slices.EqualFunc(d.Train, all[:20], same) || len(d.Val) != 0 || len(d.Test) != 4 {
		t.Errorf("joined again: %d and %d pictures", len(d.Train), len(d.Val))
	}
}

// Pictures that look alike are on one side, whatever their classes.
func TestEnsureSplitKeepsTogether(t *testing.T) {
	d := unsplit(0, 0)
	for i := range 60 {
		for v := range 1 + i%4 {
			d.Train = append(d.Train, data.Example{Path: fmt.Sprint(i, "@", strings.Repeat("x", v)), Label: (i + v/3) % 2})
		}
	}
	all := len(d.Train) // 150
	r, err := d.EnsureSplit(t.Context(), data.SplitOptions{Fraction: 0.3, Seed: 5})
	if err != nil {
		t.Fatal(err)
	}
	if r.Alike != all-60 {
		t.Errorf("%d pictures are like others, want %d", r.Alike, all-60)
	}
	side := map[string]string{}
	for name, examples := range map[string][]data.Example{"train": d.Train, "val": d.Val} {
		for _, e := range examples {
			base, _, _ := strings.Cut(e.Path, "@")
			if side[base] != "" && side[base] != name {
				t.Errorf("%s is on both sides", base)
			}
			side[base] = name
		}
	}
	if len(d.Val) < all*3/10-4 || len(d.Val) > all*3/10+4 {
		t.Errorf("%d of %d are held out, want 30 %%", len(d.Val), all)
	}
}

// pngOf returns a picture as a PNG file.
func pngOf(t *testing.T, im *imaging.Image) []byte {
	t.Helper()
	m := image.NewRGBA(image.Rect(0, 0, im.W, im.H))
	for i := range im.W * im.H {
		copy(m.Pix[4*i:], im.Pix[3*i:3*i+3])
		m.Pix[4*i+3] = 255
	}
	var buf bytes.Buffer
	if err := png.Encode(&buf, m); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

// plain is a source of pictures of one colour, which have one hash and are not alike unless they are the same.
type plain struct{}

func (plain) Image(e data.Example) (*imaging.Image, error) {
	im := imaging.NewImage(16, 16)
	for i := range im.Pix {
		im.Pix[i] = e.Path[0]
	}
	return im, nil
}

func TestEnsureSplitOfPlainPictures(t *testing.T) {
	d := &data.Dataset{Source: plain{}, Classes: []string{"x"}}
	for i := range 40 {
		d.Train = append(d.Train, data.Example{Path: string([]byte{byte('A' + i/2), byte('0' + i%2)})})
	}
	r, err := d.EnsureSplit(t.Context(), data.SplitOptions{Fraction: 0.2})
	if err != nil || r.Held != 8 || r.Alike != 20 {
		t.Errorf("%+v, error %v, want 8 held out, and 20 like another", r, err)
	}
	for i := 0; i < len(d.Val); i += 2 {
		if d.Val[i].Path[0] != d.Val[i+1].Path[0] {
			t.Errorf("%v is held out without its like", d.Val[i])
		}
	}
}

// photos writes a data set of 60 pictures in 10 classes without splits.
func photos(t *testing.T) (*datatest.Sample, string) {
	t.Setenv("XDG_CACHE_HOME", filepath.Join(t.TempDir(), "cache"))
	s := datatest.NewSample(t, false).WithoutSplits()
	return s, writeClassFolders(t, s, filepath.Join(t.TempDir(), "photos"))
}

func open(t *testing.T, path string) *data.Dataset {
	t.Helper()
	d, err := data.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func ensure(t *testing.T, d *data.Dataset, o data.SplitOptions) data.SplitReport {
	t.Helper()
	r, err := d.EnsureSplit(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func paths(examples []data.Example) []string {
	p := []string{}
	for _, e := range examples {
		p = append(p, e.Path)
	}
	slices.Sort(p)
	return p
}

// A split is written, and is there the next time, for whoever opens the data set.
func TestSplitIsWritten(t *testing.T) {
	_, dir := photos(t)
	d := open(t, dir)
	if len(d.Val) > 0 {
		t.Fatal("there is a split before one was made")
	}
	r := ensure(t, d, data.SplitOptions{Fraction: 0.2, Seed: 7})
	if r.Held != 12 || r.New != 60 || r.File != filepath.Join(dir, "bit-split.json") || r.Unsaved != nil {
		t.Errorf("%+v, want 12 held out of 60", r)
	}
	again := open(t, dir)
	if !reflect.DeepEqual(again.Val, d.Val) || !reflect.DeepEqual(again.Train, d.Train) {
		t.Error("opened again, the split is another")
	}
	if slices.ContainsFunc(again.Skipped, func(s data.Skipped) bool { return strings.Contains(s.Path, "split") }) {
		t.Errorf("its file is listed as skipped: %v", again.Skipped)
	}
	content, err := os.ReadFile(r.File)
	if err != nil {
		t.Fatal(err)
	}
	r = ensure(t, again, data.SplitOptions{Fraction: 0.5, Seed: 8})
	if r.Held != 12 || r.New != 0 || r.File == "" {
		t.Errorf("%+v, want the 12 held out before", r)
	}
	if now, err := os.ReadFile(r.File); err != nil || !slices.Equal(now, content) {
		t.Errorf("the file has changed, error %v", err)
	}
	if name, examples := again.EvalSplit(); name != "val" || len(examples) != 12 {
		t.Errorf("judged by %d pictures of %s, want those held out", len(examples), name)
	}
}

// Pictures that come later go to the side of those that they look like; renamed ones stay on their side.
func TestSplitGrows(t *testing.T) {
	s, dir := photos(t)
	d := open(t, dir)
	ensure(t, d, data.SplitOptions{Fraction: 0.2, Seed: 7})
	held, trained := d.Val[0].Path, d.Train[0].Path
	rename := func(from, to string) {
		t.Helper()
		if err := os.Rename(filepath.Join(dir, from), filepath.Join(dir, to)); err != nil {
			t.Fatal(err)
		}
	}
	// Renamed: the same pixels. A copy in another file: nearly the same.
	rename(held, "airplane/renamed held.png")
	rename(trained, "airplane/renamed trained.png")
	near := func(path string) []byte {
		im, err := imaging.DecodeFile(filepath.Join(dir, path))
		if err != nil {
			t.Fatal(err)
		}
		return pngOf(t, im.Resize(48, 48, imaging.Bicubic))
	}
	datatest.Write(t, filepath.Join(dir, "cat", "like held.png"), near(d.Val[3].Path))
	datatest.Write(t, filepath.Join(dir, "cat", "like trained.png"), near(d.Train[3].Path))
	datatest.Write(t, filepath.Join(dir, "cat", "broken.png"), []byte("no picture"))
	rng := rand.New(rand.NewPCG(4, 4))
	for i := range 40 {
		im := imaging.NewImage(20, 20)
		for i := range im.Pix {
			im.Pix[i] = uint8(rng.Uint32())
		}
		datatest.Write(t, filepath.Join(dir, "dog", fmt.Sprint("new ", i, ".png")), pngOf(t, im))
	}
	d = open(t, dir)
	r := ensure(t, d, data.SplitOptions{})
	if r.New != 45 || len(d.Train)+len(d.Val) != len(s.Pictures)+43 {
		t.Errorf("%+v and %d pictures, want 45 new ones of %d", r, len(d.Train)+len(d.Val), len(s.Pictures)+43)
	}
	val, train := paths(d.Val), paths(d.Train)
	for _, p := range []string{"airplane/renamed held.png", "cat/like held.png"} {
		if !slices.Contains(val, p) {
			t.Errorf("%s is not held out", p)
		}
	}
	for _, p := range []string{"airplane/renamed trained.png", "cat/like trained.png", "cat/broken.png"} {
		if !slices.Contains(train, p) {
			t.Errorf("%s is not trained on", p)
		}
	}
	fresh := 0
	for _, p := range val {
		if strings.HasPrefix(p, "dog/new") {
			fresh++
		}
	}
	// Binomial of 40 at 0.2: mean 8, deviation 2.5.
	if fresh < 1 || fresh > 16 {
		t.Errorf("%d of 40 new pictures are held out, want about 8", fresh)
	}
	again := open(t, dir)
	if !slices.Equal(paths(again.Val), val) {
		t.Error("opened again, the split is another")
	}
	if r := ensure(t, again, data.SplitOptions{}); r.New != 0 {
		t.Errorf("%d pictures are new again", r.New)
	}
}

// A class that is new, of one picture or of some that are alike, is trained on, whatever is drawn.
func TestSplitKeepsNewClasses(t *testing.T) {
	d := unsplit(10, 10)
	ensure(t, d, data.SplitOptions{Fraction: 0.9})
	held := len(d.Val)
	for class := 2; class < 22; class++ {
		d.Classes = append(d.Classes, fmt.Sprint("class", class))
		for v := range 1 + class%3 {
			d.Train = append(d.Train, data.Example{Path: fmt.Sprint(class, "@", strings.Repeat("x", v)), Label: class})
		}
	}
	for i := range 20 {
		d.Train = append(d.Train, data.Example{Path: fmt.Sprint("more ", i), Label: 1})
	}
	ensure(t, d, data.SplitOptions{})
	if n := len(d.Val); n < held+8 { // binomial of 20 at 0.9
		t.Errorf("%d pictures are held out after %d, want most of the 20 new ones of a class that was there", n, held)
	}
	for label, n := range countLabels(d.Train, len(d.Classes)) {
		if n == 0 {
			t.Errorf("nothing of the class %s is trained on", d.Classes[label])
		}
	}
}

// Shards of one name in two folders are two data sets, also where a pattern names them from within.
func TestSplitOfPattern(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	dirs := []string{t.TempDir(), t.TempDir()}
	rng := rand.New(rand.NewPCG(5, 5))
	for _, dir := range dirs {
		var pairs []string
		for i := range 10 {
			im := imaging.NewImage(20, 20)
			for i := range im.Pix {
				im.Pix[i] = uint8(rng.Uint32())
			}
			pairs = append(pairs, fmt.Sprint(i, ".png"), string(pngOf(t, im)), fmt.Sprint(i, ".cls"), "0")
		}
		datatest.Write(t, filepath.Join(dir, "a-0.tar"), tarOf(t, pairs...))
	}
	t.Chdir(dirs[0])
	d := open(t, "a-{0..0}.tar")
	if r := ensure(t, d, data.SplitOptions{Fraction: 0.5}); r.File == "" || len(open(t, "a-{0..0}.tar").Val) != 5 {
		t.Fatalf("%+v, %d held out again, want 5", r, len(open(t, "a-{0..0}.tar").Val))
	}
	t.Chdir(dirs[1])
	if n := len(open(t, "a-{0..0}.tar").Val); n != 0 {
		t.Errorf("%d pictures are held out that another data set holds out", n)
	}
}

// The split of an archive lies beside it; where that cannot be, in the cache.
func TestSplitOfArchive(t *testing.T) {
	s, _ := photos(t)
	path := archived(writeClassFolders, "zip -q -r ../data.zip .")(t, s, t.TempDir())
	r := ensure(t, open(t, path), data.SplitOptions{})
	if r.File != path+".bit-split.json" || len(open(t, path).Val) != 6 {
		t.Errorf("%+v, %d held out, want 6", r, len(open(t, path).Val))
	}
}

func TestSplitInCache(t *testing.T) {
	_, dir := photos(t)
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	if runtime.GOOS == "linux" && !strings.HasPrefix(cache, os.Getenv("XDG_CACHE_HOME")) {
		t.Fatalf("the cache is %s", cache)
	}
	d := open(t, dir)
	// A folder in its place keeps the file from being written, for root as well.
	if err := os.MkdirAll(filepath.Join(dir, "bit-split.json.tmp", "x"), 0o777); err != nil {
		t.Fatal(err)
	}
	r := ensure(t, d, data.SplitOptions{})
	if !strings.HasPrefix(r.File, cache) || r.Unsaved != nil {
		t.Fatalf("%+v, want a file in %s", r, cache)
	}
	os.RemoveAll(filepath.Join(dir, "bit-split.json.tmp"))
	if got := open(t, dir); !slices.Equal(paths(got.Val), paths(d.Val)) || len(got.Val) != 6 {
		t.Errorf("%d held out, want those of before", len(got.Val))
	}
}

func TestBadSplitFile(t *testing.T) {
	_, dir := photos(t)
	path := filepath.Join(dir, "bit-split.json")
	for content, want := range map[string]string{
		"":                              "EOF",
		"{":                             "unexpected EOF",
		`{"version": 2, "fraction": 1}`: "its version is 2, expected 1",
		`{"version": 1, "fraction": 1}`: "its fraction is 1",
		`{"version": 1, "fraction": 0.1, "pictures": [{"path": "a", "digest": "00"}]}`:    "32 hexadecimal digits",
		`{"version": 1, "fraction": 0.1, "pictures": [{"path": "a", "hash": "notahex"}]}`: "invalid syntax",
	} {
		datatest.Write(t, path, []byte(content))
		datatest.Refuse(t, dir, path, want, "without the file a new split is made")
	}
}

func TestBrokenPicturesPastTheLimit(t *testing.T) {
	s, dir := photos(t)
	for _, p := range s.Pictures[:7] { // of 60: more than 10 %
		datatest.Write(t, filepath.Join(dir, s.Classes[p.Label], p.Name+".png"), []byte("no picture"))
	}
	check := func(err error) {
		t.Helper()
		e, ok := errors.AsType[*data.TooManyBrokenError](err)
		if _, broken := errors.AsType[*data.BrokenError](err); !ok || broken || e.Broken != 7 || e.Of != 60 {
			t.Errorf("error %v, want 7 of 60 and that it is no broken picture", err)
		}
	}
	d := open(t, dir)
	_, err := d.EnsureSplit(t.Context(), data.SplitOptions{})
	check(err)
	broken := 0
	for i := range 2 * len(d.Train) { // each counts once
		_, err := d.Image(d.Train[i/2])
		if _, ok := errors.AsType[*data.BrokenError](err); ok {
			broken++
		} else if err != nil {
			check(err)
			break
		}
	}
	if broken != 12 {
		t.Errorf("%d times a broken picture before the error, want 6 pictures twice", broken)
	}
	for what, src := range map[string]data.Source{"a data set": d, "its source": d.Source} {
		uncounted := data.Uncounted(src)
		for i, e := range d.Train {
			if _, err := uncounted.Image(e); err != nil {
				if _, ok := errors.AsType[*data.BrokenError](err); !ok {
					t.Errorf("%s, uncounted: picture %d: %v", what, i, err)
				}
			}
		}
		digester, ok := uncounted.(data.Digester)
		if !ok {
			t.Fatalf("%s, uncounted, tells no pictures apart", what)
		}
		want, err := d.Digest(d.Train[0])
		if got, errGot := digester.Digest(d.Train[0]); err != nil || errGot != nil || got != want {
			t.Errorf("%s, uncounted: digest %x (%v), want %x (%v)", what, got, errGot, want, err)
		}
	}
	d, err = data.Opener{MaxSkipped: 0.2}.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	if r := ensure(t, d, data.SplitOptions{}); r.Held == 0 {
		t.Error("nothing is held out")
	}
}

func TestCheck(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	s := datatest.NewSample(t, false)
	dir := writeFolders(t, s, t.TempDir())
	picture := func(split string, label, n int) datatest.Picture {
		for _, p := range s.Pictures {
			if p.Split == split && p.Label == label {
				if n--; n < 0 {
					return p
				}
			}
		}
		panic("no such picture")
	}
	tiny := imaging.NewImage(7, 100)
	for path, content := range map[string][]byte{
		"train/cat/a broken.png":       []byte("no picture"),
		"train/cat/b tiny.png":         pngOf(t, tiny),
		"train/cat/c in train.png":     picture("train", 3, 0).File,
		"train/dog/d in test.png":      pngOf(t, picture("test", 5, 0).Image), // other bytes, the same pixels
		"val/dog/e in test too.png":    picture("test", 5, 1).File,
		"train/frog/f other label.png": picture("train", 5, 0).File,
	} {
		datatest.Write(t, filepath.Join(dir, filepath.FromSlash(path)), content)
	}
	d := open(t, dir)
	calls := 0
	r, err := d.Check(t.Context(), data.CheckOptions{ScanOptions: data.ScanOptions{OnProgress: func(done int) {
		if calls++; done != calls {
			t.Errorf("call %d says that %d are done", calls, done)
		}
	}}})
	if err != nil || calls != 66 {
		t.Fatalf("%d calls, error %v", calls, err)
	}
	var got []string
	for _, s := range r.Skipped {
		got = append(got, s.Path+": "+s.Reason)
	}
	want := []string{
		`train/cat/a broken.png: not an image: it starts with "no picture", expected JPEG, PNG, GIF, BMP, TIFF or WebP`,
		"train/cat/b tiny.png: 7 x 100 pixels, expected at least 8 a side",
		"the same picture as train/cat/", "the same picture as test/dog/" + picture("test", 5, 0).Name + ".png",
		"the same picture as test/dog/" + picture("test", 5, 1).Name + ".png",
	}
	for i, w := range want {
		if i >= len(got) || !strings.Contains(got[i], w) {
			t.Errorf("skipped %q, want one with %q", got, w)
		}
	}
	if r.Broken != 2 || r.Duplicates != 3 || len(r.Skipped) != 5 || len(d.Train) != 31 || len(d.Val) != 10 || len(d.Test) != 20 {
		t.Errorf("%+v, %d, %d and %d left, want 2 broken, 3 twice, and 31, 10 and 20 left", r, len(d.Train), len(d.Val), len(d.Test))
	}
	if _, err := os.Stat(filepath.Join(dir, "train", "cat", "a broken.png")); err != nil {
		t.Errorf("a broken picture was deleted: %v", err)
	}
	d = open(t, dir)
	_, err = d.Check(t.Context(), data.CheckOptions{MaxBroken: 0.01, KeepDuplicates: true})
	if e, ok := errors.AsType[*data.TooManyBrokenError](err); !ok || e.Broken != 2 || e.Of != 66 || len(d.Train) != 33 {
		t.Errorf("error %v and %d left, want one of 2 of 66", err, len(d.Train))
	}
}
