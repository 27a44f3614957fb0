package kernels

import (
	"math"
	"testing"

	"github.com/bigtransfer/bit/internal/cpu"
)

func TestSGD(t *testing.T) {
	arenas := newArenas(t, 3)
	eachLevel(t, func(t *testing.T, _ cpu.Level) {
		// Powers of two first: with them the integers stay exact.
		for _, h := range [][4]float32{{0.5, 0.5, 0.25, 2}, {1, 0, 0, 1}, {0.003, 0.9, 3e-5, 1.0 / 3}} {
			rate, momentum, decay, scale := h[0], h[1], h[2], h[3]
			for _, fill := range fills {
				fill.exact = fill.exact && rate != 0.003
				for _, s := range shapes() {
					n := s.rows * s.cols
					for p := range places {
						next := fill.source(n, int(p))
						w, v, g := arenas[0].vector(p, n, next), arenas[1].vector(p, n, next), arenas[2].vector(p, n, next)
						guarded(t, "SGD", func() { SGD(w.data, v.data, g.data, rate, momentum, decay, scale) })
						g.unchanged(t, "g")
						velocity := func(i int) (sum, size float64) {
							terms := [3]float64{float64(scale) * g.was(0, i), float64(decay) * w.was(0, i), float64(momentum) * v.was(0, i)}
							for _, term := range terms {
								size += math.Abs(term)
							}
							return terms[0] + terms[1] + terms[2], size
						}
						v.equals(t, "v", func(_, i int) (float64, float64) {
							sum, size := velocity(i)
							return sum, fill.tolerance(4 * unit * size) // a product and two additions round a term
						})
						w.equals(t, "w", func(_, i int) (float64, float64) {
							sum, size := velocity(i)
							// The same, then the product with the rate and the subtraction.
							return w.was(0, i) - float64(rate)*sum,
								fill.tolerance(6 * unit * (math.Abs(w.was(0, i)) + float64(rate)*size))
						})
					}
				}
			}
		}
	})
}
