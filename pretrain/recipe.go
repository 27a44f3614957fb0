// Package pretrain trains a network from random weights on a large labelled set ("upstream"), so that it can be
// fine-tuned on others.
package pretrain

import (
	"math"

	"github.com/bigtransfer/bit/batch"
	"github.com/bigtransfer/bit/imaging"
	"github.com/bigtransfer/bit/train"
)

// Recipe is everything that an upstream run depends on besides the network, the data and the seed.
type Recipe struct {
	Side    int     // input side in pixels, in training and evaluation
	MinArea float64 // smallest area of the Inception crop, as a fraction of the image's; 0 for the paper's 0.05
	Flip    bool    // mirror left and right with probability 1/2

	Epochs int
	Batch  int
	Loss   train.Loss

	PeakRate    float64 // learning rate after warm-up
	WarmUp      int     // steps of linear warm-up from 0
	Drops       []int   // epochs after which the rate falls tenfold; nil for a cosine to 0
	Momentum    float64
	WeightDecay float64 // coupled L2, on kernels only
	ClipNorm    float64 // global norm; 0 for no clipping
	Smoothing   float64 // label smoothing
	EMA         float64 // decay of the averaged weights, which are then the result; 0 for none
}

// TinyImageNet64 is the recipe of the embedded model: a BiT of units 2,2,2,2 and base width 32 (3.7 million parameters)
// on the 100,000 images of Tiny-ImageNet-200 at their own 64 pixels.
//
//	bit pretrain tiny-imagenet-200 -o OUT
//
// With standardised kernels the step size that counts is relative to the kernels' norm, which weight decay keeps in
// balance with the rate; at this scale the rate has to be ten times what the paper's 0.03 per 256 images gives. Two-epoch
// trials (top-1 on the validation images): rate 0.05: 7.4 %, 0.15: 15.0 %, 0.45: 18.2 %; decay 5e-5 in place of 5e-4 at
// rate 0.3: 17.1 %; weak augmentation without smoothing at 0.3: 19.8 %, which a longer run would overfit.
var TinyImageNet64 = Recipe{
	Side:    64,
	MinArea: 0.35,
	Flip:    true,

	Epochs: 14,
	Batch:  128,
	Loss:   train.Softmax,

	PeakRate:    0.3,
	WarmUp:      400,
	Momentum:    0.9,
	WeightDecay: 5e-4,
	ClipNorm:    1,
	Smoothing:   0.1,
}

// BiTS is the paper's recipe for BiT-S on ILSVRC-2012, 1,281,167 images (Kolesnikov et al. 2020, section 3.2 and
// appendix): rate 0.03 per 256 images, hence 0.48; weight decay 1e-4; no clipping, smoothing or averaging.
var BiTS = Recipe{
	Side: 224,
	Flip: true,

	Epochs: 90,
	Batch:  4096,
	Loss:   train.Softmax,

	PeakRate:    0.48,
	WarmUp:      5000,
	Drops:       []int{30, 60, 80},
	Momentum:    0.9,
	WeightDecay: 1e-4,
}

// BiTM is the paper's recipe for BiT-M on ImageNet-21k, 14.2 million images: BiT-S's with a sigmoid loss per class.
var BiTM = func() Recipe {
	r := BiTS
	r.Loss = train.Sigmoid
	return r
}()

// Steps returns the number of optimiser steps on the given number of images, rounded to the nearest.
func (r Recipe) Steps(images int) int { return r.stepAt(r.Epochs, images) }

func (r Recipe) stepAt(epoch, images int) int {
	return int(math.Round(float64(epoch) * float64(images) / float64(r.Batch)))
}

// Schedule returns the course of the learning rate on the given number of images.
func (r Recipe) Schedule(images int) train.Schedule {
	if r.Drops == nil {
		return train.Cosine{WarmUp: r.WarmUp, Total: r.Steps(images)}
	}
	s := train.Staircase{WarmUp: r.WarmUp, Total: r.Steps(images)}
	for _, epoch := range r.Drops {
		s.Drops = append(s.Drops, r.stepAt(epoch, images))
	}
	return s
}

// Pipeline returns the augmentation.
func (r Recipe) Pipeline() batch.Pipeline {
	p := batch.Pipeline{batch.InceptionCrop{Size: r.Side, MinArea: r.MinArea}}
	if r.Flip {
		p = append(p, batch.FlipLR{})
	}
	return p
}

// Processor returns the preparation of images for evaluation: the whole image squashed to Side pixels a side and scaled
// to [-1, 1].
func (r Recipe) Processor() *imaging.Processor { return imaging.Squash(r.Side, imaging.Bilinear) }
