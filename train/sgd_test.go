package train

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/bigtransfer/bit/internal/par"
	"github.com/bigtransfer/bit/resnet"
)

// param is a network parameter of one value; a kernel if it has two axes.
func param(kernel bool, value float32) *resnet.Param {
	shape := []int{1}
	if kernel {
		shape = []int{1, 1}
	}
	return &resnet.Param{ParamSpec: resnet.ParamSpec{Name: "p", Shape: shape}, Value: []float32{value}, Grad: []float32{0}}
}

func optimise(t *testing.T, o SGD, params ...*resnet.Param) *optimiser {
	t.Helper()
	pool := par.New(1)
	t.Cleanup(pool.Close)
	return newOptimiser(o, pool, params)
}

func near(got float32, want float64) bool { return math.Abs(float64(got)-want) <= 1e-6*math.Abs(want) }

// Three steps worked out by hand from torch.optim.SGD's definition (momentum, weight_decay; dampening 0, nesterov
// False). The rate drops tenfold after the first, which tells PyTorch's form from Keras'.
func TestSGDTrajectory(t *testing.T) {
	kernel, shift := param(true, 1), param(false, 1)
	o := optimise(t, SGD{Momentum: 0.9, WeightDecay: 0.5}, kernel, shift)
	for step, c := range []struct {
		rate          float64
		grad          float32
		kernel, shift float64
	}{
		// kernel: g = 2 + 0.5·1 = 2.5, v = 2.5, p = 1 − 0.1·2.5; shift: v = 2, p = 1 − 0.1·2
		{0.1, 2, 0.75, 0.8},
		// kernel: g = −1 + 0.5·0.75 = −0.625, v = 2.25 − 0.625 = 1.625, p = 0.75 − 0.01625; shift: v = 1.8 − 1 = 0.8
		{0.01, -1, 0.73375, 0.792},
		// kernel: g = 0.5·0.73375, v = 1.4625 + 0.366875, p = 0.73375 − 0.01829375; shift: v = 0.72
		{0.01, 0, 0.71545625, 0.7848},
	} {
		kernel.Grad[0], shift.Grad[0] = c.grad, c.grad
		o.step(c.rate, o.norm(), step)
		if !near(kernel.Value[0], c.kernel) || !near(shift.Value[0], c.shift) {
			t.Errorf("step %d: kernel %v, shift %v, want %v, %v", step, kernel.Value[0], shift.Value[0], c.kernel, c.shift)
		}
	}
}

// The gradients 3 and 4 have the norm 5 together. Clipped to 1 they are 0.6 and 0.8, and the decay is added after.
func TestSGDClip(t *testing.T) {
	for _, c := range []struct {
		clip float64
		want [2]float64
	}{{1, [2]float64{2 - 0.6 - 0.5*2, 2 - 0.8 - 0.5*2}}, {5, [2]float64{2 - 3 - 1, 2 - 4 - 1}}, {0, [2]float64{-2, -3}}} {
		a, b := param(true, 2), param(true, 2)
		o := optimise(t, SGD{WeightDecay: 0.5, ClipNorm: c.clip}, a, b)
		a.Grad[0], b.Grad[0] = 3, 4
		o.step(1, o.norm(), 0)
		if !near(a.Value[0], c.want[0]) || !near(b.Value[0], c.want[1]) {
			t.Errorf("clip %v: %v, %v, want %v", c.clip, a.Value[0], b.Value[0], c.want)
		}
	}
}

// The average's decay is 2/11 after the first update, 3/12 after the second and at most the one set.
func TestSGDAverage(t *testing.T) {
	p := param(false, 1)
	o := optimise(t, SGD{EMA: 0.2}, p)
	ema := []float32{1}
	o.state[0].ema = ema
	p.Grad[0] = 1
	o.step(1, 1, 0) // p = 0: 2/11·1
	if want := 2.0 / 11; !near(ema[0], want) {
		t.Errorf("after one step %v, want %v", ema[0], want)
	}
	p.Grad[0] = -1
	o.step(1, 1, 1) // p = 1: 0.2·2/11 + 0.8·1
	if want := 0.2*2/11 + 0.8; !near(ema[0], want) {
		t.Errorf("after two steps %v, want %v", ema[0], want)
	}
}

// Norm and update have the same bits at any number of threads, also across pieces that do not divide the tensor.
func TestSGDThreads(t *testing.T) {
	update := func(threads int) (values []float32, norm float64) {
		r := rand.New(rand.NewPCG(5, 5))
		p := &resnet.Param{ParamSpec: resnet.ParamSpec{Shape: []int{1, 3*chunk + 77}}}
		for range 3*chunk + 77 {
			p.Value = append(p.Value, float32(r.NormFloat64()))
			p.Grad = append(p.Grad, float32(r.NormFloat64()))
		}
		pool := par.New(threads)
		defer pool.Close()
		o := newOptimiser(SGD{Momentum: 0.9, WeightDecay: 1e-4, ClipNorm: 1}, pool, []*resnet.Param{p})
		norm = o.norm()
		o.step(0.1, norm, 0)
		return p.Value, norm
	}
	want, wantNorm := update(1)
	for _, threads := range []int{2, 3, 8} {
		if got, norm := update(threads); !slices.Equal(got, want) || norm != wantNorm {
			t.Errorf("%d threads: other bits than 1 thread", threads)
		}
	}
}
