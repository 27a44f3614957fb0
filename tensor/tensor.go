// Package tensor holds the one array type that files, parameters and tests exchange: a shape and its float32 values.
//
// Values are dense and row-major: the last axis is contiguous. There are no views, strides or element types; inside
// the engine, activations are plain []float32 in N H W C order and convolution kernels are H W I O.
package tensor

import (
	"fmt"
	"math"
	"slices"
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

// CheckedLen is Len of a shape from an untrusted file. It reports false for a negative axis and for a product that does
// not fit an int; an axis of length 0 makes the product 0, however long the others are.
func CheckedLen(shape []int) (int, bool) {
	if slices.ContainsFunc(shape, func(d int) bool { return d < 0 }) {
		return 0, false
	}
	if slices.Contains(shape, 0) {
		return 0, true
	}
	n := 1
	for _, d := range shape {
		if n > math.MaxInt/d {
			return 0, false
		}
		n *= d
	}
	return n, true
}

// FormatShape renders a shape as "(7, 7, 3, 64)", the form used in error messages.
func FormatShape(shape []int) string {
	parts := make([]string, len(shape))
	for i, d := range shape {
		parts[i] = fmt.Sprint(d)
	}
	return "(" + strings.Join(parts, ", ") + ")"
}
