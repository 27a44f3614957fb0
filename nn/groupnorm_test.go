package nn

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/bigtransfer/bit/internal/oracle"
)

// Values computed by hand. ReLU hides negative ones, so they are shown by a scale of -1.
func TestGroupNormVector(t *testing.T) {
	want := []float64{-1.212676698504, -0.727606019102, -1.095444384714, -0.730296256476, 0.727606019102, 1.212676698504, 0.365148128238, 1.460592512952}
	everyLevel(t, func(t *testing.T, e *Engine) {
		x := NewMap(1, 1, 2, 4)
		copy(x.Data, []float32{1, 2, 3, 4, 5, 6, 7, 10})
		x.takeMoments()
		for _, sign := range []float32{1, -1} {
			g := NewGroupNorm(e, x, []float32{sign, sign, sign, sign}, make([]float32, 4), nil, nil, 2, 1e-5)
			g.Prepare()
			signed := make([]float64, 8)
			for i, v := range want {
				signed[i] = max(0, v*float64(sign))
			}
			near(t, fmt.Sprintf("scale %v", sign), g.Output().Data, signed, 2e-7)
		}
	})
}

// Maps of more pixels than a block, of fewer, and of blocks that several images share, through the statistics.
func TestGroupNormStatistics(t *testing.T) {
	everyLevel(t, func(t *testing.T, e *Engine) {
		r := rand.New(rand.NewPCG(1, 2))
		for _, c := range []struct{ n, h, w, c, groups int }{
			{1, 1, 1, 4, 2}, {7, 1, 1, 64, 32}, {3, 5, 5, 32, 8}, {2, 11, 23, 36, 4}, {1, 40, 41, 20, 5}, {9, 4, 4, 132, 33}, {40, 2, 2, 8, 8},
		} {
			for _, offset := range []float32{0, 1000} {
				x := NewMap(c.n, c.h, c.w, c.c)
				for i := range x.Data {
					x.Data[i] = float32(r.NormFloat64()) + offset
				}
				x.takeMoments()
				g := NewGroupNorm(e, x, random(r, c.c), random(r, c.c), nil, nil, c.groups, 1e-5)
				g.Prepare()
				x64, per := wide(x), c.c/c.groups
				for n := range c.n {
					for group := range c.groups {
						var values []float64
						for p := range c.h * c.w {
							at := (n*c.h*c.w+p)*c.c + group*per
							values = append(values, x64.V[at:at+per]...)
						}
						mean, variance := 0.0, 0.0
						for _, v := range values {
							mean += v / float64(len(values))
						}
						for _, v := range values {
							variance += (v - mean) * (v - mean) / float64(len(values))
						}
						want := 1 / math.Sqrt(variance+1e-5)
						if got := g.rstd[n*c.groups+group]; math.Abs(got-want) > 1e-5*want {
							t.Errorf("%v offset %v: image %d group %d has 1/σ %v, want %v", c, offset, n, group, got, want)
						}
						if got := float64(g.mean[n*c.c+group*per]); math.Abs(got-mean) > 1e-6+1e-7*math.Abs(mean) {
							t.Errorf("%v offset %v: image %d group %d has mean %v, want %v", c, offset, n, group, got, mean)
						}
					}
				}
			}
		}
	})
}

func TestGlobalMean(t *testing.T) {
	everyLevel(t, func(t *testing.T, e *Engine) {
		r := rand.New(rand.NewPCG(7, 8))
		for _, c := range []struct{ n, h, w, c, groups int }{{1, 1, 1, 8, 2}, {3, 7, 7, 260, 4}, {5, 3, 2, 32, 32}, {2, 12, 13, 516, 4}} {
			t.Run(fmt.Sprint(c), func(t *testing.T) {
				x := randomMap(r, c.n, c.h, c.w, c.c)
				norm := newNormed(t, r, e, x, c.groups)
				y := NewMap(c.n, 1, 1, c.c)
				mean := NewGlobalMean(e, x, norm.GroupNorm, y)
				mean.Forward()
				x64 := wide(x)
				near(t, "mean", y.Data, oracle.Mean(norm.apply(x64)).V, layerTolerance)

				dy, dx := randomMap(r, c.n, 1, 1, c.c), randomMap(r, c.n, c.h, c.w, c.c)
				dy64 := wide(dy)
				mean.Backward(dy, dx)
				wantX, wantGamma, wantBeta := norm.backward(x64, oracle.MeanBackward(x64, dy64))
				near(t, "input gradient", dx.Data, wantX.V, layerTolerance)
				near(t, "scale gradient", norm.dgamma, wantGamma, layerTolerance)
				near(t, "shift gradient", norm.dbeta, wantBeta, layerTolerance)
				differences(t, r, "input gradient", dx.Data, x64.V, func() float64 { return dot(oracle.Mean(norm.apply(x64)).V, dy64.V) })
			})
		}
	})
}

func TestDense(t *testing.T) {
	everyLevel(t, func(t *testing.T, e *Engine) {
		r := rand.New(rand.NewPCG(9, 10))
		for _, c := range []struct{ n, features, classes int }{{1, 1, 1}, {3, 128, 10}, {17, 260, 33}, {127, 64, 1000}} {
			t.Run(fmt.Sprint(c), func(t *testing.T) {
				w, bias := random(r, c.features*c.classes), random(r, c.classes)
				dw, dbias := random(r, len(w)), random(r, c.classes)
				k := NewKernel(e, 1, 1, c.features, c.classes, 1, 0, w, dw, 0)
				k.Fold()
				x, y := randomMap(r, c.n, 1, 1, c.features), NewMap(c.n, 1, 1, c.classes)
				d := NewDense(k, bias, dbias, x, y)
				d.Forward()
				twin := oracle.Conv{Kh: 1, Kw: 1, Ci: c.features, Co: c.classes, Stride: 1, W: oracle.Wide(w)}
				want := twin.Forward(wide(x))
				for i := range want.V {
					want.V[i] += float64(bias[i%c.classes])
				}
				near(t, "output", y.Data, want.V, layerTolerance)

				dy, dx := randomMap(r, c.n, 1, 1, c.classes), randomMap(r, c.n, 1, 1, c.features)
				before, beforeBias := oracle.Wide(dw), oracle.Wide(dbias)
				d.PlanBackward(dy, dx)
				d.BackwardKernel(dy, make([]float32, d.GradScratch()))
				d.BackwardInput()
				wantX, wantW := twin.Backward(wide(x), wide(dy))
				wantBias := make([]float64, c.classes)
				for i, v := range dy.Data {
					wantBias[i%c.classes] += float64(v)
				}
				near(t, "input gradient", dx.Data, wantX.V, layerTolerance)
				near(t, "kernel gradient", subtract(dw, before), wantW, layerTolerance)
				near(t, "bias gradient", subtract(dbias, beforeBias), wantBias, layerTolerance)
				differences(t, r, "kernel gradient", subtract(dw, before), twin.W, func() float64 { return dot(twin.Forward(wide(x)).V, oracle.Wide(dy.Data)) })
			})
		}
	})
}
