package kernels

import (
	"math"
	"testing"

	"github.com/bigtransfer/bit/internal/cpu"
)

func TestMultiplyAdds(t *testing.T) {
	arenas := newArenas(t, 1)
	eachLevel(t, func(t *testing.T, _ cpu.Level) {
		for _, fill := range fills {
			t.Run(fill.name, func(t *testing.T) {
				for n := range 11 { // the unrolled loop's 4 and its neighbours; -2 to the 10th keeps integers exact
					for p := range places {
						for _, c := range [][2]float32{{1, 0}, {-1, 3}, {-2, 5}, {0, 7}, {0.5, -0.75}} {
							a, b := c[0], c[1]
							x := arenas[0].vector(p, 192, fill.source(n, int(p)))
							guarded(t, "MultiplyAdds", func() { MultiplyAdds((*[192]float32)(x.data), a, b, n) })
							x.equals(t, "x", func(_, i int) (value, tolerance float64) {
								y, bound := x.was(0, i), 0.0
								for range n { // two roundings a step where the level does not fuse
									product := float64(a) * y
									y = product + float64(b)
									bound = math.Abs(float64(a))*bound + 3*unit*(math.Abs(product)+math.Abs(float64(b)))
								}
								return y, fill.tolerance(bound)
							})
						}
					}
				}
			})
		}
	})
}
