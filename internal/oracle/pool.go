package oracle

import "math"

// Padding is the place of a maximum that lies in the zeros around a map.
const Padding = -1

// PoolWindows lists, for each output value of the stem's pooling of x (one pixel of zeros on every side, 3x3 windows,
// stride 2), the indices of the input values in its window in row-major order, with Padding for each zero.
func PoolWindows(x Map) (ho, wo int, windows [][9]int) {
	ho, wo = (x.H-1)/2+1, (x.W-1)/2+1
	for n := range x.N {
		for i := range ho {
			for j := range wo {
				for c := range x.C {
					var w [9]int
					for t := range w {
						h, v := 2*i+t/3-1, 2*j+t%3-1
						w[t] = ((n*x.H+h)*x.W+v)*x.C + c
						if h < 0 || v < 0 || h >= x.H || v >= x.W {
							w[t] = Padding
						}
					}
					windows = append(windows, w)
				}
			}
		}
	}
	return ho, wo, windows
}

// Argmax returns the place of each window's maximum in x, the first of equals.
func Argmax[T float32 | float64](x []T, windows [][9]int) []int {
	from := make([]int, len(windows))
	for i, w := range windows {
		best := math.Inf(-1)
		for _, at := range w {
			if v := float64(At(x, at)); v > best {
				best, from[i] = v, at
			}
		}
	}
	return from
}

// At returns the value at a place of a window.
func At[T float32 | float64](x []T, at int) T {
	if at == Padding {
		return 0
	}
	return x[at]
}

// Gather returns the values of x at the given places: pooling, once the maxima are known.
func Gather(x []float64, from []int) []float64 {
	y := make([]float64, len(from))
	for i, at := range from {
		y[i] = At(x, at)
	}
	return y
}

// Scatter adds each value of dy to its place among n zeros: the gradient of Gather.
func Scatter(dy []float64, from []int, n int) []float64 {
	dx := make([]float64, n)
	for i, at := range from {
		if at != Padding {
			dx[at] += dy[i]
		}
	}
	return dx
}

// Mean returns the mean over all pixels, [N,1,1,C].
func Mean(x Map) Map {
	y := NewMap(x.N, 1, 1, x.C)
	for i, v := range x.V {
		y.V[i/(x.H*x.W*x.C)*x.C+i%x.C] += v / float64(x.H*x.W)
	}
	return y
}

// MeanBackward returns the gradient of x, given dy, that of Mean(x).
func MeanBackward(x, dy Map) Map {
	dx := Like(x)
	for i := range dx.V {
		dx.V[i] = dy.V[i/(x.H*x.W*x.C)*x.C+i%x.C] / float64(x.H*x.W)
	}
	return dx
}
