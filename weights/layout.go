package weights

import (
	"fmt"
	"io"
	"iter"

	"github.com/bigtransfer/bit/internal/safetensors"
	"github.com/bigtransfer/bit/tensor"
)

// outputBlock is the output channels of a kernel that change layout at a time: one cache line of the side where they
// are adjacent.
const outputBlock = 16

// readTensor decodes one tensor of the given stored shape into its canonical layout. Kernels that are stored output
// channel first are transposed on the way, a block of output channels at a time, so that no second copy is made.
// grow says that n elements are only a claim: memory is then spent as the data arrives.
func readTensor(r io.Reader, dtype DType, p param, oihw, grow bool) ([]float32, error) {
	n := tensor.Len(p.stored)
	d := safetensors.NewDecoder(r, dtype)
	check := func(xs []float32, from int) error {
		if i := notFinite(xs); i >= 0 {
			return &TensorError{Problem: ErrNotFinite, Got: p.stored, Detail: fmt.Sprintf("%v at %s", xs[i], index(p.stored, from+i))}
		}
		return nil
	}
	if oihw && len(p.stored) >= 2 {
		dst := make([]float32, n)
		co := p.stored[0]
		row := n / co
		buf := make([]float32, min(outputBlock, co)*row)
		for o := 0; o < co; o += outputBlock {
			part := buf[:min(outputBlock, co-o)*row]
			if err := d.Decode(part); err != nil {
				return nil, err
			}
			if err := check(part, o*row); err != nil {
				return nil, err
			}
			scatterOIHW(dst, part, o, p.stored)
		}
		return dst, nil
	}
	const (
		claim = 1 << 20 // elements that are believed before any has arrived
		step  = 1 << 16 // elements that are checked while the cache has them
	)
	first := n
	if grow {
		first = min(n, claim)
	}
	dst := make([]float32, first)
	for done := 0; done < n; {
		if done == len(dst) {
			longer := make([]float32, min(n, 2*done))
			copy(longer, dst)
			dst = longer
		}
		part := dst[done:min(len(dst), done+step)]
		if err := d.Decode(part); err != nil {
			return nil, err
		}
		if err := check(part, done); err != nil {
			return nil, err
		}
		done += len(part)
	}
	return dst, nil
}

// stored yields the values of one parameter in the layout of a format, a block of output channels at a time where that
// differs.
func stored(p param, values []float32, oihw bool) iter.Seq[[]float32] {
	if !oihw || len(p.stored) < 2 {
		return safetensors.Whole(values)
	}
	return func(yield func([]float32) bool) {
		co := p.stored[0]
		row := len(values) / co
		buf := make([]float32, min(outputBlock, co)*row)
		for o := 0; o < co; o += outputBlock {
			part := buf[:min(outputBlock, co-o)*row]
			gatherOIHW(part, values, o, p.stored)
			if !yield(part) {
				return
			}
		}
	}
}

// scatterOIHW writes output channels o, o+1, ... of a kernel of shape (Co, Ci, Kh, Kw) or (Co, Ci), given one after
// the other in part, to their places in dst, (Kh, Kw, Ci, Co) or (Ci, Co).
func scatterOIHW(dst, part []float32, o int, stored []int) {
	co, ci := stored[0], stored[1]
	area := 1
	for _, k := range stored[2:] {
		area *= k
	}
	row := ci * area
	outs := len(part) / row
	for i := range ci {
		for k := range area {
			to := dst[(k*ci+i)*co+o:][:outs]
			from := part[i*area+k:]
			for j := range to {
				to[j] = from[j*row]
			}
		}
	}
}

// gatherOIHW is the inverse of scatterOIHW.
func gatherOIHW(part, src []float32, o int, stored []int) {
	co, ci := stored[0], stored[1]
	area := 1
	for _, k := range stored[2:] {
		area *= k
	}
	row := ci * area
	outs := len(part) / row
	for i := range ci {
		for k := range area {
			from := src[(k*ci+i)*co+o:][:outs]
			to := part[i*area+k:]
			for j := range from {
				to[j*row] = from[j]
			}
		}
	}
}

// notFinite returns the index of the first NaN or infinity, or -1.
func notFinite(xs []float32) int {
	for i, x := range xs {
		if x-x != 0 {
			return i
		}
	}
	return -1
}

// index renders the position of flat element i of a row-major array.
func index(shape []int, i int) string {
	at := make([]int, len(shape))
	for d := len(shape) - 1; d >= 0; d-- {
		at[d] = i % shape[d]
		i /= shape[d]
	}
	return formatShape(at)
}
