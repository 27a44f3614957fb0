package safetensors

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"testing"
)

// Bits by hand: 1/3 is 0x3fd5555555555555 in binary64, -2 is 0xc000000000000000, the least subnormal is 1.
func TestDoubles(t *testing.T) {
	want := []float64{1.0 / 3, -2, math.SmallestNonzeroFloat64, math.Inf(1), math.NaN()}
	for len(want) < 5000 { // more than a piece
		want = append(want, float64(len(want)))
	}
	var out bytes.Buffer
	if err := WriteDigest(&out, nil, []Source{{Name: "a", DType: F64, Shape: []int{len(want)}, Doubles: WholeDoubles(want)}}); err != nil {
		t.Fatal(err)
	}
	data := out.Bytes()[out.Len()-8*len(want):]
	for i, bits := range []uint64{0x3fd5555555555555, 0xc000000000000000, 1, 0x7ff0000000000000} {
		if got := binary.LittleEndian.Uint64(data[8*i:]); got != bits {
			t.Errorf("value %d is written as %#x, want %#x", i, got, bits)
		}
	}
	f, err := newReader(out.Bytes())
	if err == nil {
		err = f.CheckDigest()
	}
	if err != nil {
		t.Fatal(err)
	}
	got := make([]float64, len(want))
	if err := NewDecoder(f.Tensors[0].Open(), F64).DecodeDoubles(got); err != nil {
		t.Fatal(err)
	}
	for i := range want {
		if math.Float64bits(got[i]) != math.Float64bits(want[i]) {
			t.Errorf("value %d is %v, want %v", i, got[i], want[i])
		}
	}
	if err := NewDecoder(bytes.NewReader(data[:12]), F64).DecodeDoubles(got[:2]); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("error %v of one and a half values", err)
	}
	// As float32, to the nearest: 1/3 is 0x3eaaaaab there.
	if narrow := values(t, &f.Tensors[0]); math.Float32bits(narrow[0]) != 0x3eaaaaab || narrow[1] != -2 || narrow[2] != 0 {
		t.Errorf("as float32 %v", narrow[:3])
	}
	var wide bytes.Buffer
	if err := NewEncoder(&wide, F64).Encode([]float32{-2}); err != nil || !bytes.Equal(wide.Bytes(), data[8:16]) {
		t.Errorf("a float32 becomes % x, error %v", wide.Bytes(), err)
	}
	for _, wrong := range []Source{
		{Name: "a", DType: F64, Shape: []int{2}, Doubles: WholeDoubles(want[:1])},
		{Name: "a", DType: F32, Shape: []int{1}, Doubles: WholeDoubles(want[:1])},
	} {
		if err := Write(io.Discard, nil, []Source{wrong}); err == nil {
			t.Errorf("%+v is written without an error", wrong)
		}
	}
}
