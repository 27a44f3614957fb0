package resnet_test

import (
	"math"
	"math/rand/v2"
	"runtime"
	"testing"

	"github.com/bigtransfer/bit/internal/cpu"
	"github.com/bigtransfer/bit/internal/kernels"
	"github.com/bigtransfer/bit/internal/oracle"
	"github.com/bigtransfer/bit/internal/par"
	"github.com/bigtransfer/bit/nn"
	"github.com/bigtransfer/bit/resnet"
)

// smallConfig is a network of all kinds of units that runs fast at every level.
func smallConfig() resnet.Config {
	return resnet.Config{Channels: 3, StemWidth: 16, Widths: []int{32, 64, 96}, Depths: []int{1, 2, 1}, Groups: 8, Classes: 11,
		GNEpsilon: resnet.GNEpsilon, WSEpsilon: resnet.WSEpsilonTimm}
}

// newNetwork returns a network whose every parameter is drawn, the head's too.
func newNetwork(t testing.TB, cfg resnet.Config, seed uint64) *resnet.Network {
	t.Helper()
	net, err := resnet.NewNetwork(cfg)
	if err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(seed, 1))
	net.Init(r)
	for _, p := range net.Params() {
		if len(p.Shape) < 4 {
			for i := range p.Value {
				p.Value[i] += float32(r.NormFloat64()) * 0.1
			}
		}
	}
	return net
}

func randomInput(seed uint64, n int) []float32 {
	r := rand.New(rand.NewPCG(seed, 2))
	x := make([]float32, n)
	for i := range x {
		x[i] = r.Float32()*2 - 1
	}
	return x
}

func everyLevel(t *testing.T, f func(t *testing.T)) {
	for _, level := range cpu.Available() {
		t.Run(string(level), func(t *testing.T) {
			defer cpu.SetForTest(level)()
			f(t)
		})
	}
}

// batch is a shape of input.
type batch struct{ n, h, w int }

func (b batch) len() int { return b.n * b.h * b.w * 3 }

// trained is what some steps of SGD leave, to the bit.
type trained struct {
	logits, grads, values, predicted []float32
}

// winogradTolerance bounds what Winograd's convolutions change in logits and features, relative to the
// largest: a layer's error is some 2e-6 of its largest output, and the errors of layers add up as those of float32 do.
const winogradTolerance = 2e-5

func train(t *testing.T, cfg resnet.Config, b batch, use nn.WinogradUse, again resnet.Recompute, threads, steps int) trained {
	t.Helper()
	net := newNetwork(t, cfg, 1)
	pool := par.New(threads)
	defer pool.Close()
	tr := net.NewTrainerWith(pool, resnet.TrainerOptions{Recompute: again}).WithWinograd(use)
	var all trained
	velocity := map[string][]float32{}
	for step := range steps {
		tr.ZeroGrad()
		logits, err := tr.Forward(randomInput(uint64(step), b.len()), b.n, b.h, b.w)
		if err != nil {
			t.Fatal(err)
		}
		all.logits = append(all.logits, logits...)
		labels := make([]int, b.n)
		for i := range labels {
			labels[i] = (i + step) % cfg.Classes
		}
		_, dlogits := oracle.CrossEntropy(oracle.Wide(logits), labels)
		tr.Backward(narrow(dlogits))
		for _, p := range net.Params() {
			if velocity[p.Name] == nil {
				velocity[p.Name] = make([]float32, len(p.Value))
			}
			all.grads = append(all.grads, p.Grad...)
			kernels.SGD(p.Value, velocity[p.Name], p.Grad, 0.03, 0.9, 1e-4, 1)
		}
	}
	for _, p := range net.Params() {
		all.values = append(all.values, p.Value...)
	}
	// A predictor must see the same network: to the bit where it takes the same products, else but for rounding.
	same, predicted := make([]float32, b.n*cfg.Classes), make([]float32, b.n*cfg.Classes)
	tr.ZeroGrad()
	x := randomInput(99, b.len())
	logits, err := tr.Forward(x, b.n, b.h, b.w)
	if err != nil {
		t.Fatal(err)
	}
	if err := net.NewPredictor(pool).WithWinograd(use).Logits(same, x, b.n, b.h, b.w); err != nil {
		t.Fatal(err)
	}
	if use == nn.WinogradWhereItPays { // for one of them by the image, for the other by the batch
		closeTo(t, "logits", same, logits)
	} else if !sameBits(same, logits) {
		t.Errorf("%d threads: the predictor's logits are not the trainer's to the bit", threads)
	}
	if err := net.NewPredictor(pool).Logits(predicted, x, b.n, b.h, b.w); err != nil {
		t.Fatal(err)
	}
	closeTo(t, "logits", predicted, logits)
	all.predicted = predicted
	return all
}

