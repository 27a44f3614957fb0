package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// winograd emits the transforms of Winograd's convolution F(4x4,3x3) with the interpolation points 0, ±√½, ±√2, ∞.
func winograd(l level) {
	const from = "func(dst *float32, dstPos, dstRow int, src *float32, %s, %s, %s, cols int)"
	const to = "func(dst *float32, %s, %s int, src *float32, srcPos, srcRow, %s, cols int)"
	for _, t := range []winogradTransform{
		{"winogradKernel", fmt.Sprintf(from, "srcTap", "srcRow", "rows"), 3, true, true, winogradKernel1D},
		{"winogradInput", fmt.Sprintf(from, "srcRow", "srcPixel", "tiles"), 6, true, false, winogradInput1D},
		{"winogradOutput", fmt.Sprintf(to, "dstRow", "dstPixel", "tiles"), 4, false, false, winogradOutput1D},
		{"winogradOutputGrad", fmt.Sprintf(from, "srcRow", "srcPixel", "tiles"), 4, true, false, winogradOutputGrad1D},
		{"winogradKernelGrad", fmt.Sprintf(to, "dstTap", "dstRow", "rows"), 3, false, true, winogradKernelGrad1D},
	} {
		t.emit(l)
	}
}

// winogradTransform goes from a small square, of pixels or of a kernel's taps, to the 36 matrices, or back.
type winogradTransform struct {
	name, signature string
	side            int  // of the square
	forth           bool // from the square to the matrices
	taps            bool // the square is of taps: one stride between any two of them, another between squares
	line            func(level, winogradConstants, func(int) VecVirtual, func(int, VecVirtual))
}

// winogradConstants are the numbers other than ±1 in the transforms' matrices.
type winogradConstants struct {
	half, two, root, rootHalf, sum VecVirtual
	rootThird, rootSixth, third    VecVirtual
}

var winogradTableMem *Mem

// winogradLoad fills in the constants that a transform uses.
func (l level) winogradLoad(t winogradTransform) (c winogradConstants) {
	const root = 1.41421356237309504880
	if winogradTableMem == nil {
		m := GLOBL("winogradTable", RODATA|NOPTR)
		for i, v := range []F32{0.5, 2, root, root / 2, 2.5, root / 3, root / 6, 1.0 / 3} {
			DATA(4*i, v)
		}
		winogradTableMem = &m
	}
	all := []*VecVirtual{&c.half, &c.two, &c.root, &c.rootHalf, &c.sum, &c.rootThird, &c.rootSixth, &c.third}
	first, end := 0, 4
	if t.taps {
		first, end = 5, 8
	} else if t.side == 6 {
		end = 5
	}
	for i := first; i < end; i++ {
		*all[i] = l.vec()
		VBROADCASTSS(winogradTableMem.Offset(4*i), *all[i])
	}
	return c
}

// winogradKernel1D emits u = G·g for a line of 3.
func winogradKernel1D(l level, c winogradConstants, get func(i int) VecVirtual, put func(i int, v VecVirtual)) {
	g0, g2 := get(0), get(2)
	put(0, g0)
	put(5, g2)
	q := get(1)
	VMULPS(c.third, q, q)
	r, p, t := l.vec(), l.vec(), l.vec()
	VMULPS(c.rootSixth, g0, r)
	VFMADD231PS(c.rootThird, g2, r)
	VMULPS(c.rootThird, g0, p)
	VFNMSUB231PS(c.rootSixth, g2, p)
	VADDPS(q, r, t)
	put(3, t)
	VSUBPS(q, r, r)
	put(4, r)
	VADDPS(q, p, t)
	put(2, t)
	VSUBPS(q, p, p)
	put(1, p)
}

// winogradKernelGrad1D emits g = Gᵀ·u for a line of 6, which becomes one of 3.
func winogradKernelGrad1D(l level, c winogradConstants, get func(i int) VecVirtual, put func(i int, v VecVirtual)) {
	p, q := winogradPair(l, get, 1)
	r, s := winogradPair(l, get, 3)
	g0 := get(0)
	VFNMADD231PS(c.rootThird, p, g0)
	VFMADD231PS(c.rootSixth, r, g0)
	put(0, g0)
	g2 := get(5)
	VFNMADD231PS(c.rootSixth, p, g2)
	VFMADD231PS(c.rootThird, r, g2)
	put(2, g2)
	VSUBPS(q, s, s)
	VMULPS(c.third, s, s)
	put(1, s)
}

// winogradOutputGrad1D emits m = A·y for a line of 4, which becomes one of 6.
func winogradOutputGrad1D(l level, c winogradConstants, get func(i int) VecVirtual, put func(i int, v VecVirtual)) {
	y0, y1, y2, y3 := get(0), get(1), get(2), get(3)
	put(0, y0)
	put(5, y3)
	pair := func(at int, even0, even2, odd3 VecVirtual) {
		p, q, t := l.vec(), l.vec(), l.vec()
		VMULPS(even0, y0, p)
		VFMADD231PS(even2, y2, p)
		VMOVAPS(y1, q)
		VFMADD231PS(odd3, y3, q)
		VADDPS(q, p, t)
		put(at, t)
		VSUBPS(q, p, p)
		put(at+1, p)
	}
	pair(1, c.root, c.rootHalf, c.half)
	pair(3, c.rootHalf, c.root, c.two)
}

