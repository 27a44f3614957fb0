package kernels

import (
	"fmt"
	"math"
	"testing"

	"github.com/bigtransfer/bit/internal/cpu"
)

// Squares of every level's vector, parts of one at each edge, and rows that end at a page's.
func TestTranspose(t *testing.T) {
	arenas := newArenas(t, 4)
	eachLevel(t, func(t *testing.T, _ cpu.Level) {
		for _, fill := range fills {
			t.Run(fill.name, func(t *testing.T) {
				for i, rows := range []int{1, 7, 8, 16, 19, 33} {
					for _, cols := range []int{1, 5, 8, 16, 17, 40} {
						for p := range places {
							if t.Failed() {
								return
							}
							next := fill.source(rows, cols, i, int(p))
							src := arenas[0].matrix(p, rows, cols, cols+3*(i%2), next)
							dst := arenas[1].matrix(p, cols, rows, rows+5*(i%2), next)
							scale, shift := arenas[2].vector(p, cols, next), arenas[3].vector(p, cols, next)
							guarded(t, "Transpose", func() {
								Transpose(dst.data, dst.stride, src.data, src.stride, rows, cols, scale.data, shift.data)
							})
							src.unchanged(t, "src")
							dst.equals(t, "dst", func(c, r int) (float64, float64) {
								x, a, b := src.was(r, c), scale.was(0, c), shift.was(0, c)
								return x*a + b, fill.tolerance(3 * unit * (math.Abs(x*a) + math.Abs(b)))
							})
						}
					}
				}
			})
		}
	})
}

func BenchmarkTranspose(b *testing.B) {
	for _, s := range []shape{{32, 64}, {32, 512}, {32, 2048}} { // a panel of input channels, output channels
		eachLevelOf(b, fmt.Sprintf("%dx%d", s.rows, s.cols), func(b *testing.B) {
			src, dst := randomValues(s.rows*s.cols), make([]float32, s.rows*s.cols)
			scale, shift := randomValues(s.cols), randomValues(s.cols)
			b.SetBytes(int64(4 * s.rows * s.cols))
			for b.Loop() {
				Transpose(dst, s.rows, src, s.cols, s.rows, s.cols, scale, shift)
			}
		})
	}
}
