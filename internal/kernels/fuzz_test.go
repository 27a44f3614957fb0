package kernels

import (
	"encoding/binary"
	"math"
	"testing"

	"github.com/bigtransfer/bit/internal/cpu"
)

// values makes numbers of any bits, NaN, infinities and denormals included, from the bytes of a fuzzer.
func values(bits []byte) func() float32 {
	if len(bits) == 0 {
		bits = []byte{0}
	}
	at := 0
	return func() float32 {
		var word uint32
		for range 4 { // round and round: unless the length is a multiple of 4, with another phase each time
			word = word<<8 | uint32(bits[at%len(bits)])
			at++
		}
		return math.Float32frombits(word)
	}
}

// sumBound bounds the difference of two float32 sums of the same terms, each rounded n times at most. ok is false
// where a partial sum may overflow in one order or rounding and not in another.
func sumBound(n int, terms ...float64) (bound float64, ok bool) {
	var size float64
	for _, term := range terms {
		if !math.IsNaN(term) && !math.IsInf(term, 0) {
			size += math.Abs(term)
		}
	}
	// Roundings below the normal numbers lose an absolute amount.
	return 2 * float64(n) * (unit*size + math.SmallestNonzeroFloat32), size < math.MaxFloat32/2
}

func FuzzGemm(f *testing.F) {
	numbers := func(v ...float32) (b []byte) {
		for _, x := range v {
			b = binary.BigEndian.AppendUint32(b, math.Float32bits(x))
		}
		return b
	}
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	f.Add(byte(14), byte(64), byte(32), byte(0), byte(end), true, numbers(1, -2, 3.5, 1e-3, -7e4, 1e-40, 0.1))
	f.Add(byte(13), byte(1), byte(31), byte(3), byte(start1), false, numbers(1, nan, 0, -inf, 2))
	f.Add(byte(7), byte(0), byte(1), byte(1), byte(start3), true, numbers(float32(math.Copysign(0, -1)), 1))
	f.Add(byte(29), byte(200), byte(17), byte(2), byte(end), false, numbers(1e38, -1e38, 3e-39))
	f.Fuzz(func(t *testing.T, rows, depth, cols, gap, at byte, accumulate bool, bits []byte) {
		const width = 32 // of B, the widest panel: more columns would be more calls
		n := int(cols) % (width + 1)
		place, pad := place(at%byte(places)), int(gap%8)
		next := values(bits)
		arenas := newArenas(t, 3)
		a := arenas[0].matrix(place, int(rows), int(depth), int(depth)+pad, next)
		c := arenas[2].matrix(place, int(rows), n, n+pad, next)
		b := make([]float32, int(depth)*width)
		for i := range b {
			b[i] = next()
		}
		multiply := func(into []float32) {
			_, panel := Tile()
			for j := 0; j < n; j += panel {
				first := j
				i := -1
				packed := arenas[1].matrix(end, int(depth), panel, panel, func() float32 {
					i++
					return b[i/panel*width+first+i%panel]
				})
				Gemm(a.rows, a.cols, a.data, a.stride, 1, packed.data, into[min(j, len(into)):], c.stride, min(panel, n-j), accumulate)
				packed.unchanged(t, "b")
			}
		}
		restore := cpu.SetForTest(cpu.Generic)
		generic := append([]float32(nil), c.data...)
		multiply(generic)
		restore()
		eachLevelQuietly(func(l cpu.Level) {
			copy(c.window, c.want)
			guarded(t, string(l), func() { multiply(c.data) })
			a.unchanged(t, "a")
			c.intact(t, "c", func(int, int) bool { return true })
			terms := make([]float64, a.cols+1)
			for r := range c.rows {
				for j := range n {
					terms[0] = 0
					if accumulate {
						terms[0] = c.was(r, j)
					}
					for k := range a.cols {
						terms[k+1] = a.was(r, k) * float64(b[k*width+j])
					}
					got, want := c.data[r*c.stride+j], generic[r*c.stride+j]
					if bound, ok := sumBound(a.cols+1, terms...); ok && !agree(float64(got), float64(want), bound) {
						t.Errorf("%s: c[%d][%d] is %v, generic %v, bound %.3g", l, r, j, got, want, bound)
					}
				}
			}
		})
	})
}

func FuzzAffine(f *testing.F) {
	f.Add(byte(3), byte(33), byte(1), byte(end), float32(0), []byte("\x3f\x80\x00\x00\xc0\x49\x0f\xdb\x7f\xc0\x00\x00\x00\x00\x00\x01"))
	f.Add(byte(2), byte(64), byte(0), byte(start1), float32(math.Inf(-1)), []byte("\xff\x80\x00\x00\x80\x00\x00\x00\x41\x10\x00\x00"))
	f.Add(byte(1), byte(15), byte(5), byte(start3), float32(-2.5), []byte("\x7f\x7f\xff\xff\x3e\x80\x00\x00"))
	f.Fuzz(func(t *testing.T, rows, cols, gap, at byte, floor float32, bits []byte) {
		if floor != floor {
			return // a floor is a number
		}
		place, pad := place(at%byte(places)), int(gap%8)
		next := values(bits)
		arenas := newArenas(t, 4)
		src := arenas[0].matrix(place, int(rows), int(cols), int(cols)+pad, next)
		dst := arenas[1].matrix(place, int(rows), int(cols), int(cols)+2*pad, next)
		scale, shift := arenas[2].vector(place, int(cols), next), arenas[3].vector(place, int(cols), next)
		generic := make([]float32, len(dst.data))
		if len(generic) > 0 {
			affineGeneric(generic, dst.stride, src.data, src.stride, src.rows, src.cols, scale.data, shift.data, floor)
		}
		eachLevelQuietly(func(l cpu.Level) {
			copy(dst.window, dst.want)
			guarded(t, string(l), func() {
				Affine(dst.data, dst.stride, src.data, src.stride, src.rows, src.cols, scale.data, shift.data, floor)
			})
			for _, o := range []*operand{src, scale, shift} {
				o.unchanged(t, "an input")
			}
			dst.intact(t, "dst", func(int, int) bool { return true })
			for r := range dst.rows {
				for c := range dst.cols {
					got, want := dst.data[r*dst.stride+c], generic[r*dst.stride+c]
					bound, ok := sumBound(2, src.was(r, c)*scale.was(0, c), shift.was(0, c))
					if ok && !agree(float64(got), float64(want), bound) {
						t.Errorf("%s: dst[%d][%d] is %v, generic %v, bound %.3g", l, r, c, got, want, bound)
					}
				}
			}
		})
	})
}

// eachLevelQuietly is eachLevel without subtests, which a fuzz target cannot have.
func eachLevelQuietly(f func(l cpu.Level)) {
	for _, l := range cpu.Available() {
		func() {
			defer cpu.SetForTest(l)()
			f(l)
		}()
	}
}
