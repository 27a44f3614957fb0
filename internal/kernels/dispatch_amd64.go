//go:build amd64 && !purego

package kernels

import "github.com/bigtransfer/bit/internal/cpu"

func gemm(rows, depth int, a []float32, aRow, aStep int, b, c []float32, cRow, cols int, accumulate bool) {
	add := 0
	if accumulate {
		add = 1
	}
	switch cpu.Active() {
	case cpu.AVX512:
		gemmAVX512(rows, depth, ptr(a), 4*aRow, 4*aStep, ptr(b), ptr(c), 4*cRow, cols, add)
	case cpu.AVX2:
		if cols == 16 {
			gemmAVX2(rows, depth, ptr(a), 4*aRow, 4*aStep, ptr(b), ptr(c), 4*cRow, cols, add)
			return
		}
		// Narrow panels go through a full one: the kernel has no masks at this level.
		var tile [6 * 16]float32
		for r := 0; r < rows; r += 6 {
			n := min(6, rows-r)
			copyRowsGeneric(tile[:], 16, c[r*cRow:], cRow, n, cols)
			gemmAVX2(n, depth, ptr(a[min(r*aRow, len(a)):]), 4*aRow, 4*aStep, ptr(b), &tile[0], 4*16, 16, add)
			copyRowsGeneric(c[r*cRow:], cRow, tile[:], 16, n, cols)
		}
	default:
		gemmGeneric(rows, depth, a, aRow, aStep, b, c, cRow, cols, accumulate)
	}
}

func affine(dst []float32, dstRow int, src []float32, srcRow, rows, cols int, scale, shift []float32, floor float32) {
	switch cpu.Active() {
	case cpu.AVX512:
		affineAVX512(&dst[0], 4*dstRow, &src[0], 4*srcRow, rows, cols, &scale[0], &shift[0], floor)
	case cpu.AVX2:
		affineAVX2(&dst[0], 4*dstRow, &src[0], 4*srcRow, rows, cols, &scale[0], &shift[0], floor)
	default:
		affineGeneric(dst, dstRow, src, srcRow, rows, cols, scale, shift, floor)
	}
}

func copyRows(dst []float32, dstRow int, src []float32, srcRow, rows, cols int) {
	switch cpu.Active() {
	case cpu.AVX512:
		copyRowsAVX512(&dst[0], 4*dstRow, &src[0], 4*srcRow, rows, cols)
	case cpu.AVX2:
		copyRowsAVX2(&dst[0], 4*dstRow, &src[0], 4*srcRow, rows, cols)
	default:
		copyRowsGeneric(dst, dstRow, src, srcRow, rows, cols)
	}
}

func addRows(dst []float32, dstRow int, src []float32, srcRow, rows, cols int) {
	switch cpu.Active() {
	case cpu.AVX512:
		addRowsAVX512(&dst[0], 4*dstRow, &src[0], 4*srcRow, rows, cols)
	case cpu.AVX2:
		addRowsAVX2(&dst[0], 4*dstRow, &src[0], 4*srcRow, rows, cols)
	default:
		addRowsGeneric(dst, dstRow, src, srcRow, rows, cols)
	}
}

func maxRows(dst []float32, dstRow int, src []float32, srcRow, rows, cols int) {
	switch cpu.Active() {
	case cpu.AVX512:
		maxRowsAVX512(&dst[0], 4*dstRow, &src[0], 4*srcRow, rows, cols)
	case cpu.AVX2:
		maxRowsAVX2(&dst[0], 4*dstRow, &src[0], 4*srcRow, rows, cols)
	default:
		maxRowsGeneric(dst, dstRow, src, srcRow, rows, cols)
	}
}

