package batch_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"io"
	"io/fs"
	"math"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"testing/synctest"

	"github.com/bigtransfer/bit/batch"
	"github.com/bigtransfer/bit/data"
	"github.com/bigtransfer/bit/imaging"
	"github.com/bigtransfer/bit/internal/fixture"
)

// pngOf returns a PNG file of w by h pixels with the given colours.
func pngOf(t testing.TB, w, h int, at func(x, y int) color.NRGBA) []byte {
	t.Helper()
	img := image.NewNRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			img.SetNRGBA(x, y, at(x, y))
		}
	}
	var file bytes.Buffer
	if err := png.Encode(&file, img); err != nil {
		t.Fatal(err)
	}
	return file.Bytes()
}

// noise returns n pictures of random pixels and sizes, in the given number of classes.
func noise(t testing.TB, n, classes int) (fstest.MapFS, []data.Example) {
	fsys := fstest.MapFS{}
	var examples []data.Example
	rng := rand.New(rand.NewPCG(1, 2))
	for i := range n {
		path := fmt.Sprintf("%03d.png", i)
		w, h := 20+rng.IntN(20), 20+rng.IntN(20)
		fsys[path] = &fstest.MapFile{Data: pngOf(t, w, h, func(x, y int) color.NRGBA {
			v := rng.Uint32()
			return color.NRGBA{R: byte(v), G: byte(v >> 8), B: byte(v >> 16), A: 255}
		})}
		examples = append(examples, data.Example{Path: path, Label: i * classes / n})
	}
	return fsys, examples
}

// flat returns one picture per example, all pixels of which are (10·index, 0, 0).
func flat(t testing.TB, labels ...int) (fstest.MapFS, []data.Example) {
	fsys := fstest.MapFS{}
	var examples []data.Example
	for i, label := range labels {
		path := fmt.Sprintf("%03d.png", i)
		fsys[path] = &fstest.MapFile{Data: pngOf(t, 9, 9, func(x, y int) color.NRGBA {
			return color.NRGBA{R: byte(10 * i), A: 255}
		})}
		examples = append(examples, data.Example{Path: path, Label: label})
	}
	return fsys, examples
}

// copied is what a test keeps of a Batch.
type copied struct {
	Step, Offset      int
	Last              bool
	X                 []float32
	Labels, MixLabels []int32
	Index             []int32
	Lambda            float64
}

func copyOf(b *batch.Batch) copied {
	return copied{b.Step, b.Offset, b.Last, slices.Clone(b.X), slices.Clone(b.Labels), slices.Clone(b.MixLabels),
		slices.Clone(b.Index), b.Lambda}
}

func (c copied) equal(d copied) bool {
	return c.Step == d.Step && c.Offset == d.Offset && c.Last == d.Last && slices.Equal(c.X, d.X) &&
		slices.Equal(c.Labels, d.Labels) && slices.Equal(c.MixLabels, d.MixLabels) && slices.Equal(c.Index, d.Index) &&
		c.Lambda == d.Lambda
}

