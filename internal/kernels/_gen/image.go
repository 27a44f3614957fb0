package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// imageKernels emits the loops over 8-bit samples. They exist at AVX2 alone, which AVX-512 runs too: pictures are small
// beside the network's work.
func imageKernels() {
	inverseDCT()
	yCbCrToRGB()
	upsampleH2V2()
	resampleRow()
	resampleColumns()
}

func imageKernel(name, signature, doc string) {
	TEXT(name+"AVX2", NOSPLIT, signature)
	Pragma("noescape")
	Doc(name + "AVX2 is " + name + "Generic" + doc)
}

// table declares read-only bytes.
func table(name string, bytes []byte) Mem {
	m := GLOBL(name, RODATA|NOPTR)
	for i, b := range bytes {
		DATA(i, U8(b))
	}
	return m
}

// int32s fills a vector with one value.
func int32s(v int32) VecVirtual {
	r, x, y := GP32(), XMM(), YMM()
	MOVL(I32(v), r)
	VMOVD(r, x)
	VPBROADCASTD(x, y)
	return y
}

// inverseDCT emits the transform with a vector a row, then, transposed, a vector a column.
func inverseDCT() {
	// In each half of a vector lie 4 x 4 bytes, which this transposes.
	shuffle := table("idctShuffle", []byte{
		0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15,
		0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15,
	})
	constants := []int32{4433, -15137, 6270, 9633, -7373, -20995, -16069, -3196, 2446, 16819, 25172, 12299}
	factors := GLOBL("idctFactors", RODATA|NOPTR)
	for i, c := range constants {
		for j := range 8 {
			DATA(32*i+4*j, I32(c))
		}
	}
	imageKernel("inverseDCT", "func(dst *uint8, stride int, coefs *int16, table *int32)", ".")
	coefs, quant := load("coefs"), load("table")
	var v [8]VecVirtual
	for i := range v {
		v[i] = YMM()
		VPMOVSXWD(Mem{Base: coefs, Disp: 16 * i}, v[i])
		VPMULLD(Mem{Base: quant, Disp: 32 * i}, v[i], v[i])
	}
	v = idct1D(v, factors, 1<<10)
	for i := range v {
		VPSRAD(U8(11), v[i], v[i])
	}
	transpose8(&v)
	v = idct1D(v, factors, 128<<18+1<<17)
	for i := range v {
		VPSRAD(U8(18), v[i], v[i])
	}
	// Two vectors of 32 bytes: in the halves rows 0-3 and 4-7 of columns 0-3, and of 4-7.
	var q [2]VecVirtual
	for i := range q {
		a := v[4*i:]
		VPACKSSDW(a[1], a[0], a[0])
		VPACKSSDW(a[3], a[2], a[2])
		VPACKUSWB(a[2], a[0], a[0])
		VPSHUFB(shuffle, a[0], a[0])
		q[i] = a[0]
	}
	low, high := YMM(), YMM()
	VPUNPCKLDQ(q[1], q[0], low)  // rows 0, 1 and 4, 5
	VPUNPCKHDQ(q[1], q[0], high) // rows 2, 3 and 6, 7
	dst, stride := load("dst"), load("stride")
	stride3 := GP64()
	LEAQ(Mem{Base: stride, Index: stride, Scale: 2}, stride3)
	for half := range 2 {
		a, b := low.AsX(), high.AsX()
		if half == 1 {
			LEAQ(Mem{Base: dst, Index: stride, Scale: 4}, dst)
			a, b = XMM(), XMM()
			VEXTRACTI128(U8(1), low, a)
			VEXTRACTI128(U8(1), high, b)
		}
		VMOVLPS(a, Mem{Base: dst})
		VMOVHPS(a, Mem{Base: dst, Index: stride, Scale: 1})
		VMOVLPS(b, Mem{Base: dst, Index: stride, Scale: 2})
		VMOVHPS(b, Mem{Base: dst, Index: stride3, Scale: 1})
	}
	VZEROUPPER()
	RET()
}

// idct1D emits one pass.
func idct1D(v [8]VecVirtual, factors Mem, round int32) (out [8]VecVirtual) {
	times := func(a VecVirtual, i int) VecVirtual {
		p := YMM()
		VPMULLD(factors.Offset(32*i), a, p)
		return p
	}
	add := func(a, b VecVirtual) VecVirtual {
		s := YMM()
		VPADDD(b, a, s)
		return s
	}
	sub := func(a, b VecVirtual) VecVirtual {
		s := YMM()
		VPSUBD(b, a, s)
		return s
	}
	shifted := func(a VecVirtual) VecVirtual {
		VPSLLD(U8(13), a, a)
		VPADDD(int32s(round), a, a)
		return a
	}
	z := times(add(v[2], v[6]), 0)
	even2, even3 := add(z, times(v[6], 1)), add(z, times(v[2], 2))
	even0, even1 := shifted(add(v[0], v[4])), shifted(sub(v[0], v[4]))
	e := [4]VecVirtual{add(even0, even3), add(even1, even2), sub(even1, even2), sub(even0, even3)}

	s73, s51 := add(v[7], v[3]), add(v[5], v[1])
	z5 := times(add(s73, s51), 3)
	z1, z2 := times(add(v[7], v[1]), 4), times(add(v[5], v[3]), 5)
	z3, z4 := add(z5, times(s73, 6)), add(z5, times(s51, 7))
	odd := [4]VecVirtual{
		add(add(times(v[7], 8), z1), z3), add(add(times(v[5], 9), z2), z4),
		add(add(times(v[3], 10), z2), z3), add(add(times(v[1], 11), z1), z4),
	}
	for i := range 4 {
		out[i], out[7-i] = add(e[i], odd[3-i]), sub(e[i], odd[3-i])
	}
	return out
}

