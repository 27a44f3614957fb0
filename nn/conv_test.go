package nn

import (
	"math/rand/v2"
	"testing"

	"github.com/bigtransfer/bit/internal/oracle"
)

type convCase struct{ n, h, w, ci, k, stride, co int }

// convCases go round the sizes at which work is cut: tiles of 14 rows, panels of 32 columns, blocks of 126 rows,
// depths of 256, and blocks that hold the end of one image and the start of the next.
var convCases = []convCase{
	{1, 1, 1, 4, 1, 1, 8}, {1, 1, 13, 8, 1, 1, 31}, {1, 2, 7, 8, 1, 1, 32}, {1, 3, 5, 8, 1, 1, 33},
	{1, 1, 125, 16, 1, 1, 20}, {1, 9, 14, 16, 1, 1, 20}, {1, 1, 127, 16, 1, 1, 20}, {5, 9, 7, 64, 1, 1, 70},
	{2, 3, 3, 256, 1, 1, 16}, {2, 3, 3, 260, 1, 1, 16}, {3, 2, 2, 520, 1, 1, 36}, {2, 2, 2, 16, 1, 1, 516}, {2, 23, 29, 8, 1, 1, 12},
	{1, 1, 1, 4, 1, 2, 4}, {2, 8, 8, 12, 1, 2, 24}, {3, 7, 5, 12, 1, 2, 24}, {5, 6, 9, 32, 1, 2, 40},
	{1, 1, 1, 4, 3, 1, 4}, {1, 2, 3, 4, 3, 1, 8}, {5, 5, 7, 8, 3, 1, 12}, {2, 14, 14, 32, 3, 1, 36}, {1, 9, 13, 64, 3, 1, 32}, {3, 3, 50, 4, 3, 1, 4},
	{1, 1, 1, 4, 3, 2, 4}, {1, 1, 2, 4, 3, 2, 4}, {1, 2, 1, 4, 3, 2, 4}, {3, 8, 8, 8, 3, 2, 12}, {5, 7, 9, 32, 3, 2, 36}, {2, 15, 4, 64, 3, 2, 32},
}

var stemCases = []convCase{
	{1, 1, 1, 3, 7, 2, 8}, {1, 2, 3, 3, 7, 2, 32}, {2, 8, 8, 3, 7, 2, 32}, {3, 33, 32, 3, 7, 2, 16}, {2, 37, 29, 3, 7, 2, 33}, {2, 9, 16, 1, 7, 2, 64}, {1, 12, 12, 5, 7, 2, 8},
	{2, 5, 6, 3, 3, 1, 8}, {2, 5, 6, 3, 3, 2, 8},
}

const testEpsilon = 1e-8

func newTestKernel(r *rand.Rand, e *Engine, c convCase) (k *Kernel, w, dw []float32) {
	w = random(r, c.k*c.k*c.ci*c.co)
	dw = random(r, len(w)) // Backward adds
	k = NewKernel(e, c.k, c.k, c.ci, c.co, c.stride, c.k/2, w, dw, testEpsilon)
	k.Fold()
	return k, w, dw
}

// twin returns the convolution in float64 over parameters w.
func (c convCase) twin(w []float64) oracle.Conv {
	return oracle.Conv{Kh: c.k, Kw: c.k, Ci: c.ci, Co: c.co, Stride: c.stride, Pad: c.k / 2, W: oracle.Standardise(w, c.co, testEpsilon)}
}

// TestConv compares a convolution through GroupNorm and ReLU, forward and backward, with its float64 twin and with
// central differences. It is used as the network does: a shortcut is added to its output, whose moments are taken, and
// its gradient is that of the normalisation's input.
func TestConv(t *testing.T) {
	everyLevel(t, func(t *testing.T, e *Engine) {
		for i, c := range convCases {
			t.Run(c.String(), func(t *testing.T) { testConv(t, e, c, i, i%2 == 0, layerTolerance) })
		}
	})
}

