package nn

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/bigtransfer/bit/internal/oracle"
)

// Values computed by hand from the formula of weight standardisation and of its gradient, through a convolution of one
// pixel after another that shows the applied kernel.
func TestStandardisation(t *testing.T) {
	applied := func(e *Engine, w []float32, epsilon float64) []float32 {
		n := len(w)
		k := NewKernel(e, 1, 1, n, 1, 1, 0, w, nil, epsilon)
		k.Fold()
		x, y := NewMap(1, 1, n, n), NewMap(1, 1, n, 1)
		for i := range n {
			x.Data[i*n+i] = 1
		}
		NewConv(k, x, nil, y, nil, false, false).Forward()
		return y.Data
	}
	everyLevel(t, func(t *testing.T, e *Engine) {
		for _, c := range []struct {
			w       []float32
			epsilon float64
			want    []float64
		}{
			{[]float32{1, 2, 3, 4}, 1e-10, []float64{-1.341640786446, -0.447213595482, 0.447213595482, 1.341640786446}},
			{[]float32{0.01, -0.02, 0.03, 0}, 1e-10, []float64{0.277350055443, -1.386750277217, 1.386750277217, -0.277350055443}},
			{[]float32{0.01, -0.02, 0.03, 0}, 1e-8, []float64{0.277345831286, -1.386729156432, 1.386729156432, -0.277345831286}},
			// The pair that tells the epsilons apart.
			{[]float32{1e-5, -1e-5}, 1e-10, []float64{0.707106781187, -0.707106781187}},
			{[]float32{1e-5, -1e-5}, 1e-8, []float64{0.099503719021, -0.099503719021}},
			{[]float32{1e-5, -1e-5}, 1e-6, []float64{0.009999500037, -0.009999500037}},
			// A constant filter has no direction: exactly zero, however large the constant.
			{[]float32{0.1, 0.1, 0.1}, 1e-10, []float64{0, 0, 0}},
			{[]float32{-12345.678, -12345.678}, 1e-8, []float64{0, 0}},
			{[]float32{3}, 1e-10, []float64{0}},
		} {
			near(t, "standardised kernel", applied(e, c.w, c.epsilon), c.want, 3e-7)
		}

		w, dw := []float32{1, 2, 3, 4}, make([]float32, 4)
		k := NewKernel(e, 1, 1, 4, 1, 1, 0, w, dw, 1e-10)
		k.Fold()
		x, y := NewMap(1, 1, 1, 4), NewMap(1, 1, 1, 1)
		copy(x.Data, []float32{0.1, -0.2, 0.3, 0.4})
		conv := NewConv(k, x, nil, y, nil, false, false)
		conv.Forward()
		y.Data[0] = 1
		conv.BackwardKernel(y, make([]float32, conv.GradScratch()))
		near(t, "gradient", dw, []float64{0.143108350539, -0.250439613475, 0.071554175282, 0.035777087654}, 1e-6)
	})
}

// A constant filter's gradient is that of the centred loss over √ε: finite, and summing to zero.
func TestConstantFilterGradient(t *testing.T) {
	everyLevel(t, func(t *testing.T, e *Engine) {
		w, dw := []float32{0.3, 0.3, 0.3, 0.3}, make([]float32, 4)
		k := NewKernel(e, 1, 1, 4, 1, 1, 0, w, dw, 1e-8)
		k.Fold()
		x, y := NewMap(1, 1, 1, 4), NewMap(1, 1, 1, 1)
		copy(x.Data, []float32{1, 2, 3, 6})
		conv := NewConv(k, x, nil, y, nil, false, false)
		conv.Forward()
		y.Data[0] = 1
		conv.BackwardKernel(y, make([]float32, conv.GradScratch()))
		near(t, "gradient", dw, []float64{-2e4, -1e4, 0, 3e4}, 1e-6)
	})
}

// Kernels of 10^4 rows, as deep as the widest variants have: the mean of a filter must not drift with its depth.
func TestDeepFilterMean(t *testing.T) {
	everyLevel(t, func(t *testing.T, e *Engine) {
		r := rand.New(rand.NewPCG(5, 6))
		const depth, co = 9 * 1024, 3
		w := random(r, depth*co)
		for i := range w {
			w[i] += 2
		}
		k := NewKernel(e, 3, 3, depth/9, co, 1, 1, w, nil, 1e-10)
		k.Fold()
		want := oracle.Standardise(oracle.Wide(w), co, 1e-10)
		for c := range co {
			for i := range depth {
				got := float64(w[i*co+c])*float64(k.scale[c]) + float64(k.shift[c])
				if math.Abs(got-want[i*co+c]) > 3e-7 {
					t.Fatalf("filter %d, weight %d: standardised %v, want %v", c, i, got, want[i*co+c])
				}
			}
		}
	})
}
