package kernels

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"unsafe"

	"github.com/bigtransfer/bit/internal/cpu"
)

// The kernels over 8-bit samples are tested at each level: against the formulas of their documentation, in other
// arithmetic, and in memory whose neighbours cannot be touched or hold a mark that must stay.

// byteOperand is bytes in an arena with marks before and behind them.
type byteOperand struct {
	data, window []uint8
	before       int
	was          []uint8
}

const mark = 0xa5

func (a arena) bytes(p place, n int, next func() uint8) *byteOperand {
	all := unsafe.Slice((*uint8)(unsafe.Pointer(&a[0])), 4*len(a))
	from := int(p)
	if p == end {
		from = len(all) - n
	}
	lo, hi := max(0, from-margin), min(len(all), from+n+margin)
	b := &byteOperand{data: all[from : from+n : from+n], window: all[lo:hi], before: from - lo}
	for i := range b.window {
		b.window[i] = mark
	}
	for i := range b.data {
		b.data[i] = next()
	}
	b.was = bytes.Clone(b.data)
	return b
}

// equals fails unless the operand holds want and the marks round it are untouched.
func (b *byteOperand) equals(t *testing.T, what string, want []uint8) {
	t.Helper()
	for i, v := range b.data {
		if v != want[i] {
			t.Fatalf("%s[%d] of %d is %d, want %d", what, i, len(want), v, want[i])
		}
	}
	for i, v := range b.window {
		if (i < b.before || i >= b.before+len(b.data)) && v != mark {
			t.Fatalf("%s: byte %d of %d was written", what, i-b.before, len(b.data))
		}
	}
}

// byteFills are noise, and extremes, which overshoot furthest.
var byteFills = map[string]func(r *rand.Rand) uint8{
	"noise":    func(r *rand.Rand) uint8 { return uint8(r.Uint32()) },
	"extremes": func(r *rand.Rand) uint8 { return -uint8(r.Uint32() & 1) },
}

func eachByteCase(t *testing.T, arenas int, f func(t *testing.T, a []arena, r *rand.Rand, next func() uint8, p place)) {
	a := newArenas(t, arenas)
	eachLevel(t, func(t *testing.T, _ cpu.Level) {
		for name, fill := range byteFills {
			t.Run(name, func(t *testing.T) {
				for p := range places {
					r := rand.New(rand.NewPCG(5, uint64(p)))
					f(t, a, r, func() uint8 { return fill(r) }, p)
				}
			})
		}
	})
}

func TestYCbCrToRGB(t *testing.T) {
	eachByteCase(t, 4, func(t *testing.T, a []arena, r *rand.Rand, next func() uint8, p place) {
		for n := range 70 {
			y, cb, cr := a[0].bytes(p, n, next), a[1].bytes(p, n, next), a[2].bytes(p, n, next)
			rgb := a[3].bytes(p, 3*n, next)
			want := make([]uint8, 3*n)
			for i := range n {
				// Each product with a constant of 16 fraction bits is rounded down after adding a half.
				product := func(c ...float64) int {
					return int(math.Floor((c[0]*(float64(cb.was[i])-128)+c[1]*(float64(cr.was[i])-128))/65536 + 0.5))
				}
				for c, add := range []int{
					product(0, math.Round(1.402*65536)), product(-math.Round(0.34414*65536), -math.Round(0.71414*65536)), product(math.Round(1.772*65536), 0),
				} {
					want[3*i+c] = uint8(min(max(int(y.was[i])+add, 0), 255))
				}
			}
			guarded(t, "YCbCrToRGB", func() { YCbCrToRGB(rgb.data, y.data, cb.data, cr.data) })
			rgb.equals(t, "rgb", want)
			for _, in := range []*byteOperand{y, cb, cr} {
				in.equals(t, "an input", in.was)
			}
		}
	})
}

