package kernels

// MultiplyAdds sets each value to a·x + b, n times over, without a step to memory in between: 192 independent chains of n
// multiply-adds, the measure of what a processor can do at most.
func MultiplyAdds(x *[192]float32, a, b float32, n int) {
	multiplyAdds(x, a, b, n)
}

func multiplyAddsGeneric(x *[192]float32, a, b float32, n int) {
	for i := 0; i < len(x); i += 8 {
		v := x[i:][:8]
		x0, x1, x2, x3, x4, x5, x6, x7 := v[0], v[1], v[2], v[3], v[4], v[5], v[6], v[7] // in registers
		for range n {
			x0, x1, x2, x3 = a*x0+b, a*x1+b, a*x2+b, a*x3+b
			x4, x5, x6, x7 = a*x4+b, a*x5+b, a*x6+b, a*x7+b
		}
		v[0], v[1], v[2], v[3], v[4], v[5], v[6], v[7] = x0, x1, x2, x3, x4, x5, x6, x7
	}
}
