package batch

import (
	"math"
	"testing"
)

// checkUniform tests counts against the uniform distribution with chi-squared, at 5 deviations (normal approximation,
// which errs on the strict side of a p of about 1e-5 here).
func checkUniform(t *testing.T, what string, counts []int) {
	t.Helper()
	total := 0
	for _, n := range counts {
		total += n
	}
	expected := float64(total) / float64(len(counts))
	chi := 0.0
	for _, n := range counts {
		chi += (float64(n) - expected) * (float64(n) - expected) / expected
	}
	freedom := float64(len(counts) - 1)
	if limit := freedom + 5*math.Sqrt(2*freedom); chi > limit {
		t.Errorf("%s is not uniform: chi-squared %.1f with %v degrees of freedom, limit %.1f: %v", what, chi, freedom, limit, counts)
	}
}
