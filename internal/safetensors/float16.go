package safetensors

import "math"

// float16 is an IEEE 754 binary16: 1 sign, 5 exponent and 10 fraction bits.
type float16 uint16

// float32 converts exactly; every binary16 is a binary32.
func (h float16) float32() float32 {
	sign := uint32(h&0x8000) << 16
	exp := uint32(h>>10) & 0x1f
	frac := uint32(h) & 0x3ff
	switch exp {
	case 0: // zero and subnormals: frac · 2^-24
		return math.Float32frombits(math.Float32bits(float32(frac)*0x1p-24) | sign)
	case 0x1f: // infinity and NaN, payload kept
		return math.Float32frombits(sign | 0x7f800000 | frac<<13)
	default:
		return math.Float32frombits(sign | (exp+127-15)<<23 | frac<<13)
	}
}

// toFloat16 rounds to the nearest binary16, ties to even. Magnitudes from 65520 on become infinity, as in NumPy.
func toFloat16(f float32) float16 {
	b := math.Float32bits(f)
	sign := float16(b >> 16 & 0x8000)
	b &= 0x7fffffff
	switch {
	case b > 0x7f800000: // NaN stays a quiet NaN
		return sign | 0x7e00
	case b >= 0x477ff000: // 65520, halfway between the largest binary16 and 2^16
		return sign | 0x7c00
	case b < 0x38800000: // below 2^-14: a multiple of 2^-24, which adding 0.5 aligns to the last bit of the fraction
		return sign | float16(math.Float32bits(math.Float32frombits(b)+0.5)-0x3f000000)
	default:
		b -= (127 - 15) << 23
		return sign | float16((b+0xfff+(b>>13&1))>>13)
	}
}
