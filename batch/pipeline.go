package batch

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"

	"github.com/bigtransfer/bit/imaging"
)

// Op is one step of a [Pipeline]. The steps are the types of this package: [Resize], [ResizeSmall], [ResizePad],
// [RandomCrop], [CenterCrop], [InceptionCrop] and [FlipLR].
type Op interface {
	// String is the step as logs and checkpoints show it, with every setting that is not the default.
	fmt.Stringer
	// apply returns the step's result on v. Crops and flips only change the view, other steps use w's memory. Random
	// steps draw from w.rng.
	apply(v view, w *worker) (view, error)
	// isRandom reports whether apply draws random numbers.
	isRandom() bool
	// side returns the side of the square that the step produces, or 0 if it keeps the size of its input. Of ResizeSmall it
	// is the shorter side.
	side() int
	// check returns an error for settings that make no sense.
	check() error
}

// view is a rectangle of a picture, perhaps to be read mirrored. It lets crops and flips cost nothing: their pixels are
// first touched by a resize or when they become numbers.
type view struct {
	img        *imaging.Image
	x, y, w, h int
	mirrored   bool
}

func wholeOf(img *imaging.Image) view { return view{img: img, w: img.W, h: img.H} }

// crop narrows the view to w by h pixels at (x, y), as seen after mirroring.
func (v view) crop(x, y, w, h int) view {
	if v.mirrored {
		x = v.w - w - x
	}
	v.x, v.y, v.w, v.h = v.x+x, v.y+y, w, h
	return v
}

// Resize scales to a square of Size pixels a side and ignores the aspect ratio, as BiT does in training (before a
// random crop) and in evaluation.
type Resize struct {
	Size   int
	Filter imaging.Filter // 0 means imaging.Bilinear, which is antialiased as all filters are
}

// ResizeSmall scales so that the shorter side has Size pixels and the aspect ratio stays, as big_vision's resize_small
// does. A crop must follow. Of pictures more than 16 times as long as wide only the middle 16:1 is used, so that no
// picture needs unbounded memory.
type ResizeSmall struct {
	Size   int
	Filter imaging.Filter // 0 means imaging.Bilinear
}

// ResizePad scales so that the longer side has Size pixels and the aspect ratio stays, and fills up to a square with
// black above and below, or left and right, in equal parts (TensorFlow's resize_with_pad; a letterbox). It is what
// [imaging.Pad] does in evaluation.
type ResizePad struct {
	Size   int
	Filter imaging.Filter // 0 means imaging.Bilinear
}

// maxAspect bounds the pictures that ResizeSmall makes.
const maxAspect = 16

// RandomCrop cuts out a square of Size pixels a side at a uniformly random place.
type RandomCrop struct{ Size int }

// CenterCrop cuts out the square of Size pixels a side in the middle; odd remainders are cut at the right and bottom.
type CenterCrop struct{ Size int }

// FlipLR mirrors left and right with probability 1/2.
type FlipLR struct{}

// InceptionCrop cuts out a random box and scales it to a square of Size pixels a side. The box has an area uniform in
// [MinArea, 1] of the picture's and an aspect ratio w/h uniform in [3/4, 4/3], and lies at a uniformly random place.
// Boxes that stick out of the picture are drawn anew; after 100 such draws the whole picture is taken, as TensorFlow's
// sample_distorted_bounding_box does.
type InceptionCrop struct {
	Size    int
	MinArea float64        // in (0, 1]; the zero value is 0.05, BiT's upstream setting
	Filter  imaging.Filter // 0 means imaging.Bilinear, which is antialiased as all filters are
}

// Limits of InceptionCrop: the area is big_vision's inception_crop, the number of draws TensorFlow's default.
const (
	inceptionMinArea   = 0.05
	inceptionMinAspect = 3.0 / 4
	inceptionMaxAspect = 4.0 / 3
	inceptionDraws     = 100
)

