package kernels

import "math"

// NoFloor as the floor of Affine leaves results as they are.
var NoFloor = float32(math.Inf(-1))

// Affine sets dst[r][j] = max(src[r][j]·scale[j] + shift[j], floor). NaN stays NaN. dst may be src.
// With floor 0 it is GroupNorm followed by ReLU, once the statistics are folded into scale and shift.
func Affine(dst []float32, dstRow int, src []float32, srcRow, rows, cols int, scale, shift []float32, floor float32) {
	if rows == 0 || cols == 0 {
		return
	}
	check("dst", dst, dstRow, rows, cols)
	check("src", src, srcRow, rows, cols)
	checkVector("scale", scale, cols)
	checkVector("shift", shift, cols)
	affine(dst, dstRow, src, srcRow, rows, cols, scale, shift, floor)
}

func affineGeneric(dst []float32, dstRow int, src []float32, srcRow, rows, cols int, scale, shift []float32, floor float32) {
	for r := range rows {
		d, s := dst[r*dstRow:][:cols], src[r*srcRow:][:cols]
		for j, x := range s {
			y := x*scale[j] + shift[j]
			if y < floor {
				y = floor
			}
			d[j] = y
		}
	}
}

// CopyRows sets dst[r][j] = src[r][j]. A srcRow of 0 repeats one row.
func CopyRows(dst []float32, dstRow int, src []float32, srcRow, rows, cols int) {
	if rows == 0 || cols == 0 {
		return
	}
	check("dst", dst, dstRow, rows, cols)
	check("src", src, srcRow, rows, cols)
	copyRows(dst, dstRow, src, srcRow, rows, cols)
}

func copyRowsGeneric(dst []float32, dstRow int, src []float32, srcRow, rows, cols int) {
	for r := range rows {
		copy(dst[r*dstRow:][:cols], src[r*srcRow:][:cols])
	}
}

// AddRows adds src to dst: dst[r][j] += src[r][j]. A dstRow of 0 sums all rows into one, in order.
func AddRows(dst []float32, dstRow int, src []float32, srcRow, rows, cols int) {
	if rows == 0 || cols == 0 {
		return
	}
	check("dst", dst, dstRow, rows, cols)
	check("src", src, srcRow, rows, cols)
	addRows(dst, dstRow, src, srcRow, rows, cols)
}

func addRowsGeneric(dst []float32, dstRow int, src []float32, srcRow, rows, cols int) {
	for r := range rows {
		d, s := dst[r*dstRow:][:cols], src[r*srcRow:][:cols]
		for j, x := range s {
			d[j] += x
		}
	}
}

// MaxRows sets dst[r][j] to the larger of dst[r][j] and src[r][j], NaN if either is. Of two zeros dst's stays.
func MaxRows(dst []float32, dstRow int, src []float32, srcRow, rows, cols int) {
	if rows == 0 || cols == 0 {
		return
	}
	check("dst", dst, dstRow, rows, cols)
	check("src", src, srcRow, rows, cols)
	maxRows(dst, dstRow, src, srcRow, rows, cols)
}

func maxRowsGeneric(dst []float32, dstRow int, src []float32, srcRow, rows, cols int) {
	for r := range rows {
		d, s := dst[r*dstRow:][:cols], src[r*srcRow:][:cols]
		for j, x := range s {
			if x > d[j] || x != x {
				d[j] = x
			}
		}
	}
}

// GradRows finishes the gradient of a normalisation in place:
//
//	dy[r][j] = a[j]·dy[r][j] + b[j]·x[r][j] + c[j] + skip[r][j]
//
// skip is the gradient that reaches x by another way, such as an identity shortcut; nil is none.
func GradRows(dy []float32, dyRow int, x []float32, xRow int, skip []float32, skipRow, rows, cols int, a, b, c []float32) {
	if rows == 0 || cols == 0 {
		return
	}
	check("dy", dy, dyRow, rows, cols)
	check("x", x, xRow, rows, cols)
	checkVector("a", a, cols)
	checkVector("b", b, cols)
	checkVector("c", c, cols)
	if skip == nil {
		skip, skipRow = zeros(cols), 0
	}
	check("skip", skip, skipRow, rows, cols)
	gradRows(dy, dyRow, x, xRow, skip, skipRow, rows, cols, a, b, c)
}

func gradRowsGeneric(dy []float32, dyRow int, x []float32, xRow int, skip []float32, skipRow, rows, cols int, a, b, c []float32) {
	for r := range rows {
		d, xs, s := dy[r*dyRow:][:cols], x[r*xRow:][:cols], skip[r*skipRow:][:cols]
		for j := range d {
			d[j] = a[j]*d[j] + b[j]*xs[j] + c[j] + s[j]
		}
	}
}

var zeroRow = make([]float32, 1<<14)

// zeros returns a row of zeros that must not be written to.
func zeros(cols int) []float32 {
	if cols > len(zeroRow) {
		return make([]float32, cols)
	}
	return zeroRow[:cols]
}