// closeTo compares what was computed by one kind of convolutions with what was by another.
func closeTo(t *testing.T, name string, got, want []float32) {
	t.Helper()
	if e := oracle.Error(got, oracle.Wide(want)); !(e <= winogradTolerance) {
		t.Errorf("%s of a predictor differ by %.1e of the largest from those of a trainer, want at most %.0e", name, e, winogradTolerance)
	}
}

// TestThreads trains with 1, 2, 3, 5 and 8 threads, and with what is computed again to save memory: logits, gradients and
// weights have the same bits.
func TestThreads(t *testing.T) {
	wide := smallConfig() // more columns than a task takes, and blocks that images share
	wide.StemWidth, wide.Widths, wide.Depths, wide.Groups = 64, []int{256, 576}, []int{1, 1}, 16
	everyLevel(t, func(t *testing.T) {
		for _, c := range []struct {
			name string
			cfg  resnet.Config
			batch
			use   nn.WinogradUse
			steps int
		}{
			{"awkward", smallConfig(), batch{5, 37, 29}, nn.WinogradAlways, 3},
			{"awkward direct", smallConfig(), batch{5, 37, 29}, nn.WinogradNever, 3},
			{"one pixel", smallConfig(), batch{3, 1, 1}, nn.WinogradAlways, 3},
			{"square", smallConfig(), batch{8, 64, 64}, nn.WinogradNever, 2},
			{"wide", wide, batch{2, 34, 21}, nn.WinogradAlways, 2},
			{"embedded", tinyConfig(), batch{4, 64, 64}, nn.WinogradWhereItPays, 1},
		} {
			if c.name == "embedded" && cpu.Active() == cpu.Generic {
				continue // slow in plain Go; the cut of the work is that of the other levels
			}
			t.Run(c.name, func(t *testing.T) {
				want := train(t, c.cfg, c.batch, c.use, resnet.RecomputeNothing, 1, c.steps)
				if x := oracle.Largest(oracle.Wide(want.grads)); !(x > 0) || math.IsInf(x, 0) {
					t.Fatalf("largest gradient is %v", x)
				}
				for i, threads := range []int{2, 3, 5, 8, 1} {
					again := resnet.Recomputes()[(i+1)%3]
					got := train(t, c.cfg, c.batch, c.use, again, threads, c.steps)
					for _, v := range []struct {
						name      string
						got, want []float32
					}{{"logits", got.logits, want.logits}, {"gradients", got.grads, want.grads}, {"weights", got.values, want.values}, {"predicted logits", got.predicted, want.predicted}} {
						if !sameBits(v.got, v.want) {
							t.Errorf("%d threads, %v again: %s are not those of 1 thread that keeps all to the bit", threads, again, v.name)
						}
					}
				}
			})
		}
	})
}

// TestBatchMates computes each image alone and among others: its logits have the same bits.
func TestBatchMates(t *testing.T) {
	everyLevel(t, func(t *testing.T) {
		pool := par.New(2)
		defer pool.Close()
		cfg := smallConfig()
		p := newNetwork(t, cfg, 4).NewPredictor(pool)
		for _, b := range []batch{{5, 37, 29}, {37, 16, 16}, {3, 90, 75}, {2, 1, 1}} {
			x := randomInput(5, b.len())
			together := make([]float32, b.n*cfg.Classes)
			if err := p.Logits(together, x, b.n, b.h, b.w); err != nil {
				t.Fatal(err)
			}
			size := b.len() / b.n
			for i := range b.n {
				alone := make([]float32, cfg.Classes)
				if err := p.Logits(alone, x[i*size:(i+1)*size], 1, b.h, b.w); err != nil {
					t.Fatal(err)
				}
				if !sameBits(alone, together[i*cfg.Classes:][:cfg.Classes]) {
					t.Errorf("%dx%d: image %d of %d has other logits alone", b.h, b.w, i, b.n)
				}
			}
		}
	})
}

