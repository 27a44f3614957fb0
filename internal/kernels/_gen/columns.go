package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// columnKernels emits the reductions over the rows of a matrix: two sums a column.
func columnKernels(l level) {
	columnKernel(l, "columnMoments", "func(x *float32, xRow, rows, cols int, sum, sumSq *float32)",
		[]string{"x"}, func(group []columnState, at func(p string, u int) Mem, t *tail) {
			for u := range group {
				group[u].held = []VecVirtual{l.load(at("x", u), t)} // the first row is the pivot
			}
		}, func(s *columnState, at func(p string) Mem, t *tail) {
			d := l.load(at("x"), t)
			VSUBPS(s.held[0], d, d)
			VADDPS(d, s.sum[0], s.sum[0])
			VFMADD231PS(d, d, s.sum[1])
		}, []string{"sum", "sumSq"})
	columnKernel(l, "columnGrads", "func(dy *float32, dyRow int, x *float32, xRow, rows, cols int, scale, shift, centre, sum, sumX *float32)",
		[]string{"dy", "x"}, func(group []columnState, at func(p string, u int) Mem, t *tail) {
			for u := range group {
				group[u].held = []VecVirtual{l.load(at("scale", u), t), l.load(at("shift", u), t), l.load(at("centre", u), t)}
			}
		}, func(s *columnState, at func(p string) Mem, t *tail) {
			x := l.load(at("x"), t)
			y := l.vec()
			VMOVAPS(s.held[1], y)
			VFMADD231PS(s.held[0], x, y)
			z := l.vec()
			l.zero(z)
			d := l.keepWhere(l.load(at("dy"), t), y, z, cmpNLE)
			l.store(d, at("dy"), t)
			VADDPS(d, s.sum[0], s.sum[0])
			VSUBPS(s.held[2], x, x)
			VFMADD231PS(d, x, s.sum[1])
		}, []string{"sum", "sumX"})
}

// columnState is what a vector of columns keeps in registers over the rows.
type columnState struct {
	held []VecVirtual
	sum  [2]VecVirtual
}

// columnKernel emits a loop over vectors of columns and, inside, over rows. matrices are pointer parameters with a
// byte stride "<name>Row"; all other pointers are one value a column. Several vectors run together where there are
// enough columns, to cover the latency of the additions.
func columnKernel(l level, name, signature string, matrices []string,
	start func([]columnState, func(string, int) Mem, *tail), row func(*columnState, func(string) Mem, *tail), outs []string) {
	TEXT(name+l.suffix, NOSPLIT, signature)
	Pragma("noescape")
	Doc(name + l.suffix + " is " + name + "Generic. Strides are in bytes.")
	cols := load("cols")
	rest := load("cols")
	ANDQ(U8(l.lanes-1), rest)
	t := l.tailMask(rest)
	off := GP64()
	XORQ(off, off)

	block := func(id string, vectors int, t *tail) {
		at := func(p string, u int) Mem {
			return Mem{Base: load(p), Index: off, Scale: 1, Disp: u * l.bytes()}
		}
		group := make([]columnState, vectors)
		start(group, at, t)
		for u := range group {
			group[u].sum = [2]VecVirtual{l.vec(), l.vec()}
			l.zero(group[u].sum[0])
			l.zero(group[u].sum[1])
		}
		ptr := map[string]GPVirtual{}
		for _, m := range matrices {
			ptr[m] = load(m)
			ADDQ(off, ptr[m])
		}
		rows := load("rows")
		Label(id)
		TESTQ(rows, rows)
		JE(LabelRef(id + "_end"))
		for u := range group {
			row(&group[u], func(p string) Mem { return Mem{Base: ptr[p], Disp: u * l.bytes()} }, t)
		}
		for _, m := range matrices {
			a, err := Param(m + "Row").Resolve()
			if err != nil {
				panic(err)
			}
			ADDQ(a.Addr, ptr[m])
		}
		DECQ(rows)
		JMP(LabelRef(id))
		Label(id + "_end")
		for u := range group {
			for i, o := range outs {
				l.store(group[u].sum[i], at(o, u), t)
			}
		}
	}
	unrolls := []int{4, 2, 1}
	if !l.wide() {
		unrolls = []int{2, 1}
	}
	for _, u := range unrolls {
		countdown(fmt.Sprintf("cols%d", u), cols, u*l.lanes, func() {
			block(fmt.Sprintf("rows%d", u), u, nil)
			ADDQ(U32(uint32(u*l.bytes())), off)
		})
	}
	TESTQ(cols, cols)
	JE(LabelRef("end"))
	block("rowsTail", 1, t)
	Label("end")
	VZEROUPPER()
	RET()
}