// transpose8 emits the transposition of 8 x 8 values.
func transpose8(v *[8]VecVirtual) {
	var pairs, quads [8]VecVirtual
	for i := 0; i < 8; i += 2 {
		pairs[i], pairs[i+1] = YMM(), YMM()
		VPUNPCKLDQ(v[i+1], v[i], pairs[i])
		VPUNPCKHDQ(v[i+1], v[i], pairs[i+1])
	}
	for i := 0; i < 8; i += 4 {
		for j := range 2 {
			quads[i+2*j], quads[i+2*j+1] = YMM(), YMM()
			VPUNPCKLQDQ(pairs[i+2+j], pairs[i+j], quads[i+2*j])
			VPUNPCKHQDQ(pairs[i+2+j], pairs[i+j], quads[i+2*j+1])
		}
	}
	for i := range 4 {
		v[i], v[i+4] = YMM(), YMM()
		VPERM2I128(U8(0x20), quads[i+4], quads[i], v[i])
		VPERM2I128(U8(0x31), quads[i+4], quads[i], v[i+4])
	}
}

// yCbCrToRGB emits a loop over vectors of 8 pixels.
func yCbCrToRGB() {
	// In each half of a vector lie 4 reds, greens, blues, blues.
	shuffle := table("rgbShuffle", []byte{
		0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11, 128, 128, 128, 128,
		0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11, 128, 128, 128, 128,
	})
	imageKernel("yCbCrToRGB", "func(rgb, y, cb, cr *uint8, pixels int)", " for a multiple of 8 pixels.")
	rgb, y, cb, cr, n := load("rgb"), load("y"), load("cb"), load("cr"), load("pixels")
	centre, half := int32s(128), int32s(32768)
	factors := []VecVirtual{int32s(91881), int32s(-22554), int32s(-46802), int32s(116130)}
	order := YMM()
	VMOVDQU(shuffle, order)
	countdown("pixels", n, 8, func() {
		luma, u, v := YMM(), YMM(), YMM()
		VPMOVZXBD(Mem{Base: y}, luma)
		VPMOVZXBD(Mem{Base: cb}, u)
		VPMOVZXBD(Mem{Base: cr}, v)
		VPSUBD(centre, u, u)
		VPSUBD(centre, v, v)
		r, g, b, t := YMM(), YMM(), YMM(), YMM()
		VPMULLD(factors[0], v, r)
		VPMULLD(factors[1], u, g)
		VPMULLD(factors[2], v, t)
		VPMULLD(factors[3], u, b)
		VPADDD(t, g, g)
		for _, c := range []VecVirtual{r, g, b} {
			VPADDD(half, c, c)
			VPSRAD(U8(16), c, c)
			VPADDD(luma, c, c)
		}
		VPACKSSDW(g, r, r)
		VPACKSSDW(b, b, b)
		VPACKUSWB(b, r, r)
		VPSHUFB(order, r, r)
		high := XMM()
		VEXTRACTI128(U8(1), r, high)
		VMOVDQU(r.AsX(), Mem{Base: rgb}) // 4 bytes too many, which the next store overwrites
		VMOVQ(high, Mem{Base: rgb, Disp: 12})
		VPEXTRD(U8(2), high, Mem{Base: rgb, Disp: 20})
		for _, p := range []GPVirtual{y, cb, cr} {
			ADDQ(U8(8), p)
		}
		ADDQ(U8(24), rgb)
	})
	VZEROUPPER()
	RET()
}

