package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// winograd emits the two transforms of Winograd's convolution F(4x4,3x3) with the interpolation points 0, ±√½, ±√2, ∞.
// A tile's two passes meet in a table on the stack: 36 vectors do not fit into the registers of any level.
func winograd(l level) {
	winogradTransform(l, "winogradInput", "func(dst *float32, dstPos, dstRow int, src *float32, srcRow, srcPixel, tiles, cols int)",
		winogradLayout{rows: 6, inner: "src", outer: "dst"}, winogradInput1D)
	winogradTransform(l, "winogradOutput", "func(dst *float32, dstRow, dstPixel int, src *float32, srcPos, srcRow, tiles, cols int)",
		winogradLayout{rows: 4, inner: "dst", outer: "src"}, winogradOutput1D)
}

// winogradLayout says which side of a transform is a piece of a map, rows of pixels, and which is the 36 matrices.
type winogradLayout struct {
	rows         int    // of pixels, and pixels in a row
	inner, outer string // the map, the matrices
}

// winogradConstants are the numbers other than ±1 in the transforms' matrices.
type winogradConstants struct{ half, two, root, rootHalf, sum VecVirtual }

var winogradTableMem *Mem

func (l level) winogradConstants(input bool) (c winogradConstants) {
	if winogradTableMem == nil {
		m := GLOBL("winogradTable", RODATA|NOPTR)
		for i, v := range []F32{0.5, 2, 1.41421356237309504880, 0.70710678118654752440, 2.5} {
			DATA(4*i, v)
		}
		winogradTableMem = &m
	}
	for i, v := range []*VecVirtual{&c.half, &c.two, &c.root, &c.rootHalf, &c.sum} {
		if i < 4 || input {
			*v = l.vec()
			VBROADCASTSS(winogradTableMem.Offset(4*i), *v)
		}
	}
	return c
}

// winogradInput1D emits v = Bᵀ·d for a line of 6.
func winogradInput1D(l level, c winogradConstants, get func(i int) VecVirtual, put func(i int, v VecVirtual)) {
	pair := func(factor, x VecVirtual, even, odd [2]VecVirtual, at int) {
		t, u, w := l.vec(), l.vec(), l.vec()
		VMOVAPS(even[1], t)
		VFNMADD231PS(factor, even[0], t)
		VMOVAPS(odd[1], u)
		VFNMADD231PS(factor, odd[0], u)
		VMOVAPS(t, w)
		VFMADD231PS(x, u, t)
		put(at, t)
		VFNMADD231PS(x, u, w)
		put(at+1, w)
	}
	d1, d2, d3, d4 := get(1), get(2), get(3), get(4)
	pair(c.two, c.rootHalf, [2]VecVirtual{d2, d4}, [2]VecVirtual{d1, d3}, 1)
	pair(c.half, c.root, [2]VecVirtual{d2, d4}, [2]VecVirtual{d1, d3}, 3)
	d0 := get(0)
	VADDPS(d4, d0, d0)
	VFNMADD231PS(c.sum, d2, d0)
	put(0, d0)
	d5 := get(5)
	VADDPS(d1, d5, d5)
	VFNMADD231PS(c.sum, d3, d5)
	put(5, d5)
}

// winogradOutput1D emits y = Aᵀ·m for a line of 6, which becomes one of 4.
func winogradOutput1D(l level, c winogradConstants, get func(i int) VecVirtual, put func(i int, v VecVirtual)) {
	sumAndDifference := func(i int) (p, q VecVirtual) {
		p, q = get(i), l.vec()
		m := get(i + 1)
		VSUBPS(m, p, q)
		VADDPS(m, p, p)
		return p, q
	}
	p, q := sumAndDifference(1)
	r, s := sumAndDifference(3)
	y0 := get(0)
	VFMADD231PS(c.root, p, y0)
	VFMADD231PS(c.rootHalf, r, y0)
	put(0, y0)
	y3 := get(5)
	VFMADD231PS(c.half, q, y3)
	VFMADD231PS(c.two, s, y3)
	put(3, y3)
	VADDPS(s, q, q)
	put(1, q)
	VMULPS(c.rootHalf, p, p)
	VFMADD231PS(c.root, r, p)
	put(2, p)
}

