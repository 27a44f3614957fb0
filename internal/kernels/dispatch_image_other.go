//go:build !amd64 || purego

package kernels

func inverseDCT(dst []uint8, stride int, coefs *[64]int16, table *[64]int32) {
	inverseDCTGeneric(dst, stride, coefs, table)
}

func yCbCrToRGB(rgb, y, cb, cr []uint8) {
	yCbCrToRGBGeneric(rgb, y, cb, cr)
}

func upsampleH2V2(dst, near, far []uint8) {
	upsampleH2V2Generic(dst, near, far)
}

func resampleRow(dst, src []uint8, first, weights []int32) {
	resampleRowGeneric(dst, src, first, weights)
}

func resampleColumns(dst, src []uint8, stride int, weights []int32) {
	resampleColumnsGeneric(dst, src, stride, weights)
}
