//go:build !amd64 || purego

package kernels

func gemm(rows, depth int, a []float32, aRow, aStep int, b, c []float32, cRow, cols int, accumulate bool) {
	gemmGeneric(rows, depth, a, aRow, aStep, b, c, cRow, cols, accumulate)
}

func affine(dst []float32, dstRow int, src []float32, srcRow, rows, cols int, scale, shift []float32, floor float32) {
	affineGeneric(dst, dstRow, src, srcRow, rows, cols, scale, shift, floor)
}

func copyRows(dst []float32, dstRow int, src []float32, srcRow, rows, cols int) {
	copyRowsGeneric(dst, dstRow, src, srcRow, rows, cols)
}

func addRows(dst []float32, dstRow int, src []float32, srcRow, rows, cols int) {
	addRowsGeneric(dst, dstRow, src, srcRow, rows, cols)
}

func maxRows(dst []float32, dstRow int, src []float32, srcRow, rows, cols int) {
	maxRowsGeneric(dst, dstRow, src, srcRow, rows, cols)
}

func gradRows(dy []float32, dyRow int, x []float32, xRow int, skip []float32, skipRow, rows, cols int, a, b, c []float32) {
	gradRowsGeneric(dy, dyRow, x, xRow, skip, skipRow, rows, cols, a, b, c)
}

func columnMoments(x []float32, xRow, rows, cols int, sum, sumSq []float32) {
	columnMomentsGeneric(x, xRow, rows, cols, sum, sumSq)
}

func columnGrads(dy []float32, dyRow int, x []float32, xRow, rows, cols int, scale, shift, centre, sum, sumX []float32) {
	columnGradsGeneric(dy, dyRow, x, xRow, rows, cols, scale, shift, centre, sum, sumX)
}

func maxPoolBackward(dx, x, y, dy []float32, taps *[9]int, cols int) {
	maxPoolBackwardGeneric(dx, x, y, dy, taps, cols)
}

func sgd(w, v, g []float32, rate, momentum, decay, scale float32) {
	sgdGeneric(w, v, g, rate, momentum, decay, scale)
}

func winogradInput(dst []float32, dstPos, dstRow int, src []float32, srcRow, srcPixel, tiles, cols int) {
	winogradInputGeneric(dst, dstPos, dstRow, src, srcRow, srcPixel, tiles, cols)
}

func winogradOutput(dst []float32, dstRow, dstPixel int, src []float32, srcPos, srcRow, tiles, cols int) {
	winogradOutputGeneric(dst, dstRow, dstPixel, src, srcPos, srcRow, tiles, cols)
}

func multiplyAdds(x *[192]float32, a, b float32, n int) { multiplyAddsGeneric(x, a, b, n) }
func winogradKernel(dst []float32, dstPos, dstRow int, src []float32, srcTap, srcRow, rows, cols int) {
	winogradKernelGeneric(dst, dstPos, dstRow, src, srcTap, srcRow, rows, cols)
}

func winogradOutputGrad(dst []float32, dstPos, dstRow int, src []float32, srcRow, srcPixel, tiles, cols int) {
	winogradOutputGradGeneric(dst, dstPos, dstRow, src, srcRow, srcPixel, tiles, cols)
}

func winogradKernelGrad(dst []float32, dstTap, dstRow int, src []float32, srcPos, srcRow, rows, cols int) {
	winogradKernelGradGeneric(dst, dstTap, dstRow, src, srcPos, srcRow, rows, cols)
}

func transpose(dst []float32, dstRow int, src []float32, srcRow, rows, cols int, scale, shift []float32) {
	transposeGeneric(dst, dstRow, src, srcRow, rows, cols, scale, shift)
}
