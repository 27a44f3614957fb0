package kernels

// InverseDCT multiplies the coefficients of a JPEG block by their quantisation table, both in natural order, and writes
// the 8 x 8 samples that they stand for to dst, whose rows lie stride bytes apart. It is the "islow" transform of
// libjpeg (jidctint.c, after Loeffler, Ligtenberg and Moschytz 1989), whose fixed-point arithmetic decides the samples
// to the bit: constants have 13 fraction bits, and between the passes over columns and rows 2 are kept. Sums wrap
// round at 32 bits, which only damaged files reach; samples are limited to 0..255.
func InverseDCT(dst []uint8, stride int, coefs *[64]int16, table *[64]int32) {
	_ = dst[:7*stride+8]
	inverseDCT(dst, stride, coefs, table)
}

// Constants of jidctint.c, times 2^13.
const (
	idct0_298631336 = 2446
	idct0_390180644 = 3196
	idct0_541196100 = 4433
	idct0_765366865 = 6270
	idct0_899976223 = 7373
	idct1_175875602 = 9633
	idct1_501321110 = 12299
	idct1_847759065 = 15137
	idct1_961570560 = 16069
	idct2_053119869 = 16819
	idct2_562915447 = 20995
	idct3_072711026 = 25172

	idctBits     = 13
	idctPassBits = 2
)

func inverseDCTGeneric(dst []uint8, stride int, coefs *[64]int16, table *[64]int32) {
	var between [64]int32
	for x := range 8 {
		const round, shift = 1 << (idctBits - idctPassBits - 1), idctBits - idctPassBits
		c, q, b := coefs[x:x+57:x+57], table[x:x+57:x+57], between[x:x+57:x+57]
		if c[8]|c[16]|c[24]|c[32]|c[40]|c[48]|c[56] == 0 { // as the whole pass would have it
			flat := (int32(c[0])*q[0]<<idctBits + round) >> shift
			b[0], b[8], b[16], b[24], b[32], b[40], b[48], b[56] = flat, flat, flat, flat, flat, flat, flat, flat
			continue
		}
		s0, s1, s2, s3, s4, s5, s6, s7 := idct1D(int32(c[0])*q[0], int32(c[8])*q[8], int32(c[16])*q[16], int32(c[24])*q[24],
			int32(c[32])*q[32], int32(c[40])*q[40], int32(c[48])*q[48], int32(c[56])*q[56], round)
		b[0], b[8], b[16], b[24] = s0>>shift, s1>>shift, s2>>shift, s3>>shift
		b[32], b[40], b[48], b[56] = s4>>shift, s5>>shift, s6>>shift, s7>>shift
	}
	for y := range 8 {
		const shift = idctBits + idctPassBits + 3
		const round = 128<<shift + 1<<(shift-1) // samples are signed until here
		b, row := between[8*y:8*y+8:8*y+8], dst[y*stride:][:8]
		s0, s1, s2, s3, s4, s5, s6, s7 := idct1D(b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7], round)
		row[0], row[1], row[2], row[3] = clamp8(s0>>shift), clamp8(s1>>shift), clamp8(s2>>shift), clamp8(s3>>shift)
		row[4], row[5], row[6], row[7] = clamp8(s4>>shift), clamp8(s5>>shift), clamp8(s6>>shift), clamp8(s7>>shift)
	}
}

// idct1D is one pass over 8 values. Its results have 13 more fraction bits, and round is added to each.
func idct1D(v0, v1, v2, v3, v4, v5, v6, v7, round int32) (s0, s1, s2, s3, s4, s5, s6, s7 int32) {
	// The even part.
	z := (v2 + v6) * idct0_541196100
	even2, even3 := z-v6*idct1_847759065, z+v2*idct0_765366865
	even0, even1 := (v0+v4)<<idctBits+round, (v0-v4)<<idctBits+round
	even0, even3 = even0+even3, even0-even3
	even1, even2 = even1+even2, even1-even2

	// The odd part.
	z5 := (v7 + v3 + v5 + v1) * idct1_175875602
	z1 := -(v7 + v1) * idct0_899976223
	z2 := -(v5 + v3) * idct2_562915447
	z3 := z5 - (v7+v3)*idct1_961570560
	z4 := z5 - (v5+v1)*idct0_390180644
	odd0 := v7*idct0_298631336 + z1 + z3
	odd1 := v5*idct2_053119869 + z2 + z4
	odd2 := v3*idct3_072711026 + z2 + z3
	odd3 := v1*idct1_501321110 + z1 + z4

	return even0 + odd3, even1 + odd2, even2 + odd1, even3 + odd0, even3 - odd0, even2 - odd1, even1 - odd2, even0 - odd3
}

// clamp8 limits v to 0..255.
func clamp8(v int32) uint8 {
	if uint32(v) > 255 {
		return uint8(^(v >> 31)) // all ones above the range, zero below it
	}
	return uint8(v)
}