// winogradPair emits the sum and the difference of elements i and i+1.
func winogradPair(l level, get func(i int) VecVirtual, i int) (sum, difference VecVirtual) {
	sum, difference = get(i), l.vec()
	m := get(i + 1)
	VSUBPS(m, sum, difference)
	VADDPS(m, sum, sum)
	return sum, difference
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
	p, q := winogradPair(l, get, 1)
	r, s := winogradPair(l, get, 3)
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

// emit writes the loops over tiles and vectors of columns around both passes.
func (w winogradTransform) emit(l level) {
	TEXT(w.name+l.suffix, 0, w.signature)
	Pragma("noescape")
	Doc(w.name + l.suffix + " is " + w.name + "Generic. Strides are in bytes.")
	c := l.winogradLoad(w)
	// What is between the passes: 18 vectors of a kernel's stay in registers if there are enough, else they go to the stack.
	var kept [6][6]VecVirtual
	keep := func(i, j int, v VecVirtual) {
		kept[i][j] = l.vec()
		VMOVAPS(v, kept[i][j])
	}
	take := func(i, j int) VecVirtual { return kept[i][j] }
	if !w.taps || !l.wide() {
		local := AllocLocal(36*l.bytes() + 64)
		table := GP64()
		LEAQ(local, table)
		ADDQ(U8(63), table)
		ANDQ(I8(-64), table) // no vector of it straddles two lines
		at := func(i, j int) Mem { return Mem{Base: table, Disp: (6*i + j) * l.bytes()} }
		keep = func(i, j int, v VecVirtual) { l.store(v, at(i, j), nil) }
		take = func(i, j int) VecVirtual { return l.load(at(i, j), nil) }
	}

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
	square, matrices, count := "src", "dst", "tiles"
	if !w.forth {
		square, matrices = matrices, square
	}
	pixelName, rowName := "Pixel", "Row"
	if w.taps {
		pixelName, count = "Tap", "rows"
	}
	pixel := load(square + pixelName)
	alongPixels := steps(pixel)
	param := func(name string) Mem {
		p, err := Param(name).Resolve()
		if err != nil {
			panic(err)
		}
		return p.Addr
	}
	pos6 := GP64()
	pos := load(matrices + "Pos")
	IMUL3Q(U8(6), pos, pos6)
	alongRows := steps(pos6) // from a position to the one below it among 6 x 6
	inner, outer := load(square), load(matrices)
	rest := load("cols")
	ANDQ(U8(l.lanes-1), rest)
	t := l.tailMask(rest)
	tiles := load(count)

	body := func(off GPVirtual, t *tail) {
		fromSquare := func() {
			p := GP64()
			LEAQ(Mem{Base: inner, Index: off, Scale: 1}, p)
			for i := range w.side {
				if w.forth {
					w.line(l, c, func(j int) VecVirtual { return l.load(alongPixels(p, j), t) },
						func(j int, v VecVirtual) { keep(i, j, v) })
				} else {
					w.line(l, c, func(j int) VecVirtual { return take(i, j) },
						func(j int, v VecVirtual) { l.store(v, alongPixels(p, j), t) })
				}
				if i == w.side-1 {
					break
				}
				if w.taps {
					LEAQ(Mem{Base: p, Index: pixel, Scale: 2}, p)
					ADDQ(pixel, p)
				} else {
					ADDQ(param(square+rowName), p)
				}
			}
		}
		fromMatrices := func() {
			p := GP64()
			LEAQ(Mem{Base: outer, Index: off, Scale: 1}, p)
			for j := range 6 {
				if w.forth {
					w.line(l, c, func(i int) VecVirtual { return take(i, j) },
						func(i int, v VecVirtual) { l.store(v, alongRows(p, i), t) })
				} else {
					w.line(l, c, func(i int) VecVirtual { return l.load(alongRows(p, i), t) },
						func(i int, v VecVirtual) { keep(i, j, v) })
				}
				if j < 5 {
					ADDQ(pos, p)
				}
			}
		}
		if w.forth {
			fromSquare()
			fromMatrices()
		} else {
			fromMatrices()
			fromSquare()
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
	if w.taps {
		ADDQ(param(square+rowName), inner)
	} else {
		LEAQ(Mem{Base: inner, Index: pixel, Scale: 4}, inner)
	}
	ADDQ(param(matrices+"Row"), outer)
	DECQ(tiles)
	JMP(LabelRef("tile"))
	Label("end")
	VZEROUPPER()
	RET()
}