// testConv tests one case. With accumulate, the output is added to what a projection left there, else to a shortcut.
func testConv(t *testing.T, e *Engine, c convCase, i int, accumulate bool, tolerance float64) {
	r := rand.New(rand.NewPCG(3, uint64(i)))
	k, w, dw := newTestKernel(r, e, c)
	x := randomMap(r, c.n, c.h, c.w, c.ci)
	groups := 4
	if c.h*c.w < 4 { // a group of two values is ±1 whatever they are: its gradient is rounding
		groups = 1
	}
	norm := newNormed(t, r, e, x, groups)
	ho, wo := k.OutSide(c.h), k.OutSide(c.w)
	y := randomMap(r, c.n, ho, wo, c.co) // the shortcut of a projection is there before
	want := wide(y)
	var shortcut *Map
	if !accumulate {
		shortcut = randomMap(r, c.n, ho, wo, c.co)
		want = wide(shortcut)
	}
	conv := NewConv(k, x, norm.GroupNorm, y, shortcut, accumulate, true)
	conv.Forward()

	x64, w64 := wide(x), oracle.Wide(w)
	for i, v := range c.twin(w64).Forward(norm.apply(x64)).V {
		want.V[i] += v
	}
	near(t, "output", y.Data, want.V, tolerance)
	// With one group the moments that were taken on the way are those of whole images.
	next := NewGroupNorm(e, y, ones(c.co), make([]float32, c.co), nil, nil, 1, 1e-5)
	next.Prepare()
	twin := oracle.GroupNorm{Groups: 1, Epsilon: 1e-5, Gamma: oracle.Wide(ones(c.co)), Beta: make([]float64, c.co)}
	norm2 := twin.Forward(wide(y))
	near(t, "normalised output", next.Output().Data, oracle.Mask(norm2, oracle.Positive(norm2.V)).V, tolerance)

	dy, dx, before := randomMap(r, c.n, ho, wo, c.co), randomMap(r, c.n, c.h, c.w, c.ci), oracle.Wide(dw)
	if c.stride > 1 && c.k == 1 {
		clear(dx.Data) // pixels that no output reads are left alone
	}
	conv.PlanBackward(dy, dx, false, true)
	scratch := make([]float32, conv.GradScratch())
	conv.BackwardKernel(dy, scratch)
	conv.BackwardInput()
	var skip *Map
	if i%3 == 0 {
		skip = randomMap(r, c.n, c.h, c.w, c.ci)
	}
	norm.Backward(skip)

	dy64 := wide(dy)
	dp, dhat := c.twin(w64).Backward(norm.apply(x64), dy64)
	wantX, wantGamma, wantBeta := norm.backward(x64, dp)
	if skip != nil {
		for i, v := range skip.Data {
			wantX.V[i] += float64(v)
		}
	}
	grad := subtract(dw, before)
	near(t, "kernel gradient", grad, oracle.StandardiseBackward(w64, dhat, c.co, testEpsilon), tolerance)
	near(t, "input gradient", dx.Data, wantX.V, tolerance)
	near(t, "scale gradient", norm.dgamma, wantGamma, tolerance)
	near(t, "shift gradient", norm.dbeta, wantBeta, tolerance)

	loss := func() float64 { return dot(c.twin(w64).Forward(norm.apply(x64)).V, dy64.V) }
	differences(t, r, "kernel gradient", grad, w64, loss)
	differences(t, r, "scale gradient", norm.dgamma, norm.twin.Gamma, loss)
	differences(t, r, "shift gradient", norm.dbeta, norm.twin.Beta, loss)
	if skip == nil {
		differences(t, r, "input gradient", dx.Data, x64.V, loss)
	}
}

// TestStem is TestConv for convolutions of the raw input, and with gradients that accumulate.
func TestStem(t *testing.T) {
	everyLevel(t, func(t *testing.T, e *Engine) {
		for i, c := range append(stemCases, convCases...) {
			t.Run(c.String(), func(t *testing.T) {
				r := rand.New(rand.NewPCG(4, uint64(i)))
				k, w, dw := newTestKernel(r, e, c)
				x := randomMap(r, c.n, c.h, c.w, c.ci)
				y := randomMap(r, c.n, k.OutSide(c.h), k.OutSide(c.w), c.co)
				conv := NewConv(k, x, nil, y, nil, false, false)
				conv.Forward()
				x64, w64 := wide(x), oracle.Wide(w)
				near(t, "output", y.Data, c.twin(w64).Forward(x64).V, layerTolerance)

				dy, dx := randomMap(r, y.N, y.H, y.W, y.C), randomMap(r, c.n, c.h, c.w, c.ci)
				before, beforeX := oracle.Wide(dw), oracle.Wide(dx.Data)
				conv.PlanBackward(dy, dx, true, false)
				conv.BackwardKernel(dy, make([]float32, conv.GradScratch()))
				conv.BackwardInput()
				wantX, dhat := c.twin(w64).Backward(x64, wide(dy))
				grad, gradX := subtract(dw, before), subtract(dx.Data, beforeX)
				near(t, "kernel gradient", grad, oracle.StandardiseBackward(w64, dhat, c.co, testEpsilon), layerTolerance)
				near(t, "input gradient", gradX, wantX.V, layerTolerance)
				loss := func() float64 { return dot(c.twin(w64).Forward(x64).V, oracle.Wide(dy.Data)) }
				differences(t, r, "kernel gradient", grad, w64, loss)
				differences(t, r, "input gradient", gradX, x64.V, loss)
			})
		}
	})
}

func ones(n int) []float32 {
	v := make([]float32, n)
	for i := range v {
		v[i] = 1
	}
	return v
}

// subtract returns a - b.
func subtract(a []float32, b []float64) []float32 {
	d := make([]float32, len(a))
	for i := range a {
		d[i] = float32(float64(a[i]) - b[i])
	}
	return d
}