// batches returns the first n batches of a training loader.
func batches(t testing.TB, cfg batch.TrainConfig, n int) []copied {
	t.Helper()
	l, err := batch.NewTrainLoader(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var got []copied
	for range n {
		b, err := l.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if len(b.X) != b.N*b.H*b.W*3 || len(b.Labels) != b.N || len(b.Index) != b.N {
			t.Fatalf("step %d: %d values, %d labels, %d indices for [%d, %d, %d, 3]", b.Step, len(b.X), len(b.Labels), len(b.Index), b.N, b.H, b.W)
		}
		got = append(got, copyOf(b))
	}
	return got
}

// recipes are the augmentations of fine-tuning and of upstream training, with mixup.
func recipes(t testing.TB) map[string]batch.TrainConfig {
	fsys, examples := noise(t, 23, 4)
	cfg := batch.TrainConfig{Source: data.Files{FS: fsys}, Examples: examples, Batch: 10, MixupAlpha: 0.1, Seed: 3}
	tuning, upstream, shrinking := cfg, cfg, cfg
	tuning.Pipeline = batch.Pipeline{batch.Resize{Size: 40}, batch.RandomCrop{Size: 32}, batch.FlipLR{}}
	upstream.Pipeline = batch.Pipeline{batch.InceptionCrop{Size: 24}, batch.FlipLR{}}
	shrinking.Pipeline = batch.Pipeline{batch.Resize{Size: 20}, batch.RandomCrop{Size: 16}, batch.FlipLR{}}
	return map[string]batch.TrainConfig{"resize and crop": tuning, "inception crop": upstream, "shrinking": shrinking}
}

// Batches are the same bits for any number of workers, with and without a cache of any size, and when a run resumes.
func TestTrainLoaderDeterminism(t *testing.T) {
	for name, cfg := range recipes(t) {
		t.Run(name, func(t *testing.T) {
			cfg.Workers = 1
			want := batches(t, cfg, 12)
			if want[0].equal(want[1]) || slices.Equal(want[0].X, want[1].X) {
				t.Fatal("different steps have the same batch")
			}
			check := func(what string, cfg batch.TrainConfig, from int) {
				t.Helper()
				for i, got := range batches(t, cfg, len(want)-from) {
					if !got.equal(want[from+i]) {
						t.Errorf("%s: batch of step %d differs", what, from+i)
					}
				}
			}
			cfg.Workers = 4
			check("4 workers", cfg, 0)
			for _, start := range []int{1, 7, 11} {
				cfg.Start = start
				check(fmt.Sprint("from step ", start), cfg, start)
			}
			cfg.Start = 0
			cfg.Cache = batch.NewCache(len(cfg.Examples), 1<<20)
			check("empty cache", cfg, 0)
			check("filled cache", cfg, 0)
			cfg.Cache = batch.NewCache(len(cfg.Examples), 5000)
			check("small cache", cfg, 0)
			cfg.Seed++
			if got := batches(t, cfg, 1); slices.Equal(got[0].X, want[0].X) {
				t.Error("another seed gave the same batch")
			}
		})
	}
}

// Micro-batches are the whole batch cut up, mixup included.
func TestTrainLoaderMicroBatches(t *testing.T) {
	for name, cfg := range recipes(t) {
		want := batches(t, cfg, 3)
		cfg.MicroBatch = 4
		parts := batches(t, cfg, 9) // of 4, 4 and 2 rows
		for step, whole := range want {
			joined := copied{Step: step, Last: true, Lambda: whole.Lambda}
			for i, part := range parts[3*step : 3*step+3] {
				if part.Step != step || part.Offset != 4*i || part.Last != (i == 2) || part.Lambda != whole.Lambda {
					t.Errorf("%s: part %d of step %d is of step %d at %d, last %v", name, i, step, part.Step, part.Offset, part.Last)
				}
				joined.X = append(joined.X, part.X...)
				joined.Labels = append(joined.Labels, part.Labels...)
				joined.MixLabels = append(joined.MixLabels, part.MixLabels...)
				joined.Index = append(joined.Index, part.Index...)
			}
			if !joined.equal(whole) {
				t.Errorf("%s: the parts of step %d differ from the whole", name, step)
			}
		}
	}
}

// The stream of examples is one permutation of all after the other, also where a batch holds several.
func TestTrainLoaderEpochs(t *testing.T) {
	for _, rows := range []int{1, 3, 5, 7, 12, 25} {
		fsys, examples := flat(t, 0, 1, 1, 0, 2)
		cfg := batch.TrainConfig{Source: data.Files{FS: fsys}, Examples: examples, Batch: rows, Seed: 1, Pipeline: batch.Pipeline{batch.Resize{Size: 4}}}
		var stream []int32
		for _, b := range batches(t, cfg, 105/rows) {
			for i, index := range b.Index {
				if int(b.Labels[i]) != examples[index].Label {
					t.Fatalf("example %d has the label %d, want %d", index, b.Labels[i], examples[index].Label)
				}
				if red := (b.X[i*48] + 1) * 127.5; math.Abs(float64(red)-float64(10*index)) > 1e-3 {
					t.Fatalf("example %d has red %v, want %v", index, red, 10*index)
				}
			}
			stream = append(stream, b.Index...)
		}
		orders := map[string]bool{}
		for epoch := range slices.Chunk(stream, 5) {
			if len(epoch) < 5 {
				break
			}
			orders[fmt.Sprint(epoch)] = true
			sorted := slices.Sorted(slices.Values(epoch))
			if !slices.Equal(sorted, []int32{0, 1, 2, 3, 4}) {
				t.Fatalf("batches of %d: an epoch holds %v", rows, epoch)
			}
		}
		if len(orders) < 5 {
			t.Errorf("batches of %d: only %d orders in %d epochs", rows, len(orders), len(stream)/5)
		}
	}
}

// Mixup blends every row with a partner of the same batch, with one lambda a step, and says whose label that is.
func TestTrainLoaderMixup(t *testing.T) {
	labels := []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}
	fsys, examples := flat(t, labels...) // label and colour name the example
	cfg := batch.TrainConfig{Source: data.Files{FS: fsys}, Examples: examples, Batch: 8, Seed: 5, MixupAlpha: 1, Pipeline: batch.Pipeline{batch.Resize{Size: 2}}}
	lambdas := map[float64]bool{}
	for _, b := range batches(t, cfg, 20) {
		lambdas[b.Lambda] = true
		for i := range b.Labels {
			want := 10 * (b.Lambda*float64(b.Labels[i]) + (1-b.Lambda)*float64(b.MixLabels[i]))
			if red := (float64(b.X[i*12]) + 1) * 127.5; math.Abs(red-want) > 1e-3 {
				t.Fatalf("step %d, row %d: red %v, want %v of %d and %d", b.Step, i, red, want, b.Labels[i], b.MixLabels[i])
			}
		}
		a, p := slices.Clone(b.Labels), slices.Clone(b.MixLabels)
		slices.Sort(a)
		slices.Sort(p)
		if !slices.Equal(a, p) {
			t.Errorf("step %d: partners %v are no permutation of %v", b.Step, b.MixLabels, b.Labels)
		}
		if float64(float32(b.Lambda)) != b.Lambda {
			t.Errorf("lambda %v is no float32", b.Lambda)
		}
	}
	if len(lambdas) != 20 {
		t.Errorf("%d different lambdas in 20 steps", len(lambdas))
	}
	cfg.MixupAlpha = 0
	if b := batches(t, cfg, 1)[0]; b.Lambda != 1 || b.MixLabels != nil {
		t.Errorf("without mixup: lambda %v, labels %v", b.Lambda, b.MixLabels)
	}
}

