package nn

import (
	"fmt"
	"math"
)

// Targets are the labels of N examples. Example i has the soft label Lambda·onehot(A[i]) + (1−Lambda)·onehot(B[i]),
// which is then smoothed over K classes: y ← (1−Smoothing)·y + Smoothing/K.
type Targets struct {
	A         []int32 // [N], each in [0, K)
	B         []int32 // [N], the labels mixed in by mixup; nil for hard labels, and then Lambda is not read
	Lambda    float64 // weight of A in [0, 1], used as drawn (BIT mixup takes no max(λ, 1−λ))
	Smoothing float64 // label smoothing in [0, 1); 0 for none

	// Y [N, K], if not nil, is what the labels are before smoothing, in place of A, B and Lambda: any number of classes of
	// an example can be 1. It is for SigmoidCrossEntropy alone.
	Y []float32
	// Weights [K] are the classes' weights in the loss, nil for 1 each: the term of class k, −y·log p or the binary
	// cross-entropy, counts Weights[k] times, as with the weight of PyTorch's CrossEntropyLoss (of labels as probabilities)
	// and BCEWithLogitsLoss; but sums are not divided by the weights that occur.
	Weights []float32
}

// SoftmaxCrossEntropy returns scale·Σᵢ CE(softmax(logits[i]), y[i]) and writes its gradient to dlogits.
// logits and dlogits are [N, classes] and may be the same slice.
//
// For the mean over a batch of B examples scale is 1/B, also when the batch is processed in parts: the losses and the
// gradients of the parts then add up to those of the whole batch, whatever their sizes.
// A NaN logit makes the loss and its row of the gradient NaN.
func SoftmaxCrossEntropy(dlogits, logits []float32, classes int, t Targets, scale float64) float64 {
	if t.Y != nil {
		panic("nn: softmax cross-entropy of labels of which several can be 1")
	}
	n := t.check(dlogits, logits, classes)
	hard, even := t.shares(classes)
	loss := 0.0
	for i := range n {
		z, dz := logits[i*classes:][:classes], dlogits[i*classes:][:classes]
		top := z[0]
		for _, v := range z[1:] {
			top = max(top, v) // the builtin keeps NaN
		}
		sum, shifted := 0.0, 0.0
		for _, v := range z {
			d := float64(v) - float64(top)
			sum += math.Exp(d)
			shifted += d
		}
		if t.Weights != nil {
			loss += t.weighted(dz, z, i, hard, even, float64(top), sum, scale)
			continue
		}
		// −Σ y·log p = log Σ exp(z−top) − Σ y·(z−top), because y sums to 1.
		a := int(t.A[i])
		own := math.Log(sum) - hard*t.mixA()*(float64(z[a])-float64(top))
		if t.B != nil {
			own -= hard * (1 - t.Lambda) * (float64(z[t.B[i]]) - float64(top))
		}
		if even > 0 {
			own -= even * shifted
		}
		loss += own

		for k, v := range z {
			dz[k] = float32(scale * (math.Exp(float64(v)-float64(top))/sum - t.at(i, k, hard, even)))
		}
	}
	return loss * scale
}

// weighted is the loss of example i where classes have weights, −Σ w·y·log p, and scale times its gradient,
// p·Σ w·y − w·y. z−top are the logits less the largest, sum is Σ exp(z−top).
func (t Targets) weighted(dz, z []float32, i int, hard, even, top, sum, scale float64) float64 {
	loss, total, logSum := 0.0, 0.0, math.Log(sum)
	for k, v := range z {
		wy := float64(t.Weights[k]) * t.at(i, k, hard, even)
		total += wy
		if wy != 0 {
			loss += wy * (logSum - (float64(v) - top))
		}
	}
	for k, v := range z {
		wy := float64(t.Weights[k]) * t.at(i, k, hard, even)
		dz[k] = float32(scale * (total*math.Exp(float64(v)-top)/sum - wy))
	}
	return loss
}

// SigmoidCrossEntropy returns scale·Σᵢ Σₖ BCE(sigmoid(logits[i,k]), y[i,k]) and writes its gradient to dlogits: every
// class is a question of its own, summed over classes, as BiT-M and BiT-L were trained (big_vision's sigmoid_xent).
// Shapes, scale and NaN are as for SoftmaxCrossEntropy, except that a NaN logit touches only its own gradient.
func SigmoidCrossEntropy(dlogits, logits []float32, classes int, t Targets, scale float64) float64 {
	n := t.check(dlogits, logits, classes)
	hard, even := t.shares(classes)
	loss := 0.0
	for i := range n {
		z, dz := logits[i*classes:][:classes], dlogits[i*classes:][:classes]
		for k, v := range z {
			x, y := float64(v), 0.0
			if t.Y != nil {
				y = hard*float64(t.Y[i*classes+k]) + even
			} else {
				y = t.at(i, k, hard, even)
			}
			e := math.Exp(-math.Abs(x)) // never overflows
			w := 1.0
			if t.Weights != nil {
				w = float64(t.Weights[k])
			}
			loss += w * (max(x, 0) - x*y + math.Log1p(e))
			p := 1 / (1 + e)
			if x < 0 {
				p = e / (1 + e)
			}
			dz[k] = float32(scale * w * (p - y))
		}
	}
	return loss * scale
}

// check panics on shapes and labels that only a mistake in the caller can produce, and returns N.
func (t Targets) check(dlogits, logits []float32, classes int) int {
	if t.Weights != nil && len(t.Weights) != classes {
		panic(fmt.Sprintf("nn: cross-entropy with %d weights for %d classes", len(t.Weights), classes))
	}
	if t.Y != nil {
		if len(logits) != len(t.Y) || len(dlogits) != len(t.Y) || len(t.Y)%classes != 0 {
			panic(fmt.Sprintf("nn: cross-entropy of %d logits, %d gradients, %d labels, %d classes", len(logits), len(dlogits), len(t.Y), classes))
		}
		return len(t.Y) / classes
	}
	n := len(t.A)
	if len(logits) != n*classes || len(dlogits) != n*classes || t.B != nil && len(t.B) != n {
		panic(fmt.Sprintf("nn: cross-entropy of %d logits, %d gradients, %d and %d labels, %d classes", len(logits), len(dlogits), len(t.A), len(t.B), classes))
	}
	for i, a := range t.A {
		if a < 0 || int(a) >= classes {
			panic(fmt.Sprintf("nn: label %d of example %d is not in [0, %d)", a, i, classes))
		}
	}
	for i, b := range t.B {
		if b < 0 || int(b) >= classes {
			panic(fmt.Sprintf("nn: mixed-in label %d of example %d is not in [0, %d)", b, i, classes))
		}
	}
	return n
}

// shares returns the share of the label itself in a smoothed one, and what smoothing gives to each class.
func (t Targets) shares(classes int) (hard, even float64) {
	return 1 - t.Smoothing, t.Smoothing / float64(classes)
}

func (t Targets) mixA() float64 {
	if t.B == nil {
		return 1
	}
	return t.Lambda
}

// at returns the target y[i, k].
func (t Targets) at(i, k int, hard, even float64) float64 {
	y := even
	if int(t.A[i]) == k {
		y += hard * t.mixA()
	}
	if t.B != nil && int(t.B[i]) == k {
		y += hard * (1 - t.Lambda)
	}
	return y
}
