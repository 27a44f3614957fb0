package kernels

import (
	"fmt"
	"math"
	"testing"

	"github.com/bigtransfer/bit/internal/cpu"
)

// The matrices of F(4x4,3x3) at the points 0, ±√½, ±√2, ∞, which are derived nowhere else: row x of Bᵀ holds the
// coefficients of the polynomial Π(t-y) over the other points y, and column x of Aᵀ the powers of x over its size.
// The row of G for x holds the powers of x over the product of its distances from the other points, and the scales of
// the columns of Aᵀ the other way round.
var (
	root, rootHalf = math.Sqrt2, math.Sqrt(0.5)

	winogradB = [][]float64{
		{1, 0, -2.5, 0, 1, 0},
		{0, -root, -2, rootHalf, 1, 0},
		{0, root, -2, -rootHalf, 1, 0},
		{0, -rootHalf, -0.5, root, 1, 0},
		{0, rootHalf, -0.5, -root, 1, 0},
		{0, 1, 0, -2.5, 0, 1},
	}
	winogradA = [][]float64{
		{1, root, root, rootHalf, rootHalf, 0},
		{0, 1, -1, 1, -1, 0},
		{0, rootHalf, rootHalf, root, root, 0},
		{0, 0.5, -0.5, 2, -2, 1},
	}
	winogradG = [][]float64{
		{1, 0, 0},
		{-root / 3, -1. / 3, -root / 6},
		{-root / 3, 1. / 3, -root / 6},
		{root / 6, 1. / 3, root / 3},
		{root / 6, -1. / 3, root / 3},
		{0, 0, 1},
	}
)

func transposed(m [][]float64) [][]float64 {
	t := make([][]float64, len(m[0]))
	for j := range t {
		for i := range m {
			t[j] = append(t[j], m[i][j])
		}
	}
	return t
}

// sandwich computes element (i,j) of M·x·Mᵀ and the sum of its terms' sizes, leaving out what a zero of M multiplies.
func sandwich(m [][]float64, i, j int, x func(k, l int) float64) (value, size float64) {
	for k := range m[i] {
		for l := range m[j] {
			if c := m[i][k] * m[j][l]; c != 0 {
				value += c * x(k, l)
				if s := math.Abs(c * x(k, l)); !math.IsNaN(s) && !math.IsInf(s, 0) {
					size += s
				}
			}
		}
	}
	return value, size
}

// winogradRoundings bounds the roundings on the way of a term: in each of two passes that of the constant, of the
// product and of three sums.
const winogradRoundings = 10

func TestWinogradInput(t *testing.T) {
	arenas := newArenas(t, 2)
	eachWinogradCase(t, func(t *testing.T, fill fill, tiles, cols, gap int, tileMajor bool, p place) {
		next := fill.source(tiles, cols, gap, int(p))
		width, stride := 4*tiles+2, cols+gap
		src := arenas[1].matrix(p, 6*width, cols, stride, next)
		dst := arenas[0].matrix(p, 36*tiles, cols, cols+2*gap, next)
		pos, row := tiles*dst.stride, dst.stride
		if tileMajor {
			pos, row = dst.stride, 36*dst.stride
		}
		guarded(t, "WinogradInput", func() { WinogradInput(dst.data, pos, row, src.data, width*stride, stride, tiles, cols) })
		src.unchanged(t, "src")
		dst.equals(t, "dst", func(r, c int) (float64, float64) {
			tile, at := r%tiles, r/tiles
			if tileMajor {
				tile, at = r/36, r%36
			}
			v, size := sandwich(winogradB, at/6, at%6, func(k, l int) float64 { return src.was(k*width+4*tile+l, c) })
			return v, winogradRoundings*unit*size + math.SmallestNonzeroFloat32
		})
	})
}

func TestWinogradOutput(t *testing.T) {
	arenas := newArenas(t, 2)
	eachWinogradCase(t, func(t *testing.T, fill fill, tiles, cols, gap int, tileMajor bool, p place) {
		next := fill.source(tiles, cols, gap, int(p))
		width, stride := 4*tiles, cols+gap
		src := arenas[1].matrix(p, 36*tiles, cols, stride, next)
		dst := arenas[0].matrix(p, 4*width, cols, cols+2*gap, next)
		pos, row := tiles*stride, stride
		if tileMajor {
			pos, row = stride, 36*stride
		}
		guarded(t, "WinogradOutput", func() {
			WinogradOutput(dst.data, width*dst.stride, dst.stride, src.data, pos, row, tiles, cols)
		})
		src.unchanged(t, "src")
		dst.equals(t, "dst", func(r, c int) (float64, float64) {
			i, tile, j := r/width, r%width/4, r%4
			v, size := sandwich(winogradA, i, j, func(k, l int) float64 {
				if tileMajor {
					return src.was(36*tile+6*k+l, c)
				}
				return src.was((6*k+l)*tiles+tile, c)
			})
			return v, winogradRoundings*unit*size + math.SmallestNonzeroFloat32
		})
	})
}

