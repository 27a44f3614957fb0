package kernels

import (
	"fmt"
	"math"
	"testing"

	"github.com/bigtransfer/bit/internal/cpu"
)

func TestColumnMoments(t *testing.T) {
	arenas := newArenas(t, 3)
	eachLevel(t, func(t *testing.T, _ cpu.Level) {
		eachCase(t, func(t *testing.T, fill fill, s shape, gap int, p place, next func() float32) {
			columnMomentsCase(t, arenas, fill, s, gap, p, next)
		})
		// The pixels of R50x1 and its channels, as far as they fit.
		for _, s := range []shape{{112 * 112, 16}, {56 * 56, 64}, {28 * 28, 128}, {14 * 14, 1024}, {49, 2048}} {
			for _, fill := range []fill{integers, normals} {
				t.Run(fmt.Sprintf("%s/%dx%d", fill.name, s.rows, s.cols), func(t *testing.T) {
					columnMomentsCase(t, arenas, fill, s, 0, end, fill.source(s.rows, s.cols))
				})
			}
		}
	})
}

// Activations far from zero lose nothing: the bound knows only their distances from the first.
func TestColumnMomentsOfDistantValues(t *testing.T) {
	arenas := newArenas(t, 3)
	eachLevel(t, func(t *testing.T, _ cpu.Level) {
		for _, s := range []shape{{196, 64}, {49, 67}} {
			next := normals.source(s.rows, s.cols)
			columnMomentsCase(t, arenas, normals, s, 0, end, func() float32 { return 10_000 + next() })
		}
	})
}

func columnMomentsCase(t *testing.T, arenas []arena, fill fill, s shape, gap int, p place, next func() float32) {
	t.Helper()
	x := arenas[0].matrix(p, s.rows, s.cols, s.cols+gap, next)
	sum, sumSq := arenas[1].vector(p, s.cols, next), arenas[2].vector(p, s.cols, next)
	guarded(t, "ColumnMoments", func() { ColumnMoments(x.data, x.stride, s.rows, s.cols, sum.data, sumSq.data) })
	x.unchanged(t, "x")
	moment := func(power int, roundings float64) func(_, c int) (float64, float64) {
		return func(_, c int) (float64, float64) {
			var m, size float64
			for r := range s.rows {
				d := x.was(r, c) - x.was(0, c)
				if power == 2 {
					d *= d
				}
				m += d
				size += math.Abs(d)
			}
			// Besides the roundings of a term, each of the rows' additions rounds.
			return m, fill.tolerance((float64(s.rows) + roundings) * unit * size)
		}
	}
	sum.equals(t, "sum", moment(1, 1))
	sumSq.equals(t, "sumSq", moment(2, 3))
}

func TestColumnGrads(t *testing.T) {
	arenas := newArenas(t, 7)
	eachLevel(t, func(t *testing.T, _ cpu.Level) {
		eachCase(t, func(t *testing.T, fill fill, s shape, gap int, p place, next func() float32) {
			columnGradsCase(t, arenas, fill, s, gap, p, next)
		})
		for _, s := range []shape{{56 * 56, 64}, {14 * 14, 1024}, {49, 2048}} {
			for _, fill := range []fill{integers, normals} {
				t.Run(fmt.Sprintf("%s/%dx%d", fill.name, s.rows, s.cols), func(t *testing.T) {
					columnGradsCase(t, arenas, fill, s, 0, end, fill.source(s.rows, s.cols))
				})
			}
		}
	})
}

func columnGradsCase(t *testing.T, arenas []arena, fill fill, s shape, gap int, p place, next func() float32) {
	t.Helper()
	var v [3]*operand
	for i := range v {
		v[i] = arenas[2+i].vector(p, s.cols, next)
	}
	scale, shift, centre := v[0], v[1], v[2]
	element := 0
	x := arenas[1].matrix(p, s.rows, s.cols, s.cols+gap, func() float32 {
		c := element % s.cols
		element++
		for {
			v := next()
			product := float64(v) * scale.was(0, c)
			// Rounding can lift a sum so close to zero over it, which is no fault.
			if fill.exact || math.Abs(product+shift.was(0, c)) > 3*unit*(math.Abs(product)+math.Abs(shift.was(0, c))) {
				return v
			}
		}
	})
	dy := arenas[0].matrix(p, s.rows, s.cols, s.cols+2*gap, next)
	sum, sumX := arenas[5].vector(p, s.cols, next), arenas[6].vector(p, s.cols, next)
	guarded(t, "ColumnGrads", func() {
		ColumnGrads(dy.data, dy.stride, x.data, x.stride, s.rows, s.cols, scale.data, shift.data, centre.data, sum.data, sumX.data)
	})
	for _, o := range []*operand{x, scale, shift, centre} {
		o.unchanged(t, "an input")
	}
	passed := func(r, c int) float64 {
		if x.was(r, c)*scale.was(0, c)+shift.was(0, c) <= 0 {
			return 0
		}
		return dy.was(r, c)
	}
	dy.equals(t, "dy", func(r, c int) (float64, float64) { return passed(r, c), 0 })
	rows := float64(s.rows)
	sum.equals(t, "sum", func(_, c int) (float64, float64) {
		var g, size float64
		for r := range s.rows {
			g += passed(r, c)
			size += math.Abs(passed(r, c))
		}
		return g, fill.tolerance(rows * unit * size)
	})
	sumX.equals(t, "sumX", func(_, c int) (float64, float64) {
		var g, size float64
		for r := range s.rows {
			term := passed(r, c) * (x.was(r, c) - centre.was(0, c))
			g += term
			size += math.Abs(term)
		}
		// The difference, the product and the rows' additions round.
		return g, fill.tolerance((rows + 3) * unit * size)
	})
}
