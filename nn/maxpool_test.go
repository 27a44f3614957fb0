package nn

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/bigtransfer/bit/internal/oracle"
)

// The zeros around the map take part: padding with -∞ would leave -1 everywhere.
func TestMaxPoolVector(t *testing.T) {
	everyLevel(t, func(t *testing.T, e *Engine) {
		x, y := NewMap(1, 4, 4, 1), NewMap(1, 2, 2, 1)
		for i := range x.Data {
			x.Data[i] = -1
		}
		NewMaxPool(e, x, y).Forward()
		near(t, "pooled", y.Data, []float64{0, 0, 0, -1}, 0)
	})
}

func TestMaxPool(t *testing.T) {
	everyLevel(t, func(t *testing.T, e *Engine) {
		r := rand.New(rand.NewPCG(11, 12))
		for _, c := range []struct{ n, h, w, c int }{
			{1, 1, 1, 4}, {1, 1, 2, 1}, {2, 2, 1, 33}, {1, 3, 2, 31}, {3, 4, 5, 32}, {2, 7, 8, 64}, {5, 9, 6, 20}, {1, 30, 29, 5}, {2, 2, 2, 1030},
		} {
			for _, ties := range []bool{false, true} {
				t.Run(fmt.Sprint(c, ties), func(t *testing.T) {
					x := randomMap(r, c.n, c.h, c.w, c.c)
					if ties { // small integers: with each other and with the zeros around
						for i, v := range x.Data {
							x.Data[i] = float32(math.Round(float64(v)))
						}
					}
					y := randomMap(r, c.n, PoolSide(c.h), PoolSide(c.w), c.c)
					p := NewMaxPool(e, x, y)
					p.Forward()
					ho, wo, windows := oracle.PoolWindows(wide(x))
					if ho != y.H || wo != y.W {
						t.Fatalf("pooled sides %dx%d, want %dx%d", y.H, y.W, ho, wo)
					}
					from := oracle.Argmax(x.Data, windows)
					near(t, "pooled", y.Data, oracle.Gather(oracle.Wide(x.Data), from), 0)

					g := NewGroupNorm(e, y, ones(c.c), make([]float32, c.c), nil, nil, 1, 1e-5)
					g.Prepare()
					twin := oracle.GroupNorm{Groups: 1, Epsilon: 1e-5, Gamma: oracle.Wide(ones(c.c)), Beta: make([]float64, c.c)}
					norm := twin.Forward(wide(y))
					near(t, "normalised", g.Output().Data, oracle.Mask(norm, oracle.Positive(norm.V)).V, layerTolerance)

					dy, dx := randomMap(r, y.N, y.H, y.W, y.C), randomMap(r, c.n, c.h, c.w, c.c)
					p.Backward(dy, dx)
					near(t, "gradient", dx.Data, oracle.Scatter(oracle.Wide(dy.Data), from, len(x.Data)), 1e-6)
					if !ties {
						x64 := oracle.Wide(x.Data)
						differences(t, r, "gradient", dx.Data, x64, func() float64 { return dot(oracle.Gather(x64, from), oracle.Wide(dy.Data)) })
					}
				})
			}
		}
	})
}
