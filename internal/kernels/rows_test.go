package kernels

import (
	"math"
	"testing"

	"github.com/bigtransfer/bit/internal/cpu"
)

func TestAffine(t *testing.T) {
	arenas := newArenas(t, 4)
	eachLevel(t, func(t *testing.T, _ cpu.Level) {
		eachCase(t, func(t *testing.T, fill fill, s shape, gap int, p place, next func() float32) {
			scale, shift := arenas[2].vector(p, s.cols, next), arenas[3].vector(p, s.cols, next)
			for _, floor := range []float32{0, NoFloor, -3} {
				want := func(src *operand) func(r, c int) (float64, float64) {
					return func(r, c int) (float64, float64) {
						x, a, b := src.was(r, c), scale.was(0, c), shift.was(0, c)
						y := x*a + b
						if y < float64(floor) {
							y = float64(floor)
						}
						// Two roundings at most, of the product and of the sum; the floor adds none.
						return y, fill.tolerance(3 * unit * (math.Abs(x*a) + math.Abs(b)))
					}
				}
				src := arenas[1].matrix(p, s.rows, s.cols, s.cols+gap, next)
				dst := arenas[0].matrix(p, s.rows, s.cols, s.cols+2*gap, next)
				guarded(t, "Affine", func() {
					Affine(dst.data, dst.stride, src.data, src.stride, s.rows, s.cols, scale.data, shift.data, floor)
				})
				dst.equals(t, "dst", want(src))
				src.unchanged(t, "src")

				guarded(t, "Affine in place", func() {
					Affine(src.data, src.stride, src.data, src.stride, s.rows, s.cols, scale.data, shift.data, floor)
				})
				src.equals(t, "dst (which is src)", want(src))
			}
			scale.unchanged(t, "scale")
			shift.unchanged(t, "shift")
		})
	})
}

func TestCopyRows(t *testing.T) {
	arenas := newArenas(t, 2)
	eachLevel(t, func(t *testing.T, _ cpu.Level) {
		eachCase(t, func(t *testing.T, _ fill, s shape, gap int, p place, next func() float32) {
			for _, repeat := range []bool{false, true} {
				src := arenas[1].matrix(p, s.rows, s.cols, s.cols+gap, next)
				dst := arenas[0].matrix(p, s.rows, s.cols, s.cols+2*gap, next)
				srcRow := src.stride
				if repeat {
					srcRow = 0
				}
				guarded(t, "CopyRows", func() { CopyRows(dst.data, dst.stride, src.data, srcRow, s.rows, s.cols) })
				dst.equals(t, "dst", func(r, c int) (float64, float64) {
					if repeat {
						r = 0
					}
					return src.was(r, c), 0
				})
				src.unchanged(t, "src")
			}
		})
	})
}

// A copy keeps bits, also those of a NaN and of numbers too small to be normal.
func TestCopyRowsKeepsBits(t *testing.T) {
	eachLevel(t, func(t *testing.T, _ cpu.Level) {
		for n := range 70 {
			src, dst := make([]float32, n), make([]float32, n)
			for i := range src {
				src[i] = math.Float32frombits([]uint32{0x7fc12345, 0xffc00001, 1, 0x80000001, 0x007fffff, 0x80000000}[i%6])
			}
			CopyRows(dst, n, src, n, 1, n)
			for i := range src {
				if math.Float32bits(dst[i]) != math.Float32bits(src[i]) {
					t.Fatalf("%#x became %#x", math.Float32bits(src[i]), math.Float32bits(dst[i]))
				}
			}
		}
	})
}

