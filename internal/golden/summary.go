package golden

import (
	"math"
	"slices"

	"github.com/bigtransfer/bit/tensor"
)

// Summary is what is kept of a tensor: its shape, sum, L2 norm, first and last eight values, in the reference's order:
// N C H W for activations, O I H W for kernels.
type Summary struct {
	Shape       []int
	Sum, L2     float64
	First, Last []float64
}

// Activation returns how far our map [n,h,w,c] is from the reference's: see Error.
func (s Summary) Activation(x []float64, n, h, w, c int) float64 {
	return s.Error(permuted(x, []int{n, h, w, c}, 0, 3, 1, 2), []int{n, c, h, w})
}

// Param returns how far our parameter, or the gradient of one, in the layout of resnet.Config.ParamSpecs, is from the
// reference's: see Error.
func (s Summary) Param(x []float64, shape []int) float64 {
	switch len(shape) {
	case 4:
		return s.Error(permuted(x, shape, 3, 2, 0, 1), []int{shape[3], shape[2], shape[0], shape[1]})
	case 2: // the head, whose kernel the reference keeps as a 1x1 convolution
		return s.Error(permuted(x, shape, 1, 0), []int{shape[1], shape[0], 1, 1})
	default:
		return s.Error(x, shape)
	}
}

// Error returns the largest of four relative errors of x, in the reference's layout: of single values against the
// largest of x, of the sum against the sum of absolute values, and of the L2 norm. It is infinite for another shape.
func (s Summary) Error(x []float64, shape []int) float64 {
	if !slices.Equal(shape, s.Shape) || len(x) != tensor.Len(shape) || len(s.First) == 0 || len(s.First) > len(x) || len(s.Last) != len(s.First) {
		return math.Inf(1)
	}
	var sum, total, square, largest float64
	for _, v := range x {
		sum += v
		total += math.Abs(v)
		square += v * v
		largest = max(largest, math.Abs(v))
	}
	worst := max(relative(sum-s.Sum, total), relative(math.Sqrt(square)-s.L2, s.L2))
	for i, v := range s.First {
		worst = max(worst, relative(x[i]-v, largest))
	}
	for i, v := range s.Last {
		worst = max(worst, relative(x[len(x)-len(s.Last)+i]-v, largest))
	}
	return worst
}

// relative returns |d|/scale, 0 for no difference, infinity for a difference that is not a number.
func relative(d, scale float64) float64 {
	switch {
	case d == 0:
		return 0
	case math.IsNaN(d):
		return math.Inf(1)
	default:
		return math.Abs(d) / scale
	}
}

// permuted returns x with axis i taken from axis axes[i] of x.
func permuted(x []float64, shape []int, axes ...int) []float64 {
	stride := make([]int, len(shape))
	at := 1
	for i := len(shape) - 1; i >= 0; i-- {
		stride[i] = at
		at *= shape[i]
	}
	y := make([]float64, 0, len(x))
	var walk func(axis, at int)
	walk = func(axis, at int) {
		if axis == len(axes) {
			y = append(y, x[at])
			return
		}
		for i := range shape[axes[axis]] {
			walk(axis+1, at+i*stride[axes[axis]])
		}
	}
	walk(0, 0)
	return y
}
