package imaging

import (
	"fmt"
	"image"
	"math"
	"math/bits"
	"slices"
)

// Hash is a 64-bit perceptual hash: pictures that look alike differ in few bits, see [Hash.Distance]. The zero value is
// that of all pictures that are of one colour or change along one axis alone: it does not tell them apart.
type Hash uint64

const (
	hashSide  = 32 // pixels a side of the picture whose cosine transform is taken
	hashBands = 8  // frequencies kept along each axis
	hashBits  = 12 // fractional bits of the cosines
)

// HashOf returns the hash of a picture, which must not be empty.
//
// It is the hash of the discrete cosine transform in Zauner's Implementation and Benchmarking of Perceptual Image Hash
// Functions (2010), section 3.2.1: brightness at 32 x 32 pixels, transformed; each of the 8 x 8 coefficients of the
// lowest frequencies, without those that are constant along an axis, gives one bit, which is set where it lies above
// their median. Arithmetic is in integers, so that all machines agree on every bit.
func HashOf(im *Image) Hash {
	var h Hasher
	return h.Hash(im)
}

// Hasher hashes pictures one after another, keeping its memory. The zero value is ready; it must not be used by two
// goroutines at once.
type Hasher struct {
	resizer Resizer
	small   Image
}

// Hash is the function [HashOf].
func (h *Hasher) Hash(im *Image) Hash {
	h.resizer.Resize(&h.small, im, image.Rect(0, 0, im.W, im.H), hashSide, hashSide, Bilinear)
	// Rows first: what is left of each of them are its low frequencies. Values stay below 2^8 * 2^8 * 2^5 * 2^12 = 2^33,
	// then 2^33 * 2^5 * 2^12 = 2^50.
	var rows [hashSide][hashBands]int64
	for y := range rows {
		row := h.small.row(y)
		for x := range hashSide {
			p := row[3*x : 3*x+3]
			// ITU-R BT.601, the luma of Pillow's conversion to "L" before it is divided by 2^16; here by 2^8.
			luma := (19595*int64(p[0]) + 38470*int64(p[1]) + 7471*int64(p[2])) >> 8
			for u, c := range hashCosines[x] {
				rows[y][u] += c * luma
			}
		}
	}
	var coefficients [hashBands * hashBands]int64
	for y := range rows {
		for v, c := range hashCosines[y] {
			for u, r := range rows[y] {
				coefficients[v*hashBands+u] += c * r
			}
		}
	}
	sorted := coefficients
	slices.Sort(sorted[:])
	middle := sorted[len(sorted)/2-1] + sorted[len(sorted)/2] // twice the median
	var hash Hash
	for i, c := range coefficients {
		if 2*c > middle {
			hash |= 1 << (len(coefficients) - 1 - i)
		}
	}
	return hash
}

// hashCosines[x][u] is the cosine of frequency u+1 at pixel x, 2^hashBits times as large. Those of one frequency sum to
// zero exactly, since equal magnitudes are rounded alike, so that a picture of one colour has no frequency.
var hashCosines = func() (c [hashSide][hashBands]int64) {
	for x := range c {
		for u := range c[x] {
			// Angles are reduced to the first quadrant in integers, in units of pi/64.
			angle := (2*x + 1) * (u + 1) % (4 * hashSide)
			sign := int64(1)
			if angle > 2*hashSide {
				angle = 4*hashSide - angle
			}
			if angle > hashSide {
				angle, sign = 2*hashSide-angle, -1
			}
			c[x][u] = sign * int64(math.Round(math.Cos(float64(angle)*math.Pi/(2*hashSide))*(1<<hashBits)))
		}
	}
	return c
}()

// Distance returns in how many of their 64 bits two hashes differ. Those of unrelated pictures differ in 32 on average.
func (h Hash) Distance(other Hash) int { return bits.OnesCount64(uint64(h ^ other)) }

// String returns the hash as 16 hexadecimal digits.
func (h Hash) String() string { return fmt.Sprintf("%016x", uint64(h)) }
