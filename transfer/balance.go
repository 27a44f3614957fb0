package transfer

import (
	"fmt"
	"math"

	"github.com/bigtransfer/bit/data"
)

// counts returns how many training images have each label, and all these labels together.
func counts(ds *data.Dataset) (n []int, total int) {
	n = make([]int, len(ds.Classes))
	for _, e := range ds.Train {
		if e.Labels == nil && e.Label >= 0 {
			n[e.Label]++
			total++
		}
		for _, label := range e.Labels {
			n[label]++
			total++
		}
	}
	return n, total
}

// BalancedWeights returns weights of the classes of a data set that make up for their numbers of training images: N/(K·n) for
// a class of n of N images in K classes, scikit-learn's class_weight="balanced". A class without images has a weight
// of 1, which nothing uses.
func BalancedWeights(ds *data.Dataset) []float64 {
	n, total := counts(ds)
	classes := 0
	for _, images := range n {
		if images > 0 {
			classes++
		}
	}
	weights := make([]float64, len(n))
	for k, images := range n {
		weights[k] = 1
		if images > 0 {
			weights[k] = float64(total) / (float64(classes) * float64(images))
		}
	}
	return weights
}

// normalised scales weights so that their mean over the labels of all training images is 1: the loss keeps its scale, and
// with it the learning rate its meaning.
func normalised(weights []float64, ds *data.Dataset) ([]float32, error) {
	if len(weights) != len(ds.Classes) {
		return nil, fmt.Errorf("transfer: %d class weights, want one for each of the %d classes", len(weights), len(ds.Classes))
	}
	n, total := counts(ds)
	sum := 0.0
	for k, w := range weights {
		if !(w >= 0) || math.IsInf(w, 0) {
			return nil, fmt.Errorf("transfer: the weight of class %q is %v, want a finite number of at least 0", ds.Classes[k], w)
		}
		sum += w * float64(n[k])
	}
	if sum == 0 {
		return nil, fmt.Errorf("transfer: all classes that have training images have a weight of 0")
	}
	out := make([]float32, len(weights))
	for k, w := range weights {
		out[k] = float32(w * float64(total) / sum)
	}
	return out, nil
}

// priorBias returns the head's bias for classes that are questions of their own: the logarithm of the odds that a training
// image has the label, (n + ½)/(N − n + ½), where the halves keep it finite. With a kernel of zeros training begins at
// these probabilities, not at ½ for every class, whose loss of K·ln 2 would be spent on learning that most labels are rare:
// the idea of the prior π in Lin et al. 2017 (arXiv:1708.02002, section 4.1), and of big_vision's constant bias of −10 for the
// 21,843 classes of ImageNet-21k, of which an image has one: log(1/21842) = −9.99.
func priorBias(ds *data.Dataset) []float32 {
	n, _ := counts(ds)
	bias := make([]float32, len(n))
	for k, images := range n {
		bias[k] = float32(math.Log((float64(images) + 0.5) / (float64(len(ds.Train)-images) + 0.5)))
	}
	return bias
}
