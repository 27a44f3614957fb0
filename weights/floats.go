package weights

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
)

// DType is the element type of a stored tensor, spelled as in a safetensors header.
type DType string

// The element types that weights are read from. All become float32 in memory.
const (
	F32  DType = "F32"
	F16  DType = "F16"
	BF16 DType = "BF16"
)

// Size returns the bytes of one element, or 0 for a type that is not one of the three.
func (d DType) Size() int {
	switch d {
	case F32:
		return 4
	case F16, BF16:
		return 2
	default:
		return 0
	}
}

// floatReader decodes little-endian elements of one type from a stream.
type floatReader struct {
	r     io.Reader
	dtype DType
	raw   [1 << 14]byte
}

// read fills dst. A stream that ends early is io.ErrUnexpectedEOF.
func (f *floatReader) read(dst []float32) error {
	size := f.dtype.Size()
	for len(dst) > 0 {
		n := min(len(dst), len(f.raw)/size)
		raw := f.raw[:n*size]
		if _, err := io.ReadFull(f.r, raw); err != nil {
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return err
		}
		switch f.dtype {
		case F32:
			for i := range n {
				dst[i] = math.Float32frombits(binary.LittleEndian.Uint32(raw[4*i:]))
			}
		case F16:
			for i := range n {
				dst[i] = float16(binary.LittleEndian.Uint16(raw[2*i:])).float32()
			}
		case BF16:
			for i := range n {
				dst[i] = math.Float32frombits(uint32(binary.LittleEndian.Uint16(raw[2*i:])) << 16)
			}
		}
		dst = dst[n:]
	}
	return nil
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

// elements multiplies a shape from an untrusted header. It reports false for a negative axis and for a product that
// does not fit an int.
func elements(shape []int) (int, bool) {
	n, zero := 1, false
	for _, d := range shape {
		switch {
		case d < 0:
			return 0, false
		case d == 0:
			zero = true
		case n > math.MaxInt/d:
			return 0, false
		default:
			n *= d
		}
	}
	if zero {
		return 0, true
	}
	return n, true
}

// readTensor decodes one tensor of the given stored shape into its canonical layout. Kernels that are stored output
// channel first are transposed on the way, a block of output channels at a time, so that no second copy is made.
// grow says that n elements are only a claim: memory is then spent as the data arrives.
func readTensor(r io.Reader, dtype DType, p param, oihw, grow bool) ([]float32, error) {
	n, _ := elements(p.stored)
	f := &floatReader{r: r, dtype: dtype}
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
		const block = 16 // output channels: one cache line of the destination
		buf := make([]float32, min(block, co)*row)
		for o := 0; o < co; o += block {
			part := buf[:min(block, co-o)*row]
			if err := f.read(part); err != nil {
				return nil, err
			}
			if err := check(part, o*row); err != nil {
				return nil, err
			}
			scatterOIHW(dst, part, o, p.stored)
		}
		return dst, nil
	}
	const step = 1 << 20
	first := n
	if grow {
		first = min(n, step)
	}
	dst := make([]float32, first)
	for done := 0; done < n; {
		if done == len(dst) {
			dst = append(dst, make([]float32, min(n-done, len(dst)))...)
		}
		if err := f.read(dst[done:]); err != nil {
			return nil, err
		}
		if err := check(dst[done:], done); err != nil {
			return nil, err
		}
		done = len(dst)
	}
	return dst, nil
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
