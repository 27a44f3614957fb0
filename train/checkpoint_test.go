package train

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/bigtransfer/bit/batch"
	"github.com/bigtransfer/bit/data"
	"github.com/bigtransfer/bit/eval"
	"github.com/bigtransfer/bit/imaging"
	"github.com/bigtransfer/bit/internal/par"
	"github.com/bigtransfer/bit/resnet"
)

// everything is a run that uses every part of the state: momentum, averaged weights, mixup, evaluations.
func everything(ds *data.Dataset, steps int, dir string) Config {
	c := recipe(ds, steps)
	c.EMA = 0.9
	c.Smoothing = 0.1
	c.Data.MixupAlpha = 0.2
	c.Eval = batch.EvalConfig{Source: ds.Source, Examples: ds.Test[:40], Processor: imaging.Squash(32, imaging.Bilinear), Batch: 32}
	c.EvaluateEvery = 4
	c.Dir = dir
	c.SaveEvery = 1 // nanosecond: after every step
	return c
}

// values concatenates all weights of a network.
func values(net *resnet.Network) []float32 {
	var all []float32
	for _, p := range net.Params() {
		all = append(all, p.Value...)
	}
	return all
}

func train(t *testing.T, cfg Config) ([]float32, Result) {
	t.Helper()
	net := tiny(t, 10)
	r, err := Run(t.Context(), net, cfg)
	if err != nil {
		t.Fatal(err)
	}
	return values(net), r
}

// A run interrupted after every possible number of steps, and in one place several times, ends with the same bits and
// the same evaluations as one left alone.
func TestInterruptAndResume(t *testing.T) {
	ds := cifar(t)
	const steps = 9
	want, wantResult := train(t, everything(ds, steps, ""))
	for _, stops := range [][]int{{1}, {4}, {8}, {1, 2, 3, 4, 5, 6, 7, 8}} { // an evaluation is due after 4 and 8
		t.Run(fmt.Sprint(stops), func(t *testing.T) {
			dir := t.TempDir()
			var evaluated []int
			for _, stop := range stops {
				ctx, cancel := context.WithCancelCause(t.Context())
				cause := errors.New("enough for today")
				cfg := everything(ds, steps, dir)
				cfg.SaveEvery = 0 // nothing but the interruption saves
				cfg.OnStep = func(p Progress) {
					if p.Step == stop {
						cancel(cause)
					}
				}
				cfg.OnEvaluate = func(step int, _ eval.Result) { evaluated = append(evaluated, step) }
				_, err := Run(ctx, tiny(t, 10), cfg)
				var interrupted *InterruptedError
				if !errors.As(err, &interrupted) || !errors.Is(err, cause) {
					t.Fatalf("error %v, want an InterruptedError", err)
				}
				if interrupted.Step != stop || interrupted.Total != steps || interrupted.Dir != dir {
					t.Errorf("%+v, want step %d of %d in %s", interrupted, stop, steps, dir)
				}
			}
			cfg := everything(ds, steps, dir)
			cfg.OnEvaluate = func(step int, _ eval.Result) { evaluated = append(evaluated, step) }
			got, result := train(t, cfg)
			if !slices.Equal(got, want) {
				t.Error("the weights differ from those of an uninterrupted run")
			}
			if fmt.Sprint(result) != fmt.Sprint(wantResult) {
				t.Errorf("%+v, want %+v", result, wantResult)
			}
			if !slices.Equal(evaluated, []int{4, 8, 9}) {
				t.Errorf("evaluated after steps %v, want 4, 8, 9", evaluated)
			}

			// The same call once more only loads the outcome.
			cfg.OnStep = func(p Progress) { t.Errorf("step %d of a finished run", p.Step) }
			if again, result := train(t, cfg); !slices.Equal(again, want) || fmt.Sprint(result) != fmt.Sprint(wantResult) {
				t.Error("a finished run does not give its outcome again")
			}
		})
	}
}