func TestWinogradOutputGrad(t *testing.T) {
	arenas, m := newArenas(t, 2), transposed(winogradA)
	eachWinogradCase(t, func(t *testing.T, fill fill, tiles, cols, gap int, tileMajor bool, p place) {
		next := fill.source(tiles, cols, gap, int(p))
		width, stride := 4*tiles, cols+gap
		src := arenas[1].matrix(p, 4*width, cols, stride, next)
		dst := arenas[0].matrix(p, 36*tiles, cols, cols+2*gap, next)
		pos, row := tiles*dst.stride, dst.stride
		if tileMajor {
			pos, row = dst.stride, 36*dst.stride
		}
		guarded(t, "WinogradOutputGrad", func() {
			WinogradOutputGrad(dst.data, pos, row, src.data, width*stride, stride, tiles, cols)
		})
		src.unchanged(t, "src")
		dst.equals(t, "dst", func(r, c int) (float64, float64) {
			tile, at := r%tiles, r/tiles
			if tileMajor {
				tile, at = r/36, r%36
			}
			v, size := sandwich(m, at/6, at%6, func(k, l int) float64 { return src.was(k*width+4*tile+l, c) })
			return v, winogradRoundings*unit*size + math.SmallestNonzeroFloat32
		})
	})
}

func TestWinogradKernel(t *testing.T) {
	arenas := newArenas(t, 2)
	eachWinogradCase(t, func(t *testing.T, fill fill, rows, cols, gap int, rowMajor bool, p place) {
		next := fill.source(rows, cols, gap, int(p))
		src := arenas[1].matrix(p, 9*rows, cols, cols+gap, next)
		dst := arenas[0].matrix(p, 36*rows, cols, cols+2*gap, next)
		pos, row := rows*dst.stride, dst.stride
		if rowMajor {
			pos, row = dst.stride, 36*dst.stride
		}
		guarded(t, "WinogradKernel", func() {
			WinogradKernel(dst.data, pos, row, src.data, rows*src.stride, src.stride, rows, cols)
		})
		src.unchanged(t, "src")
		dst.equals(t, "dst", func(r, c int) (float64, float64) {
			k, at := r%rows, r/rows
			if rowMajor {
				k, at = r/36, r%36
			}
			v, size := sandwich(winogradG, at/6, at%6, func(i, j int) float64 { return src.was((3*i+j)*rows+k, c) })
			return v, winogradRoundings*unit*size + math.SmallestNonzeroFloat32
		})
	})
}

func TestWinogradKernelGrad(t *testing.T) {
	arenas, m := newArenas(t, 2), transposed(winogradG)
	eachWinogradCase(t, func(t *testing.T, fill fill, rows, cols, gap int, rowMajor bool, p place) {
		next := fill.source(rows, cols, gap, int(p))
		src := arenas[1].matrix(p, 36*rows, cols, cols+gap, next)
		dst := arenas[0].matrix(p, 9*rows, cols, cols+2*gap, next)
		pos, row := rows*src.stride, src.stride
		if rowMajor {
			pos, row = src.stride, 36*src.stride
		}
		guarded(t, "WinogradKernelGrad", func() {
			WinogradKernelGrad(dst.data, rows*dst.stride, dst.stride, src.data, pos, row, rows, cols)
		})
		src.unchanged(t, "src")
		dst.equals(t, "dst", func(r, c int) (float64, float64) {
			v, size := sandwich(m, r/rows/3, r/rows%3, func(i, j int) float64 {
				if rowMajor {
					return src.was(r%rows*36+6*i+j, c)
				}
				return src.was((6*i+j)*rows+r%rows, c)
			})
			return v, winogradRoundings*unit*size + math.SmallestNonzeroFloat32
		})
	})
}

func eachWinogradCase(t *testing.T, f func(t *testing.T, fill fill, tiles, cols, gap int, tileMajor bool, p place)) {
	eachLevel(t, func(t *testing.T, _ cpu.Level) {
		for _, fill := range fills {
			t.Run(fill.name, func(t *testing.T) {
				for i, cols := range []int{1, 7, 8, 9, 15, 16, 17, 33, 67} {
					for _, tiles := range []int{1, 3} {
						for p := range places {
							if t.Failed() {
								return
							}
							f(t, fill, tiles, cols, 3*(i%2), (i+tiles/2)%2 == 0, p)
						}
					}
				}
			})
		}
	})
}

// The three transforms together are a convolution: the check of G, and of the two others against each other.
func TestWinogradIsConvolution(t *testing.T) {
	eachLevel(t, func(t *testing.T, _ cpu.Level) {
		next := normals.source(3)
		var d [36]float32
		var g [9]float64
		for i := range d {
			d[i] = next()
		}
		for i := range g {
			g[i] = float64(next())
		}
		var m [36]float32
		WinogradInput(m[:], 1, 1, d[:], 6, 1, 1, 1)
		for i := range 6 {
			for j := range 6 {
				u := 0.0
				for k := range 9 {
					u += winogradG[i][k/3] * g[k] * winogradG[j][k%3]
				}
				m[6*i+j] *= float32(u)
			}
		}
		var y [16]float32
		WinogradOutput(y[:], 4, 1, m[:], 1, 1, 1, 1)
		for i := range y {
			want := 0.0
			for k := range g {
				want += g[k] * float64(d[(i/4+k/3)*6+i%4+k%3])
			}
			if math.Abs(float64(y[i])-want) > 1e-5 {
				t.Errorf("output %d is %v, want %v", i, y[i], want)
			}
		}
	})
}

