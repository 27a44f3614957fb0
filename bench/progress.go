package main

import (
	"fmt"
	"time"
)

// expected guesses the time of a case with so many runs of each of so many contenders: a start of two seconds, and
// runs at half of what a core of today does. How long finished cases really took corrects it.
func (c benchCase) expected(contenders, runs, threads int) float64 {
	const start, flops = 2, 50e9
	first := 2.0 // the outputs to compare, and one to warm up
	if c.Task == train {
		first += trainSteps
	}
	return float64(contenders) * (start + (float64(runs)+first)*c.FLOPs()/flops/float64(threads))
}

// progress says how far a run is.
type progress struct {
	steps, done     int
	total, finished float64 // expected seconds
	begun           time.Time
}

// finish counts a step of so many expected seconds.
func (p *progress) finish(expected float64) {
	p.done++
	p.finished += expected
}

// left guesses how long the rest takes.
func (p *progress) left(now time.Time) time.Duration {
	seconds := p.total - p.finished
	if p.finished > 0 {
		seconds *= now.Sub(p.begun).Seconds() / p.finished
	}
	return time.Duration(seconds * float64(time.Second))
}

// String is as in "3 of 36, about 4m20s left".
func (p *progress) String() string {
	s := fmt.Sprintf("%d of %d", p.done, p.steps)
	if p.done < p.steps {
		s += fmt.Sprintf(", about %v left", p.left(time.Now()).Round(10*time.Second))
	}
	return s
}