func (o Resize) String() string { return fmt.Sprintf("resize(%d%s)", o.Size, filterArg(o.Filter)) }
func (o ResizeSmall) String() string {
	return fmt.Sprintf("resize_small(%d%s)", o.Size, filterArg(o.Filter))
}
func (o ResizePad) String() string {
	return fmt.Sprintf("resize_with_pad(%d%s)", o.Size, filterArg(o.Filter))
}
func (o RandomCrop) String() string { return fmt.Sprintf("random_crop(%d)", o.Size) }
func (o CenterCrop) String() string { return fmt.Sprintf("central_crop(%d)", o.Size) }
func (o FlipLR) String() string     { return "flip_lr" }
func (o InceptionCrop) String() string {
	area := ""
	if o.MinArea != 0 && o.MinArea != inceptionMinArea {
		area = fmt.Sprintf(",min_area=%v", o.MinArea)
	}
	return fmt.Sprintf("inception_crop(%d%s%s)", o.Size, area, filterArg(o.Filter))
}

func filterArg(f imaging.Filter) string {
	if f == 0 || f == imaging.Bilinear {
		return ""
	}
	return "," + f.String()
}

func (o Resize) isRandom() bool        { return false }
func (o ResizeSmall) isRandom() bool   { return false }
func (o ResizePad) isRandom() bool     { return false }
func (o CenterCrop) isRandom() bool    { return false }
func (o RandomCrop) isRandom() bool    { return true }
func (o FlipLR) isRandom() bool        { return true }
func (o InceptionCrop) isRandom() bool { return true }

func (o Resize) side() int        { return o.Size }
func (o ResizeSmall) side() int   { return o.Size }
func (o ResizePad) side() int     { return o.Size }
func (o CenterCrop) side() int    { return o.Size }
func (o RandomCrop) side() int    { return o.Size }
func (o FlipLR) side() int        { return 0 }
func (o InceptionCrop) side() int { return o.Size }

func (o Resize) check() error     { return checkSize(o.Size) }
func (o CenterCrop) check() error { return checkSize(o.Size) }
func (o ResizePad) check() error  { return checkSize(o.Size) }
func (o RandomCrop) check() error { return checkSize(o.Size) }
func (o FlipLR) check() error     { return nil }
func (o ResizeSmall) check() error {
	if err := checkSize(o.Size); err != nil {
		return err
	}
	return checkSize(o.Size * maxAspect) // a square of that has more pixels than any result
}
func (o InceptionCrop) check() error {
	if !(o.MinArea >= 0 && o.MinArea <= 1) {
		return fmt.Errorf("expected a smallest area in (0, 1], found %v", o.MinArea)
	}
	return checkSize(o.Size)
}

func checkSize(size int) error {
	if size <= 0 {
		return fmt.Errorf("expected a positive size, found %d", size)
	}
	if size > imaging.DefaultMaxPixels/size {
		return fmt.Errorf("%d x %d pixels: %w", size, size, imaging.ErrTooLarge)
	}
	return nil
}

func (o Resize) apply(v view, w *worker) (view, error) {
	return w.resize(v, o.Size, o.Size, o.Filter), nil
}

func (o ResizeSmall) apply(v view, w *worker) (view, error) {
	switch {
	case v.w > maxAspect*v.h:
		v = v.crop((v.w-maxAspect*v.h)/2, 0, maxAspect*v.h, v.h)
	case v.h > maxAspect*v.w:
		v = v.crop(0, (v.h-maxAspect*v.w)/2, v.w, maxAspect*v.w)
	}
	width, height := (imaging.Size{ShortestEdge: o.Size}).Of(v.w, v.h)
	return w.resize(v, width, height, o.Filter), nil
}

func (o ResizePad) apply(v view, w *worker) (view, error) {
	width, height := (imaging.Size{LongestEdge: o.Size}).Of(v.w, v.h)
	return w.pad(w.resize(v, width, height, o.Filter), o.Size), nil
}