// The targets of a data set with several labels, by hand: ones at the labels of the example that is really used, mixed as
// the pixels are; and balanced sampling, which has each of three labels as often as the others.
func TestTrainLoaderTargets(t *testing.T) {
	fsys, examples := flat(t, 0, 0, 0, 1, data.NoLabel)
	fsys["001.png"] = &fstest.MapFile{Data: []byte("not a picture")} // 002 takes its place
	several := [][]int32{{0}, {0, 3}, {0, 1, 2}, {1}, nil}
	for i := range examples {
		examples[i].Labels = several[i]
	}
	rows := [][]float32{{1, 0, 0, 0}, {1, 1, 1, 0}, {1, 1, 1, 0}, {0, 1, 0, 0}, {0, 0, 0, 0}}
	cfg := batch.TrainConfig{Source: data.Files{FS: fsys}, Examples: examples, Classes: 4, Batch: 5, MixupAlpha: 1, Pipeline: batch.Pipeline{batch.Resize{Size: 2}}}
	for _, cfg.MicroBatch = range []int{0, 2} {
		l, err := batch.NewTrainLoader(cfg)
		if err != nil {
			t.Fatal(err)
		}
		for range 6 {
			b, err := l.Next(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if len(b.Targets) != 4*b.N {
				t.Fatalf("%d targets for %d rows of 4 classes", len(b.Targets), b.N)
			}
			for i := range b.N {
				// The colour is 10·index, mixed with the partner's: that names the partner.
				lambda := float32(b.Lambda)
				red := (b.X[i*12] + 1) * 127.5 / 10
				partner := int(math.Round(float64((red - lambda*float32(b.Index[i])) / (1 - lambda))))
				if lambda > 0.99 {
					continue // too little of the partner to tell it by
				}
				for k, got := range b.Targets[i*4:][:4] {
					if want := lambda*rows[b.Index[i]][k] + (1-lambda)*rows[partner][k]; math.Abs(float64(got-want)) > 1e-6 {
						t.Errorf("row of %d and %d: target %d is %v, want %v", b.Index[i], partner, k, got, want)
					}
				}
			}
		}
		l.Close()
	}

	cfg = batch.TrainConfig{Source: cfg.Source, Examples: examples[3:], Sampling: batch.Balanced, Batch: 4, Pipeline: cfg.Pipeline}
	cfg.Examples = append(cfg.Examples, cfg.Examples[0], cfg.Examples[0]) // three of the label 1, one of none
	for _, b := range batches(t, cfg, 5) {
		if labels := slices.Sorted(slices.Values(b.Labels)); !slices.Equal(labels, []int32{data.NoLabel, data.NoLabel, 1, 1}) {
			t.Errorf("labels %v, want two of each", labels)
		}
	}
}

// Broken pictures are replaced in training by the next of their class, left out in evaluation, and listed.
func TestLoaderBrokenPictures(t *testing.T) {
	fsys, examples := flat(t, 0, 0, 0, 1, 1, 1)
	fsys["001.png"] = &fstest.MapFile{Data: []byte("not a picture")}
	fsys["005.png"] = &fstest.MapFile{Data: fsys["005.png"].Data[:40]}
	cfg := batch.TrainConfig{Source: data.Files{FS: fsys}, Examples: examples, Batch: 6, Pipeline: batch.Pipeline{batch.Resize{Size: 2}}}
	l, err := batch.NewTrainLoader(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for range 3 {
		b, err := l.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		sorted := slices.Sorted(slices.Values(b.Index))
		if want := []int32{0, 2, 2, 3, 3, 4}; !slices.Equal(sorted, want) {
			t.Errorf("examples %v, want %v", sorted, want)
		}
		for i, index := range b.Index {
			if int(b.Labels[i]) != examples[index].Label {
				t.Errorf("example %d has label %d", index, b.Labels[i])
			}
		}
	}
	checkSkipped(t, l.Skipped())

	e, err := batch.NewEvalLoader(batch.EvalConfig{Source: data.Files{FS: fsys}, Examples: examples, Processor: imaging.Squash(2, imaging.Bilinear), Batch: 2})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	var index []int32
	var red []float64
	for {
		b, err := e.Next(t.Context())
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		for i := range b.N {
			index = append(index, b.Index[i])
			red = append(red, math.Round((float64(b.X[i*12])+1)*127.5))
		}
	}
	if want := []int32{0, 2, 3, 4}; !slices.Equal(index, want) {
		t.Errorf("evaluated %v, want %v", index, want)
	}
	if want := []float64{0, 20, 30, 40}; !slices.Equal(red, want) {
		t.Errorf("red %v, want %v", red, want)
	}
	checkSkipped(t, e.Skipped())
}

// The only picture of its first label is broken: where pictures have several labels another takes its place, with its own.
func TestLoaderBrokenPictureOfSeveralLabels(t *testing.T) {
	fsys, examples := flat(t, 0, 1)
	fsys["000.png"] = &fstest.MapFile{Data: []byte("not a picture")}
	examples[0].Labels, examples[1].Labels = []int32{0, 1}, []int32{1}
	l, err := batch.NewTrainLoader(batch.TrainConfig{Source: data.Files{FS: fsys}, Examples: examples, Batch: 2, Classes: 2, Pipeline: batch.Pipeline{batch.Resize{Size: 2}}})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	b, err := l.Next(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(b.Index, []int32{1, 1}) || !slices.Equal(b.Targets, []float32{0, 1, 0, 1}) {
		t.Errorf("examples %v with targets %v, want the second alone", b.Index, b.Targets)
	}
}

func checkSkipped(t *testing.T, skipped []data.Skipped) {
	t.Helper()
	if len(skipped) != 2 || skipped[0].Path != "001.png" || skipped[1].Path != "005.png" || skipped[0].Reason == "" {
		t.Errorf("skipped %v, want 001.png and 005.png", skipped)
	}
}

// An evaluation batch in which every picture is broken is not delivered empty.
func TestEvalLoaderAllBroken(t *testing.T) {
	fsys, examples := flat(t, 0, 0, 0)
	for _, path := range []string{"000.png", "001.png"} {
		fsys[path] = &fstest.MapFile{}
	}
	l, err := batch.NewEvalLoader(batch.EvalConfig{Source: data.Files{FS: fsys}, Examples: examples, Processor: imaging.Squash(2, imaging.Bilinear), Batch: 2})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	b, err := l.Next(t.Context())
	if err != nil || b.N != 1 || b.Index[0] != 2 {
		t.Fatalf("got %+v, %v, want example 2", b, err)
	}
	for range 2 {
		if _, err := l.Next(t.Context()); err != io.EOF {
			t.Fatalf("got %v, want io.EOF", err)
		}
	}
}

func TestTrainLoaderErrors(t *testing.T) {
	fsys, examples := flat(t, 0, 1, 1)
	good := batch.TrainConfig{Source: data.Files{FS: fsys}, Examples: examples, Batch: 3, Pipeline: batch.Pipeline{batch.Resize{Size: 2}}}
	for _, test := range []struct {
		change func(*batch.TrainConfig)
		want   string
	}{
		{func(c *batch.TrainConfig) { c.Batch = 0 }, "at least 1"},
		{func(c *batch.TrainConfig) { c.MicroBatch = -1 }, "micro-batches"},
		{func(c *batch.TrainConfig) { c.Start = -1 }, "first step"},
		{func(c *batch.TrainConfig) { c.MixupAlpha = math.NaN() }, "alpha"},
		{func(c *batch.TrainConfig) { c.Examples = nil }, "no images"},
		{func(c *batch.TrainConfig) { c.Pipeline = batch.Pipeline{batch.FlipLR{}} }, "flip_lr"},
		{func(c *batch.TrainConfig) { c.Cache = batch.NewCache(2, 1000) }, "for 2 examples, expected 3"},
	} {
		cfg := good
		test.change(&cfg)
		if _, err := batch.NewTrainLoader(cfg); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("got %v, want an error with %q", err, test.want)
		}
	}
	for _, test := range []struct {
		name   string
		change func(fstest.MapFS, *batch.TrainConfig)
		want   string
	}{
		{"class broken", func(f fstest.MapFS, c *batch.TrainConfig) { f["000.png"] = &fstest.MapFile{} }, "000.png"},
		{"file gone", func(f fstest.MapFS, c *batch.TrainConfig) { delete(f, "001.png") }, "001.png"},
		{"crop too large", func(f fstest.MapFS, c *batch.TrainConfig) { c.Pipeline = batch.Pipeline{batch.RandomCrop{Size: 10}} }, "found 9 by 9"},
	} {
		fsys, examples := flat(t, 0, 1, 1)
		cfg := good
		cfg.Source, cfg.Examples = data.Files{FS: fsys}, examples
		test.change(fsys, &cfg)
		l, err := batch.NewTrainLoader(cfg)
		if err != nil {
			t.Fatal(err)
		}
		for range 2 { // the error stays
			if _, err := l.Next(t.Context()); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("%s: got %v, want an error with %q", test.name, err, test.want)
			}
		}
		l.Close()
	}
}

// stalled is a file system whose files open only when go is closed.
type stalled struct {
	fs.FS
	open chan struct{}
}

func (s stalled) Open(name string) (fs.File, error) {
	<-s.open
	return s.FS.Open(name)
}

// A wait can be cancelled and taken up again, and Close leaves no goroutine: the bubble fails if one remains.
func TestLoaderCancel(t *testing.T) {
	fsys, examples := flat(t, 0, 1)
	synctest.Test(t, func(t *testing.T) {
		slow := stalled{fsys, make(chan struct{})}
		l, err := batch.NewTrainLoader(batch.TrainConfig{Source: data.Files{FS: slow}, Examples: examples, Batch: 2, Workers: 2, Pipeline: batch.Pipeline{batch.Resize{Size: 2}}})
		if err != nil {
			t.Fatal(err)
		}
		cause := errors.New("the reason")
		ctx, cancel := context.WithCancelCause(t.Context())
		go func() {
			synctest.Wait() // until Next waits
			cancel(cause)
		}()
		if _, err := l.Next(ctx); !errors.Is(err, cause) {
			t.Errorf("got %v, want the cause of the cancellation", err)
		}
		close(slow.open)
		b, err := l.Next(t.Context())
		if err != nil || b.Step != 0 {
			t.Errorf("got %v, %v after a cancelled wait, want step 0", b, err)
		}
		l.Close()
		l.Close()
		if _, err := l.Next(t.Context()); !errors.Is(err, batch.ErrClosed) {
			t.Errorf("got %v, want ErrClosed", err)
		}
	})
}

// Evaluation gives every example once, in order, as the processor makes it, and the remainder too.
func TestEvalLoader(t *testing.T) {
	fsys, examples := noise(t, 11, 3)
	for name, p := range map[string]*imaging.Processor{
		"enlarge":     imaging.Squash(50, imaging.Bilinear),
		"shrink":      imaging.Squash(16, imaging.Bicubic),
		"center crop": imaging.DefaultProcessor(),
	} {
		for _, cache := range []*batch.Cache{nil, batch.NewCache(11, 1<<20)} {
			for range 2 { // the second time from the cache
				n := 0
				l, err := batch.NewEvalLoader(batch.EvalConfig{Source: data.Files{FS: fsys}, Examples: examples, Processor: p, Batch: 4, Cache: cache})
				if err != nil {
					t.Fatal(err)
				}
				for {
					b, err := l.Next(t.Context())
					if err == io.EOF {
						break
					}
					if err != nil {
						t.Fatal(err)
					}
					if want := min(4, 11-n); b.N != want || b.Step != n/4 || !b.Last || b.Lambda != 1 {
						t.Errorf("%s: batch %d of %d rows, want %d of %d", name, b.Step, b.N, n/4, want)
					}
					for i := range b.N {
						checkProcessed(t, name, fsys[examples[n].Path].Data, p, b.X[i*b.H*b.W*3:(i+1)*b.H*b.W*3])
						if int(b.Index[i]) != n || int(b.Labels[i]) != examples[n].Label {
							t.Errorf("%s: row %d is example %d with label %d", name, n, b.Index[i], b.Labels[i])
						}
						n++
					}
				}
				l.Close()
				if n != 11 {
					t.Errorf("%s: %d examples, want 11", name, n)
				}
			}
		}
	}
}

func checkProcessed(t *testing.T, name string, file []byte, p *imaging.Processor, got []float32) {
	t.Helper()
	img, err := imaging.Decode(file)
	if err != nil {
		t.Fatal(err)
	}
	want := make([]float32, len(got))
	if _, _, err := p.Process(img, want); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(got, want) {
		t.Errorf("%s: pixels differ from the processor's", name)
	}
}

func TestEvalLoaderErrors(t *testing.T) {
	fsys, examples := flat(t, 0)
	uncropped := imaging.DefaultProcessor()
	uncropped.DoCenterCrop = false
	if _, err := batch.NewEvalLoader(batch.EvalConfig{Source: data.Files{FS: fsys}, Examples: examples, Processor: uncropped, Batch: 1}); err == nil ||
		!strings.Contains(err.Error(), "one size") {
		t.Errorf("got %v, want an error about sizes", err)
	}
	if _, err := batch.NewEvalLoader(batch.EvalConfig{Source: data.Files{FS: fsys}, Examples: examples, Processor: imaging.DefaultProcessor()}); err == nil {
		t.Error("no error for batches of 0")
	}
}

// Once the cache is full, a training batch costs no memory worth counting.
func TestTrainLoaderAllocations(t *testing.T) {
	for name, cfg := range recipes(t) {
		cfg.Workers = 2
		cfg.Cache = batch.NewCache(len(cfg.Examples), 1<<20)
		l, err := batch.NewTrainLoader(cfg)
		if err != nil {
			t.Fatal(err)
		}
		next := func(n int) {
			for range n {
				if _, err := l.Next(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
		}
		next(60)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		next(100)
		runtime.ReadMemStats(&after)
		// One batch is 10 pictures of at least 16·16·3 floats, 30 KB.
		if perBatch := (after.TotalAlloc - before.TotalAlloc) / 100; perBatch > 1000 {
			t.Errorf("%s: %d bytes allocated per batch", name, perBatch)
		}
		l.Close()
	}
}

// The loader works on real pictures, from a folder.
func TestTrainLoaderCIFAR10Mini(t *testing.T) {
	d, err := data.Open(fixture.Data(t, "cifar10-mini"))
	if err != nil {
		t.Fatal(err)
	}
	cfg := batch.TrainConfig{Source: d.Source, Examples: d.Train, Batch: 400, Pipeline: batch.Pipeline{batch.Resize{Size: 40}, batch.RandomCrop{Size: 32}, batch.FlipLR{}}}
	b := batches(t, cfg, 1)[0]
	counts := make([]int, 10)
	for _, label := range b.Labels {
		counts[label]++
	}
	if want := slices.Repeat([]int{40}, 10); !slices.Equal(counts, want) {
		t.Errorf("one epoch has %v per class, want %v", counts, want)
	}
	sum := 0.0
	for _, v := range b.X {
		if !(v >= -1 && v <= 1) {
			t.Fatalf("value %v outside of [-1, 1]", v)
		}
		sum += float64(v)
	}
	// CIFAR-10's published channel means are 0.4914, 0.4822 and 0.4465: -0.053 in this range. 400 pictures whose own
	// means deviate by about 0.24 (0.12 in [0, 1]) miss it by 0.012; 5 of these.
	if mean := sum / float64(len(b.X)); math.Abs(mean+0.053) > 0.06 {
		t.Errorf("mean value %v, want about -0.053", mean)
	}
}

// BenchmarkTrainLoader measures the wall time per picture with one worker and everything cached, so that it is the cost
// of augmentation on one core. BIT_DATA may name a data set to use in place of noise.
func BenchmarkTrainLoader(b *testing.B) {
	for _, bench := range []struct {
		name     string
		pipeline batch.Pipeline
		alpha    float64
	}{
		{"inception64", batch.Pipeline{batch.InceptionCrop{Size: 64}, batch.FlipLR{}}, 0},
		{"inception64-mixup", batch.Pipeline{batch.InceptionCrop{Size: 64}, batch.FlipLR{}}, 0.1},
		{"crop56", batch.Pipeline{batch.RandomCrop{Size: 56}, batch.FlipLR{}}, 0},
		{"resize160-crop128", batch.Pipeline{batch.Resize{Size: 160}, batch.RandomCrop{Size: 128}, batch.FlipLR{}}, 0},
	} {
		for _, cached := range []bool{true, false} {
			b.Run(fmt.Sprintf("pipeline=%s/cached=%v", bench.name, cached), func(b *testing.B) {
				var source data.Source
				var examples []data.Example
				if dir := os.Getenv("BIT_DATA"); dir != "" {
					d, err := data.Open(dir)
					if err != nil {
						b.Fatal(err)
					}
					source, examples = d.Source, d.Train[:2000]
				} else {
					fsys, noise := squares(b, 50, 64)
					source, examples = data.Files{FS: fsys}, noise
				}
				cfg := batch.TrainConfig{Source: source, Examples: examples, Batch: 64, Workers: 1, Pipeline: bench.pipeline, MixupAlpha: bench.alpha}
				if cached {
					cfg.Cache = batch.NewCache(len(examples), 1<<30)
				}
				l, err := batch.NewTrainLoader(cfg)
				if err != nil {
					b.Fatal(err)
				}
				defer l.Close()
				for range 2 + len(examples)/64 {
					if _, err := l.Next(b.Context()); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportAllocs()
				for b.Loop() {
					if _, err := l.Next(b.Context()); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*64), "µs/image")
			})
		}
	}
}

// squares returns n pictures of random pixels, side by side.
func squares(t testing.TB, n, side int) (fstest.MapFS, []data.Example) {
	fsys := fstest.MapFS{}
	var examples []data.Example
	rng := rand.New(rand.NewPCG(1, 2))
	for i := range n {
		path := fmt.Sprintf("%03d.png", i)
		fsys[path] = &fstest.MapFile{Data: pngOf(t, side, side, func(x, y int) color.NRGBA {
			return color.NRGBA{R: byte(rng.Uint32()), G: byte(x), B: byte(y), A: 255}
		})}
		examples = append(examples, data.Example{Path: path})
	}
	return fsys, examples
}
