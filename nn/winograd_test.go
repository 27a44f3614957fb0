package nn

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/bigtransfer/bit/internal/cpu"
	"github.com/bigtransfer/bit/internal/oracle"
	"github.com/bigtransfer/bit/internal/par"
)

// winogradCases have maps that fill their tiles and such that do not, one tile and blocks that hold parts of several
// images, channels round a vector and a panel, and a depth of more than one product.
var winogradCases = []convCase{
	{1, 1, 1, 4, 3, 1, 4}, {1, 4, 4, 8, 3, 1, 8}, {2, 5, 3, 16, 3, 1, 20}, {3, 8, 12, 4, 3, 1, 33}, {1, 9, 13, 36, 3, 1, 32},
	{5, 14, 14, 32, 3, 1, 40}, {2, 28, 28, 12, 3, 1, 64}, {1, 56, 56, 8, 3, 1, 8}, {2, 7, 6, 288, 3, 1, 36}, {1, 3, 75, 4, 3, 1, 68}, {9, 15, 2, 20, 3, 1, 12},
}

// winogradTolerance is twice that of the direct product: the transforms' intermediate values are larger than the
// outputs that they add up to.
const winogradTolerance = 2 * layerTolerance

// TestWinograd compares the convolution in transformed tiles, planned whether it pays or not, with float64.
func TestWinograd(t *testing.T) {
	everyLevel(t, func(t *testing.T, e *Engine) {
		for i, c := range winogradCases {
			t.Run(c.String(), func(t *testing.T) {
				r := rand.New(rand.NewPCG(7, uint64(i)))
				k, w := predictorKernel(r, e, c)
				x := randomMap(r, c.n, c.h, c.w, c.ci)
				var norm *GroupNorm
				in := wide(x)
				if i%3 > 0 { // as in a unit; a map without a norm is padded in another way
					n := newNormed(t, r, e, x, 1)
					norm, in = n.GroupNorm, n.apply(in)
				}
				y := NewMap(c.n, c.h, c.w, c.co)
				f := newWinograd(e, &k.forward, x, norm, y)
				y.moments.reserve()
				f.finish = &forwardFinish{y, nil, true}
				f.run()
				want := c.twin(oracle.Wide(w)).Forward(in)
				near(t, "output", y.Data, want.V, winogradTolerance)

				next := NewGroupNorm(e, y, ones(c.co), make([]float32, c.co), nil, nil, 1, 1e-5)
				next.Prepare()
				twin := oracle.GroupNorm{Groups: 1, Epsilon: 1e-5, Gamma: oracle.Wide(ones(c.co)), Beta: make([]float64, c.co)}
				norm2 := twin.Forward(wide(y))
				near(t, "normalised output", next.Output().Data, oracle.Mask(norm2, oracle.Positive(norm2.V)).V, layerTolerance)
			})
		}
	})
}

// TestWinogradTraining is TestConv with all three halves in transformed tiles, whether it pays or not: also with more
// channels than a task of the kernel's gradient takes, tiles for several passes of one, and several slices of them.
func TestWinogradTraining(t *testing.T) {
	cases := append([]convCase{{1, 4, 8, 68, 3, 1, 132}, {3, 23, 26, 8, 3, 1, 12}, {6, 24, 24, 20, 3, 1, 36}}, winogradCases...)
	everyLevel(t, func(t *testing.T, e *Engine) {
		e.Winograd = WinogradAlways
		for i, c := range cases {
			t.Run(c.String(), func(t *testing.T) { testConv(t, e, c, i, false, winogradTolerance) })
		}
	})
}

func predictorKernel(r *rand.Rand, e *Engine, c convCase) (*Kernel, []float32) {
	w := random(r, c.k*c.k*c.ci*c.co)
	k := NewKernel(e, c.k, c.k, c.ci, c.co, c.stride, c.k/2, w, nil, testEpsilon)
	k.Fold()
	return k, w
}

// An image has the same bits alone and among others, with any number of threads, and where its tiles fall into blocks
// in another way.
func TestWinogradBits(t *testing.T) {
	for _, level := range cpu.Available() {
		t.Run(string(level), func(t *testing.T) {
			defer cpu.SetForTest(level)()
			for i, c := range winogradCases {
				run := func(threads, first, n int) []float32 {
					pool := par.New(threads)
					defer pool.Close()
					e := NewEngine(pool)
					r := rand.New(rand.NewPCG(8, uint64(i)))
					k, _ := predictorKernel(r, e, c)
					all, x := randomMap(r, c.n, c.h, c.w, c.ci), NewMap(n, c.h, c.w, c.ci)
					size := c.h * c.w * c.ci
					copy(x.Data, all.Data[first*size:])
					y := NewMap(n, c.h, c.w, c.co)
					for i := range y.Data {
						y.Data[i] = float32(math.NaN()) // every value is written
					}
					newWinograd(e, &k.forward, x, nil, y).run()
					return y.Data
				}
				want := run(1, 0, c.n)
				for _, threads := range []int{2, 3, 7} {
					if !slices.Equal(run(threads, 0, c.n), want) {
						t.Errorf("%v: %d threads change bits", c, threads)
					}
				}
				size := len(want) / c.n
				for image := range c.n {
					if !slices.Equal(run(2, image, 1), want[image*size:][:size]) {
						t.Errorf("%v: image %d has other bits alone", c, image)
					}
				}
			}
		})
	}
}

