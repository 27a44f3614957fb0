package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// gemm emits C[rows x cols] (+)= A[rows x depth] · B[depth x 2 vectors]. A tile of C stays in registers over the
// whole depth: 14 x 32 at AVX-512 (28 accumulators, 2 vectors of B, 1 broadcast of A: 31 of 32 registers, and 28
// independent chains cover the latency of 4 at 2 a cycle), 6 x 16 at AVX2 (15 of 16 registers).
// Rows left over run in a tile of just their number. Each element is one chain of FMAs in the order of the depth,
// whatever tile it falls in: the bits of C do not depend on how a matrix was cut into calls.
func gemm(l level) {
	// Panels of B follow each other in memory and are often read for the first time since they were last used, a whole
	// network ago. The hardware looks ahead only to the end of a 4 KiB page: ask for the line one page on.
	const prefetch = 4096 // bytes

	maxRows := 14
	if !l.wide() {
		maxRows = 6
	}
	TEXT("gemm"+l.suffix, NOSPLIT, "func(rows, depth int, a *float32, aRow, aStep int, b, c *float32, cRow, cols, accumulate int)")
	Pragma("noescape")
	Doc("gemm" + l.suffix + " is gemmGeneric. Strides are in bytes; cols is at most two vectors.")

	rows, a, aRow, aStep := load("rows"), load("a"), load("aRow"), load("aStep")
	c, cRow := load("c"), load("cRow")

	var mask [2]Register
	if l.wide() {
		// Column masks: the low 16 bits and the next 16 of (1<<cols)-1.
		cols, bits := load("cols"), GP64()
		MOVQ(I32(1), bits)
		SHLXQ(cols, bits, bits)
		DECQ(bits)
		mask[0] = K()
		KMOVW(bits.As32(), mask[0])
		SHRQ(U8(16), bits)
		mask[1] = K()
		KMOVW(bits.As32(), mask[1])
	}

	tile := func(n int) {
		acc := make([][2]VecVirtual, n)
		for i := range acc {
			acc[i] = [2]VecVirtual{l.vec(), l.vec()}
		}
		eachRow := func(f func(i int, m Mem)) { // rows of C
			p := GP64()
			MOVQ(c, p)
			for i := range n {
				f(i, Mem{Base: p})
				if i < n-1 {
					ADDQ(cRow, p)
				}
			}
		}
		id := fmt.Sprintf("rows%d", n)
		acc0, err := Param("accumulate").Resolve()
		if err != nil {
			panic(err)
		}
		CMPQ(acc0.Addr, U8(0))
		JE(LabelRef(id + "_clear"))
		eachRow(func(i int, m Mem) {
			for h := range 2 {
				if l.wide() {
					VMOVUPS_Z(m.Offset(64*h), mask[h], acc[i][h])
				} else {
					VMOVUPS(m.Offset(32*h), acc[i][h])
				}
			}
		})
		JMP(LabelRef(id + "_start"))
		Label(id + "_clear")
		eachRow(func(i int, m Mem) {
			PREFETCHT0(m)
			if l.wide() {
				PREFETCHT0(m.Offset(64))
			}
		})
		for i := range acc {
			l.zero(acc[i][0])
			l.zero(acc[i][1])
		}
		Label(id + "_start")

		// One pointer for every three rows reaches them as p, p+aRow, p+2·aRow.
		ptrs := make([]GPVirtual, (n+2)/3)
		for i := range ptrs {
			ptrs[i] = GP64()
			if i == 0 {
				MOVQ(a, ptrs[0])
				continue
			}
			LEAQ(Mem{Base: ptrs[i-1], Index: aRow, Scale: 2}, ptrs[i])
			ADDQ(aRow, ptrs[i])
		}
		b, depth := load("b"), load("depth")
		bv := [2]VecVirtual{l.vec(), l.vec()}
		av := l.vec()
		TESTQ(depth, depth)
		JE(LabelRef(id + "_store"))
		Label(id + "_loop")
		VMOVUPS(Mem{Base: b}, bv[0])
		VMOVUPS(Mem{Base: b, Disp: l.bytes()}, bv[1])
		for line := 0; line < 2*l.bytes(); line += 64 {
			PREFETCHT0(Mem{Base: b, Disp: prefetch + line})
		}
		ADDQ(U32(uint32(2*l.bytes())), b)
		for i := range n {
			m := Mem{Base: ptrs[i/3]}
			if i%3 > 0 {
				m.Index, m.Scale = aRow, uint8(i%3)
			}
			VBROADCASTSS(m, av)
			VFMADD231PS(bv[0], av, acc[i][0])
			VFMADD231PS(bv[1], av, acc[i][1])
			if i%3 == 2 || i == n-1 {
				ADDQ(aStep, ptrs[i/3])
			}
		}
		DECQ(depth)
		JNZ(LabelRef(id + "_loop"))
		Label(id + "_store")
		eachRow(func(i int, m Mem) {
			for h := range 2 {
				if l.wide() {
					VMOVUPS(acc[i][h], mask[h], m.Offset(64*h))
				} else {
					VMOVUPS(acc[i][h], m.Offset(32*h))
				}
			}
		})
	}

	Label("tiles")
	CMPQ(rows, U8(maxRows))
	JL(LabelRef("rest"))
	tile(maxRows)
	step := GP64()
	IMUL3Q(U8(maxRows), aRow, step)
	ADDQ(step, a)
	IMUL3Q(U8(maxRows), cRow, step)
	ADDQ(step, c)
	SUBQ(U8(maxRows), rows)
	JMP(LabelRef("tiles"))
	Label("rest")
	for n := maxRows - 1; n > 0; n-- {
		CMPQ(rows, U8(n))
		JNE(LabelRef(fmt.Sprintf("not%d", n)))
		tile(n)
		JMP(LabelRef("end"))
		Label(fmt.Sprintf("not%d", n))
	}
	Label("end")
	VZEROUPPER()
	RET()
}