func (o CenterCrop) apply(v view, _ *worker) (view, error) {
	if err := v.checkCrop(o.Size); err != nil {
		return view{}, err
	}
	return v.crop((v.w-o.Size)/2, (v.h-o.Size)/2, o.Size, o.Size), nil
}

func (o RandomCrop) apply(v view, w *worker) (view, error) {
	if err := v.checkCrop(o.Size); err != nil {
		return view{}, err
	}
	x := w.rng.IntN(v.w - o.Size + 1)
	y := w.rng.IntN(v.h - o.Size + 1)
	return v.crop(x, y, o.Size, o.Size), nil
}

func (o FlipLR) apply(v view, w *worker) (view, error) {
	v.mirrored = v.mirrored != (w.rng.Uint64()>>63 == 1)
	return v, nil
}

func (o InceptionCrop) apply(v view, w *worker) (view, error) {
	left, top, width, height := o.box(v.w, v.h, w.rng.Rand)
	return w.resize(v.crop(left, top, width, height), o.Size, o.Size, o.Filter), nil
}

// box draws the box to cut out of a picture of W by H pixels.
func (o InceptionCrop) box(W, H int, rng *rand.Rand) (x, y, w, h int) {
	minArea := o.MinArea
	if minArea == 0 {
		minArea = inceptionMinArea
	}
	for range inceptionDraws {
		area := float64(W) * float64(H) * (minArea + (1-minArea)*rng.Float64())
		aspect := inceptionMinAspect + (inceptionMaxAspect-inceptionMinAspect)*rng.Float64()
		w := int(math.Round(math.Sqrt(area * aspect)))
		h := int(math.Round(math.Sqrt(area / aspect)))
		if 1 <= w && w <= W && 1 <= h && h <= H {
			return rng.IntN(W - w + 1), rng.IntN(H - h + 1), w, h
		}
	}
	return 0, 0, W, H
}

func (v view) checkCrop(size int) error {
	if v.w < size || v.h < size {
		return fmt.Errorf("expected a picture of at least %d by %d pixels, found %d by %d", size, size, v.w, v.h)
	}
	return nil
}

// Pipeline is a list of augmentation steps, applied in order to a decoded picture.
type Pipeline []Op

// String returns the steps as "resize(160)|random_crop(128)|flip_lr".
func (p Pipeline) String() string {
	names := make([]string, len(p))
	for i, op := range p {
		names[i] = op.String()
	}
	return strings.Join(names, "|")
}

// MarshalText writes the steps as String does.
func (p Pipeline) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// Side returns the side in pixels of the square pictures that the pipeline produces from pictures of any size, or an
// error if some step has no sensible setting or none fixes the size.
func (p Pipeline) Side() (int, error) {
	side, square := 0, false
	for _, op := range p {
		if err := op.check(); err != nil {
			return 0, fmt.Errorf("%s: %w", op, err)
		}
		if s := op.side(); s != 0 {
			switch op.(type) {
			case RandomCrop, CenterCrop:
				if side != 0 && s > side {
					return 0, fmt.Errorf("%s: expected at most %d pixels a side, which is what it is given", op, side)
				}
			}
			_, small := op.(ResizeSmall)
			side, square = s, !small
		}
	}
	if !square {
		return 0, errors.New("the pipeline has no step that fixes the size of its pictures, such as resize(128) or a crop")
	}
	return side, nil
}

// fixed returns the number of leading steps that are not random. Their result is the same in every epoch.
func (p Pipeline) fixed() int {
	for i, op := range p {
		if op.isRandom() {
			return i
		}
	}
	return len(p)
}

// apply runs the steps on v.
func (p Pipeline) apply(v view, w *worker) (view, error) {
	for _, op := range p {
		var err error
		if v, err = op.apply(v, w); err != nil {
			return view{}, fmt.Errorf("%s: %w", op, err)
		}
	}
	return v, nil
}