func TestInterruptWithoutDirectory(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := Run(ctx, tiny(t, 10), recipe(cifar(t), 5))
	var interrupted *InterruptedError
	if !errors.As(err, &interrupted) || !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "nothing saved") {
		t.Errorf("error %v, want an InterruptedError that says nothing was saved", err)
	}
}

// A run that cannot be saved when it is interrupted says why.
func TestInterruptUnsaved(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cfg := recipe(cifar(t), 5)
	cfg.Dir = filepath.Join(t.TempDir(), "gone")
	cfg.OnStep = func(Progress) {
		cancel()
		if err := os.RemoveAll(cfg.Dir); err != nil {
			t.Error(err)
		}
	}
	_, err := Run(ctx, tiny(t, 10), cfg)
	var interrupted *InterruptedError
	if !errors.As(err, &interrupted) || !errors.Is(err, context.Canceled) || !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("error %v, want an InterruptedError with the reason why nothing was saved", err)
	}
	if interrupted.Step != 1 || !strings.Contains(err.Error(), LastFile) {
		t.Errorf("error %q, want step 1 and the name of the file", err)
	}
}

func TestThreads(t *testing.T) {
	ds := cifar(t)
	cfg := everything(ds, 5, "")
	cfg.Threads = 1
	want, _ := train(t, cfg)
	for _, threads := range []int{2, 3} {
		cfg.Threads = threads
		if got, _ := train(t, cfg); !slices.Equal(got, want) {
			t.Errorf("%d threads: other bits than 1 thread", threads)
		}
	}
}

// Micro-batches change nothing but the order of float32 sums: after three steps the weights agree to 2e-6 of the
// largest of each parameter. 7 does not divide the batch of 16.
func TestAccumulation(t *testing.T) {
	ds := cifar(t)
	run := func(micro int) *resnet.Network {
		cfg := everything(ds, 3, "")
		cfg.Data.MicroBatch = micro
		net := tiny(t, 10)
		if _, err := Run(t.Context(), net, cfg); err != nil {
			t.Fatal(err)
		}
		return net
	}
	whole := run(0)
	for _, micro := range []int{1, 7, 8} {
		worst := 0.0
		for i, p := range run(micro).Params() {
			largest, diff := 0.0, 0.0
			for j, want := range whole.Params()[i].Value {
				largest = max(largest, math.Abs(float64(want)))
				diff = max(diff, math.Abs(float64(p.Value[j]-want)))
			}
			worst = max(worst, diff/max(largest, 1e-3))
		}
		t.Logf("micro-batches of %d: largest relative difference %.2g", micro, worst)
		if worst > 2e-6 {
			t.Errorf("micro-batches of %d: relative difference %v", micro, worst)
		}
	}
}

func TestDiverged(t *testing.T) {
	net := tiny(t, 10)
	for _, p := range net.Params() {
		if p.Name == resnet.HeadKernel {
			p.Value[0] = float32(math.NaN())
		}
	}
	before := values(net)
	dir := t.TempDir()
	cfg := everything(cifar(t), 5, dir)
	cfg.EMA = 0
	_, err := Run(t.Context(), net, cfg)
	var diverged *DivergedError
	if !errors.As(err, &diverged) || diverged.Step != 0 || !math.IsNaN(diverged.Loss) {
		t.Errorf("error %v, want a DivergedError at step 0", err)
	}
	for i, v := range values(net) {
		if v != before[i] && before[i] == before[i] {
			t.Fatal("the step that diverged changed the weights")
		}
	}
}