// upsampleH2V2 emits a loop over vectors of 16 samples.
func upsampleH2V2() {
	imageKernel("upsampleH2V2", "func(dst, near, far *uint8, samples int)",
		" for a multiple of 16 samples, near, far and dst beginning with the first of them.")
	dst, near, far, n := load("dst"), load("near"), load("far"), load("samples")
	words := func(v int32) VecVirtual { return int32s(v<<16 | v) }
	three, eight, seven := words(3), words(8), words(7)
	countdown("samples", n, 16, func() {
		sum := func(at int) VecVirtual {
			a, b := YMM(), YMM()
			VPMOVZXBW(Mem{Base: near, Disp: at}, a)
			VPMOVZXBW(Mem{Base: far, Disp: at}, b)
			VPMULLW(three, a, a)
			VPADDW(b, a, a)
			return a
		}
		prev, cur, next := sum(-1), sum(0), sum(1)
		VPMULLW(three, cur, cur)
		VPADDW(cur, prev, prev)
		VPADDW(eight, prev, prev)
		VPSRLW(U8(4), prev, prev)
		VPADDW(cur, next, next)
		VPADDW(seven, next, next)
		VPSRLW(U8(4), next, next)
		VPSLLW(U8(8), next, next)
		VPOR(next, prev, prev) // even outputs are low bytes, odd ones high bytes
		VMOVDQU(prev, Mem{Base: dst})
		ADDQ(U8(16), near)
		ADDQ(U8(16), far)
		ADDQ(U8(32), dst)
	})
	VZEROUPPER()
	RET()
}

// resampleBits is the number of fraction bits of weights.
const resampleBits = 22

// resampleRow emits a loop over pixels, a vector of four values of which the last is idle.
func resampleRow() {
	imageKernel("resampleRow", "func(dst, src *uint8, first *int32, pixels int, weights *int32, taps int)",
		", except that of each pixel one byte more is read and written.")
	dst, src, first, n := load("dst"), load("src"), load("first"), load("pixels")
	weights, taps := load("weights"), load("taps")
	round := int32s(1 << (resampleBits - 1)).AsX()
	Label("pixels")
	TESTQ(n, n)
	JE(LabelRef("end"))
	p, left := GP64(), GP64()
	MOVLQSX(Mem{Base: first}, p)
	LEAQ(Mem{Base: p, Index: p, Scale: 2}, p)
	ADDQ(src, p)
	MOVQ(taps, left)
	sum := XMM()
	VMOVDQA(round, sum)
	Label("taps")
	v, w := XMM(), XMM()
	VPMOVZXBD(Mem{Base: p}, v)
	VPBROADCASTD(Mem{Base: weights}, w)
	VPMULLD(w, v, v)
	VPADDD(v, sum, sum)
	ADDQ(U8(3), p)
	ADDQ(U8(4), weights)
	DECQ(left)
	JNE(LabelRef("taps"))
	VPSRAD(U8(resampleBits), sum, sum)
	VPACKSSDW(sum, sum, sum)
	VPACKUSWB(sum, sum, sum)
	VMOVD(sum, Mem{Base: dst})
	ADDQ(U8(3), dst)
	ADDQ(U8(4), first)
	DECQ(n)
	JMP(LabelRef("pixels"))
	Label("end")
	VZEROUPPER()
	RET()
}

// resampleColumns emits a loop over 32 columns and, inside, over rows.
func resampleColumns() {
	imageKernel("resampleColumns", "func(dst, src *uint8, stride, cols int, weights *int32, taps int)", " for a multiple of 32 columns.")
	dst, src, stride, n := load("dst"), load("src"), load("stride"), load("cols")
	weights, taps := load("weights"), load("taps")
	// Packing takes the halves of vectors one by one: this puts groups of 4 bytes back in order.
	groups := GLOBL("resampleOrder", RODATA|NOPTR)
	for i, g := range []int32{0, 4, 1, 5, 2, 6, 3, 7} {
		DATA(4*i, I32(g))
	}
	order := YMM()
	VMOVDQU(groups, order)
	round := int32s(1 << (resampleBits - 1))
	countdown("cols", n, 32, func() {
		p, w, left := GP64(), GP64(), GP64()
		MOVQ(src, p)
		MOVQ(weights, w)
		MOVQ(taps, left)
		var sum [4]VecVirtual
		for i := range sum {
			sum[i] = YMM()
			VMOVDQA(round, sum[i])
		}
		Label("rows")
		weight := YMM()
		VPBROADCASTD(Mem{Base: w}, weight)
		for i := range sum {
			v := YMM()
			VPMOVZXBD(Mem{Base: p, Disp: 8 * i}, v)
			VPMULLD(weight, v, v)
			VPADDD(v, sum[i], sum[i])
		}
		ADDQ(stride, p)
		ADDQ(U8(4), w)
		DECQ(left)
		JNE(LabelRef("rows"))
		for i := range sum {
			VPSRAD(U8(resampleBits), sum[i], sum[i])
		}
		VPACKSSDW(sum[1], sum[0], sum[0])
		VPACKSSDW(sum[3], sum[2], sum[2])
		VPACKUSWB(sum[2], sum[0], sum[0])
		VPERMD(sum[0], order, sum[0])
		VMOVDQU(sum[0], Mem{Base: dst})
		ADDQ(U8(32), src)
		ADDQ(U8(32), dst)
	})
	VZEROUPPER()
	RET()
}