func gradRows(dy []float32, dyRow int, x []float32, xRow int, skip []float32, skipRow, rows, cols int, a, b, c []float32) {
	switch cpu.Active() {
	case cpu.AVX512:
		gradRowsAVX512(&dy[0], 4*dyRow, &x[0], 4*xRow, &skip[0], 4*skipRow, rows, cols, &a[0], &b[0], &c[0])
	case cpu.AVX2:
		gradRowsAVX2(&dy[0], 4*dyRow, &x[0], 4*xRow, &skip[0], 4*skipRow, rows, cols, &a[0], &b[0], &c[0])
	default:
		gradRowsGeneric(dy, dyRow, x, xRow, skip, skipRow, rows, cols, a, b, c)
	}
}

func columnMoments(x []float32, xRow, rows, cols int, sum, sumSq []float32) {
	switch cpu.Active() {
	case cpu.AVX512:
		columnMomentsAVX512(&x[0], 4*xRow, rows, cols, &sum[0], &sumSq[0])
	case cpu.AVX2:
		columnMomentsAVX2(&x[0], 4*xRow, rows, cols, &sum[0], &sumSq[0])
	default:
		columnMomentsGeneric(x, xRow, rows, cols, sum, sumSq)
	}
}

func columnGrads(dy []float32, dyRow int, x []float32, xRow, rows, cols int, scale, shift, centre, sum, sumX []float32) {
	switch cpu.Active() {
	case cpu.AVX512:
		columnGradsAVX512(&dy[0], 4*dyRow, &x[0], 4*xRow, rows, cols, &scale[0], &shift[0], &centre[0], &sum[0], &sumX[0])
	case cpu.AVX2:
		columnGradsAVX2(&dy[0], 4*dyRow, &x[0], 4*xRow, rows, cols, &scale[0], &shift[0], &centre[0], &sum[0], &sumX[0])
	default:
		columnGradsGeneric(dy, dyRow, x, xRow, rows, cols, scale, shift, centre, sum, sumX)
	}
}

func maxPoolBackward(dx, x, y, dy []float32, taps *[9]int, cols int) {
	var bytes [9]int
	for i, o := range taps {
		bytes[i] = 4 * o
	}
	switch cpu.Active() {
	case cpu.AVX512:
		maxPoolBackwardAVX512(&dx[0], &x[0], &y[0], &dy[0], &bytes, cols)
	case cpu.AVX2:
		maxPoolBackwardAVX2(&dx[0], &x[0], &y[0], &dy[0], &bytes, cols)
	default:
		maxPoolBackwardGeneric(dx, x, y, dy, taps, cols)
	}
}

func sgd(w, v, g []float32, rate, momentum, decay, scale float32) {
	switch cpu.Active() {
	case cpu.AVX512:
		sgdAVX512(&w[0], &v[0], &g[0], len(w), rate, momentum, decay, scale)
	case cpu.AVX2:
		sgdAVX2(&w[0], &v[0], &g[0], len(w), rate, momentum, decay, scale)
	default:
		sgdGeneric(w, v, g, rate, momentum, decay, scale)
	}
}

func winogradInput(dst []float32, dstPos, dstRow int, src []float32, srcRow, srcPixel, tiles, cols int) {
	switch cpu.Active() {
	case cpu.AVX512:
		winogradInputAVX512(&dst[0], 4*dstPos, 4*dstRow, &src[0], 4*srcRow, 4*srcPixel, tiles, cols)
	case cpu.AVX2:
		winogradInputAVX2(&dst[0], 4*dstPos, 4*dstRow, &src[0], 4*srcRow, 4*srcPixel, tiles, cols)
	default:
		winogradInputGeneric(dst, dstPos, dstRow, src, srcRow, srcPixel, tiles, cols)
	}
}

func winogradOutput(dst []float32, dstRow, dstPixel int, src []float32, srcPos, srcRow, tiles, cols int) {
	switch cpu.Active() {
	case cpu.AVX512:
		winogradOutputAVX512(&dst[0], 4*dstRow, 4*dstPixel, &src[0], 4*srcPos, 4*srcRow, tiles, cols)
	case cpu.AVX2:
		winogradOutputAVX2(&dst[0], 4*dstRow, 4*dstPixel, &src[0], 4*srcPos, 4*srcRow, tiles, cols)
	default:
		winogradOutputGeneric(dst, dstRow, dstPixel, src, srcPos, srcRow, tiles, cols)
	}
}