// winogradTransform emits the loops over tiles and vectors of channels around both passes of a transform.
func winogradTransform(l level, name, signature string, layout winogradLayout,
	line func(level, winogradConstants, func(int) VecVirtual, func(int, VecVirtual))) {
	input := layout.inner == "src"
	TEXT(name+l.suffix, 0, signature)
	Pragma("noescape")
	Doc(name + l.suffix + " is " + name + "Generic. Strides are in bytes.")
	c := l.winogradConstants(input)
	local := AllocLocal(36*l.bytes() + 64)
	table := GP64()
	LEAQ(local, table)
	ADDQ(U8(63), table)
	ANDQ(I8(-64), table) // no vector of it straddles two lines
	tableAt := func(i, j int) Mem { return Mem{Base: table, Disp: (6*i + j) * l.bytes()} }

	// steps[i] of a unit: addresses base + i·unit.
	steps := func(unit GPVirtual) func(base Register, i int) Mem {
		unit3, unit5 := GP64(), GP64()
		LEAQ(Mem{Base: unit, Index: unit, Scale: 2}, unit3)
		LEAQ(Mem{Base: unit, Index: unit, Scale: 4}, unit5)
		return func(base Register, i int) Mem {
			switch i {
			case 0:
				return Mem{Base: base}
			case 3:
				return Mem{Base: base, Index: unit3, Scale: 1}
			case 5:
				return Mem{Base: base, Index: unit5, Scale: 1}
			}
			return Mem{Base: base, Index: unit, Scale: uint8(i)}
		}
	}
	pixel := load(layout.inner + "Pixel")
	alongPixels := steps(pixel)
	pos6 := GP64()
	pos := load(layout.outer + "Pos")
	IMUL3Q(U8(6), pos, pos6)
	alongRows := steps(pos6) // from a position to the one below it among 6 x 6
	inner, outer := load(layout.inner), load(layout.outer)
	rest := load("cols")
	ANDQ(U8(l.lanes-1), rest)
	t := l.tailMask(rest)
	tiles := load("tiles")

	body := func(off GPVirtual, t *tail) {
		fromMap := func() {
			p := GP64()
			LEAQ(Mem{Base: inner, Index: off, Scale: 1}, p)
			for i := range layout.rows {
				if input {
					line(l, c, func(j int) VecVirtual { return l.load(alongPixels(p, j), t) },
						func(j int, v VecVirtual) { l.store(v, tableAt(i, j), nil) })
				} else {
					line(l, c, func(j int) VecVirtual { return l.load(tableAt(i, j), nil) },
						func(j int, v VecVirtual) { l.store(v, alongPixels(p, j), t) })
				}
				if i < layout.rows-1 {
					row, err := Param(layout.inner + "Row").Resolve()
					if err != nil {
						panic(err)
					}
					ADDQ(row.Addr, p)
				}
			}
		}
		fromMatrices := func() {
			p := GP64()
			LEAQ(Mem{Base: outer, Index: off, Scale: 1}, p)
			for j := range 6 {
				if input {
					line(l, c, func(i int) VecVirtual { return l.load(tableAt(i, j), nil) },
						func(i int, v VecVirtual) { l.store(v, alongRows(p, i), t) })
				} else {
					line(l, c, func(i int) VecVirtual { return l.load(alongRows(p, i), t) },
						func(i int, v VecVirtual) { l.store(v, tableAt(i, j), nil) })
				}
				if j < 5 {
					ADDQ(pos, p)
				}
			}
		}
		if input {
			fromMap()
			fromMatrices()
		} else {
			fromMatrices()
			fromMap()
		}
	}
	Label("tile")
	TESTQ(tiles, tiles)
	JE(LabelRef("end"))
	off, n := GP64(), load("cols")
	XORQ(off, off)
	countdown("one", n, l.lanes, func() {
		body(off, nil)
		ADDQ(U32(uint32(l.bytes())), off)
	})
	TESTQ(n, n)
	JE(LabelRef("next"))
	body(off, t)
	Label("next")
	LEAQ(Mem{Base: inner, Index: pixel, Scale: 4}, inner)
	row, err := Param(layout.outer + "Row").Resolve()
	if err != nil {
		panic(err)
	}
	ADDQ(row.Addr, outer)
	DECQ(tiles)
	JMP(LabelRef("tile"))
	Label("end")
	VZEROUPPER()
	RET()
}
