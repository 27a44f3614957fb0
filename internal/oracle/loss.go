package oracle

import "math"

// CrossEntropy returns the mean softmax cross-entropy of logits [N,classes] and its gradient.
func CrossEntropy(logits []float64, labels []int) (loss float64, dlogits []float64) {
	n := len(labels)
	classes := len(logits) / n
	dlogits = make([]float64, len(logits))
	for i, label := range labels {
		row, d := logits[i*classes:][:classes], dlogits[i*classes:]
		top := math.Inf(-1)
		for _, v := range row {
			top = max(top, v)
		}
		sum := 0.0
		for _, v := range row {
			sum += math.Exp(v - top)
		}
		loss += (top + math.Log(sum) - row[label]) / float64(n)
		for k, v := range row {
			d[k] = math.Exp(v-top) / sum / float64(n)
		}
		d[label] -= 1 / float64(n)
	}
	return loss, dlogits
}

// SGD is one step with momentum as PyTorch does it: v = momentum·v + g, w = w - rate·v.
func SGD(w, v, g []float64, rate, momentum float64) {
	for i := range w {
		v[i] = momentum*v[i] + g[i]
		w[i] -= rate * v[i]
	}
}
