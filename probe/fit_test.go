package probe

import (
	"errors"
	"math"
	"strings"
	"testing"

	"gonum.org/v1/gonum/mat"
)

// x = 0 and 2 have mean 1 and deviation 1, so z = ∓1/s with s = 1.00001, and of class 1 y = ∓1. With λ = 2,
// w = (2/s) / (2/s² + 2), and the mean target is 0, so that the bias is too.
func TestFitByHand(t *testing.T) {
	const s = 1.00001
	w := (2 / s) / (2/(s*s) + 2)
	h, err := Fit([]float32{0, 2}, []int{0, 1}, 2, Config{Lambda: 2, NoScale: true})
	if err != nil {
		t.Fatal(err)
	}
	near(t, "logits", h.Logits([]float32{3, 1}), []float64{-w * 2 / s, w * 2 / s, 0, 0}, 1e-12)
	if h.LeftOut != nil || h.Scale != 1 {
		t.Errorf("scale %v, left out %v, want 1 and none", h.Scale, h.LeftOut)
	}
	// A third example at the mean: the mean target of class 0 is (1−1+1)/3, and the constant's weight shrinks it by
	// 30000/(30000+λ).
	h, err = Fit([]float32{0, 2, 1}, []int{0, 1, 0}, 2, Config{Lambda: 2, NoScale: true})
	if err != nil {
		t.Fatal(err)
	}
	near(t, "logits at the mean", h.Logits([]float32{1}), []float64{1.0 / 3 * 30000 / 30002, -1.0 / 3 * 30000 / 30002}, 1e-12)
}

// One example of outputs ±a: the smoothed target is 3/4, softmax of 2fa is 3/4 where 2fa = log 3. A mistake leaves no
// factor, and neither do equal outputs.
func TestScaleByHand(t *testing.T) {
	for _, c := range []struct {
		y      []float64
		labels []int
		want   float64
		ok     bool
	}{
		{[]float64{0.5, -0.5}, []int{0}, math.Log(3), true},
		{[]float64{0.01, -0.01}, []int{0}, 50 * math.Log(3), true},
		// Two right and one wrong of the same size: the target is 2/3·7/8 + 1/3·1/8 = 5/8, log(5/3) = 2fa.
		{[]float64{1, -1, 1, -1, 1, -1}, []int{0, 0, 1}, math.Log(5.0/3) / 2, true},
		{[]float64{0.5, -0.5}, []int{1}, 0, false},
		{[]float64{0.5, 0.5}, []int{1}, 0, false},
		{nil, nil, 0, false},
	} {
		got, ok := fitScale(c.y, c.labels)
		if ok != c.ok || math.Abs(got-c.want) > 1e-9*c.want {
			t.Errorf("%v of %v: factor %v, %v, want %v, %v", c.y, c.labels, got, ok, c.want, c.ok)
		}
	}
}

// The penalty that is chosen has the least PRESS of all that are tried.
func TestChosenPenalty(t *testing.T) {
	if l := Lambdas(1024); len(l) != 11 || l[0] != 1 || l[5] != DefaultLambda || l[10] != 1<<20 {
		t.Errorf("penalties %v, want powers of 4 around 1024", l)
	}
	for _, n := range []int{20, 60} { // dual, primal
		x, labels := examples(7, n, 30, 3)
		h, err := Fit(x, labels, 3, Config{})
		if err != nil {
			t.Fatal(err)
		}
		for _, lambda := range Lambdas(30) {
			other, err := Fit(x, labels, 3, Config{Lambda: lambda})
			if err != nil {
				t.Fatal(err)
			}
			if other.LeftOut.Press < h.LeftOut.Press {
				t.Errorf("%d examples: penalty %v chosen, PRESS %v, but %v has %v", n, h.Lambda, h.LeftOut.Press, lambda, other.LeftOut.Press)
			}
		}
		if a := h.LeftOut.Accuracy(); a < 0.8 {
			t.Errorf("%d examples: leave-one-out accuracy %v of classes that differ much", n, a)
		}
		p := h.LeftOut.Probabilities(h.Scale)
		for i := range n {
			if sum := p[3*i] + p[3*i+1] + p[3*i+2]; math.Abs(sum-1) > 1e-12 {
				t.Errorf("probabilities of example %d sum to %v", i, sum)
			}
		}
	}
}

