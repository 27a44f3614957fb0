package safetensors

import (
	"encoding/binary"
	"errors"
	"io"
	"math"
)

// DecodeDoubles fills dst with the next elements of type F64, to the bit. A stream that ends early is
// io.ErrUnexpectedEOF.
func (d *Decoder) DecodeDoubles(dst []float64) error {
	if d.dtype != F64 {
		panic("safetensors: doubles of element type " + string(d.dtype))
	}
	for len(dst) > 0 {
		n := min(len(dst), len(d.raw)/8)
		raw := d.raw[:n*8]
		if _, err := io.ReadFull(d.r, raw); err != nil {
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return err
		}
		for i := range n {
			dst[i] = math.Float64frombits(binary.LittleEndian.Uint64(raw[8*i:]))
		}
		dst = dst[n:]
	}
	return nil
}

// EncodeDoubles writes values as elements of type F64, to the bit.
func (e *Encoder) EncodeDoubles(values []float64) error {
	if e.dtype != F64 {
		panic("safetensors: doubles of element type " + string(e.dtype))
	}
	for len(values) > 0 {
		n := min(len(values), len(e.raw)/8)
		for i, v := range values[:n] {
			binary.LittleEndian.PutUint64(e.raw[8*i:], math.Float64bits(v))
		}
		if _, err := e.w.Write(e.raw[:n*8]); err != nil {
			return err
		}
		values = values[n:]
	}
	return nil
}
