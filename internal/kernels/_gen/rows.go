package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// rowKernels emits the kernels that visit a matrix row by row and treat each element alike.
func rowKernels(l level) {
	rowKernel(l, "affine", "func(dst *float32, dstRow int, src *float32, srcRow, rows, cols int, scale, shift *float32, floor float32)",
		[]string{"dst", "src"}, []string{"scale", "shift"}, func() func(at func(string) Mem, t *tail) {
			floor := l.broadcast("floor")
			return func(at func(string) Mem, t *tail) {
				x, s, y := l.load(at("src"), t), l.load(at("scale"), t), l.load(at("shift"), t)
				VFMADD231PS(s, x, y)
				VMAXPS(y, floor, y) // the second source wins when either is NaN: y
				l.store(y, at("dst"), t)
			}
		})
	rowKernel(l, "copyRows", "func(dst *float32, dstRow int, src *float32, srcRow, rows, cols int)",
		[]string{"dst", "src"}, nil, func() func(at func(string) Mem, t *tail) {
			return func(at func(string) Mem, t *tail) { l.store(l.load(at("src"), t), at("dst"), t) }
		})
	rowKernel(l, "addRows", "func(dst *float32, dstRow int, src *float32, srcRow, rows, cols int)",
		[]string{"dst", "src"}, nil, func() func(at func(string) Mem, t *tail) {
			return func(at func(string) Mem, t *tail) {
				x, y := l.load(at("src"), t), l.load(at("dst"), t)
				VADDPS(x, y, y)
				l.store(y, at("dst"), t)
			}
		})
	rowKernel(l, "maxRows", "func(dst *float32, dstRow int, src *float32, srcRow, rows, cols int)",
		[]string{"dst", "src"}, nil, func() func(at func(string) Mem, t *tail) {
			return func(at func(string) Mem, t *tail) {
				x, y := l.load(at("src"), t), l.load(at("dst"), t)
				r := l.vec()
				VMAXPS(y, x, r) // y, which is there already, when either is NaN or both are zeros
				if l.wide() {
					k := K()
					VCMPPS(U8(cmpUnord), x, x, k)
					VMOVAPS(x, k, r)
				} else {
					m := l.vec()
					VCMPPS(U8(cmpUnord), x, x, m)
					VBLENDVPS(m, x, r, r)
				}
				l.store(r, at("dst"), t)
			}
		})
	rowKernel(l, "gradRows", "func(dy *float32, dyRow int, x *float32, xRow int, skip *float32, skipRow, rows, cols int, a, b, c *float32)",
		[]string{"dy", "x", "skip"}, []string{"a", "b", "c"}, func() func(at func(string) Mem, t *tail) {
			return func(at func(string) Mem, t *tail) {
				y := l.load(at("c"), t)
				VFMADD231PS(l.load(at("x"), t), l.load(at("b"), t), y)
				VFMADD231PS(l.load(at("dy"), t), l.load(at("a"), t), y)
				VADDPS(l.load(at("skip"), t), y, y)
				l.store(y, at("dy"), t)
			}
		})
}

// rowKernel emits a loop over rows and columns. matrices are pointer parameters with a byte stride "<name>Row",
// vectors are pointers to one value a column. setup emits what precedes the loop and returns the body, which gets
// the address of the current element of each.
func rowKernel(l level, name, signature string, matrices, vectors []string, setup func() func(at func(string) Mem, t *tail)) {
	TEXT(name+l.suffix, NOSPLIT, signature)
	Pragma("noescape")
	Doc(name + l.suffix + " is " + name + "Generic. Strides are in bytes.")
	ptr := map[string]GPVirtual{}
	for _, p := range append(append([]string{}, matrices...), vectors...) {
		ptr[p] = load(p)
	}
	body := setup()
	rows := load("rows")
	rest := load("cols")
	ANDQ(U8(l.lanes-1), rest)
	t := l.tailMask(rest)

	Label("row")
	TESTQ(rows, rows)
	JE(LabelRef("end"))
	off, n := GP64(), load("cols")
	XORQ(off, off)
	const unroll = 4
	at := func(u int) func(string) Mem {
		return func(p string) Mem { return Mem{Base: ptr[p], Index: off, Scale: 1, Disp: u * l.bytes()} }
	}
	if l.wide() { // 16 registers do not hold four of the wider bodies
		countdown("four", n, unroll*l.lanes, func() {
			for u := range unroll {
				body(at(u), nil)
			}
			ADDQ(U32(uint32(unroll*l.bytes())), off)
		})
	}
	countdown("one", n, l.lanes, func() {
		body(at(0), nil)
		ADDQ(U32(uint32(l.bytes())), off)
	})
	TESTQ(n, n)
	JE(LabelRef("next"))
	body(at(0), t)
	Label("next")
	for _, m := range matrices {
		a, err := Param(m + "Row").Resolve()
		if err != nil {
			panic(err)
		}
		ADDQ(a.Addr, ptr[m])
	}
	DECQ(rows)
	JMP(LabelRef("row"))
	Label("end")
	VZEROUPPER()
	RET()
}

