package probe

import "math"

// scale returns the factor from outputs to logits under which the softmax gives the examples that were left out the
// least cross-entropy. The targets are smoothed by 1/(M+1) of a uniform distribution, so that outputs without a mistake
// do not call for an infinite factor: what M examples can say is no surer than that (as Platt 1999, for two classes).
//
// Where leaving one out says nothing, as with one example for each class, the outputs of the examples themselves serve.
func (s *system) scale(l *LeaveOneOut, u []float64) float64 {
	if f, ok := fitScale(l.Outputs, l.Labels); ok {
		return f
	}
	d, classes := len(s.std.mean), s.classes
	w := s.weights(u)
	own := make([]float64, len(s.labels)*classes)
	for i := range s.labels {
		for c := range classes {
			own[i*classes+c] = s.intercept(c, l.Lambda)
		}
		for j, z := range s.z[i*d:][:d] {
			for c := range classes {
				own[i*classes+c] += z * w[j*classes+c]
			}
		}
	}
	if f, ok := fitScale(own, s.labels); ok {
		return f
	}
	return 1
}

// fitScale minimises the cross-entropy, which is convex in the factor, and reports whether its minimum is above 0.
func fitScale(y []float64, labels []int) (float64, bool) {
	m := len(labels)
	if m == 0 {
		return 0, false
	}
	classes := len(y) / m
	smooth := 1 / float64(m+1)
	p := make([]float64, classes)
	slope := func(factor float64) float64 { // of the cross-entropy: Σ (p − t)·y
		sum := 0.0
		for i, label := range labels {
			row := y[i*classes:][:classes]
			copy(p, row)
			softmax(p, factor)
			for c, v := range row {
				sum += (p[c] - smooth/float64(classes)) * v
			}
			sum -= (1 - smooth) * row[label]
		}
		return sum
	}
	if !(slope(0) < 0) {
		return 0, false
	}
	low, high := 0.0, 1.0
	for slope(high) < 0 {
		if low, high = high, 2*high; math.IsInf(high, 1) {
			return 0, false // equal outputs
		}
	}
	for range 40 {
		if mid := (low + high) / 2; slope(mid) < 0 {
			low = mid
		} else {
			high = mid
		}
	}
	return (low + high) / 2, true
}
