package imaging

import (
	"fmt"
	"image"
)

// Processor prepares pictures as a Hugging Face BitImageProcessor does: resize in 8 bits, centre crop, rescale,
// normalise, each step if its Do field is set. It reads and writes preprocessor_config.json (see
// [Processor.UnmarshalJSON]). Grayscale and the like became RGB in [Decode]. EXIF orientation is the decoder's concern:
// to get the reference's numbers for rotated photographs, decode with [Decoder.KeepOrientation].
type Processor struct {
	DoResize bool
	Size     Size
	Resample Filter

	DoCenterCrop bool
	// CropHeight and CropWidth are in pixels. A picture that is smaller is padded with black on all sides.
	CropHeight, CropWidth int

	DoRescale     bool
	RescaleFactor float64 // multiplies the 8-bit values

	DoNormalize bool
	Mean, Std   [3]float64 // per channel, in the units after rescaling
}

// Size is the target of a resize: the length of the shorter or of the longer side, the other keeping the aspect ratio, or
// both sides. The unused fields are 0. Units are pixels.
//
// LongestEdge is none of those that transformers' BitImageProcessor takes: it refuses such a file, rather than preparing
// pictures in another way.
type Size struct {
	ShortestEdge  int
	LongestEdge   int
	Height, Width int
}

// Of returns the width and height that a picture of w x h pixels, both positive, is resized to. The other side than the
// shortest is rounded down, as transformers does; the other than the longest to the nearest, and is at least 1.
func (s Size) Of(w, h int) (width, height int) {
	switch short, long := s.ShortestEdge, s.LongestEdge; {
	case short != 0 && w <= h:
		return short, short * h / w
	case short != 0:
		return short * w / h, short
	case long != 0 && w >= h:
		return long, max(1, (2*long*h+w)/(2*w))
	case long != 0:
		return max(1, (2*long*w+h)/(2*h)), long
	}
	return s.Width, s.Height
}

// DefaultProcessor returns the class defaults of BitImageProcessor: shorter side 224, bicubic, crop to 224 x 224, the
// statistics of CLIP. A preprocessor_config.json that lacks a key means these. The released BiT models mean something
// else and say so in their files.
func DefaultProcessor() *Processor {
	return &Processor{
		DoResize: true, Size: Size{ShortestEdge: 224}, Resample: Bicubic,
		DoCenterCrop: true, CropHeight: 224, CropWidth: 224,
		DoRescale: true, RescaleFactor: 1.0 / 255,
		// transformers/utils/constants.py: OPENAI_CLIP_MEAN, OPENAI_CLIP_STD.
		DoNormalize: true,
		Mean:        [3]float64{0.48145466, 0.4578275, 0.40821073},
		Std:         [3]float64{0.26862954, 0.26130258, 0.27577711},
	}
}

// Squash returns BiT's own evaluation: resize straight to size x size, ignoring the aspect ratio, and scale to [-1, 1].
// The original uses [Bilinear].
func Squash(size int, f Filter) *Processor {
	half := [3]float64{0.5, 0.5, 0.5}
	return &Processor{
		DoResize: true, Size: Size{Height: size, Width: size}, Resample: f,
		CropHeight: size, CropWidth: size,
		DoRescale: true, RescaleFactor: 1.0 / 255,
		DoNormalize: true, Mean: half, Std: half,
	}
}

// Crop returns the preparation that keeps the aspect ratio by leaving out margins: the shorter side to resize pixels,
// then the middle size x size, values scaled to [-1, 1]. It is big_vision's for BiT, with 448 and 384 (transfer.py).
func Crop(resize, size int, f Filter) *Processor {
	p := Squash(size, f)
	p.Size, p.DoCenterCrop = Size{ShortestEdge: resize}, true
	return p
}

// Pad returns the preparation that keeps the aspect ratio and the whole picture: the longer side to size pixels, in the
// middle of a black square, values scaled to [-1, 1]. Black, since that is what a crop that is larger than the picture
// adds, here and in transformers.
func Pad(size int, f Filter) *Processor {
	p := Squash(size, f)
	p.Size, p.DoCenterCrop = Size{LongestEdge: size}, true
	return p
}

// resized returns the size after the resize step of a picture of w x h pixels.
func (p *Processor) resized(w, h int) (int, int) {
	if !p.DoResize {
		return w, h
	}
	return p.Size.Of(w, h)
}

// OutputSize returns the width and height of what Process makes of a picture of w x h pixels, both positive.
func (p *Processor) OutputSize(w, h int) (width, height int) {
	if p.DoCenterCrop {
		return p.CropWidth, p.CropHeight
	}
	return p.resized(w, h)
}

// Process prepares im and writes the result to dst in H W C order. It returns its height and width (see
// [Processor.OutputSize]) and fails if dst is too short for it.
func (p *Processor) Process(im *Image, dst []float32) (h, w int, err error) {
	out, err := p.Transform(new(Resizer), im)
	if err != nil {
		return 0, 0, err
	}
	if need := len(out.Pix); len(dst) < need {
		return 0, 0, fmt.Errorf("imaging: processed picture of %d x %d pixels needs %d floats, got room for %d", out.W, out.H, need, len(dst))
	}
	p.Normalizer().Normalize(dst, out)
	return out.H, out.W, nil
}

// Normalizer returns the value steps: rescale and normalise.
func (p *Processor) Normalizer() *Normalizer {
	factor, mean, std := 1.0, [3]float64{}, [3]float64{1, 1, 1}
	if p.DoRescale {
		factor = p.RescaleFactor
	}
	if p.DoNormalize {
		mean, std = p.Mean, p.Std
	}
	return NewNormalizer(factor, mean, std)
}

// Transform does the geometric steps: resize and centre crop. The result may be im itself. r lends its memory. Only
// those pixels are computed that survive the crop, so that an extremely long picture costs no more than another.
func (p *Processor) Transform(r *Resizer, im *Image) (*Image, error) {
	if err := p.Validate(); err != nil {
		return nil, err
	}
	if im.W <= 0 || im.H <= 0 || len(im.Pix) != im.W*im.H*3 {
		return nil, fmt.Errorf("imaging: picture of %d x %d pixels with %d values", im.W, im.H, len(im.Pix))
	}
	w, h := p.resized(im.W, im.H)
	window := image.Rect(0, 0, w, h)
	left, top := 0, 0
	if p.DoCenterCrop {
		// Halves are rounded down, for padding (negative offsets) too.
		left, top = (w-p.CropWidth)>>1, (h-p.CropHeight)>>1
		window = window.Intersect(image.Rect(left, top, left+p.CropWidth, top+p.CropHeight))
	}
	if err := checkSize(window.Dx(), window.Dy(), DefaultMaxPixels); err != nil {
		return nil, fmt.Errorf("imaging: resized picture: %w", err)
	}
	out := im
	if p.DoResize {
		out = new(Image)
		r.resizeWindow(out, im, image.Rect(0, 0, im.W, im.H), w, h, p.Resample, window)
	} else if window != image.Rect(0, 0, w, h) {
		out = im.Crop(window.Min.X, window.Min.Y, window.Dx(), window.Dy())
	}
	if p.DoCenterCrop && (out.W != p.CropWidth || out.H != p.CropHeight) {
		out = out.Crop(left-window.Min.X, top-window.Min.Y, p.CropWidth, p.CropHeight)
	}
	return out, nil
}