// TestWinogradError measures what the layers of R50x1 at 224 pixels lose by it in each half, on inputs as they are in the
// network: through ReLU.
func TestWinogradError(t *testing.T) {
	const images = 4
	for _, c := range []convCase{{images, 56, 56, 64, 3, 1, 64}, {images, 28, 28, 128, 3, 1, 128}, {images, 14, 14, 256, 3, 1, 256}, {images, 7, 7, 512, 3, 1, 512}} {
		r := rand.New(rand.NewPCG(9, uint64(c.ci)))
		x, dy, w := randomMap(r, images, c.h, c.w, c.ci), randomMap(r, images, c.h, c.w, c.co), random(r, 9*c.ci*c.co)
		for i, v := range x.Data {
			x.Data[i] = max(0, v)
		}
		twin := oracle.Conv{Kh: 3, Kw: 3, Ci: c.ci, Co: c.co, Stride: 1, Pad: 1, W: oracle.Wide(w)}
		want := twin.Forward(wide(x))
		wantX, wantW := twin.Backward(wide(x), wide(dy))
		everyLevel(t, func(t *testing.T, e *Engine) {
			if cpu.Active() == cpu.Generic {
				return // slow in plain Go, and the formulas are the same
			}
			errs := map[WinogradUse][3]float64{}
			for _, use := range []WinogradUse{WinogradNever, WinogradWhereItPays} {
				e.Winograd = use
				k := NewKernel(e, 3, 3, c.ci, c.co, 1, 1, w, make([]float32, len(w)), 0)
				k.Fold()
				y, dx := NewMap(images, c.h, c.w, c.co), NewMap(images, c.h, c.w, c.ci)
				conv := NewConv(k, x, nil, y, nil, false, false)
				conv.PlanBackward(dy, dx, false, false)
				for _, half := range []Half{Forward, InputGradient, KernelGradient} {
					if fast := conv.Algorithm(half) != "direct"; fast != (use != WinogradNever) {
						t.Fatalf("%v: %s in transformed tiles: %v", c, half, fast)
					}
				}
				conv.Forward()
				conv.BackwardKernel(dy, make([]float32, conv.GradScratch()))
				conv.BackwardInput()
				errs[use] = [3]float64{oracle.Error(y.Data, want.V), oracle.Error(dx.Data, wantX.V), oracle.Error(k.dw, wantW)}
			}
			for i, half := range []Half{Forward, InputGradient, KernelGradient} {
				direct, tiles := errs[WinogradNever][i], errs[WinogradWhereItPays][i]
				t.Logf("%v %s: relative to the largest value, direct %.1e, in tiles %.1e", c, half, direct, tiles)
				if !(tiles <= 3*direct) { // both grow with the square root of the depth
					t.Errorf("%v %s: off by %.1e of the largest value, direct products by %.1e: want at most three times that", c, half, tiles, direct)
				}
			}
		})
	}
}

// The choice of inference depends on an image's shape and is what was measured: not for maps of less than a tile.
func TestWinogradPays(t *testing.T) {
	pool := par.New(1)
	defer pool.Close()
	e := NewEngine(pool)
	for _, c := range []struct {
		side, channels int
		want           bool
	}{{56, 64, true}, {28, 128, true}, {14, 256, true}, {7, 512, true}, {56, 192, true}, {7, 1536, true}, {4, 64, true}, {4, 512, true}, {3, 512, false}, {2, 256, false}, {1, 64, false}} {
		k := NewKernel(e, 3, 3, c.channels, c.channels, 1, 1, make([]float32, 9*c.channels*c.channels), nil, 0)
		if got := k.winogradPays(smallBatch, c.side, c.side); got != c.want {
			t.Errorf("%d pixels, %d channels: %v, want %v", c.side, c.channels, got, c.want)
		}
		k.Stride = 2
		e.Winograd = WinogradAlways
		if k.usesWinograd(1, c.side, c.side) {
			t.Errorf("%d pixels, %d channels, stride 2: in transformed tiles", c.side, c.channels)
		}
	}
}
