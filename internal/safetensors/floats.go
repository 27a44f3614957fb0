package safetensors

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
)

// DType is the element type of a stored tensor, spelled as in a header.
type DType string

// The element types that are read and written. [Decoder.Decode] makes float32 of all of them.
const (
	F64  DType = "F64"
	F32  DType = "F32"
	F16  DType = "F16"
	BF16 DType = "BF16"
)

// Size returns the bytes of one element, or 0 for a type that is none of them.
func (d DType) Size() int {
	switch d {
	case F64:
		return 8
	case F32:
		return 4
	case F16, BF16:
		return 2
	default:
		return 0
	}
}

// piece is the bytes that an Encoder and a Decoder hold at once.
const piece = 1 << 14

// Decoder reads little-endian elements of one type from a stream.
type Decoder struct {
	r     io.Reader
	dtype DType
	raw   [piece]byte
}

// NewDecoder returns a decoder of the elements that r holds. dtype is one of those above.
func NewDecoder(r io.Reader, dtype DType) *Decoder {
	if dtype.Size() == 0 {
		panic(fmt.Sprintf("safetensors: no decoder of element type %q", dtype))
	}
	return &Decoder{r: r, dtype: dtype}
}

// Decode fills dst with the next elements. Those of F64 are rounded to the nearest float32. A stream that ends early is io.ErrUnexpectedEOF.
func (d *Decoder) Decode(dst []float32) error {
	size := d.dtype.Size()
	for len(dst) > 0 {
		n := min(len(dst), len(d.raw)/size)
		raw := d.raw[:n*size]
		if _, err := io.ReadFull(d.r, raw); err != nil {
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return err
		}
		switch d.dtype {
		case F64:
			for i := range n {
				dst[i] = float32(math.Float64frombits(binary.LittleEndian.Uint64(raw[8*i:])))
			}
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

// Encoder writes little-endian elements of one type to a stream.
type Encoder struct {
	w     io.Writer
	dtype DType
	raw   [piece]byte
}

// NewEncoder returns an encoder to w. dtype is one of those above.
func NewEncoder(w io.Writer, dtype DType) *Encoder {
	if dtype.Size() == 0 {
		panic(fmt.Sprintf("safetensors: no encoder of element type %q", dtype))
	}
	return &Encoder{w: w, dtype: dtype}
}

// Encode writes values. F32 and F64 keep their bits; F16 and BF16 round to the nearest, of two the even one, and a value that has
// no finite nearest is a [Fault] of problem [ErrNotFinite] without a name.
func (e *Encoder) Encode(values []float32) error {
	size := e.dtype.Size()
	for len(values) > 0 {
		n := min(len(values), len(e.raw)/size)
		switch e.dtype {
		case F64:
			for i, v := range values[:n] {
				binary.LittleEndian.PutUint64(e.raw[8*i:], math.Float64bits(float64(v)))
			}
		case F32:
			for i, v := range values[:n] {
				binary.LittleEndian.PutUint32(e.raw[4*i:], math.Float32bits(v))
			}
		case F16:
			for i, v := range values[:n] {
				h := toFloat16(v)
				if f := h.float32(); f-f != 0 {
					return &Fault{Problem: ErrNotFinite, Detail: fmt.Sprintf("%v is beyond the range of float16, save as float32", v)}
				}
				binary.LittleEndian.PutUint16(e.raw[2*i:], uint16(h))
			}
		case BF16:
			for i, v := range values[:n] {
				// Half of what is cut off, less one unless the last bit kept is odd, carries where the value rounds up.
				bits := math.Float32bits(v)
				bits += 1<<15 - 1 + bits>>16&1
				if f := math.Float32frombits(bits &^ (1<<16 - 1)); f-f != 0 || v-v != 0 {
					return &Fault{Problem: ErrNotFinite, Detail: fmt.Sprintf("%v is beyond the range of bfloat16, save as float32", v)}
				}
				binary.LittleEndian.PutUint16(e.raw[2*i:], uint16(bits>>16))
			}
		}
		if _, err := e.w.Write(e.raw[:n*size]); err != nil {
			return err
		}
		values = values[n:]
	}
	return nil
}
