package train

import (
	"math"
	"time"
)

// meter smooths what a person watches. It feeds nothing back into the run.
type meter struct {
	steps                          int
	loss, accuracy, images, second float64 // exponential means, biased towards 0 by forget^steps
	total, waited                  time.Duration
}

// forget is the weight of the past in a running mean: about the last fifty steps count.
const forget = 0.98

func (m *meter) add(loss, accuracy float64, images int, took, waited time.Duration) {
	m.steps++
	m.total += took
	m.waited += waited
	mix := func(mean *float64, v float64) { *mean = forget**mean + (1-forget)*v }
	mix(&m.loss, loss)
	mix(&m.accuracy, accuracy)
	mix(&m.images, float64(images))
	mix(&m.second, took.Seconds())
}

func (m *meter) progress(step, total int) Progress {
	unbias := 1 / (1 - math.Pow(forget, float64(m.steps)))
	p := Progress{Step: step, Total: total, Loss: m.loss * unbias, Accuracy: m.accuracy * unbias}
	if m.total > 0 {
		p.Waiting = m.waited.Seconds() / m.total.Seconds()
	}
	if m.second > 0 {
		p.ImagesPerSecond = m.images / m.second
		p.Remaining = time.Duration(float64(total-step) * m.second * unbias * float64(time.Second))
	}
	return p
}
