package train

import (
	"math"
	"testing"
)

// Values of the formula in big_vision's utils.py, worked out in double precision.
func TestCosine(t *testing.T) {
	c := Cosine{WarmUp: 1000, Total: 27_868}
	for step, want := range map[int]float64{0: 0, 500: 0.8, 1000: 1.6, 10_000: 1.196430310539, 20_000: 0.315331816935, 27_868: 0} {
		if got := 1.6 * c.Factor(step); math.Abs(got-want) > 1e-12 {
			t.Errorf("step %d: %.13f, want %.13f", step, got, want)
		}
	}
}

func TestCosineWithoutWarmUp(t *testing.T) {
	c := Cosine{Total: 4}
	for step, want := range []float64{1, 0.5 + math.Sqrt2/4, 0.5, 0.5 - math.Sqrt2/4, 0} {
		if got := c.Factor(step); math.Abs(got-want) > 1e-15 {
			t.Errorf("step %d: %v, want %v", step, got, want)
		}
	}
	if got := (Cosine{WarmUp: 3, Total: 3}).Factor(3); got != 1 {
		t.Errorf("a run that is all warm-up ends at %v, want 1", got)
	}
}

func TestStaircase(t *testing.T) {
	s := Staircase{WarmUp: 2, Drops: []int{4, 6}, Total: 8}
	for step, want := range []float64{0, 0.5, 1, 1, 1, 0.1, 0.1, 0.01} {
		if got := s.Factor(step); got != want {
			t.Errorf("step %d: %v, want %v", step, got, want)
		}
	}
}
