package kernels

import (
	"fmt"
	"math"
)

// Winograd's minimal filtering F(4x4,3x3) computes 4x4 outputs of a 3x3 convolution from 6x6 inputs with 36 products
// instead of 144 (Lavin and Gray 2015, arXiv:1509.09308):
//
//	y = Aᵀ [(G g Gᵀ) ∘ (Bᵀ d B)] A
//
// The interpolation points are 0, ±√½, ±√2 and ∞. With 0, ±1, ±2, ∞ the error is twice as large: the powers of these
// four lie closer together, and p and 1/p share a matrix entry. The scale of each point is chosen so that row 1 of Aᵀ
// is 0, 1, -1, 1, -1, 0.
const (
	WinogradTile = 4  // side of a tile of outputs
	WinogradSide = 6  // side of the inputs that it reads
	WinogradPos  = 36 // products for each tile and pair of channels
)

// Each transform below is M·x·Mᵀ with one of the matrices G, Bᵀ, Aᵀ or their transposes, for every column c of cols.
// Training needs the transposes: with y = Aᵀ m A, the gradient of m is A (∂y) Aᵀ; with u = G g Gᵀ, that of g is Gᵀ (∂u) G.
// The gradient of the input is itself a convolution, with the flipped kernel.

// WinogradKernel transforms kernels: for r < rows,
//
//	dst[(6i+j)·dstPos + r·dstRow + c] = (G g Gᵀ)[i][j],  g[i][j] = src[(3i+j)·srcTap + r·srcRow + c]
func WinogradKernel(dst []float32, dstPos, dstRow int, src []float32, srcTap, srcRow, rows, cols int) {
	if rows == 0 || cols == 0 {
		return
	}
	checkTiles("dst", dst, (WinogradPos-1)*dstPos+(rows-1)*dstRow+cols)
	checkTiles("src", src, 8*srcTap+(rows-1)*srcRow+cols)
	winogradKernel(dst, dstPos, dstRow, src, srcTap, srcRow, rows, cols)
}

// WinogradInput transforms the inputs of tiles that follow each other in a row of tiles:
//
//	dst[(6i+j)·dstPos + t·dstRow + c] = (Bᵀ d B)[i][j],  d[i][j] = src[i·srcRow + (4t+j)·srcPixel + c]
func WinogradInput(dst []float32, dstPos, dstRow int, src []float32, srcRow, srcPixel, tiles, cols int) {
	if tiles == 0 || cols == 0 {
		return
	}
	checkTiles("dst", dst, (WinogradPos-1)*dstPos+(tiles-1)*dstRow+cols)
	checkTiles("src", src, 5*srcRow+(4*(tiles-1)+5)*srcPixel+cols)
	winogradInput(dst, dstPos, dstRow, src, srcRow, srcPixel, tiles, cols)
}

// WinogradOutput transforms the products of such tiles into their outputs:
//
//	dst[i·dstRow + (4t+j)·dstPixel + c] = (Aᵀ m A)[i][j],  m[i][j] = src[(6i+j)·srcPos + t·srcRow + c]
func WinogradOutput(dst []float32, dstRow, dstPixel int, src []float32, srcPos, srcRow, tiles, cols int) {
	if tiles == 0 || cols == 0 {
		return
	}
	checkTiles("dst", dst, 3*dstRow+(4*(tiles-1)+3)*dstPixel+cols)
	checkTiles("src", src, (WinogradPos-1)*srcPos+(tiles-1)*srcRow+cols)
	winogradOutput(dst, dstRow, dstPixel, src, srcPos, srcRow, tiles, cols)
}

// WinogradOutputGrad transforms the gradients of such tiles' outputs into those of their products:
//
//	dst[(6i+j)·dstPos + t·dstRow + c] = (A y Aᵀ)[i][j],  y[i][j] = src[i·srcRow + (4t+j)·srcPixel + c]
func WinogradOutputGrad(dst []float32, dstPos, dstRow int, src []float32, srcRow, srcPixel, tiles, cols int) {
	if tiles == 0 || cols == 0 {
		return
	}
	checkTiles("dst", dst, (WinogradPos-1)*dstPos+(tiles-1)*dstRow+cols)
	checkTiles("src", src, 3*srcRow+(4*(tiles-1)+3)*srcPixel+cols)
	winogradOutputGrad(dst, dstPos, dstRow, src, srcRow, srcPixel, tiles, cols)
}

// WinogradKernelGrad transforms the gradients of transformed kernels into those of the kernels: for r < rows,
//
//	dst[(3i+j)·dstTap + r·dstRow + c] = (Gᵀ u G)[i][j],  u[i][j] = src[(6i+j)·srcPos + r·srcRow + c]
func WinogradKernelGrad(dst []float32, dstTap, dstRow int, src []float32, srcPos, srcRow, rows, cols int) {
	if rows == 0 || cols == 0 {
		return
	}
	checkTiles("dst", dst, 8*dstTap+(rows-1)*dstRow+cols)
	checkTiles("src", src, (WinogradPos-1)*srcPos+(rows-1)*srcRow+cols)
	winogradKernelGrad(dst, dstTap, dstRow, src, srcPos, srcRow, rows, cols)
}