// Tiles that reach beyond a slice panic before anything is touched.
func TestWinogradChecks(t *testing.T) {
	src, dst := make([]float32, 36*7), make([]float32, 36*7)
	for name, f := range map[string]func(){
		"input src":       func() { WinogradInput(dst, 7, 7, src[:35*7+6], 42, 7, 1, 7) },
		"input dst":       func() { WinogradInput(dst[:35*7+6], 7, 7, src, 42, 7, 1, 7) },
		"output src":      func() { WinogradOutput(dst, 28, 7, src[:35*7+6], 7, 7, 1, 7) },
		"output dst":      func() { WinogradOutput(dst[:15*7+6], 28, 7, src, 7, 7, 1, 7) },
		"kernel src":      func() { WinogradKernel(dst, 7, 7, src[:8*7+6], 7, 7, 1, 7) },
		"kernel dst":      func() { WinogradKernel(dst[:35*7+6], 7, 7, src, 7, 7, 1, 7) },
		"output grad src": func() { WinogradOutputGrad(dst, 7, 7, src[:15*7+6], 28, 7, 1, 7) },
		"output grad dst": func() { WinogradOutputGrad(dst[:35*7+6], 7, 7, src, 28, 7, 1, 7) },
		"kernel grad src": func() { WinogradKernelGrad(dst, 7, 7, src[:35*7+6], 7, 7, 1, 7) },
		"kernel grad dst": func() { WinogradKernelGrad(dst[:8*7+6], 7, 7, src, 7, 7, 1, 7) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			f()
		}()
	}
}

func BenchmarkWinogradInput(b *testing.B) {
	for _, s := range []shape{{14, 64}, {7, 128}, {4, 256}} { // tiles in a row and channels of R50x1 at 224 pixels
		eachLevelOf(b, fmt.Sprintf("%dx%d", s.rows, s.cols), func(b *testing.B) {
			width := 4*s.rows + 2
			src, ld := randomValues(6*width*s.cols), s.cols+16
			dst := make([]float32, 36*s.rows*ld)
			b.SetBytes(int64(4 * 36 * s.rows * s.cols))
			for b.Loop() {
				WinogradInput(dst, s.rows*ld, ld, src, width*s.cols, s.cols, s.rows, s.cols)
			}
		})
	}
}

func BenchmarkWinogradOutput(b *testing.B) {
	for _, s := range []shape{{14, 32}, {7, 32}, {4, 32}} { // tiles in a row, one panel of channels
		eachLevelOf(b, fmt.Sprintf("%dx%d", s.rows, s.cols), func(b *testing.B) {
			src, pos := randomValues(36*(s.rows*s.cols+16)), s.rows*s.cols+16
			dst := make([]float32, 16*s.rows*s.cols)
			b.SetBytes(int64(4 * 36 * s.rows * s.cols))
			for b.Loop() {
				WinogradOutput(dst, 4*s.rows*s.cols, s.cols, src, pos, s.cols, s.rows, s.cols)
			}
		})
	}
}

func BenchmarkWinogradOutputGrad(b *testing.B) {
	for _, s := range []shape{{14, 32}, {7, 32}, {4, 32}} {
		eachLevelOf(b, fmt.Sprintf("%dx%d", s.rows, s.cols), func(b *testing.B) {
			src, pos := randomValues(16*s.rows*s.cols), s.rows*s.cols+16
			dst := make([]float32, 36*pos)
			b.SetBytes(int64(4 * 36 * s.rows * s.cols))
			for b.Loop() {
				WinogradOutputGrad(dst, pos, s.cols, src, 4*s.rows*s.cols, s.cols, s.rows, s.cols)
			}
		})
	}
}

func BenchmarkWinogradKernel(b *testing.B) {
	for _, s := range []shape{{64, 32}, {32, 32}} { // input channels and one panel of filters
		eachLevelOf(b, fmt.Sprintf("%dx%d", s.rows, s.cols), func(b *testing.B) {
			n := s.rows * s.cols
			src, dst := randomValues(9*n), make([]float32, 36*(n+16))
			b.SetBytes(int64(4 * 36 * n))
			for b.Loop() {
				WinogradKernel(dst, n+16, 0, src, n, 0, 1, n)
			}
		})
	}
}

func BenchmarkWinogradKernelGrad(b *testing.B) {
	for _, s := range []shape{{64, 64}, {64, 32}} { // channels of one task
		eachLevelOf(b, fmt.Sprintf("%dx%d", s.rows, s.cols), func(b *testing.B) {
			n := s.rows * s.cols
			src, dst := randomValues(36*(n+16)), make([]float32, 9*n)
			b.SetBytes(int64(4 * 36 * n))
			for b.Loop() {
				WinogradKernelGrad(dst, n, s.cols, src, n+16, s.cols, s.rows, s.cols)
			}
		})
	}
}