func TestUpsampleH2V2(t *testing.T) {
	eachByteCase(t, 3, func(t *testing.T, a []arena, r *rand.Rand, next func() uint8, p place) {
		for n := 2; n < 80; n++ {
			near, far, dst := a[0].bytes(p, n, next), a[1].bytes(p, n, next), a[2].bytes(p, 2*n, next)
			want := make([]uint8, 2*n)
			for i := range want {
				beside := min(max(i/2-1+i%2*2, 0), n-1) // the sample that the output lies towards
				sum := 9*int(near.was[i/2]) + 3*int(far.was[i/2]) + 3*int(near.was[beside]) + int(far.was[beside])
				want[i] = uint8((sum + 8 - i%2) / 16)
			}
			guarded(t, "UpsampleH2V2", func() { UpsampleH2V2(dst.data, near.data, far.data) })
			dst.equals(t, "dst", want)
			near.equals(t, "near", near.was)
			far.equals(t, "far", far.was)
		}
	})
}

// Values worked out by hand: columns are 3·10+0 = 30, 3·20+21 = 81, 3·41+255 = 378, and the outputs (120+8)/16 = 8;
// (90+81+7)/16 = 11.1; (243+30+8)/16 = 17.6; (243+378+7)/16 = 39.25; (1134+81+8)/16 = 76.4; (1512+7)/16 = 94.9.
func TestUpsampleH2V2ByHand(t *testing.T) {
	got := make([]uint8, 6)
	UpsampleH2V2(got, []uint8{10, 20, 41}, []uint8{0, 21, 255})
	if want := []uint8{8, 11, 17, 39, 76, 94}; !bytes.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

// randomWeights are n weights with a few negative ones, of sum 1 in fixed point.
func randomWeights(r *rand.Rand, n int) []int32 {
	w := make([]int32, n)
	left := int32(1 << ResampleBits)
	for i := range w[1:] {
		w[i] = r.Int32N(1<<ResampleBits/int32(n)) - 1<<18
		left -= w[i]
	}
	w[n-1] = left
	return w
}

// weighted is a weighted sum in 64 bits, rounded and limited.
func weighted(weights []int32, value func(t int) uint8) uint8 {
	sum := int64(1) << (ResampleBits - 1)
	for t, w := range weights {
		sum += int64(w) * int64(value(t))
	}
	return uint8(min(max(sum>>ResampleBits, 0), 255))
}

func TestResampleRow(t *testing.T) {
	eachByteCase(t, 2, func(t *testing.T, a []arena, r *rand.Rand, next func() uint8, p place) {
		for _, in := range []int{1, 2, 3, 5, 8, 40, 500} {
			for _, out := range []int{0, 1, 2, 3, 7, 224} {
				for _, taps := range []int{1, 2, 3, 5, 10} {
					if taps > in {
						continue
					}
					src, dst := a[0].bytes(p, 3*in, next), a[1].bytes(p, 3*out, next)
					first, weights, want := make([]int32, out), make([]int32, 0, out*taps), make([]uint8, 3*out)
					for i := range out {
						first[i] = int32(i * (in - taps) / max(out-1, 1))
						w := randomWeights(r, taps)
						weights = append(weights, w...)
						for c := range 3 {
							want[3*i+c] = weighted(w, func(t int) uint8 { return src.was[3*(int(first[i])+t)+c] })
						}
					}
					guarded(t, "ResampleRow", func() { ResampleRow(dst.data, src.data, first, weights) })
					dst.equals(t, fmt.Sprintf("dst of %d pixels from %d by %d", out, in, taps), want)
					src.equals(t, "src", src.was)
				}
			}
		}
	})
}

func TestResampleColumns(t *testing.T) {
	eachByteCase(t, 2, func(t *testing.T, a []arena, r *rand.Rand, next func() uint8, p place) {
		for _, cols := range []int{0, 1, 7, 8, 31, 32, 33, 63, 64, 65, 95, 192, 672, 1100} {
			for _, taps := range []int{1, 2, 3, 4, 5, 9} {
				stride := cols + taps%3
				src, dst := a[0].bytes(p, (taps-1)*stride+cols, next), a[1].bytes(p, cols, next)
				weights, want := randomWeights(r, taps), make([]uint8, cols)
				for j := range want {
					want[j] = weighted(weights, func(t int) uint8 { return src.was[t*stride+j] })
				}
				guarded(t, "ResampleColumns", func() { ResampleColumns(dst.data, src.data, stride, weights) })
				dst.equals(t, fmt.Sprintf("dst of %d columns by %d", cols, taps), want)
				src.equals(t, "src", src.was)
			}
		}
	})
}

// cosine is the inverse DCT by its definition (T.81, A.3.3) in double precision, with what it is before rounding.
func cosine(coefs *[64]int16, table *[64]int32) (samples [64]float64) {
	for i := range samples {
		for k, c := range coefs {
			scale := 0.25
			if k%8 == 0 {
				scale *= math.Sqrt2 / 2
			}
			if k/8 == 0 {
				scale *= math.Sqrt2 / 2
			}
			x, y := float64(2*(i%8)+1), float64(2*(i/8)+1)
			samples[i] += scale * float64(c) * float64(table[k]) *
				math.Cos(x*float64(k%8)*math.Pi/16) * math.Cos(y*float64(k/8)*math.Pi/16)
		}
		samples[i] += 128
	}
	return samples
}

// The transform is within the accuracy that IEEE 1180 asks for of a single sample, 1, of the definition; its bits, which
// are libjpeg's, are held by the reference pictures of package imaging.
func TestInverseDCT(t *testing.T) {
	a := newArenas(t, 1)
	eachLevel(t, func(t *testing.T, _ cpu.Level) {
		r := rand.New(rand.NewPCG(3, 4))
		wrong, total := 0, 0
		for n := range 400 {
			var coefs [64]int16
			var table [64]int32
			for i := range coefs {
				table[i] = 1 + r.Int32N(20)
				if i == 0 || r.IntN(64) < n%64 {
					coefs[i] = int16(r.Int32N(2*1024/8) - 1024/8)
					if i > 0 {
						coefs[i] /= int16(1 + table[i]/2)
					}
				}
			}
			p, stride := place(n%int(places)), 8+n%3*5
			dst := a[0].bytes(p, 7*stride+8, func() uint8 { return mark })
			guarded(t, "InverseDCT", func() { InverseDCT(dst.data, stride, &coefs, &table) })
			want := bytes.Clone(dst.was)
			for i, s := range cosine(&coefs, &table) {
				at := i/8*stride + i%8
				limited := min(max(s, 0), 255)
				if math.Abs(float64(dst.data[at])-limited) > 1 {
					t.Fatalf("block %d, sample %d is %d, by definition %.3f", n, i, dst.data[at], limited)
				}
				if total++; math.Round(limited) != float64(dst.data[at]) {
					wrong++
				}
				want[at] = dst.data[at]
			}
			dst.equals(t, "dst", want)
		}
		if wrong*50 > total {
			t.Errorf("%d of %d samples are rounded to a neighbour", wrong, total)
		}
	})
}

// Levels agree on coefficients that overflow too, which damaged files have.
func TestInverseDCTOfGarbage(t *testing.T) {
	eachLevel(t, func(t *testing.T, _ cpu.Level) {
		r := rand.New(rand.NewPCG(5, 6))
		for n := range 2000 {
			var coefs [64]int16
			var table [64]int32
			for i := range coefs {
				if n%3 != 0 || i%8 == n%8 {
					coefs[i] = int16(r.Uint32())
				}
				table[i] = int32(r.Uint32() & 0xffff >> (n % 17))
			}
			var got, want [64]uint8
			InverseDCT(got[:], 8, &coefs, &table)
			inverseDCTGeneric(want[:], 8, &coefs, &table)
			if got != want {
				t.Fatalf("block %d: %v, plain loop %v", n, got, want)
			}
		}
	})
}
