package kernels

// Transpose sets dst[c][r] = src[r][c]·scale[c] + shift[c] for r < rows, c < cols: what the gradient of an input
// multiplies by is the transpose of what its output was made with.
func Transpose(dst []float32, dstRow int, src []float32, srcRow, rows, cols int, scale, shift []float32) {
	if rows == 0 || cols == 0 {
		return
	}
	check("dst", dst, dstRow, cols, rows)
	check("src", src, srcRow, rows, cols)
	checkVector("scale", scale, cols)
	checkVector("shift", shift, cols)
	transpose(dst, dstRow, src, srcRow, rows, cols, scale, shift)
}

func transposeGeneric(dst []float32, dstRow int, src []float32, srcRow, rows, cols int, scale, shift []float32) {
	for r := range rows {
		for c, x := range src[r*srcRow:][:cols] {
			dst[c*dstRow+r] = x*scale[c] + shift[c]
		}
	}
}
