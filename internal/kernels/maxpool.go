package kernels

// MaxPoolBackward routes the gradient of one output pixel of a 3x3 max-pool: for each of cols channels, dx[o+j] of the
// first tap offset o with x[o+j] == y[j] grows by dy[j]. An offset of -1 stands for a tap in the zero padding, which
// swallows the gradient of an output that is 0.
func MaxPoolBackward(dx, x, y, dy []float32, taps *[9]int, cols int) {
	for _, o := range taps {
		if o >= 0 && (o+cols > len(dx) || o+cols > len(x)) {
			panic("kernels: a pooling tap outside its image")
		}
	}
	checkVector("y", y, cols)
	checkVector("dy", dy, cols)
	if cols > 0 {
		maxPoolBackward(dx, x, y, dy, taps, cols)
	}
}

func maxPoolBackwardGeneric(dx, x, y, dy []float32, taps *[9]int, cols int) {
	for j := range cols {
		for _, o := range taps {
			if o < 0 {
				if y[j] == 0 {
					break
				}
				continue
			}
			if x[o+j] == y[j] {
				dx[o+j] += dy[j]
				break
			}
		}
	}
}
