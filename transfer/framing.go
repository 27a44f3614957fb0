package transfer

import (
	"fmt"

	"github.com/bigtransfer/bit/batch"
	"github.com/bigtransfer/bit/imaging"
)

// Framing is how pictures of any shape become squares, in training, in evaluation and in the finished model.
type Framing int

const (
	// Squash ignores the aspect ratio: to Resize x Resize and a random crop in training, straight to Crop x Crop after. It
	// is the rule's.
	Squash Framing = iota
	// Crop keeps the aspect ratio and leaves out margins: the shorter side to Resize and a random crop in training, the
	// middle one after, as in big_vision's fine-tuning of BiT (transfer.py).
	Crop
	// Pad keeps the aspect ratio and all of the picture, in the middle of a black square: of side Resize and a random crop
	// in training, of side Crop after.
	Pad
)

// Framings lists them.
func Framings() []Framing { return []Framing{Squash, Crop, Pad} }

func (f Framing) String() string {
	switch f {
	case Squash:
		return "squash"
	case Crop:
		return "crop"
	case Pad:
		return "pad"
	}
	return fmt.Sprintf("Framing(%d)", int(f))
}

// MarshalText writes the framing's name.
func (f Framing) MarshalText() ([]byte, error) { return []byte(f.String()), nil }

func (f Framing) pipeline(resize, crop int) batch.Pipeline {
	var first batch.Op = batch.Resize{Size: resize}
	switch f {
	case Crop:
		first = batch.ResizeSmall{Size: resize}
	case Pad:
		first = batch.ResizePad{Size: resize}
	}
	return batch.Pipeline{first, batch.RandomCrop{Size: crop}}
}

func (f Framing) processor(resize, crop int) *imaging.Processor {
	switch f {
	case Crop:
		return imaging.Crop(resize, crop, imaging.Bilinear)
	case Pad:
		return imaging.Pad(crop, imaging.Bilinear)
	}
	return imaging.Squash(crop, imaging.Bilinear)
}
