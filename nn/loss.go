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
}

// SoftmaxCrossEntropy returns scale·Σᵢ CE(softmax(logits[i]), y[i]) and writes its gradient to dlogits.
// logits and dlogits are [N, classes] and may be the same slice.
//
// For the mean over a batch of B examples scale is 1/B, also when the batch is processed in parts: the losses and the
// gradients of the parts then add up to those of the whole batch, whatever their sizes.
// A NaN logit makes the loss and its row of the gradient NaN.
func SoftmaxCrossEntropy(dlogits, logits []float32, classes int, t Targets, scale float64) float64 {
	n := t.check(dlogits, logits, classes)
	hard, even := t.weights(classes)
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

// SigmoidCrossEntropy returns scale·Σᵢ Σₖ BCE(sigmoid(logits[i,k]), y[i,k]) and writes its gradient to dlogits: every
// class is a question of its own, summed over classes, as BiT-M and BiT-L were trained (big_vision's sigmoid_xent).
// Shapes, scale and NaN are as for SoftmaxCrossEntropy, except that a NaN logit touches only its own gradient.
func SigmoidCrossEntropy(dlogits, logits []float32, classes int, t Targets, scale float64) float64 {
	n := t.check(dlogits, logits, classes)
	hard, even := t.weights(classes)
	loss := 0.0
	for i := range n {
		z, dz := logits[i*classes:][:classes], dlogits[i*classes:][:classes]
		for k, v := range z {
			x, y := float64(v), t.at(i, k, hard, even)
			e := math.Exp(-math.Abs(x)) // never overflows
			loss += max(x, 0) - x*y + math.Log1p(e)
			p := 1 / (1 + e)
			if x < 0 {
				p = e / (1 + e)
			}
			dz[k] = float32(scale * (p - y))
		}
	}
	return loss * scale
}

// check panics on shapes and labels that only a mistake in the caller can produce, and returns N.
func (t Targets) check(dlogits, logits []float32, classes int) int {
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

// weights returns the share of the one-hot part of a smoothed label, and what smoothing gives to each class.
func (t Targets) weights(classes int) (hard, even float64) {
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
