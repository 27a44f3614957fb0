package onnx

import "math"

// foldKernel standardises a convolution kernel and turns it from H W I O, w, to O I H W, the layout of the ONNX Conv
// operator: each filter minus its mean, divided by sqrt(variance + eps) with the population variance, in float64.
func foldKernel(w []float32, shape []int, eps float64) []float32 {
	in, out := shape[2], shape[3]
	taps := shape[0] * shape[1]
	folded := make([]float32, len(w))
	count := float64(taps * in)
	for o := range out {
		var sum, squares float64
		for i := o; i < len(w); i += out {
			sum += float64(w[i])
		}
		mean := sum / count
		for i := o; i < len(w); i += out {
			d := float64(w[i]) - mean
			squares += d * d
		}
		scale := 1 / math.Sqrt(squares/count+eps)
		for tap := range taps {
			for i := range in {
				folded[(o*in+i)*taps+tap] = float32((float64(w[(tap*in+i)*out+o]) - mean) * scale)
			}
		}
	}
	return folded
}