func TestAddRows(t *testing.T) {
	arenas := newArenas(t, 2)
	eachLevel(t, func(t *testing.T, _ cpu.Level) {
		eachCase(t, func(t *testing.T, _ fill, s shape, gap int, p place, next func() float32) {
			src := arenas[1].matrix(p, s.rows, s.cols, s.cols+gap, next)
			dst := arenas[0].matrix(p, s.rows, s.cols, s.cols+2*gap, next)
			guarded(t, "AddRows", func() { AddRows(dst.data, dst.stride, src.data, src.stride, s.rows, s.cols) })
			dst.equals(t, "dst", func(r, c int) (float64, float64) {
				// One addition has one right result. float64 has more than twice the digits of float32, so that
				// rounding to it first changes nothing.
				return float64(float32(dst.was(r, c) + src.was(r, c))), 0
			})
			src.unchanged(t, "src")

			sum := arenas[0].vector(p, s.cols, next)
			guarded(t, "AddRows into one row", func() { AddRows(sum.data, 0, src.data, src.stride, s.rows, s.cols) })
			sum.equals(t, "sum", func(_, c int) (float64, float64) {
				v := float32(sum.was(0, c))
				for r := range s.rows { // in order, so each level rounds alike
					v += float32(src.was(r, c))
				}
				return float64(v), 0
			})
		})
	})
}

func TestMaxRows(t *testing.T) {
	arenas := newArenas(t, 2)
	eachLevel(t, func(t *testing.T, _ cpu.Level) {
		eachCase(t, func(t *testing.T, _ fill, s shape, gap int, p place, next func() float32) {
			src := arenas[1].matrix(p, s.rows, s.cols, s.cols+gap, next)
			dst := arenas[0].matrix(p, s.rows, s.cols, s.cols+2*gap, next)
			guarded(t, "MaxRows", func() { MaxRows(dst.data, dst.stride, src.data, src.stride, s.rows, s.cols) })
			dst.equals(t, "dst", func(r, c int) (float64, float64) {
				x, y := dst.was(r, c), src.was(r, c)
				switch {
				case x != x || y != y:
					return math.NaN(), 0
				case y > x:
					return y, 0
				}
				return x, 0 // of two zeros the one that is there stays
			})
			src.unchanged(t, "src")
		})
	})
}

func TestGradRows(t *testing.T) {
	arenas := newArenas(t, 6)
	eachLevel(t, func(t *testing.T, _ cpu.Level) {
		eachCase(t, func(t *testing.T, fill fill, s shape, gap int, p place, next func() float32) {
			var v [3]*operand
			for i := range v {
				v[i] = arenas[3+i].vector(p, s.cols, next)
			}
			x := arenas[1].matrix(p, s.rows, s.cols, s.cols+gap, next)
			skip := arenas[2].matrix(p, s.rows, s.cols, s.cols+3*gap, next)
			for _, skipped := range []bool{true, false} {
				dy := arenas[0].matrix(p, s.rows, s.cols, s.cols+2*gap, next)
				other := skip.data
				if !skipped {
					other = nil
				}
				guarded(t, "GradRows", func() {
					GradRows(dy.data, dy.stride, x.data, x.stride, other, skip.stride, s.rows, s.cols, v[0].data, v[1].data, v[2].data)
				})
				dy.equals(t, "dy", func(r, c int) (float64, float64) {
					terms := []float64{v[0].was(0, c) * dy.was(r, c), v[1].was(0, c) * x.was(r, c), v[2].was(0, c), 0}
					if skipped {
						terms[3] = skip.was(r, c)
					}
					var sum, size float64
					sum = terms[0] // not 0 + terms[0]: a sum of negative zeros is one
					for _, term := range terms[1:] {
						sum += term
					}
					for _, term := range terms {
						size += math.Abs(term)
					}
					// A product is rounded once, then by the three additions behind it.
					return sum, fill.tolerance(5 * unit * size)
				})
			}
			x.unchanged(t, "x")
			skip.unchanged(t, "skip")
			for _, v := range v {
				v.unchanged(t, "a column vector")
			}
		})
	})
}

// More columns than the row of zeros that stands for a missing skip has.
func TestGradRowsWithoutSkipOfManyColumns(t *testing.T) {
	eachLevel(t, func(t *testing.T, _ cpu.Level) {
		cols := len(zeroRow) + 5
		dy, x, ones := make([]float32, cols), make([]float32, cols), make([]float32, cols)
		for i := range dy {
			dy[i], x[i], ones[i] = float32(i), 2, 1
		}
		GradRows(dy, cols, x, cols, nil, 0, 1, cols, ones, ones, ones)
		for i, v := range dy {
			if v != float32(i)+3 {
				t.Fatalf("dy[%d] is %v, want %v", i, v, float32(i)+3)
			}
		}
	})
}
