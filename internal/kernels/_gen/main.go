// Command gen writes the assembly of package kernels. Run it through "go generate ./internal/kernels".
//
// Every kernel is written once, over vectors of a level's width (see simd.go), and emitted at two levels: AVX2 with
// FMA, and AVX-512 F+DQ+VL. Its meaning is the plain Go loop beside its wrapper in package kernels.
package main

import . "github.com/mmcloughlin/avo/build"

func main() {
	ConstraintExpr("amd64,!purego")
	for _, l := range []level{avx2, avx512} {
		gemm(l)
		rowKernels(l)
		columnKernels(l)
		maxPoolBackward(l)
		sgd(l)
		winograd(l)
		multiplyAdds(l)
		transpose(l)
	}
	imageKernels()
	Generate()
}