func checkTiles(name string, data []float32, want int) {
	if len(data) < want {
		panic(fmt.Sprintf("kernels: %s holds %d values, the tiles end at %d", name, len(data), want))
	}
}

// line is six values, of which a transform may use fewer.
type line [WinogradSide]float32

// winogradGeneric takes every column of every tile through both passes of a transform: rows, then columns. It finds
// element (i,j) of the n x n inputs of tile t at src[i·srcI + j·srcJ + t·srcT], of the m x m results in dst likewise.
func winogradGeneric(f func(line) line, m int, dst []float32, dstI, dstJ, dstT int, n int, src []float32, srcI, srcJ, srcT, tiles, cols int) {
	for t := range tiles {
		for c := range cols {
			var x, y [WinogradSide]line
			for i := range n {
				for j := range n {
					x[i][j] = src[i*srcI+j*srcJ+t*srcT+c]
				}
				x[i] = f(x[i])
			}
			for j := range m {
				y[j] = f(line{x[0][j], x[1][j], x[2][j], x[3][j], x[4][j], x[5][j]})
			}
			for i := range m {
				for j := range m {
					dst[i*dstI+j*dstJ+t*dstT+c] = y[j][i]
				}
			}
		}
	}
}

func winogradKernelGeneric(dst []float32, dstPos, dstRow int, src []float32, srcTap, srcRow, rows, cols int) {
	winogradGeneric(func(g line) line {
		p, q, r := -(math.Sqrt2/3*g[0] + math.Sqrt2/6*g[2]), g[1]/3, math.Sqrt2/6*g[0]+math.Sqrt2/3*g[2]
		return line{g[0], p - q, p + q, r + q, r - q, g[2]}
	}, 6, dst, 6*dstPos, dstPos, dstRow, 3, src, 3*srcTap, srcTap, srcRow, rows, cols)
}

func winogradInputGeneric(dst []float32, dstPos, dstRow int, src []float32, srcRow, srcPixel, tiles, cols int) {
	const half, two, sum = 0.5, 2, 2.5
	winogradGeneric(func(d line) line {
		t, u := d[4]-two*d[2], d[3]-two*d[1]
		v, w := d[4]-half*d[2], d[3]-half*d[1]
		return line{
			d[4] + d[0] - sum*d[2],
			t + math.Sqrt2/2*u,
			t - math.Sqrt2/2*u,
			v + math.Sqrt2*w,
			v - math.Sqrt2*w,
			d[5] + d[1] - sum*d[3],
		}
	}, 6, dst, 6*dstPos, dstPos, dstRow, 6, src, srcRow, srcPixel, 4*srcPixel, tiles, cols)
}

func winogradOutputGeneric(dst []float32, dstRow, dstPixel int, src []float32, srcPos, srcRow, tiles, cols int) {
	winogradGeneric(func(m line) line {
		p, q := m[1]+m[2], m[1]-m[2]
		r, s := m[3]+m[4], m[3]-m[4]
		return line{
			m[0] + math.Sqrt2*p + math.Sqrt2/2*r,
			q + s,
			math.Sqrt2/2*p + math.Sqrt2*r,
			m[5] + q/2 + 2*s,
		}
	}, 4, dst, dstRow, dstPixel, 4*dstPixel, 6, src, 6*srcPos, srcPos, srcRow, tiles, cols)
}

func winogradOutputGradGeneric(dst []float32, dstPos, dstRow int, src []float32, srcRow, srcPixel, tiles, cols int) {
	winogradGeneric(func(y line) line {
		p, q := math.Sqrt2*y[0]+math.Sqrt2/2*y[2], y[1]+y[3]/2
		r, s := math.Sqrt2/2*y[0]+math.Sqrt2*y[2], y[1]+2*y[3]
		return line{y[0], p + q, p - q, r + s, r - s, y[3]}
	}, 6, dst, 6*dstPos, dstPos, dstRow, 4, src, srcRow, srcPixel, 4*srcPixel, tiles, cols)
}

func winogradKernelGradGeneric(dst []float32, dstTap, dstRow int, src []float32, srcPos, srcRow, rows, cols int) {
	winogradGeneric(func(u line) line {
		p, q := u[1]+u[2], u[2]-u[1]
		r, s := u[3]+u[4], u[3]-u[4]
		return line{
			u[0] - math.Sqrt2/3*p + math.Sqrt2/6*r,
			(q + s) / 3,
			u[5] - math.Sqrt2/6*p + math.Sqrt2/3*r,
		}
	}, 3, dst, 3*dstTap, dstTap, dstRow, 6, src, 6*srcPos, srcPos, srcRow, rows, cols)
}
