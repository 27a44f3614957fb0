package kernels

import (
	"fmt"

	"github.com/bigtransfer/bit/internal/cpu"
)

// Tile returns the rows and columns of the block of C that the active level keeps in registers. Columns is also the
// width of a packed panel of B.
func Tile() (rows, cols int) {
	switch cpu.Active() {
	case cpu.AVX512:
		return 14, 32
	case cpu.AVX2:
		return 6, 16
	}
	return 4, 8
}

// Gemm multiplies into one panel of columns: for r < rows, j < cols
//
//	c[r·cRow+j] (+)= Σ_k a[r·aRow+k·aStep] · b[k·panel+j],  k = 0 … depth-1 in this order
//
// where panel is the column count of Tile, cols <= panel, and the sum starts from c if accumulate, else from 0.
// aRow and aStep let the same kernel multiply A (aStep 1) or its transpose (aRow 1).
func Gemm(rows, depth int, a []float32, aRow, aStep int, b, c []float32, cRow, cols int, accumulate bool) {
	if rows == 0 || cols == 0 {
		return
	}
	_, panel := Tile()
	if depth > 0 && (rows-1)*aRow+(depth-1)*aStep >= len(a) || depth*panel > len(b) || cols > panel {
		panic(fmt.Sprintf("kernels: Gemm of %d rows, depth %d, %d columns with a of %d values (strides %d, %d) and b of %d", rows, depth, cols, len(a), aRow, aStep, len(b)))
	}
	check("c", c, cRow, rows, cols)
	gemm(rows, depth, a, aRow, aStep, b, c, cRow, cols, accumulate)
}

func gemmGeneric(rows, depth int, a []float32, aRow, aStep int, b, c []float32, cRow, cols int, accumulate bool) {
	const panel = 8
	for r := range rows {
		var acc [panel]float32
		if accumulate {
			copy(acc[:], c[r*cRow:r*cRow+cols])
		}
		for k := range depth {
			x := a[r*aRow+k*aStep]
			bk := (*[panel]float32)(b[k*panel:])
			for j := range acc {
				acc[j] += x * bk[j]
			}
		}
		copy(c[r*cRow:r*cRow+cols], acc[:])
	}
}
