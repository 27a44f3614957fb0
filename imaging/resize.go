package imaging

import (
	"fmt"
	"image"
	"math"
	"slices"

	"github.com/bigtransfer/bit/internal/kernels"
)

// Resize returns im resampled to w x h pixels, with the values of Pillow's Image.resize to the last bit.
// It panics unless both sizes and im's are positive and f is one of the constants.
func (im *Image) Resize(w, h int, f Filter) *Image {
	return im.ResizeCrop(image.Rect(0, 0, im.W, im.H), w, h, f)
}

// ResizeCrop resamples the part of im inside crop to w x h pixels: the result of cropping first, without the copy.
// crop must lie within im.
func (im *Image) ResizeCrop(crop image.Rectangle, w, h int, f Filter) *Image {
	out := new(Image)
	new(Resizer).Resize(out, im, crop, w, h, f)
	return out
}

// Resizer resizes images one after another, keeping its scratch memory and the coefficients of the last sizes. The zero
// value is ready; it must not be used by two goroutines at once.
type Resizer struct {
	horizontal, vertical axis
	rows                 []uint8 // the result of the horizontal pass: rows needed x width x 3
}

// Resize resamples the pixels of src inside crop to w x h and stores them in dst, whose memory is reused where it
// suffices. dst must not be src. See [Image.ResizeCrop].
func (r *Resizer) Resize(dst, src *Image, crop image.Rectangle, w, h int, f Filter) {
	r.resizeWindow(dst, src, crop, w, h, f, image.Rect(0, 0, w, h))
}

// resizeWindow computes only the pixels within window of the result of Resize to w x h. dst gets the window's size.
func (r *Resizer) resizeWindow(dst, src *Image, crop image.Rectangle, w, h int, f Filter, window image.Rectangle) {
	switch {
	case !f.valid():
		panic(fmt.Sprintf("imaging: %v is no filter", f))
	case w <= 0 || h <= 0:
		panic(fmt.Sprintf("imaging: resize to %d x %d pixels", w, h))
	case crop.Empty() || !crop.In(image.Rect(0, 0, src.W, src.H)):
		panic(fmt.Sprintf("imaging: crop %v of an image of %d x %d pixels", crop, src.W, src.H))
	case dst == src:
		panic("imaging: resize of an image into itself")
	}
	dst.reset(window.Dx(), window.Dy())
	if dst.W == 0 || dst.H == 0 {
		return
	}
	if f == Nearest {
		resizeNearest(dst, src, crop, w, h, window)
		return
	}
	r.horizontal.plan(crop.Dx(), w, f, window.Min.X, window.Max.X)
	r.vertical.plan(crop.Dy(), h, f, window.Min.Y, window.Max.Y)

	// A pass whose size does not change is skipped, as in Pillow: the filter would leave the values as they are.
	pix, stride := src.Pix[(crop.Min.Y*src.W+crop.Min.X)*3:], src.W*3
	if crop.Dx() != w {
		first, last := 0, 0
		if crop.Dy() != h {
			first, last = r.vertical.span()
		} else {
			first, last = window.Min.Y, window.Max.Y
		}
		narrow := dst.W * 3
		n := (last - first) * narrow
		out := dst.Pix
		if crop.Dy() != h {
			r.rows = slices.Grow(r.rows[:0], n)[:n]
			out = r.rows
		}
		for y := first; y < last; y++ {
			kernels.ResampleRow(out[(y-first)*narrow:][:narrow], pix[y*stride:][:crop.Dx()*3], r.horizontal.first, r.horizontal.weights)
		}
		if crop.Dy() == h {
			return
		}
		r.vertical.filterColumns(dst, r.rows, narrow, first)
		return
	}
	pix = pix[window.Min.X*3:]
	if crop.Dy() != h {
		r.vertical.filterColumns(dst, pix, stride, 0)
		return
	}
	for y := range dst.H {
		copy(dst.row(y), pix[(window.Min.Y+y)*stride:])
	}
}

