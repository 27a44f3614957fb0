// Package tensor holds the one array type that files, parameters and tests exchange: a shape and its float32 values.
//
// Values are dense and row-major: the last axis is contiguous. There are no views, strides or element types; inside
// the engine, activations are plain []float32 in N H W C order and convolution kernels are H W I O.
package tensor

import (
	"fmt"
	"strings"
)

// Tensor is a dense row-major array. len(Data) equals Len(Shape); a scalar has an empty shape and one value.
type Tensor struct {
	Shape []int
	Data  []float32
}

// New returns a zero tensor of the given shape.
func New(shape ...int) *Tensor {
	return &Tensor{Shape: shape, Data: make([]float32, Len(shape))}
}

// Len returns the number of elements of a shape.
func Len(shape []int) int {
	n := 1
	for _, d := range shape {
		n *= d
	}
	return n
}

// FormatShape renders a shape as "(7, 7, 3, 64)", the form used in error messages.
func FormatShape(shape []int) string {
	parts := make([]string, len(shape))
	for i, d := range shape {
		parts[i] = fmt.Sprint(d)
	}
	return "(" + strings.Join(parts, ", ") + ")"
}
