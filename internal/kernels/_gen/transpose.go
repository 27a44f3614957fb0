package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// transpose emits the transposition of a strip of as many rows as a vector has elements, square by square in registers.
func transpose(l level) {
	TEXT("transpose"+l.suffix, NOSPLIT, "func(dst *float32, dstRow int, src *float32, srcRow, cols int, scale, shift *float32)")
	Pragma("noescape")
	Doc("transpose" + l.suffix + " is transposeGeneric for one vector's length of rows and a multiple of it of cols. Strides are in bytes.")
	dst, dstRow, src, srcRow, n := load("dst"), load("dstRow"), load("src"), load("srcRow"), load("cols")
	scale, shift := load("scale"), load("shift")
	countdown("square", n, l.lanes, func() {
		sc, sh := l.load(Mem{Base: scale}, nil), l.load(Mem{Base: shift}, nil)
		rows := make([]VecVirtual, l.lanes)
		p := GP64()
		MOVQ(src, p)
		for i := range rows {
			rows[i] = l.load(Mem{Base: p}, nil)
			VFMADD213PS(sh, sc, rows[i])
			if i < l.lanes-1 {
				ADDQ(srcRow, p)
			}
		}
		for _, v := range l.transposed(rows) {
			VMOVUPS(v, Mem{Base: dst})
			ADDQ(dstRow, dst)
		}
		step := U32(uint32(l.bytes()))
		ADDQ(step, src)
		ADDQ(step, scale)
		ADDQ(step, shift)
	})
	VZEROUPPER()
	RET()
}

// transposed emits the transposition of a square of vectors. Each step exchanges elements at twice the distance of the
// step before: within pairs, within lanes of 128 bits, then lanes.
func (l level) transposed(v []VecVirtual) []VecVirtual {
	pairs := func(distance int, low, high func(a, b, to VecVirtual)) {
		for i := range v {
			if i&distance != 0 {
				continue
			}
			a, b := v[i], v[i+distance]
			x, y := l.vec(), l.vec()
			low(a, b, x)
			high(a, b, y)
			v[i], v[i+distance] = x, y
		}
	}
	pairs(1, func(a, b, to VecVirtual) { VUNPCKLPS(b, a, to) }, func(a, b, to VecVirtual) { VUNPCKHPS(b, a, to) })
	pairs(2, func(a, b, to VecVirtual) { VUNPCKLPD(b, a, to) }, func(a, b, to VecVirtual) { VUNPCKHPD(b, a, to) })
	// The four rows of a lane have come into the order 0, 2, 1, 3.
	for i := 0; i < len(v); i += 4 {
		v[i+1], v[i+2] = v[i+2], v[i+1]
	}
	if !l.wide() {
		pairs(4, func(a, b, to VecVirtual) { VPERM2F128(U8(0x20), b, a, to) }, func(a, b, to VecVirtual) { VPERM2F128(U8(0x31), b, a, to) })
		return v
	}
	// Even and odd lanes of two, twice: a vector then has one lane of all four groups of rows.
	pairs(4, func(a, b, to VecVirtual) { VSHUFF32X4(U8(0x88), b, a, to) }, func(a, b, to VecVirtual) { VSHUFF32X4(U8(0xdd), b, a, to) })
	pairs(8, func(a, b, to VecVirtual) { VSHUFF32X4(U8(0x88), b, a, to) }, func(a, b, to VecVirtual) { VSHUFF32X4(U8(0xdd), b, a, to) })
	return v
}
