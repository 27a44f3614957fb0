package oracle

import "math"

// Conv is a convolution with kernel W [Kh,Kw,Ci,Co] and Pad zeros on all four sides.
type Conv struct {
	Kh, Kw, Ci, Co, Stride, Pad int
	W                           []float64
}

// taps calls f for each output pixel of image n and each tap that lies inside, with the first indices of the pixel of
// the input, of the pixel of the output, and of the tap's [Ci,Co] part of the kernel.
func (c Conv) taps(x, y Map, n int, f func(x, y, w int)) {
	for i := range y.H {
		for j := range y.W {
			for kh := range c.Kh {
				for kw := range c.Kw {
					h, w := i*c.Stride+kh-c.Pad, j*c.Stride+kw-c.Pad
					if h >= 0 && h < x.H && w >= 0 && w < x.W {
						f(((n*x.H+h)*x.W+w)*x.C, ((n*y.H+i)*y.W+j)*y.C, (kh*c.Kw+kw)*c.Ci*c.Co)
					}
				}
			}
		}
	}
}

// Forward returns the convolution of x.
func (c Conv) Forward(x Map) Map {
	side := func(n, k int) int { return (n+2*c.Pad-k)/c.Stride + 1 }
	y := NewMap(x.N, side(x.H, c.Kh), side(x.W, c.Kw), c.Co)
	each(x.N, func(n int) {
		c.taps(x, y, n, func(xi, yi, wi int) {
			out := y.V[yi:][:c.Co]
			for ci, v := range x.V[xi:][:c.Ci] {
				if v == 0 { // half of what ReLU returns
					continue
				}
				for co, w := range c.W[wi+ci*c.Co:][:c.Co] {
					out[co] += v * w
				}
			}
		})
	})
	return y
}

// Backward returns the gradients of x and W, given dy, that of the output.
func (c Conv) Backward(x, dy Map) (dx Map, dw []float64) {
	dx = Like(x)
	parts := make([][]float64, x.N)
	each(x.N, func(n int) {
		part := make([]float64, len(c.W))
		parts[n] = part
		c.taps(x, dy, n, func(xi, yi, wi int) {
			d := dy.V[yi:][:c.Co]
			for ci, v := range x.V[xi:][:c.Ci] {
				dx.V[xi+ci] += dot(d, c.W[wi+ci*c.Co:])
				if v == 0 {
					continue
				}
				grad := part[wi+ci*c.Co:][:c.Co]
				for co, g := range d {
					grad[co] += g * v
				}
			}
		})
	})
	dw = make([]float64, len(c.W))
	for _, part := range parts {
		for i, v := range part {
			dw[i] += v
		}
	}
	return dx, dw
}

// dot returns Σ a[i]·b[i] over a's length, in four sums that need not wait for each other.
func dot(a, b []float64) float64 {
	var s0, s1, s2, s3 float64
	b = b[:len(a)]
	for ; len(a) >= 4; a, b = a[4:], b[4:] {
		s0 += a[0] * b[0]
		s1 += a[1] * b[1]
		s2 += a[2] * b[2]
		s3 += a[3] * b[3]
	}
	for i, v := range a {
		s0 += v * b[i]
	}
	return (s0 + s1) + (s2 + s3)
}

// Standardise brings each of the co filters of w [...,Co] to mean 0 and variance 1, with epsilon added to the
// variance.
func Standardise(w []float64, co int, epsilon float64) []float64 {
	mean, sigma := filterMoments(w, co, epsilon)
	out := make([]float64, len(w))
	for i := range w {
		out[i] = (w[i] - mean[i%co]) / sigma[i%co]
	}
	return out
}

// StandardiseBackward returns the gradient of w, given g, that of Standardise(w).
func StandardiseBackward(w, g []float64, co int, epsilon float64) []float64 {
	mean, sigma := filterMoments(w, co, epsilon)
	n := float64(len(w) / co)
	sum, dot := make([]float64, co), make([]float64, co)
	for i := range w {
		sum[i%co] += g[i]
		dot[i%co] += g[i] * (w[i] - mean[i%co]) / sigma[i%co]
	}
	dw := make([]float64, len(w))
	for i := range w {
		c := i % co
		dw[i] = (g[i] - sum[c]/n - (w[i]-mean[c])/sigma[c]*dot[c]/n) / sigma[c]
	}
	return dw
}

// filterMoments returns each filter's mean and the root of its variance plus epsilon.
func filterMoments(w []float64, co int, epsilon float64) (mean, sigma []float64) {
	mean, sigma = make([]float64, co), make([]float64, co)
	n := float64(len(w) / co)
	for i, v := range w {
		mean[i%co] += v / n
	}
	for i, v := range w {
		sigma[i%co] += (v - mean[i%co]) * (v - mean[i%co]) / n
	}
	for c, variance := range sigma {
		sigma[c] = math.Sqrt(variance + epsilon)
	}
	return mean, sigma
}
