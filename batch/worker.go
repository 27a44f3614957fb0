package batch

import (
	"image"

	"github.com/bigtransfer/bit/imaging"
	"github.com/bigtransfer/bit/internal/counter"
)

// worker is the memory of one goroutine.
type worker struct {
	rng     *counter.Rand
	resizer imaging.Resizer
	resized [2]imaging.Image // results of resizing: one may be read while the other is written
	turn    int
	row     []byte    // one mirrored row
	partner []float32 // one picture, made when first needed
}

func newWorker() *worker { return &worker{rng: counter.New()} }

// resize scales the view to a square. Mirroring commutes with scaling and is left for later.
func (w *worker) resize(v view, size int, filter imaging.Filter) view {
	if v.w == size && v.h == size {
		return v
	}
	if filter == 0 {
		filter = imaging.Bilinear
	}
	dst := &w.resized[w.turn]
	w.turn = 1 - w.turn
	w.resizer.Resize(dst, v.img, image.Rect(v.x, v.y, v.x+v.w, v.y+v.h), size, size, filter)
	return view{img: dst, w: size, h: size, mirrored: v.mirrored}
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