// A checkpoint of a run that differs in anything is refused, and the error names what differs and nothing else.
func TestMismatch(t *testing.T) {
	ds := cifar(t)
	dir := t.TempDir()
	train(t, everything(ds, 2, dir))
	for field, change := range map[string]func(*Config, *resnet.Network){
		"learning rate":    func(c *Config, _ *resnet.Network) { c.Rate = 0.2 },
		"schedule":         func(c *Config, _ *resnet.Network) { c.Schedule = Cosine{WarmUp: 2, Total: 3} },
		"optimiser":        func(c *Config, _ *resnet.Network) { c.WeightDecay = 0 },
		"loss":             func(c *Config, _ *resnet.Network) { c.Loss = Sigmoid },
		"label smoothing":  func(c *Config, _ *resnet.Network) { c.Smoothing = 0 },
		"images":           func(c *Config, _ *resnet.Network) { c.Data.Examples = c.Data.Examples[1:] },
		"augmentation":     func(c *Config, _ *resnet.Network) { c.Data.Pipeline = c.Data.Pipeline[:2] },
		"batch":            func(c *Config, _ *resnet.Network) { c.Data.Batch = 17 },
		"micro-batch":      func(c *Config, _ *resnet.Network) { c.Data.MicroBatch = 4 },
		"mixup":            func(c *Config, _ *resnet.Network) { c.Data.MixupAlpha = 0 },
		"seed":             func(c *Config, _ *resnet.Network) { c.Data.Seed = 4 },
		"starting weights": func(_ *Config, n *resnet.Network) { n.Params()[0].Value[0]++ },
		"pixel values": func(c *Config, _ *resnet.Network) {
			c.Data.Normalizer = imaging.NewNormalizer(1.0/255, [3]float64{}, [3]float64{1, 1, 1})
		},
	} {
		t.Run(field, func(t *testing.T) {
			cfg, net := everything(ds, 2, dir), tiny(t, 10)
			change(&cfg, net)
			_, err := Run(t.Context(), net, cfg)
			var mismatch *MismatchError
			if !errors.As(err, &mismatch) {
				t.Fatalf("error %v, want a MismatchError", err)
			}
			if len(mismatch.Differences) != 1 || mismatch.Differences[0].Field != field || mismatch.File != filepath.Join(dir, LastFile) {
				t.Errorf("%v, want a difference in %s only", err, field)
			}
		})
	}
	t.Run("network", func(t *testing.T) {
		_, err := Run(t.Context(), tiny(t, 11), everything(ds, 2, dir))
		if err == nil || !strings.Contains(err.Error(), "network") {
			t.Errorf("error %v, want one that names the network", err)
		}
	})
}

// Every cut and every flipped bit is noticed.
func TestCorruptCheckpoint(t *testing.T) {
	ds := cifar(t)
	dir := t.TempDir()
	want, _ := train(t, everything(ds, 2, dir))
	path := filepath.Join(dir, LastFile)
	sound, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	header := 8 + int(binary.LittleEndian.Uint64(sound))
	refused := func(t *testing.T, content []byte) {
		t.Helper()
		if err := os.WriteFile(path, content, 0o666); err != nil {
			t.Fatal(err)
		}
		_, err := Run(t.Context(), tiny(t, 10), everything(ds, 2, dir))
		if !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), path) {
			t.Errorf("error %v, want ErrCorrupt with the file's name", err)
		}
	}
	for _, length := range []int{0, 7, 8, 9, header - 1, header, header + 1, len(sound) - 1} {
		t.Run(fmt.Sprintf("cut/%d", length), func(t *testing.T) { refused(t, sound[:length]) })
	}
	t.Run("longer", func(t *testing.T) { refused(t, append(slices.Clone(sound), 0)) })
	for at := 0; at < len(sound); at += 1 + len(sound)/97 {
		t.Run(fmt.Sprintf("flip/%d", at), func(t *testing.T) {
			content := slices.Clone(sound)
			content[at] ^= 1 << (at % 8)
			refused(t, content)
		})
	}
	for at := range 8 {
		t.Run(fmt.Sprintf("flip/length/%d", at), func(t *testing.T) {
			content := slices.Clone(sound)
			content[at] ^= 0x10
			refused(t, content)
		})
	}
	t.Run("sound", func(t *testing.T) {
		if err := os.WriteFile(path, sound, 0o666); err != nil {
			t.Fatal(err)
		}
		if got, _ := train(t, everything(ds, 2, dir)); !slices.Equal(got, want) {
			t.Error("the sound file gives other weights")
		}
	})
}

