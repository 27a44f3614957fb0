package transfer

import (
	"errors"
	"fmt"
	"slices"

	"github.com/bigtransfer/bit/batch"
	"github.com/bigtransfer/bit/data"
	"github.com/bigtransfer/bit/imaging"
	"github.com/bigtransfer/bit/resnet"
	"github.com/bigtransfer/bit/train"
)

// Plan is the rule, as changed by a Config, applied to a network and a data set: every number of a run.
type Plan struct {
	Examples     int             `json:"examples"` // training images
	Height       int             `json:"height"`   // in pixels, of a typical training image
	Width        int             `json:"width"`
	Size         Size            `json:"-"`
	Framing      Framing         `json:"framing"`
	Resize       int             `json:"resize"`
	Crop         int             `json:"crop"`
	Augmentation batch.Pipeline  `json:"augmentation"`
	Schedule     train.Staircase `json:"schedule"`
	Batch        int             `json:"batch"`
	LearningRate float64         `json:"learning_rate"`
	MixupAlpha   float64         `json:"mixup"`
	Loss         train.Loss      `json:"loss"`
	Frozen       resnet.Frozen   `json:"frozen"`
	Trained      int             `json:"trained_parameters"`
	Sampling     batch.Sampling  `json:"sampling"`
	ClassWeights []float32       `json:"class_weights,omitempty"` // normalised; nil for none

	EvaluateEvery int  `json:"evaluate_every"` // steps between evaluations; 0 for only at the end
	KeepBest      bool `json:"keep_best"`      // the weights of the best evaluation are the final ones: on the validation split
	Patience      int  `json:"patience"`

	Memory train.MemoryPlan `json:"memory"`
}

// evaluations is how often a run with a validation split is evaluated unless its Config says otherwise.
const evaluations = 10

// NewPlan applies the rule, as changed by cfg, to a network, whose classes do not matter, and a data set. It decodes a few
// training images to learn their size.
func NewPlan(net resnet.Config, ds *data.Dataset, cfg Config) (Plan, error) {
	least := 2
	if ds.MultiLabel { // one class is a question with two answers
		least = 1
	}
	switch {
	case len(ds.Train) == 0:
		return Plan{}, fmt.Errorf("transfer: %w in the training split", data.ErrNoImages)
	case len(ds.Classes) < least:
		return Plan{}, fmt.Errorf("transfer: expected at least 2 classes to tell apart, found %q", ds.Classes)
	case cfg.Steps < 0 || cfg.Batch < 0 || !(cfg.LearningRate >= 0) || cfg.Resize < 0 || cfg.Crop < 0:
		return Plan{}, fmt.Errorf("transfer: %d steps, batch %d, learning rate %v, resize %d, crop %d: none may be negative", cfg.Steps, cfg.Batch, cfg.LearningRate, cfg.Resize, cfg.Crop)
	case cfg.Crop == 0 && cfg.Resize != 0 || cfg.Resize != 0 && cfg.Crop > cfg.Resize:
		return Plan{}, fmt.Errorf("transfer: resize to %d and crop to %d, want a crop that fits", cfg.Resize, cfg.Crop)
	case cfg.Patience > 0 && len(ds.Val) == 0:
		return Plan{}, errors.New("transfer: patience needs a validation split: the test split is never used to choose")
	}
	size := SizeOf(len(ds.Train))
	p := Plan{
		Examples: len(ds.Train), Size: size, Framing: cfg.Framing, Resize: cfg.Resize, Crop: cfg.Crop,
		Schedule: size.Schedule(cfg.Steps), Batch: cfg.Batch, LearningRate: cfg.LearningRate, MixupAlpha: cfg.MixupAlpha,
		Frozen: cfg.Frozen, Sampling: cfg.Sampling, Patience: cfg.Patience,
		EvaluateEvery: cfg.EvaluateEvery, KeepBest: len(ds.Val) > 0,
	}
	if ds.MultiLabel {
		p.Loss = train.Sigmoid
	}
	if p.KeepBest && p.EvaluateEvery == 0 {
		p.EvaluateEvery = max(1, p.Schedule.Total/evaluations)
	}
	if p.Batch == 0 {
		p.Batch = cfg.Preset.batch()
	}
	if p.LearningRate == 0 {
		p.LearningRate = cfg.Preset.rate(p.Batch)
	}
	if p.MixupAlpha == 0 {
		p.MixupAlpha = size.Mixup()
	}
	p.MixupAlpha = max(0, p.MixupAlpha)
	var err error
	if p.Height, p.Width, err = typicalSize(ds); err != nil {
		return Plan{}, err
	}
	if p.Crop == 0 {
		p.Resize, p.Crop = cfg.Preset.resolution(p.Height, p.Width, cfg.PretrainedSide)
	} else if p.Resize == 0 {
		p.Resize = ResizeFor(p.Crop)
	}
	p.Augmentation = p.Framing.pipeline(p.Resize, p.Crop)
	if !cfg.NoFlip {
		p.Augmentation = append(p.Augmentation, batch.FlipLR{})
	}
	if cfg.ClassWeights != nil {
		if p.ClassWeights, err = normalised(cfg.ClassWeights, ds); err != nil {
			return Plan{}, err
		}
	}
	net.Classes = len(ds.Classes)
	p.Trained = net.NumTrained(p.Frozen)
	p.Memory, err = train.PlanMemory(train.MemoryRequest{
		Network: net, Frozen: p.Frozen, Side: p.Crop, Batch: p.Batch, Budget: cfg.Memory, MicroBatch: cfg.MicroBatch, Cache: cfg.CacheBytes,
		Extra: 4 * int64(p.Trained+net.NumParams()), // momentum, and the model as it was
	})
	return p, err
}

// config returns the training that the plan describes.
func (p Plan) config(ds *data.Dataset, cfg Config) train.Config {
	c := train.Config{
		SGD:          train.SGD{Momentum: Momentum},
		Schedule:     p.Schedule,
		Rate:         p.LearningRate,
		Loss:         p.Loss,
		ClassWeights: p.ClassWeights,
		Frozen:       p.Frozen,
		KeepBest:     p.KeepBest,
		Patience:     p.Patience,
		Data: batch.TrainConfig{
			Source: ds.Source, Examples: ds.Train, Pipeline: p.Augmentation, Sampling: p.Sampling,
			Batch: p.Batch, MicroBatch: p.Memory.MicroBatch, MixupAlpha: p.MixupAlpha, Seed: cfg.Seed, Workers: cfg.Threads,
			Normalizer: p.processor(cfg).Normalizer(),
		},
		Options: cfg.Options,
	}
	if ds.MultiLabel {
		c.Data.Classes = len(ds.Classes)
	}
	c.EvaluateEvery, c.CacheBytes, c.Recompute = p.EvaluateEvery, p.Memory.Cache, p.Memory.Recompute
	return c
}

// processor returns what prepares images for the network after training, and in evaluations.
func (p Plan) processor(cfg Config) *imaging.Processor {
	r := p.Framing.processor(p.Resize, p.Crop)
	if cfg.Std != [3]float64{} {
		r.Mean, r.Std = cfg.Mean, cfg.Std
	}
	return r
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
