package oracle

import (
	"math"
	"math/rand/v2"
	"testing"
)

func random(r *rand.Rand, n int) []float64 {
	v := make([]float64, n)
	for i := range v {
		v[i] = r.NormFloat64()
	}
	return v
}

func randomMap(r *rand.Rand, n, h, w, c int) Map { return Map{n, h, w, c, random(r, n*h*w*c)} }

// differences fails unless grad is the gradient of f with respect to x, by central differences.
func differences(t *testing.T, name string, x, grad []float64, f func() float64) {
	t.Helper()
	const h = 1e-5
	numeric := make([]float64, len(x))
	for i, v := range x {
		x[i] = v + h
		up := f()
		x[i] = v - h
		numeric[i] = (up - f()) / (2 * h)
		x[i] = v
	}
	// Rounding leaves 1e-16/h, the third derivative h²: about 1e-10 both.
	if e := Error(grad, numeric); !(e < 1e-8) {
		t.Errorf("%s: gradient is off by %.1e of the largest", name, e)
	}
}

func TestGradients(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, c := range []Conv{{1, 1, 3, 4, 1, 0, nil}, {1, 1, 3, 2, 2, 0, nil}, {3, 3, 2, 3, 1, 1, nil}, {3, 3, 2, 3, 2, 1, nil}, {7, 7, 2, 2, 2, 3, nil}} {
		c.W = random(r, c.Kh*c.Kw*c.Ci*c.Co)
		for _, x := range []Map{randomMap(r, 2, 4, 5, c.Ci), randomMap(r, 1, 1, 1, c.Ci)} {
			dy := c.Forward(x)
			copy(dy.V, random(r, len(dy.V)))
			loss := func() float64 { return dot(c.Forward(x).V, dy.V) }
			dx, dw := c.Backward(x, dy)
			differences(t, "convolution input", x.V, dx.V, loss)
			differences(t, "convolution kernel", c.W, dw, loss)
		}
	}

	w, g := random(r, 10*3), random(r, 10*3)
	differences(t, "standardisation", w, StandardiseBackward(w, g, 3, 0.1), func() float64 { return dot(Standardise(w, 3, 0.1), g) })

	x, dy := randomMap(r, 2, 3, 2, 6), random(r, 2*3*2*6)
	norm := GroupNorm{2, 1e-2, random(r, 6), random(r, 6)}
	dx, dgamma, dbeta := norm.Backward(x, Map{2, 3, 2, 6, dy})
	loss := func() float64 { return dot(norm.Forward(x).V, dy) }
	differences(t, "GroupNorm input", x.V, dx.V, loss)
	differences(t, "GroupNorm scale", norm.Gamma, dgamma, loss)
	differences(t, "GroupNorm shift", norm.Beta, dbeta, loss)

	on := Positive(x.V)
	differences(t, "ReLU", x.V, Mask(Map{2, 3, 2, 6, dy}, on).V, func() float64 { return dot(Mask(x, Positive(x.V)).V, dy) })

	ho, wo, windows := PoolWindows(x)
	pooled := Map{2, ho, wo, 6, random(r, 2*ho*wo*6)}
	differences(t, "pooling", x.V, Scatter(pooled.V, Argmax(x.V, windows), len(x.V)),
		func() float64 { return dot(Gather(x.V, Argmax(x.V, windows)), pooled.V) })

	mean := randomMap(r, 2, 1, 1, 6)
	differences(t, "mean", x.V, MeanBackward(x, mean).V, func() float64 { return dot(Mean(x).V, mean.V) })

	logits, labels := random(r, 3*4), []int{2, 0, 3}
	_, dlogits := CrossEntropy(logits, labels)
	differences(t, "cross-entropy", logits, dlogits, func() float64 { l, _ := CrossEntropy(logits, labels); return l })
}

// Values computed by hand from the formulae.
func TestVectors(t *testing.T) {
	near := func(name string, got []float64, want ...float64) {
		t.Helper()
		if e := Error(got, want); !(e < 1e-11) {
			t.Errorf("%s: %.12f, want %.12f", name, got, want)
		}
	}
	near("standardised", Standardise([]float64{1, 2, 3, 4}, 1, 1e-10), -1.341640786446, -0.447213595482, 0.447213595482, 1.341640786446)
	near("epsilon 1e-10", Standardise([]float64{1e-5, -1e-5}, 1, 1e-10), 0.707106781187, -0.707106781187)
	near("epsilon 1e-8", Standardise([]float64{1e-5, -1e-5}, 1, 1e-8), 0.099503719021, -0.099503719021)
	near("standardisation's gradient", StandardiseBackward([]float64{1, 2, 3, 4}, []float64{0.1, -0.2, 0.3, 0.4}, 1, 1e-10),
		0.143108350539, -0.250439613475, 0.071554175282, 0.035777087654)
	norm := GroupNorm{2, 1e-5, []float64{1, 1, 1, 1}, make([]float64, 4)}
	near("GroupNorm", norm.Forward(Map{1, 1, 2, 4, []float64{1, 2, 3, 4, 5, 6, 7, 10}}).V,
		-1.212676698504, -0.727606019102, -1.095444384714, -0.730296256476, 0.727606019102, 1.212676698504, 0.365148128238, 1.460592512952)
	x := NewMap(1, 4, 4, 1)
	for i := range x.V {
		x.V[i] = -1
	}
	_, _, windows := PoolWindows(x)
	near("pooling", Gather(x.V, Argmax(x.V, windows)), 0, 0, 0, -1)
	loss, _ := CrossEntropy(make([]float64, 10), []int{3})
	near("loss of equal logits", []float64{loss}, math.Log(10))
}
