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

// WinogradKernel is G: what makes a line of 6 of a line of 3 weights.
var WinogradKernel = [WinogradSide][3]float64{
	{1, 0, 0},
	{-math.Sqrt2 / 3, -1.0 / 3, -math.Sqrt2 / 6},
	{-math.Sqrt2 / 3, 1.0 / 3, -math.Sqrt2 / 6},
	{math.Sqrt2 / 6, 1.0 / 3, math.Sqrt2 / 3},
	{math.Sqrt2 / 6, -1.0 / 3, math.Sqrt2 / 3},
	{0, 0, 1},
}

// WinogradInput transforms the inputs of tiles that follow each other in a row of tiles, for each of cols channels:
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

func checkTiles(name string, data []float32, want int) {
	if len(data) < want {
		panic(fmt.Sprintf("kernels: %s holds %d values, the tiles end at %d", name, len(data), want))
	}
}

func winogradInputGeneric(dst []float32, dstPos, dstRow int, src []float32, srcRow, srcPixel, tiles, cols int) {
	const half, two, sum = 0.5, 2, 2.5
	line := func(d [6]float32) [6]float32 {
		t, u := d[4]-two*d[2], d[3]-two*d[1]
		v, w := d[4]-half*d[2], d[3]-half*d[1]
		return [6]float32{
			d[4] + d[0] - sum*d[2],
			t + math.Sqrt2/2*u,
			t - math.Sqrt2/2*u,
			v + math.Sqrt2*w,
			v - math.Sqrt2*w,
			d[5] + d[1] - sum*d[3],
		}
	}
	for t := range tiles {
		for c := range cols {
			var rows [6][6]float32
			for i := range rows {
				var d [6]float32
				for j := range d {
					d[j] = src[i*srcRow+(4*t+j)*srcPixel+c]
				}
				rows[i] = line(d)
			}
			for j := range 6 {
				v := line([6]float32{rows[0][j], rows[1][j], rows[2][j], rows[3][j], rows[4][j], rows[5][j]})
				for i := range v {
					dst[(6*i+j)*dstPos+t*dstRow+c] = v[i]
				}
			}
		}
	}
}

func winogradOutputGeneric(dst []float32, dstRow, dstPixel int, src []float32, srcPos, srcRow, tiles, cols int) {
	line := func(m [6]float32) [4]float32 {
		p, q := m[1]+m[2], m[1]-m[2]
		r, s := m[3]+m[4], m[3]-m[4]
		return [4]float32{
			m[0] + math.Sqrt2*p + math.Sqrt2/2*r,
			q + s,
			math.Sqrt2/2*p + math.Sqrt2*r,
			m[5] + q/2 + 2*s,
		}
	}
	for t := range tiles {
		for c := range cols {
			var columns [6][4]float32
			for j := range columns {
				var m [6]float32
				for i := range m {
					m[i] = src[(6*i+j)*srcPos+t*srcRow+c]
				}
				columns[j] = line(m)
			}
			for i := range 4 {
				y := line([6]float32{columns[0][i], columns[1][i], columns[2][i], columns[3][i], columns[4][i], columns[5][i]})
				for j := range y {
					dst[i*dstRow+(4*t+j)*dstPixel+c] = y[j]
				}
			}
		}
	}
}
