package train

import "math"

// A Schedule gives the learning rate of a step as a fraction of the peak rate. It is a pure function of the step, so
// that a resumed run needs to remember nothing but the step.
type Schedule interface {
	// Factor returns the fraction in [0, 1] for the step, counted from 0.
	Factor(step int) float64
	// Steps returns the number of optimiser steps of the whole run.
	Steps() int
}

// Staircase warms up linearly from 0 and then divides the rate by ten at every drop. The zero value ends at once.
type Staircase struct {
	WarmUp int   `json:"warm_up"` // the rate of step s < WarmUp is s/WarmUp of the peak, so step 0 trains with rate 0
	Drops  []int `json:"drops"`   // the rate falls tenfold after each of these: step d still has the old rate, step d+1 the new one
	Total  int   `json:"total"`   // steps of the run
}

// Factor returns step/WarmUp during warm-up and 10^-k after, k being the number of drops before the step
// (big_transfer bit_hyperrule.py, get_lr).
func (s Staircase) Factor(step int) float64 {
	if step < s.WarmUp {
		return float64(step) / float64(s.WarmUp)
	}
	passed := 0
	for _, d := range s.Drops {
		if d < step {
			passed++
		}
	}
	return math.Pow10(-passed)
}

// Steps returns Total.
func (s Staircase) Steps() int { return s.Total }

// Cosine falls from the peak to 0 along half a cosine, after a linear warm-up.
type Cosine struct {
	WarmUp int // steps of linear warm-up from 0
	Total  int // steps of the run; the rate would reach 0 at this step
}

// Factor returns 0.5·(1 + cos(π·clip((step−W)/(T−W), 0, 1)))·min(1, step/W) (big_vision utils.py,
// create_learning_rate_schedule).
func (c Cosine) Factor(step int) float64 {
	warm := 1.0
	if step < c.WarmUp {
		warm = float64(step) / float64(c.WarmUp)
	}
	through := 0.0
	if step > c.WarmUp {
		through = min(1, float64(step-c.WarmUp)/float64(max(1, c.Total-c.WarmUp)))
	}
	return 0.5 * (1 + math.Cos(math.Pi*through)) * warm
}

// Steps returns Total.
func (c Cosine) Steps() int { return c.Total }
