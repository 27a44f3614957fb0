package batch

import (
	"math"
	"slices"
	"testing"

	"github.com/bigtransfer/bit/internal/counter"
)

// Beta(a, a) has mean 1/2, variance 1/(4(2a+1)) and the even central moments that follow; draws must have them.
func TestBetaMoments(t *testing.T) {
	rng := counter.New()
	const draws = 100000
	for _, alpha := range []float64{0.1, 0.2, 1, 2.5} {
		rng.At(5, counter.Mixup, 0)
		sum, sum2, sum4 := 0.0, 0.0, 0.0
		for range draws {
			x := beta(rng.Rand, alpha, alpha)
			if !(x >= 0 && x <= 1) {
				t.Fatalf("alpha %v: drew %v", alpha, x)
			}
			d := x - 0.5
			sum += d
			sum2 += d * d
			sum4 += d * d * d * d
		}
		variance := 1 / (4 * (2*alpha + 1))
		fourth := 3 / (16 * (2*alpha + 1) * (2*alpha + 3))
		if got := sum / draws; math.Abs(got) > 5*math.Sqrt(variance/draws) {
			t.Errorf("alpha %v: mean %v, want 0.5", alpha, 0.5+got)
		}
		if got := sum2 / draws; math.Abs(got-variance) > 5*math.Sqrt((fourth-variance*variance)/draws) {
			t.Errorf("alpha %v: variance %v, want %v", alpha, got, variance)
		}
		if got := sum4 / draws; math.Abs(got-fourth) > 5*0.0625*math.Sqrt(1.0/draws) {
			t.Errorf("alpha %v: fourth central moment %v, want %v", alpha, got, fourth)
		}
	}
}

// Beta(1/2, 1/2) is the arcsine distribution and Beta(1, 1) the uniform one; their distribution functions are known.
func TestBetaDistribution(t *testing.T) {
	const draws = 50000
	for alpha, cdf := range map[float64]func(float64) float64{
		0.5: func(x float64) float64 { return 2 / math.Pi * math.Asin(math.Sqrt(x)) },
		1:   func(x float64) float64 { return x },
	} {
		rng := counter.New().At(6, counter.Mixup, 0)
		xs := make([]float64, draws)
		for i := range xs {
			xs[i] = beta(rng.Rand, alpha, alpha)
		}
		slices.Sort(xs)
		distance := 0.0
		for i, x := range xs {
			distance = max(distance, math.Abs(cdf(x)-float64(i)/draws), math.Abs(cdf(x)-float64(i+1)/draws))
		}
		if limit := 2.2 / math.Sqrt(draws); distance > limit { // Kolmogorov-Smirnov, p about 1e-4
			t.Errorf("alpha %v: distance %v from the distribution, limit %v", alpha, distance, limit)
		}
	}
}

// Shapes at which a gamma variate underflows still give a fair coin, not NaN.
func TestBetaTinyShape(t *testing.T) {
	rng := counter.New().At(1, counter.Mixup, 0)
	ones := 0
	for range 10000 {
		switch x := beta(rng.Rand, 1e-6, 1e-6); {
		case math.IsNaN(x):
			t.Fatal("NaN")
		case x > 0.5:
			ones++
		}
	}
	if ones < 4750 || ones > 5250 {
		t.Errorf("%d of 10000 draws are above 1/2, want about half", ones)
	}
}

// Partners are a permutation, and every row is as likely as any other to be a row's partner.
func TestMixupPartners(t *testing.T) {
	rng := counter.New()
	var m mixing
	const rows, steps = 6, 6000
	var counts [rows]int
	for step := range int64(steps) {
		m.draw(rng.At(1, counter.Mixup, step), rows, 0.1)
		sorted := slices.Clone(m.partner)
		slices.Sort(sorted)
		if !slices.Equal(sorted, []int32{0, 1, 2, 3, 4, 5}) {
			t.Fatalf("step %d: partners %v are no permutation", step, m.partner)
		}
		counts[m.partner[2]]++
	}
	checkUniform(t, "partner of row 2", counts[:])
}