func multiplyAdds(x *[192]float32, a, b float32, n int) {
	switch cpu.Active() {
	case cpu.AVX512:
		multiplyAddsAVX512(&x[0], a, b, n)
	case cpu.AVX2:
		multiplyAddsAVX2(&x[0], a, b, n)
	default:
		multiplyAddsGeneric(x, a, b, n)
	}
}

func winogradKernel(dst []float32, dstPos, dstRow int, src []float32, srcTap, srcRow, rows, cols int) {
	switch cpu.Active() {
	case cpu.AVX512:
		winogradKernelAVX512(&dst[0], 4*dstPos, 4*dstRow, &src[0], 4*srcTap, 4*srcRow, rows, cols)
	case cpu.AVX2:
		winogradKernelAVX2(&dst[0], 4*dstPos, 4*dstRow, &src[0], 4*srcTap, 4*srcRow, rows, cols)
	default:
		winogradKernelGeneric(dst, dstPos, dstRow, src, srcTap, srcRow, rows, cols)
	}
}

func winogradOutputGrad(dst []float32, dstPos, dstRow int, src []float32, srcRow, srcPixel, tiles, cols int) {
	switch cpu.Active() {
	case cpu.AVX512:
		winogradOutputGradAVX512(&dst[0], 4*dstPos, 4*dstRow, &src[0], 4*srcRow, 4*srcPixel, tiles, cols)
	case cpu.AVX2:
		winogradOutputGradAVX2(&dst[0], 4*dstPos, 4*dstRow, &src[0], 4*srcRow, 4*srcPixel, tiles, cols)
	default:
		winogradOutputGradGeneric(dst, dstPos, dstRow, src, srcRow, srcPixel, tiles, cols)
	}
}

func winogradKernelGrad(dst []float32, dstTap, dstRow int, src []float32, srcPos, srcRow, rows, cols int) {
	switch cpu.Active() {
	case cpu.AVX512:
		winogradKernelGradAVX512(&dst[0], 4*dstTap, 4*dstRow, &src[0], 4*srcPos, 4*srcRow, rows, cols)
	case cpu.AVX2:
		winogradKernelGradAVX2(&dst[0], 4*dstTap, 4*dstRow, &src[0], 4*srcPos, 4*srcRow, rows, cols)
	default:
		winogradKernelGradGeneric(dst, dstTap, dstRow, src, srcPos, srcRow, rows, cols)
	}
}

func transpose(dst []float32, dstRow int, src []float32, srcRow, rows, cols int, scale, shift []float32) {
	lanes, strip := 16, transposeAVX512
	switch cpu.Active() {
	case cpu.AVX2:
		lanes, strip = 8, transposeAVX2
	case cpu.Generic:
		transposeGeneric(dst, dstRow, src, srcRow, rows, cols, scale, shift)
		return
	}
	// Whole squares in registers, the edges one by one.
	wholeRows, wholeCols := rows/lanes*lanes, cols/lanes*lanes
	if wholeCols > 0 {
		for r := 0; r < wholeRows; r += lanes {
			strip(&dst[r], 4*dstRow, &src[r*srcRow], 4*srcRow, wholeCols, &scale[0], &shift[0])
		}
	}
	if wholeCols < cols {
		transposeGeneric(dst[wholeCols*dstRow:], dstRow, src[wholeCols:], srcRow, wholeRows, cols-wholeCols, scale[wholeCols:], shift[wholeCols:])
	}
	if wholeRows < rows {
		transposeGeneric(dst[wholeRows:], dstRow, src[wholeRows*srcRow:], srcRow, rows-wholeRows, cols, scale, shift)
	}
}
