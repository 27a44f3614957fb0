package batch

import (
	"math"
	"math/rand/v2"

	"github.com/bigtransfer/bit/internal/counter"
)

// mixing is the mixup of one optimiser step (Zhang et al., "mixup: Beyond Empirical Risk Minimization"): row i of the
// whole batch becomes lambda·x[i] + (1-lambda)·x[partner[i]], and its loss
// lambda·CE(logits, y[i]) + (1-lambda)·CE(logits, y[partner[i]]).
type mixing struct {
	lambda  float32 // in [0, 1], as drawn: never exchanged for 1-lambda
	partner []int32 // a permutation of the rows of the whole batch
}

// draw draws the mixing of a batch with lambda ~ Beta(alpha, alpha), one for all rows.
func (m *mixing) draw(rng *counter.Rand, batch int, alpha float64) {
	m.lambda = float32(beta(rng.Rand, alpha, alpha))
	m.partner = m.partner[:0]
	for i := range batch {
		m.partner = append(m.partner, int32(i))
	}
	rng.Shuffle(batch, func(i, j int) { m.partner[i], m.partner[j] = m.partner[j], m.partner[i] })
}

// beta draws from Beta(a, b), a and b > 0. It is A/(A+B) for gamma variates A and B taken as logarithms, since with a
// shape of 0.1 a gamma variate is often so small that it is lost in the sum or underflows.
func beta(rng *rand.Rand, a, b float64) float64 {
	return 1 / (1 + math.Exp(logGamma(rng, b)-logGamma(rng, a)))
}

// logGamma draws the logarithm of a gamma variate of the given shape > 0 and scale 1: Marsaglia and Tsang, "A simple
// method for generating gamma variables" (2000), with their step from shape+1 for shapes below 1.
func logGamma(rng *rand.Rand, shape float64) float64 {
	boost := 0.0
	if shape < 1 {
		boost = -rng.ExpFloat64() / shape // the logarithm of U^(1/shape)
		shape++
	}
	d := shape - 1.0/3
	c := 1 / math.Sqrt(9*d)
	for {
		x := rng.NormFloat64()
		t := 1 + c*x
		if t <= 0 {
			continue
		}
		v := t * t * t
		if -rng.ExpFloat64() < 0.5*x*x+d-d*v+d*math.Log(v) {
			return math.Log(d*v) + boost
		}
	}
}