// TestAccumulation runs a batch whole and in unequal parts: the gradients are equal but for rounding.
func TestAccumulation(t *testing.T) {
	everyLevel(t, func(t *testing.T) {
		pool := par.New(2)
		defer pool.Close()
		cfg, b := smallConfig(), batch{7, 33, 30}
		net := newNetwork(t, cfg, 2)
		tr := net.NewTrainer(pool)
		x, labels := randomInput(3, b.len()), []int{3, 1, 4, 1, 5, 9, 2}
		run := func(cuts ...int) map[string][]float64 {
			tr.ZeroGrad()
			for i := range len(cuts) - 1 {
				lo, hi := cuts[i], cuts[i+1]
				size := b.len() / b.n
				logits, err := tr.Forward(x[lo*size:hi*size], hi-lo, b.h, b.w)
				if err != nil {
					t.Fatal(err)
				}
				_, dlogits := oracle.CrossEntropy(oracle.Wide(logits), labels[lo:hi])
				for i := range dlogits { // the mean is over the whole batch
					dlogits[i] *= float64(hi-lo) / float64(b.n)
				}
				tr.Backward(narrow(dlogits))
			}
			grads := map[string][]float64{}
			for _, p := range net.Params() {
				grads[p.Name] = oracle.Wide(p.Grad)
			}
			return grads
		}
		whole := run(0, 7)
		largest := 0.0
		for _, cuts := range [][]int{{0, 3, 7}, {0, 1, 2, 3, 4, 5, 6, 7}} {
			for name, parts := range run(cuts...) {
				largest = max(largest, oracle.Error(parts, whole[name]))
			}
		}
		// Both are sums over the same pixels, about 10^3 of them for the deepest maps, in another order.
		if !(largest <= 3e-6) {
			t.Errorf("gradients of parts are off by %.1e of the largest value", largest)
		}
		t.Logf("largest relative difference %.1e", largest)
	})
}

// TestNotFinite sets one pixel of one image to NaN or infinity: that image's logits are NaN, and those of the others
// have the bits they have without.
func TestNotFinite(t *testing.T) {
	everyLevel(t, func(t *testing.T) {
		pool := par.New(2)
		defer pool.Close()
		cfg := smallConfig()
		net := newNetwork(t, cfg, 4)
		for _, b := range []batch{{4, 19, 23}, {2, 64, 61}} { // the second large enough for Winograd's tiles
			notFinite(t, net, pool, b)
		}
	})
}

func notFinite(t *testing.T, net *resnet.Network, pool *par.Pool, b batch) {
	cfg := net.Config
	pr := net.NewPredictor(pool)
	x := randomInput(5, b.len())
	want, got := make([]float32, b.n*cfg.Classes), make([]float32, b.n*cfg.Classes)
	if err := pr.Logits(want, x, b.n, b.h, b.w); err != nil {
		t.Fatal(err)
	}
	size := b.len() / b.n
	for _, bad := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
		for image := range b.n {
			for _, at := range []int{0, size / 2, size - 1} {
				old := x[image*size+at]
				x[image*size+at] = float32(bad)
				if err := pr.Logits(got, x, b.n, b.h, b.w); err != nil {
					t.Fatal(err)
				}
				x[image*size+at] = old
				for i, v := range got {
					switch {
					case i/cfg.Classes == image && v == v:
						t.Fatalf("%v at value %d of image %d: its logit %d is %v, want NaN", bad, at, image, i%cfg.Classes, v)
					case i/cfg.Classes != image && math.Float32bits(v) != math.Float32bits(want[i]):
						t.Fatalf("%v at value %d of image %d: logit %d of image %d is %v, without it %v", bad, at, image, i%cfg.Classes, i/cfg.Classes, v, want[i])
					}
				}
			}
		}
	}
}

// TestAllocations: from the second call of a shape on nothing is allocated, whichever threads the work falls to.
// testing.AllocsPerRun would run all threads on one processor.
func TestAllocations(t *testing.T) {
	everyLevel(t, func(t *testing.T) {
		for _, threads := range []int{1, 2, 5} {
			pool := par.New(threads)
			defer pool.Close()
			cfg, b := smallConfig(), batch{3, 64, 61}
			net := newNetwork(t, cfg, 6)
			tr, pr := net.NewTrainerWith(pool, resnet.TrainerOptions{Recompute: resnet.Recomputes()[threads%3]}), net.NewPredictor(pool)
			x, dst, dlogits := randomInput(7, b.len()), make([]float32, b.n*cfg.Classes), randomInput(8, b.n*cfg.Classes)
			run := func() {
				if err := pr.Logits(dst, x, b.n, b.h, b.w); err != nil {
					t.Fatal(err)
				}
				tr.ZeroGrad()
				if _, err := tr.Forward(x, b.n, b.h, b.w); err != nil {
					t.Fatal(err)
				}
				tr.Backward(dlogits)
			}
			run()
			const runs = 10
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			for range runs {
				run()
			}
			runtime.ReadMemStats(&after)
			// The runtime allocates a little on its own now and then, such as for a goroutine that waits for the first
			// time; a layer that allocates does so in every run.
			if n := after.Mallocs - before.Mallocs; n >= runs {
				t.Errorf("%d threads: %d allocations of %d bytes in %d predictions and steps", threads, n, after.TotalAlloc-before.TotalAlloc, runs)
			}
		}
	})
}