// axis holds the weights of one pass. Output i, counted from the window's start, is the weighted sum of the taps inputs
// from first[i] on, with weights[i*taps:].
type axis struct {
	in, out, from, to int // input and output size, window of outputs: what the weights are for
	filter            Filter
	taps              int
	first             []int32
	weights           []int32
	exact             []float64 // scratch: the weights of one output before rounding
}

// plan computes the weights for outputs from..to of a pass from in to out samples. See Pillow's precompute_coeffs and
// normalize_coeffs_8bpc.
func (a *axis) plan(in, out int, f Filter, from, to int) {
	if a.in == in && a.out == out && a.filter == f && a.from == from && a.to == to {
		return
	}
	a.in, a.out, a.filter, a.from, a.to = in, out, f, from, to
	scale := float64(in) / float64(out)
	widening := max(scale, 1)
	support := float64(f.radius() * widening)
	inverse := 1 / widening
	bounds := func(i int) (centre float64, first, n int) {
		centre = float64((float64(i) + 0.5) * scale)
		first = max(int(centre-support+0.5), 0)
		return centre, first, min(int(centre+support+0.5), in) - first
	}
	a.taps = 1
	for i := from; i < to; i++ {
		_, _, n := bounds(i)
		a.taps = max(a.taps, n)
	}
	a.first = slices.Grow(a.first[:0], to-from)
	a.weights = slices.Grow(a.weights[:0], (to-from)*a.taps)[:(to-from)*a.taps]
	clear(a.weights)
	for i := from; i < to; i++ {
		centre, first, n := bounds(i)
		a.exact = a.exact[:0]
		sum := 0.0
		for j := range n {
			w := f.weight(float64((float64(j+first) - centre + 0.5) * inverse))
			a.exact = append(a.exact, w)
			sum += w
		}
		// Where fewer inputs count than elsewhere, others have weight 0: behind them or, at the end, before.
		start := min(first, in-a.taps)
		weights := a.weights[(i-from)*a.taps+first-start:]
		a.first = append(a.first, int32(start))
		for j, w := range a.exact {
			if sum != 0 {
				w /= sum
			}
			w = float64(w * (1 << kernels.ResampleBits))
			weights[j] = int32(w + math.Copysign(0.5, w))
		}
	}
}

// span returns the range of inputs that any output of the window needs.
func (a *axis) span() (first, last int) {
	return int(a.first[0]), int(a.first[len(a.first)-1]) + a.taps
}

// filterColumns computes all rows of the window from rows of the given stride, the first of which is input row firstRow.
func (a *axis) filterColumns(out *Image, in []uint8, stride, firstRow int) {
	for i, first := range a.first {
		kernels.ResampleColumns(out.row(i), in[(int(first)-firstRow)*stride:], stride, a.weights[i*a.taps:][:a.taps])
	}
}

// resizeNearest picks the pixel under each output's centre. Positions are summed step by step, as in Pillow's
// ImagingScaleAffine, whose rounding errors decide between two equally near pixels.
func resizeNearest(dst, src *Image, crop image.Rectangle, w, h int, window image.Rectangle) {
	xs := nearestPositions(crop.Dx(), w, window.Min.X, window.Max.X)
	ys := nearestPositions(crop.Dy(), h, window.Min.Y, window.Max.Y)
	for i, y := range ys {
		in, out := src.row(crop.Min.Y + y)[crop.Min.X*3:], dst.row(i)
		for j, x := range xs {
			copy(out[j*3:j*3+3], in[x*3:x*3+3])
		}
	}
}

func nearestPositions(in, out, from, to int) []int {
	positions := make([]int, 0, to-from)
	step := float64(in) / float64(out)
	at := float64(step * 0.5)
	i := 0
	if from > 1<<24 { // summing so many steps costs more than their rounding errors are worth
		i, at = from, float64((float64(from)+0.5)*step)
	}
	for ; i < to; i++ {
		if i >= from {
			positions = append(positions, min(int(at), in-1))
		}
		at += step
	}
	return positions
}
