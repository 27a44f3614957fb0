package eval

import (
	"cmp"
	"fmt"
	"math"
	"slices"
)

// MultiLabel is what can be said if every class is a question of its own. A class is predicted where its sigmoid is at
// least one half.
type MultiLabel struct {
	MAP            float64 `json:"mean_average_precision"` // over the classes that images have
	MicroPrecision float64 `json:"micro_precision"`        // over all pairs of image and class
	MicroRecall    float64 `json:"micro_recall"`
	MicroF1        float64 `json:"micro_f1"`
}

// MeasureMultiLabel measures logits [N, classes] of images that have any number of labels. Of the result, Loss is the mean
// over images of the binary cross-entropies summed over classes (as big_vision's sigmoid_xent), and Top1 and Top5 are the
// fractions of images with a label among the one or five largest logits; images without a label do not count there.
//
// The average precision of a class is Σ (Rₙ − Rₙ₋₁)·Pₙ over the thresholds between different scores, without
// interpolation (as scikit-learn's average_precision_score).
func MeasureMultiLabel(logits []float32, labels [][]int32, classes int) (Metrics, error) {
	if len(logits) != len(labels)*classes {
		return Metrics{}, fmt.Errorf("eval: %d logits for %d images of %d classes", len(logits), len(labels), classes)
	}
	m := Metrics{Result: Result{Images: len(labels)}, MultiLabel: &MultiLabel{}}
	has := make([]bool, len(logits))
	all := make([]Class, classes)
	labelled := 0
	for i, list := range labels {
		z := logits[i*classes:][:classes]
		best := classes
		for _, label := range list {
			if label < 0 || int(label) >= classes {
				return Metrics{}, fmt.Errorf("eval: label %d, want one below the model's %d classes", label, classes)
			}
			has[i*classes+int(label)] = true
			best = min(best, rank(z, int(label)))
		}
		if len(list) > 0 {
			labelled++
			if best < 1 {
				m.Top1++
			}
			if best < 5 {
				m.Top5++
			}
		}
		for k, v := range z {
			own, predicted := has[i*classes+k], v >= 0
			x := float64(v)
			if own {
				x = -x
				all[k].Images++
			}
			m.Loss += math.Max(x, 0) + math.Log1p(math.Exp(-math.Abs(x))) // log(1 + exp x)
			if predicted {
				all[k].Predicted++
			}
			if predicted && own {
				all[k].right++
			}
		}
	}
	m.Loss /= float64(len(labels))
	if labelled > 0 {
		m.Top1, m.Top5 = m.Top1/float64(labelled), m.Top5/float64(labelled)
	}
	right, predicted, positive, occur := 0, 0, 0, 0
	for k := range all {
		c := &all[k]
		right, predicted, positive = right+c.right, predicted+c.Predicted, positive+c.Images
		if c.Images > 0 {
			ap := averagePrecision(logits, has, k, classes)
			c.AveragePrecision = &ap
			m.MAP += ap
			occur++
		}
	}
	if occur > 0 {
		m.MAP /= float64(occur)
	}
	m.MicroPrecision, m.MicroRecall, m.MicroF1 = ratio(right, predicted), ratio(right, positive), ratio(2*right, predicted+positive)
	m.setClasses(all)
	return m, nil
}

// averagePrecision is that of class k, which at least one image has.
func averagePrecision(logits []float32, has []bool, k, classes int) float64 {
	var order []int
	positive := 0
	for at := k; at < len(logits); at += classes {
		order = append(order, at)
		if has[at] {
			positive++
		}
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Compare(logits[b], logits[a]) })
	sum, right, before := 0.0, 0, 0
	for i, at := range order {
		if has[at] {
			right++
		}
		if i+1 < len(order) && logits[order[i+1]] == logits[at] {
			continue // equal scores are on the same side of every threshold
		}
		sum += float64(right-before) / float64(positive) * float64(right) / float64(i+1)
		before = right
	}
	return sum
}
