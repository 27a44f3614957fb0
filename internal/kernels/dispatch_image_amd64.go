//go:build amd64 && !purego

package kernels

import "github.com/bigtransfer/bit/internal/cpu"

func inverseDCT(dst []uint8, stride int, coefs *[64]int16, table *[64]int32) {
	if cpu.Active() == cpu.Generic {
		inverseDCTGeneric(dst, stride, coefs, table)
		return
	}
	inverseDCTAVX2(&dst[0], stride, &coefs[0], &table[0])
}

func yCbCrToRGB(rgb, y, cb, cr []uint8) {
	n := len(y)
	if cpu.Active() == cpu.Generic || n < 8 {
		yCbCrToRGBGeneric(rgb, y, cb, cr)
		return
	}
	yCbCrToRGBAVX2(&rgb[0], &y[0], &cb[0], &cr[0], n&^7)
	if at := n - 8; n%8 != 0 { // the last eight pixels, some of them again
		yCbCrToRGBAVX2(&rgb[3*at], &y[at], &cb[at], &cr[at], 8)
	}
}

func upsampleH2V2(dst, near, far []uint8) {
	n := len(near) - 2
	if cpu.Active() == cpu.Generic || n < 16 {
		upsampleH2V2Generic(dst, near, far)
		return
	}
	upsampleH2V2AVX2(&dst[2], &near[1], &far[1], n&^15)
	if at := 1 + n - 16; n%16 != 0 { // the last 16, some of them again
		upsampleH2V2AVX2(&dst[2*at], &near[at], &far[at], 16)
	}
}

func resampleRow(dst, src []uint8, first, weights []int32) {
	if cpu.Active() != cpu.Generic {
		// One byte more of each pixel is touched, which the last ones do not have.
		taps := len(weights) / len(first)
		n := len(first) - 1
		for n > 0 && 3*(int(first[n-1])+taps) >= len(src) {
			n--
		}
		if n > 0 {
			resampleRowAVX2(&dst[0], &src[0], &first[0], n, &weights[0], taps)
		}
		dst, first, weights = dst[3*n:], first[n:], weights[n*taps:]
	}
	resampleRowGeneric(dst, src, first, weights)
}

func resampleColumns(dst, src []uint8, stride int, weights []int32) {
	n := len(dst)
	if cpu.Active() == cpu.Generic || n < 32 {
		resampleColumnsGeneric(dst, src, stride, weights)
		return
	}
	resampleColumnsAVX2(&dst[0], &src[0], stride, n&^31, &weights[0], len(weights))
	if at := n - 32; n%32 != 0 { // the last 32, some of them again
		resampleColumnsAVX2(&dst[at], &src[at], stride, 32, &weights[0], len(weights))
	}
}
