// Package transfer fine-tunes a network on a data set by BiT-HyperRule (Kolesnikov et al., "Big Transfer (BiT): General
// Visual Representation Learning", 2020, section 3.3): every setting follows from the number of training images and
// their resolution, nothing is searched for.
package transfer

import (
	"fmt"
	"math"

	"github.com/bigtransfer/bit/train"
)

// BiT-HyperRule's numbers (big_transfer bit_hyperrule.py and bit_common.py).
const (
	smallBelow  = 20_000  // training images: fewer is a small task, without mixup
	mediumBelow = 500_000 // fewer is a medium task

	smallArea = 96 * 96 // pixels: images of a smaller area are enlarged less

	BaseLearningRate = 0.003 // for a batch of BaseBatch images
	BaseBatch        = 512
	Momentum         = 0.9
	MixupAlpha       = 0.1
)

// Preset is a set of settings to begin with.
type Preset int

const (
	// Rule is BiT-HyperRule itself.
	Rule Preset = iota
	// Lite is the rule for small machines: as many steps, in the batches of 128 at learning rate 0.001 that the official
	// README has for CIFAR on one GPU, "nearly the same results", and images no larger than the network saw in
	// pre-training. Its author's own remedies for lack of memory are the same: a smaller batch, a lower resolution.
	Lite
)

// Lite's numbers (big_transfer README.md).
const (
	LiteBatch        = 128
	LiteLearningRate = 0.001 // for a batch of LiteBatch images

	// UpstreamSide is the side in pixels of the images on which BiT was pre-trained (paper, section 3.2).
	UpstreamSide = 224
)

func (p Preset) String() string {
	switch p {
	case Rule:
		return "rule"
	case Lite:
		return "lite"
	}
	return fmt.Sprintf("Preset(%d)", int(p))
}

// ParsePreset reads "rule" or "lite".
func ParsePreset(name string) (Preset, error) {
	for _, p := range []Preset{Rule, Lite} {
		if name == p.String() {
			return p, nil
		}
	}
	return 0, fmt.Errorf("no preset %q, want rule or lite", name)
}

// batch and rate return the preset's batch and the learning rate for another one, which is in proportion.
func (p Preset) batch() int {
	if p == Lite {
		return LiteBatch
	}
	return BaseBatch
}

func (p Preset) rate(batch int) float64 {
	if p == Lite {
		return LiteLearningRate * float64(batch) / LiteBatch
	}
	return BaseLearningRate * float64(batch) / BaseBatch
}

// resolution is Resolution, for Lite with a crop of at most the pre-trained side and a resize as in ResizeFor.
func (p Preset) resolution(height, width, pretrained int) (resize, crop int) {
	resize, crop = Resolution(height, width)
	if pretrained <= 0 || pretrained > UpstreamSide {
		pretrained = UpstreamSide
	}
	if p == Lite && pretrained < crop {
		return ResizeFor(pretrained), pretrained
	}
	return resize, crop
}

// ResizeFor returns the side to resize to for a random crop of the given side, where the rule has nothing to say: 5/4 of it,
// as 160 is of 128, for small crops; 8/7, as 256 is of 224 and, in the paper, 448 nearly of 384, for larger ones; and from
// 480 on the 512/480 of the official code.
func ResizeFor(crop int) int {
	switch {
	case crop <= 128:
		return scaled(crop, 5, 4)
	case crop < 480:
		return scaled(crop, 8, 7)
	}
	return scaled(crop, 512, 480)
}

// scaled returns v·a/b, rounded.
func scaled(v, a, b int) int { return (2*v*a + b) / (2 * b) }

// Size classes a task by its number of training images.
type Size int

// The three sizes of task, which differ in the length of training and in mixup.
const (
	Small  Size = iota // fewer than 20,000 images: 500 steps, no mixup
	Medium             // fewer than 500,000: 10,000 steps
	Large              // 20,000 steps
)

// SizeOf returns the size of a task of the given number of training images; for a few-shot task those are the images
// drawn, not the data set's.
func SizeOf(examples int) Size {
	switch {
	case examples < smallBelow:
		return Small
	case examples < mediumBelow:
		return Medium
	}
	return Large
}

// Resolution returns the side in pixels to which training images of the given height and width are resized, and the
// side of the random crop taken from that, which is also the side of evaluation images. As in the official code, large
// images get 480 pixels with every model (the paper's text has 384 for all but R152x4).
func Resolution(height, width int) (resize, crop int) {
	if height*width < smallArea {
		return 160, 128
	}
	return 512, 480
}

// Schedule returns the learning rate's course. At 0 steps it is the rule's own; otherwise all its supports are scaled
// in proportion to the given total, rounded to the nearest step.
func (s Size) Schedule(steps int) train.Staircase {
	var c train.Staircase
	switch s {
	case Small:
		c = train.Staircase{WarmUp: 100, Drops: []int{200, 300, 400}, Total: 500}
	case Medium:
		c = train.Staircase{WarmUp: 500, Drops: []int{3000, 6000, 9000}, Total: 10_000}
	default:
		c = train.Staircase{WarmUp: 500, Drops: []int{6000, 12_000, 18_000}, Total: 20_000}
	}
	if steps == 0 || steps == c.Total {
		return c
	}
	scale := func(v int) int { return int(math.Round(float64(v) * float64(steps) / float64(c.Total))) }
	for i, d := range c.Drops {
		c.Drops[i] = scale(d)
	}
	c.WarmUp, c.Total = scale(c.WarmUp), steps
	return c
}

// Mixup returns the alpha of mixup's Beta(alpha, alpha), 0 for a small task.
func (s Size) Mixup() float64 {
	if s == Small {
		return 0
	}
	return MixupAlpha
}
