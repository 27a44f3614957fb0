package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// multiplyAdds emits what the processor can do at most: x = a·x + b over and over on 192 values that stay in registers,
// 12 vectors at a time. These are 12 independent chains; processors of today need at most 10, two multiply-adds a cycle
// of a latency of 5.
func multiplyAdds(l level) {
	const values, chains, unroll = 192, 12, 4
	TEXT("multiplyAdds"+l.suffix, NOSPLIT, "func(x *float32, a, b float32, n int)")
	Pragma("noescape")
	Doc("multiplyAdds" + l.suffix + " is multiplyAddsGeneric.")
	x, a, b := load("x"), l.broadcast("a"), l.broadcast("b")
	for from := 0; from < values; from += chains * l.lanes {
		var v [chains]VecVirtual
		at := func(i int) Mem { return Mem{Base: x, Disp: 4*from + i*l.bytes()} }
		for i := range v {
			v[i] = l.load(at(i), nil)
		}
		step := func() {
			for i := range v {
				VFMADD213PS(b, a, v[i])
			}
		}
		n := load("n")
		countdown(fmt.Sprintf("four%d", from), n, unroll, func() {
			for range unroll {
				step()
			}
		})
		countdown(fmt.Sprintf("one%d", from), n, 1, step)
		for i := range v {
			l.store(v[i], at(i), nil)
		}
	}
	VZEROUPPER()
	RET()
}
