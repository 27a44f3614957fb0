package transfer

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/bigtransfer/bit/batch"
	"github.com/bigtransfer/bit/data"
	"github.com/bigtransfer/bit/imaging"
	"github.com/bigtransfer/bit/resnet"
	"github.com/bigtransfer/bit/train"
)

// Config departs from BiT-HyperRule. Its zero value is the rule: 0 in any field means what the rule says.
type Config struct {
	Steps        int     // length of training; warm-up and drops keep their share of it
	Batch        int     // images per step; BaseBatch
	LearningRate float64 // after warm-up; BaseLearningRate·Batch/BaseBatch
	Resize, Crop int     // side of training images before and after the random crop, and Crop of evaluation images; Resolution's. Set both or none
	MixupAlpha   float64 // MixupAlpha for tasks that are not Small; negative for none
	NoFlip       bool    // do not mirror images: for digits, text and whatever else has a left and a right
	Seed         uint64  // of the order of images, their augmentation and mixup
	MicroBatch   int     // most images in memory at once, the whole batch; any smaller number saves memory and changes rounding only

	// Mean and Std, per channel, of the pixel values that the network expects, in units of 255; 0.5 each, which is [-1, 1].
	Mean, Std [3]float64

	train.Options
}

// Result is the outcome of fine-tuning.
type Result struct {
	train.Result
	Split     string             // that Eval is of; "" if the data set has no split to evaluate on
	Processor *imaging.Processor // prepares images for the fine-tuned network
	Plan      Plan
}

// Plan is the rule applied to a data set.
type Plan struct {
	Examples      int // training images
	Height, Width int // in pixels, of a typical training image
	Resize, Crop  int
	Schedule      train.Staircase
	Batch         int
	LearningRate  float64
	MixupAlpha    float64
}

// FineTune gives net a new head of zeros with a class for each of ds.Classes, trains all its parameters on ds.Train by
// BiT-HyperRule as changed by cfg, and evaluates it on ds.EvalSplit if the data set has splits. If cfg.Dir holds a
// checkpoint of the same run, it is resumed; net must then hold the same weights as at first.
//
// The errors for interruption, divergence and a foreign checkpoint are those of train.Run.
func FineTune(ctx context.Context, net *resnet.Network, ds *data.Dataset, cfg Config) (Result, error) {
	plan, err := NewPlan(ds, cfg)
	if err != nil {
		return Result{}, err
	}
	r := Result{Plan: plan, Processor: imaging.Squash(plan.Crop, imaging.Bilinear)}
	if cfg.Std != [3]float64{} {
		r.Processor.Mean, r.Processor.Std = cfg.Mean, cfg.Std
	}
	c := plan.config(ds, cfg)
	c.Data.Normalizer = r.Processor.Normalizer()
	if len(ds.Val) > 0 || len(ds.Test) > 0 {
		r.Split, c.Eval.Examples = ds.EvalSplit()
		c.Eval.Source, c.Eval.Processor, c.Eval.Batch, c.Eval.Workers = ds.Source, r.Processor, evalBatch, cfg.Threads
	}
	net.NewHead(len(ds.Classes))
	r.Result, err = train.Run(ctx, net, c)
	return r, err
}

// evalBatch is how many images are evaluated at a time. It does not touch the result.
const evalBatch = 32

// NewPlan applies the rule, as changed by cfg, to a data set. It decodes a few training images to learn their size,
// unless cfg sets Resize and Crop.
func NewPlan(ds *data.Dataset, cfg Config) (Plan, error) {
	switch {
	case len(ds.Train) == 0:
		return Plan{}, fmt.Errorf("transfer: %w in the training split", data.ErrNoImages)
	case len(ds.Classes) < 2:
		return Plan{}, fmt.Errorf("transfer: expected at least 2 classes to tell apart, found %q", ds.Classes)
	case cfg.Steps < 0 || cfg.Batch < 0 || cfg.LearningRate < 0 || cfg.Resize < 0 || cfg.Crop < 0:
		return Plan{}, fmt.Errorf("transfer: %d steps, batch %d, learning rate %v, resize %d, crop %d: none may be negative", cfg.Steps, cfg.Batch, cfg.LearningRate, cfg.Resize, cfg.Crop)
	case (cfg.Resize == 0) != (cfg.Crop == 0) || cfg.Crop > cfg.Resize:
		return Plan{}, fmt.Errorf("transfer: resize to %d and crop to %d, want both or none, and a crop that fits", cfg.Resize, cfg.Crop)
	}
	size := SizeOf(len(ds.Train))
	p := Plan{
		Examples: len(ds.Train), Resize: cfg.Resize, Crop: cfg.Crop,
		Schedule: size.Schedule(cfg.Steps), Batch: cfg.Batch, LearningRate: cfg.LearningRate, MixupAlpha: cfg.MixupAlpha,
	}
	if p.Batch == 0 {
		p.Batch = BaseBatch
	}
	if p.LearningRate == 0 {
		p.LearningRate = BaseLearningRate * float64(p.Batch) / BaseBatch
	}
	if p.MixupAlpha == 0 {
		p.MixupAlpha = size.Mixup()
	}
	p.MixupAlpha = max(0, p.MixupAlpha)
	if p.Crop == 0 {
		var err error
		if p.Height, p.Width, err = typicalSize(ds); err != nil {
			return Plan{}, err
		}
		p.Resize, p.Crop = Resolution(p.Height, p.Width)
	}
	return p, nil
}

func (p Plan) config(ds *data.Dataset, cfg Config) train.Config {
	pipeline := batch.Pipeline{batch.Resize{Size: p.Resize}, batch.RandomCrop{Size: p.Crop}}
	if !cfg.NoFlip {
		pipeline = append(pipeline, batch.FlipLR{})
	}
	return train.Config{
		SGD:      train.SGD{Momentum: Momentum},
		Schedule: p.Schedule,
		Rate:     p.LearningRate,
		Data: batch.TrainConfig{
			Source: ds.Source, Examples: ds.Train, Pipeline: pipeline,
			Batch: p.Batch, MicroBatch: cfg.MicroBatch, MixupAlpha: p.MixupAlpha, Seed: cfg.Seed, Workers: cfg.Threads,
		},
		Options: cfg.Options,
	}
}

// probes is how many training images are looked at to learn the resolution of a data set.
const probes = 32

// typicalSize returns the height and width of the image with the median area among some training images, evenly spread
// over the list. Known data sets have one nominal resolution; in a folder of photographs every file has its own.
func typicalSize(ds *data.Dataset) (height, width int, err error) {
	type size struct{ h, w int }
	var sizes []size
	n := min(probes, len(ds.Train))
	for i := range n {
		e := ds.Train[i*len(ds.Train)/n]
		img, failed := ds.Image(e)
		if broken, ok := errors.AsType[*data.BrokenError](failed); ok {
			err = fmt.Errorf("%s: %w", e.Path, broken)
			continue // the loader skips it too
		}
		if failed != nil {
			return 0, 0, failed
		}
		sizes = append(sizes, size{img.H, img.W})
	}
	if len(sizes) == 0 {
		return 0, 0, fmt.Errorf("transfer: none of %d training images could be decoded: %w", n, err)
	}
	slices.SortStableFunc(sizes, func(a, b size) int { return a.h*a.w - b.h*b.w })
	median := sizes[len(sizes)/2]
	return median.h, median.w, nil
}
