package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// level is an instruction set: the suffix of its functions and the number of float32 in a vector.
type level struct {
	suffix string
	lanes  int
}

var (
	avx2   = level{"AVX2", 8}
	avx512 = level{"AVX512", 16}
)

func (l level) wide() bool { return l.lanes == 16 }
func (l level) bytes() int { return 4 * l.lanes }

func (l level) vec() VecVirtual {
	if l.wide() {
		return ZMM()
	}
	return YMM()
}

func (l level) zero(v VecVirtual) {
	VXORPS(v, v, v)
}

// tail holds what selects the first n < lanes elements of a vector: an opmask register, or a vector of sign bits.
type tail struct {
	k   Register
	vec VecVirtual
}

// tailMask makes the tail of n elements, 0 <= n < lanes. n is destroyed.
func (l level) tailMask(n GPVirtual) *tail {
	if l.wide() {
		bits := GP64()
		MOVQ(I32(1), bits)
		shift := GP64()
		MOVQ(n, shift)
		SHLXQ(shift, bits, bits)
		DECQ(bits)
		k := K()
		KMOVW(bits.As32(), k)
		return &tail{k: k}
	}
	// A window on eight ones followed by eight zeros, starting n before the first zero.
	table := tailTable()
	base := GP64()
	LEAQ(table, base)
	NEGQ(n)
	v := YMM()
	VMOVUPS(Mem{Base: base, Index: n, Scale: 4, Disp: 32}, v)
	return &tail{vec: v}
}

var tailTableMem *Mem

func tailTable() Mem {
	if tailTableMem == nil {
		m := GLOBL("tailTable", RODATA|NOPTR)
		for i := range 16 {
			v := U32(0)
			if i < 8 {
				v = 0xffffffff
			}
			DATA(4*i, v)
		}
		tailTableMem = &m
	}
	return *tailTableMem
}

// load reads a vector, or with a tail its first elements and zeros behind them.
func (l level) load(m Mem, t *tail) VecVirtual {
	v := l.vec()
	switch {
	case t == nil:
		VMOVUPS(m, v)
	case l.wide():
		VMOVUPS_Z(m, t.k, v)
	default:
		VMASKMOVPS(m, t.vec, v)
	}
	return v
}

func (l level) store(v VecVirtual, m Mem, t *tail) {
	switch {
	case t == nil:
		VMOVUPS(v, m)
	case l.wide():
		VMOVUPS(v, t.k, m)
	default:
		VMASKMOVPS(v, t.vec, m)
	}
}

// keepWhere returns v where the comparison a OP b holds and 0 elsewhere. OP is an Intel comparison predicate.
func (l level) keepWhere(v, a, b VecVirtual, op uint8) VecVirtual {
	r := l.vec()
	if l.wide() {
		k := K()
		VCMPPS(U8(op), b, a, k)
		VMOVAPS_Z(v, k, r)
		return r
	}
	VCMPPS(U8(op), b, a, r)
	VANDPS(v, r, r)
	return r
}

// Comparison predicates of VCMPPS. Those that negate, cmpNEQ and cmpNLE, also hold where a value is NaN.
const (
	cmpEQ    = 0x00
	cmpUnord = 0x03
	cmpNEQ   = 0x04
	cmpNLE   = 0x06 // not less or equal: greater, or either is NaN
)

// broadcast fills a vector with the float32 parameter of that name.
func (l level) broadcast(param string) VecVirtual {
	v := l.vec()
	a, err := Param(param).Resolve()
	if err != nil {
		panic(err)
	}
	VBROADCASTSS(a.Addr, v)
	return v
}

// countdown emits: while n >= step { body; n -= step }.
func countdown(label string, n GPVirtual, step int, body func()) {
	Label(label)
	CMPQ(n, U32(uint32(step)))
	JL(LabelRef(label + "_end"))
	body()
	SUBQ(U32(uint32(step)), n)
	JMP(LabelRef(label))
	Label(label + "_end")
}

func load(param string) GPVirtual { return Load(Param(param), GP64()).(GPVirtual) }
