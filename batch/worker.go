package batch

import (
	"image"
	"slices"

	"github.com/bigtransfer/bit/imaging"
	"github.com/bigtransfer/bit/internal/counter"
)

// worker is the memory of one goroutine.
type worker struct {
	rng     *counter.Rand
	resizer imaging.Resizer
	resized [2]imaging.Image // results of resizing: one may be read while the other is written
	turn    int
	padded  imaging.Image
	row     []byte    // one mirrored row
	partner []float32 // one picture, made when first needed
}

func newWorker() *worker { return &worker{rng: counter.New()} }

// resize scales the view to w x h pixels. Mirroring commutes with scaling and is left for later.
func (w *worker) resize(v view, width, height int, filter imaging.Filter) view {
	if v.w == width && v.h == height {
		return v
	}
	if filter == 0 {
		filter = imaging.Bilinear
	}
	dst := &w.resized[w.turn]
	w.turn = 1 - w.turn
	w.resizer.Resize(dst, v.img, image.Rect(v.x, v.y, v.x+v.w, v.y+v.h), width, height, filter)
	return view{img: dst, w: width, h: height, mirrored: v.mirrored}
}

// pad puts the view in the middle of a black square of the given side. An odd rest is one
// line more at the left or top, as in evaluation.
func (w *worker) pad(v view, side int) view {
	if v.w == side && v.h == side {
		return v
	}
	dst := &w.padded
	n := side * side * 3
	dst.W, dst.H, dst.Pix = side, side, slices.Grow(dst.Pix[:0], n)[:n]
	clear(dst.Pix)
	left, top := (side-v.w+1)/2, (side-v.h+1)/2
	for y := range v.h {
		from := ((v.y+y)*v.img.W + v.x) * 3
		copy(dst.Pix[((top+y)*side+left)*3:], v.img.Pix[from:from+v.w*3])
	}
	return view{img: dst, w: side, h: side, mirrored: v.mirrored}
}

// normalize writes the view's pixels to dst [h, w, 3] as numbers.
func (w *worker) normalize(dst []float32, v view, n *imaging.Normalizer) {
	size := v.w * 3
	for y := range v.h {
		start := ((v.y+y)*v.img.W + v.x) * 3
		row := v.img.Pix[start : start+size]
		if v.mirrored {
			w.row = append(w.row[:0], row...)
			row = w.row
			for i, j := 0, size-3; i < j; i, j = i+3, j-3 {
				a, b := row[i:i+3:i+3], row[j:j+3:j+3]
				a[0], a[1], a[2], b[0], b[1], b[2] = b[0], b[1], b[2], a[0], a[1], a[2]
			}
		}
		n.Normalize(dst[y*size:(y+1)*size], &imaging.Image{W: v.w, H: 1, Pix: row})
	}
}