// sgd emits the update of flat arrays: v = momentum·v + (scale·g + decay·w), w -= rate·v.
func sgd(l level) {
	TEXT("sgd"+l.suffix, NOSPLIT, "func(w, v, grad *float32, n int, rate, momentum, decay, scale float32)")
	Pragma("noescape")
	Doc("sgd" + l.suffix + " is sgdGeneric.")
	w, v, g, n := load("w"), load("v"), load("grad"), load("n")
	rate, momentum, decay, scale := l.broadcast("rate"), l.broadcast("momentum"), l.broadcast("decay"), l.broadcast("scale")
	rest := GP64()
	MOVQ(n, rest)
	ANDQ(U8(l.lanes-1), rest)
	t := l.tailMask(rest)
	body := func(t *tail) {
		wv, vv, gv := l.load(Mem{Base: w}, t), l.load(Mem{Base: v}, t), l.load(Mem{Base: g}, t)
		VMULPS(scale, gv, gv)
		VFMADD231PS(decay, wv, gv)
		VFMADD231PS(momentum, vv, gv)
		l.store(gv, Mem{Base: v}, t)
		VFNMADD231PS(rate, gv, wv)
		l.store(wv, Mem{Base: w}, t)
	}
	countdown("one", n, l.lanes, func() {
		body(nil)
		for _, p := range []GPVirtual{w, v, g} {
			ADDQ(U32(uint32(l.bytes())), p)
		}
	})
	TESTQ(n, n)
	JE(LabelRef("end"))
	body(t)
	Label("end")
	VZEROUPPER()
	RET()
}

// maxPoolBackward emits the routing of one output pixel's gradient to the first of nine inputs that equals the
// output: dx[tap] += dy where x[tap] == y and no earlier tap took it. tapOffsets are byte offsets from x and dx; a
// negative one is a tap in the zero padding, which takes the gradient of outputs that are exactly 0.
func maxPoolBackward(l level) {
	TEXT("maxPoolBackward"+l.suffix, NOSPLIT, "func(dx, x, y, dy *float32, tapOffsets *[9]int, cols int)")
	Pragma("noescape")
	Doc("maxPoolBackward" + l.suffix + " is maxPoolBackwardGeneric. Offsets are in bytes.")
	dx, x, y, dy, taps, n := load("dx"), load("x"), load("y"), load("dy"), load("tapOffsets"), load("cols")
	rest := GP64()
	MOVQ(n, rest)
	ANDQ(U8(l.lanes-1), rest)
	t := l.tailMask(rest)
	body := func(id string, t *tail) {
		yv, left := l.load(Mem{Base: y}, t), l.load(Mem{Base: dy}, t)
		for i := range 9 {
			label := id + "_tap" + string(rune('0'+i))
			o := GP64()
			MOVQ(Mem{Base: taps, Disp: 8 * i}, o)
			TESTQ(o, o)
			JL(LabelRef(label + "_pad"))
			xv := l.load(Mem{Base: x, Index: o, Scale: 1}, t)
			take := l.keepWhere(left, xv, yv, cmpEQ)
			d := l.load(Mem{Base: dx, Index: o, Scale: 1}, t)
			VADDPS(take, d, d)
			l.store(d, Mem{Base: dx, Index: o, Scale: 1}, t)
			VMOVAPS(l.keepWhere(left, xv, yv, cmpNEQ), left) // not left - take: infinite gradients would leave NaN
			JMP(LabelRef(label + "_done"))
			Label(label + "_pad")
			z := l.vec()
			l.zero(z)
			VMOVAPS(l.keepWhere(left, z, yv, cmpNEQ), left)
			Label(label + "_done")
		}
	}
	countdown("one", n, l.lanes, func() {
		body("full", nil)
		for _, p := range []GPVirtual{dx, x, y, dy} {
			ADDQ(U32(uint32(l.bytes())), p)
		}
	})
	TESTQ(n, n)
	JE(LabelRef("end"))
	body("tail", t)
	Label("end")
	VZEROUPPER()
	RET()
}

var _ Register