// Each bit of the header in turn, in memory: no flip is taken for a sound file.
func TestHeaderBits(t *testing.T) {
	var file bytes.Buffer
	tensors := []tensorRef{{"param/a", []int{2, 3}, []float32{1, 2, 3, 4, 5, 6}}, {"param/b", []int{1}, []float32{7}}}
	if err := writeTensors(&file, map[string]string{"step": "12"}, tensors); err != nil {
		t.Fatal(err)
	}
	sound := file.Bytes()
	for bit := range len(sound) * 8 {
		content := slices.Clone(sound)
		content[bit/8] ^= 1 << (bit % 8)
		if _, err := openTensors(bytes.NewReader(content), int64(len(content))); !errors.Is(err, ErrCorrupt) {
			t.Errorf("bit %d of byte %d: error %v, want ErrCorrupt", bit%8, bit/8, err)
		}
	}
}

func TestTensorsOfOtherShape(t *testing.T) {
	var file bytes.Buffer
	if err := writeTensors(&file, map[string]string{}, []tensorRef{{"a", []int{2, 3}, make([]float32, 6)}}); err != nil {
		t.Fatal(err)
	}
	f, err := openTensors(bytes.NewReader(file.Bytes()), int64(file.Len()))
	if err != nil {
		t.Fatal(err)
	}
	for want, tensors := range map[string][]tensorRef{
		`tensor "a" is F32 (2, 3), expected F32 (3, 2)`: {{"a", []int{3, 2}, make([]float32, 6)}},
		`no tensor "b", expected one of shape (6)`:      {{"b", []int{6}, make([]float32, 6)}},
		`1 tensors, expected 0`:                         {},
	} {
		if err := readTensors(f, tensors); err == nil || err.Error() != want {
			t.Errorf("error %v, want %s", err, want)
		}
	}
}

func TestDirectoryIsAFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "out")
	if err := os.WriteFile(path, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	_, err := Run(t.Context(), tiny(t, 10), everything(cifar(t), 2, path))
	var pathErr *fs.PathError
	if !errors.As(err, &pathErr) || pathErr.Path != path {
		t.Errorf("error %v, want one that names %s", err, path)
	}
}

// A checkpoint is a safetensors file of the weights under their own names.
func TestCheckpointContent(t *testing.T) {
	dir := t.TempDir()
	net := tiny(t, 10)
	cfg := everything(cifar(t), 2, dir)
	cfg.EMA = 0
	if _, err := Run(t.Context(), net, cfg); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{LastFile, BestFile} {
		f, err := os.Open(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		st, err := f.Stat()
		if err != nil {
			t.Fatal(err)
		}
		file, err := openTensors(f, st.Size())
		if err != nil {
			t.Fatal(err)
		}
		if got, want := len(file.Tensors), 2*len(net.Params()); got != want {
			t.Errorf("%s: %d tensors, want %d", name, got, want)
		}
		other := tiny(t, 10)
		pool := par.New(1)
		l, err := newLoop(other, pool, cfg)
		if err != nil {
			t.Fatal(err)
		}
		if err := readTensors(file, l.tensors()); err != nil {
			t.Error(err)
		}
		if !slices.Equal(values(other), values(net)) {
			t.Errorf("%s does not hold the final weights, which are also the only ones evaluated", name)
		}
		if file.Metadata["step"] != "2" {
			t.Errorf("%s: step %q, want 2", name, file.Metadata["step"])
		}
		pool.Close()
		f.Close()
	}
}

func FuzzOpenTensors(f *testing.F) {
	var file bytes.Buffer
	if err := writeTensors(&file, map[string]string{"step": "1"}, []tensorRef{{"a", []int{2}, []float32{1, 2}}}); err != nil {
		f.Fatal(err)
	}
	f.Add(file.Bytes())
	f.Add([]byte("\x02\x00\x00\x00\x00\x00\x00\x00{}"))
	f.Fuzz(func(t *testing.T, content []byte) {
		file, err := openTensors(bytes.NewReader(content), int64(len(content)))
		if err == nil {
			readTensors(file, []tensorRef{{"a", []int{2}, make([]float32, 2)}})
		}
	})
}
