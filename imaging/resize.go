package imaging

import (
	"fmt"
	"image"
	"math"
	"slices"
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
	sums                 []int32 // one output row before rounding
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
			r.horizontal.filterRow(out[(y-first)*narrow:][:narrow], pix[y*stride:][:crop.Dx()*3])
		}
		if crop.Dy() == h {
			return
		}
		r.vertical.filterColumns(dst.Pix, r.rows, narrow, first, narrow, &r.sums)
		return
	}
	pix = pix[window.Min.X*3:]
	if crop.Dy() != h {
		r.vertical.filterColumns(dst.Pix, pix, stride, 0, dst.W*3, &r.sums)
		return
	}
	for y := range dst.H {
		copy(dst.row(y), pix[(window.Min.Y+y)*stride:])
	}
}

// weightBits is the number of fraction bits of the integer weights (PRECISION_BITS in Pillow's Resample.c).
const weightBits = 32 - 8 - 2

// axis holds the weights of one pass. Output i, counted from the window's start, is the weighted sum of the taps[i].n
// inputs from taps[i].first on, with weights[taps[i].at:].
type axis struct {
	in, out, from, to int // input and output size, window of outputs: what the weights are for
	filter            Filter
	taps              []tap
	weights           []int32
	exact             []float64 // scratch: the weights of one output before rounding
}

type tap struct {
	first, n, at int
}

// plan computes the weights for outputs from..to of a pass from in to out samples. See Pillow's precompute_coeffs and
// normalize_coeffs_8bpc.
func (a *axis) plan(in, out int, f Filter, from, to int) {
	if a.in == in && a.out == out && a.filter == f && a.from == from && a.to == to {
		return
	}
	a.in, a.out, a.filter, a.from, a.to = in, out, f, from, to
	a.taps, a.weights = slices.Grow(a.taps[:0], to-from), a.weights[:0]
	scale := float64(in) / float64(out)
	widening := max(scale, 1)
	support := float64(f.radius() * widening)
	inverse := 1 / widening
	for i := from; i < to; i++ {
		centre := float64((float64(i) + 0.5) * scale)
		first := max(int(centre-support+0.5), 0)
		n := min(int(centre+support+0.5), in) - first
		a.exact = a.exact[:0]
		sum := 0.0
		for j := range n {
			w := f.weight(float64((float64(j+first) - centre + 0.5) * inverse))
			a.exact = append(a.exact, w)
			sum += w
		}
		a.taps = append(a.taps, tap{first, n, len(a.weights)})
		for _, w := range a.exact {
			if sum != 0 {
				w /= sum
			}
			w = float64(w * (1 << weightBits))
			a.weights = append(a.weights, int32(w+math.Copysign(0.5, w)))
		}
	}
}

// span returns the range of inputs that any output of the window needs.
func (a *axis) span() (first, last int) {
	end := a.taps[len(a.taps)-1]
	return a.taps[0].first, end.first + end.n
}

// filterRow computes one row of RGB pixels from one of a.in pixels.
func (a *axis) filterRow(out, in []uint8) {
	for i, t := range a.taps {
		pix := in[t.first*3:][:t.n*3]
		weights := a.weights[t.at:][:t.n]
		var red, green, blue int32 = 1 << (weightBits - 1), 1 << (weightBits - 1), 1 << (weightBits - 1)
		for _, w := range weights {
			p := pix[:3:3]
			red += w * int32(p[0])
			green += w * int32(p[1])
			blue += w * int32(p[2])
			pix = pix[3:]
		}
		p := out[i*3 : i*3+3 : i*3+3]
		p[0], p[1], p[2] = clamp8(red>>weightBits), clamp8(green>>weightBits), clamp8(blue>>weightBits)
	}
}

// filterColumns computes all rows of the window, n values each, from rows of the given stride, the first of which is
// input row firstRow.
func (a *axis) filterColumns(out, in []uint8, stride, firstRow, n int, scratch *[]int32) {
	*scratch = slices.Grow((*scratch)[:0], n)[:n]
	sums := *scratch
	for i, t := range a.taps {
		weights := a.weights[t.at:][:t.n]
		rows := in[(t.first-firstRow)*stride:]
		for j := range sums {
			sums[j] = 1 << (weightBits - 1)
		}
		// Two rows at a time: the sums are loaded and stored half as often.
		for len(weights) >= 2 {
			addTwoRows(sums, rows, rows[stride:], weights[0], weights[1])
			weights = weights[2:]
			if len(weights) > 0 {
				rows = rows[2*stride:]
			}
		}
		if len(weights) > 0 {
			addRow(sums, rows, weights[0])
		}
		row := out[i*n:][:n]
		for j, s := range sums {
			row[j] = clamp8(s >> weightBits)
		}
	}
}

func addTwoRows(sums []int32, row0, row1 []uint8, w0, w1 int32) {
	row0, row1 = row0[:len(sums)], row1[:len(sums)]
	for i := range sums {
		sums[i] += w0*int32(row0[i]) + w1*int32(row1[i])
	}
}

func addRow(sums []int32, row []uint8, w int32) {
	row = row[:len(sums)]
	for i := range sums {
		sums[i] += w * int32(row[i])
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
