package oracle

import "math"

// GroupNorm normalises each image's groups of adjacent channels to mean 0 and variance 1, then scales and shifts each
// channel.
type GroupNorm struct {
	Groups      int
	Epsilon     float64
	Gamma, Beta []float64
}

// groups calls f for each image and group with the group's moments and an iterator over its values.
func (g GroupNorm) groups(x Map, f func(mean, sigma float64, values func(func(i, c int)))) {
	per := x.C / g.Groups
	for n := range x.N {
		for group := range g.Groups {
			values := func(visit func(i, c int)) {
				for p := range x.H * x.W {
					for c := group * per; c < (group+1)*per; c++ {
						visit((n*x.H*x.W+p)*x.C+c, c)
					}
				}
			}
			count := float64(x.H * x.W * per)
			mean, variance := 0.0, 0.0
			values(func(i, _ int) { mean += x.V[i] / count })
			values(func(i, _ int) { variance += (x.V[i] - mean) * (x.V[i] - mean) / count })
			f(mean, math.Sqrt(variance+g.Epsilon), values)
		}
	}
}

// Forward returns the normalised x.
func (g GroupNorm) Forward(x Map) Map {
	y := Like(x)
	g.groups(x, func(mean, sigma float64, values func(func(i, c int))) {
		values(func(i, c int) { y.V[i] = (x.V[i]-mean)/sigma*g.Gamma[c] + g.Beta[c] })
	})
	return y
}

// Backward returns the gradients of x, Gamma and Beta, given dy, that of the output.
func (g GroupNorm) Backward(x, dy Map) (dx Map, dgamma, dbeta []float64) {
	dx, dgamma, dbeta = Like(x), make([]float64, x.C), make([]float64, x.C)
	g.groups(x, func(mean, sigma float64, values func(func(i, c int))) {
		var sum, dot, count float64
		values(func(i, c int) {
			normal := (x.V[i] - mean) / sigma
			dgamma[c] += dy.V[i] * normal
			dbeta[c] += dy.V[i]
			sum += dy.V[i] * g.Gamma[c]
			dot += dy.V[i] * g.Gamma[c] * normal
			count++
		})
		values(func(i, c int) {
			dx.V[i] = (dy.V[i]*g.Gamma[c] - sum/count - (x.V[i]-mean)/sigma*dot/count) / sigma
		})
	})
	return dx, dgamma, dbeta
}

// Positive returns which values are greater than 0: those that ReLU passes.
func Positive[T float32 | float64](y []T) []bool {
	on := make([]bool, len(y))
	for i, v := range y {
		on[i] = v > 0
	}
	return on
}

// Mask returns y where on is set and 0 elsewhere: ReLU, and its gradient.
func Mask(y Map, on []bool) Map {
	out := Like(y)
	for i, v := range y.V {
		if on[i] {
			out.V[i] = v
		}
	}
	return out
}
