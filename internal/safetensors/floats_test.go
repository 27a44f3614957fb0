package safetensors

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"testing"
)

// Bits worked out by hand: 8 of a float32's 24 digits stay, and 2^-8 above 1 is halfway to the next.
func TestBFloat16RoundsToNearestEven(t *testing.T) {
	for _, c := range []struct {
		value float32
		want  uint16
	}{
		{1, 0x3f80}, {-2, 0xc000}, {0, 0}, {float32(math.Copysign(0, -1)), 0x8000},
		{1 + 0x1p-8, 0x3f80}, {1 + 0x1p-8 + 0x1p-20, 0x3f81}, {1 + 3*0x1p-8, 0x3f82}, {1 + 3*0x1p-8 - 0x1p-20, 0x3f81},
		{2 - 0x1p-23, 0x4000},        // rounding carries into the exponent
		{0x1p-149, 0}, {0x1p-133, 1}, // the least float32, the least bfloat16
		{0x1.fep127, 0x7f7f}, {0x1.fefffep127, 0x7f7f}, // the largest bfloat16, the largest float32 that rounds to it
	} {
		var b bytes.Buffer
		if err := NewEncoder(&b, BF16).Encode([]float32{c.value}); err != nil {
			t.Errorf("%x: %v", c.value, err)
		} else if got := binary.LittleEndian.Uint16(b.Bytes()); got != c.want {
			t.Errorf("%x becomes %04x, want %04x", c.value, got, c.want)
		}
	}
	for _, v := range []float32{0x1.ffp127, -math.MaxFloat32, float32(math.Inf(1)), float32(math.NaN()), math.Float32frombits(0xffffffff)} {
		var fault *Fault
		if err := NewEncoder(new(bytes.Buffer), BF16).Encode([]float32{v}); !errors.As(err, &fault) || !errors.Is(err, ErrNotFinite) {
			t.Errorf("%x: error %v, want a fault: not finite", v, err)
		}
	}
}