// With one example of each class nothing can be left out: the default penalty, and a scale by the examples themselves.
func TestOneExampleForEachClass(t *testing.T) {
	x, labels := examples(3, 4, 50, 4)
	h, err := Fit(x, labels, 4, Config{})
	if err != nil {
		t.Fatal(err)
	}
	if h.Lambda != DefaultLambda || h.Accuracy(x, labels) != 1 {
		t.Errorf("penalty %v, accuracy %v, want 1024 and 1", h.Lambda, h.Accuracy(x, labels))
	}
	// The smoothed target is 1 − (1/5)(3/4) = 0.85 on the average.
	mean := 0.0
	for i, y := 0, h.Logits(x); i < 4; i++ {
		softmax(y[4*i:][:4], 1)
		mean += y[4*i+i] / 4
	}
	if math.Abs(mean-0.85) > 0.02 {
		t.Errorf("mean probability %v of the examples' own classes, want about 0.85", mean)
	}
}

func TestFitErrors(t *testing.T) {
	x, labels := examples(1, 6, 2, 3)
	nan := append([]float32(nil), x...)
	nan[3] = float32(math.NaN())
	for what, c := range map[string]struct {
		x       []float32
		labels  []int
		classes int
		cfg     Config
		want    string
	}{
		"none":             {nil, nil, 3, Config{}, "0 feature values for 0 examples"},
		"odd":              {x[:11], labels, 3, Config{}, "11 feature values for 6 examples"},
		"label":            {x, labels, 2, Config{}, "example 2 has the label 2, expected one below 2"},
		"empty class":      {x, labels, 4, Config{}, "class 3 has no examples"},
		"one class":        {x[:2], []int{0}, 1, Config{}, "1 classes, expected at least 2"},
		"not a number":     {nan, labels, 3, Config{}, "feature 1 of example 1 is NaN"},
		"penalty":          {x, labels, 3, Config{Lambda: -1}, "penalty -1"},
		"infinite penalty": {x, labels, 3, Config{Lambda: math.Inf(1)}, "penalty +Inf"},
	} {
		if _, err := Fit(c.x, c.labels, c.classes, c.cfg); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want %q", what, err, c.want)
		}
	}
	if _, err := Fit(x, labels, 4, Config{}); !errors.Is(err, ErrNoExamples) {
		t.Errorf("error %v, want ErrNoExamples", err)
	}
}

// Features as wide as the embedded model's; n = 1000 is solved in the dual form, 4000 in the primal.
func BenchmarkFit(b *testing.B) {
	for name, n := range map[string]int{"examples=300": 300, "examples=1000": 1000, "examples=4000": 4000} {
		x, labels := examples(1, n, 1024, 10)
		for cfg, c := range map[string]Config{"penalty=given": {Lambda: 1024, NoScale: true}, "penalty=chosen": {MaxExamples: 1000}} {
			b.Run(name+"/"+cfg, func(b *testing.B) {
				for b.Loop() {
					if _, err := Fit(x, labels, 10, c); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// What one factorisation for all penalties costs: ours, and the eigendecomposition that big_vision uses.
func BenchmarkFactorise(b *testing.B) {
	const n = 1000
	x, labels := examples(1, n, 1024, 10)
	s := dual(x, labels, 1024, 10)
	b.Run("form=tridiagonal", func(b *testing.B) {
		for b.Loop() {
			tridiagonalise(append([]float64(nil), s.a...), n, true)
		}
	})
	b.Run("form=reflections", func(b *testing.B) {
		for b.Loop() {
			tridiagonalise(append([]float64(nil), s.a...), n, false)
		}
	})
	b.Run("form=eigen", func(b *testing.B) {
		for b.Loop() {
			var e mat.EigenSym
			if !e.Factorize(mat.NewSymDense(n, append([]float64(nil), s.a...)), true) {
				b.Fatal("no eigendecomposition")
			}
		}
	})
}
