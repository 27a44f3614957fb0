package kernels

// YCbCrToRGB writes the pixels R G B of full-range Y Cb Cr samples. Its constants are 1.402, 0.34414, 0.71414 and 1.772
// times 2^16, as in libjpeg's jdcolor.c (ITU-R BT.601). rgb holds 3·len(y) values, cb and cr at least len(y).
func YCbCrToRGB(rgb, y, cb, cr []uint8) {
	n := len(y)
	yCbCrToRGB(rgb[:3*n], y, cb[:n], cr[:n])
}

func yCbCrToRGBGeneric(rgb, y, cb, cr []uint8) {
	for x := range y {
		luma, u, v := int32(y[x]), int32(cb[x])-128, int32(cr[x])-128
		r := luma + (91881*v+32768)>>16
		g := luma + (-22554*u-46802*v+32768)>>16
		b := luma + (116130*u+32768)>>16
		p := rgb[x*3 : x*3+3 : x*3+3]
		p[0], p[1], p[2] = clamp8(r), clamp8(g), clamp8(b)
	}
}

// UpsampleH2V2 computes one of the two rows into which a row of samples is divided, at twice its width, near and far
// being that row and the other that the output lies beside. The weights are 9, 3, 3, 1 sixteenths; the roundings of left
// and right outputs differ so as not to drift (libjpeg's h2v2_fancy_upsample). len(near) >= 2, dst holds twice as many.
func UpsampleH2V2(dst, near, far []uint8) {
	n := len(near)
	dst, far = dst[:2*n], far[:n]
	sum := func(i int) uint32 { return 3*uint32(near[i]) + uint32(far[i]) }
	dst[0] = uint8((4*sum(0) + 8) >> 4)
	dst[1] = uint8((3*sum(0) + sum(1) + 7) >> 4)
	upsampleH2V2(dst, near, far)
	dst[2*n-2] = uint8((3*sum(n-1) + sum(n-2) + 8) >> 4)
	dst[2*n-1] = uint8((4*sum(n-1) + 7) >> 4)
}

// upsampleH2V2Generic computes the outputs of all samples but the first and the last.
func upsampleH2V2Generic(dst, near, far []uint8) {
	prev, cur := 3*uint32(near[0])+uint32(far[0]), 3*uint32(near[1])+uint32(far[1])
	for i := 1; i < len(near)-1; i++ {
		next := 3*uint32(near[i+1]) + uint32(far[i+1])
		o := dst[2*i : 2*i+2 : 2*i+2]
		o[0] = uint8((3*cur + prev + 8) >> 4)
		o[1] = uint8((3*cur + next + 7) >> 4)
		prev, cur = cur, next
	}
}
