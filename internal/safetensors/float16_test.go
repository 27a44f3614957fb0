package safetensors

import (
	"math"
	"testing"
)

// Every one of the 65,536 patterns against the definition of binary16.
func TestFloat16Decode(t *testing.T) {
	for i := range 1 << 16 {
		h := float16(i)
		sign := 1.0
		if i>>15 == 1 {
			sign = -1
		}
		exp, frac := i>>10&31, float64(i&1023)
		var want float64
		switch exp {
		case 0:
			want = sign * math.Ldexp(frac, -24)
		case 31:
			if want = math.Inf(int(sign)); frac != 0 {
				want = math.NaN()
			}
		default:
			want = sign * math.Ldexp(1+frac/1024, exp-15)
		}
		got := float64(h.float32())
		if math.IsNaN(want) {
			if !math.IsNaN(got) || !math.IsNaN(float64(toFloat16(h.float32()).float32())) {
				t.Fatalf("%#04x is %v, want NaN both ways", i, got)
			}
			continue
		}
		if got != want || math.Signbit(got) != math.Signbit(want) {
			t.Fatalf("%#04x is %v, want %v", i, got, want)
		}
		if back := toFloat16(h.float32()); back != h {
			t.Fatalf("%v becomes %#04x, want %#04x", got, back, i)
		}
	}
}

// Between every two neighbours: the middle goes to the even one, what is a float32 step off it to the nearer.
func TestFloat16RoundsToNearestEven(t *testing.T) {
	for i := range 0x7c00 {
		low, high := float16(i), float16(i+1)
		a, b := low.float32(), high.float32()
		if high == 0x7c00 {
			b = 65536 // where the next binary16 would be if the exponent went on
		}
		middle := a + (b-a)/2 // exact in float32
		even := low
		if i&1 == 1 {
			even = high
		}
		inf := float32(math.Inf(1))
		for _, c := range []struct {
			x    float32
			want float16
		}{{middle, even}, {math.Nextafter32(middle, 0), low}, {math.Nextafter32(middle, inf), high}} {
			if got := toFloat16(c.x); got != c.want {
				t.Fatalf("%v becomes %#04x, want %#04x", c.x, got, c.want)
			}
			if got := toFloat16(-c.x); got != c.want|0x8000 {
				t.Fatalf("%v becomes %#04x, want %#04x", -c.x, got, c.want|0x8000)
			}
		}
	}
	for _, x := range []float32{65536, math.MaxFloat32, float32(math.Inf(1))} {
		if got := toFloat16(x); got != 0x7c00 {
			t.Errorf("%v becomes %#04x, want infinity", x, got)
		}
	}
}
