package pretrain

import (
	"context"
	"fmt"
	"math/rand/v2"

	"github.com/bigtransfer/bit/batch"
	"github.com/bigtransfer/bit/data"
	"github.com/bigtransfer/bit/resnet"
	"github.com/bigtransfer/bit/train"
)

// Options say how to run a recipe.
type Options struct {
	Seed       uint64 // of the first weights, the order of images and their augmentation
	MicroBatch int    // most images in memory at once; 0: the whole batch

	// EvaluateEvery of the embedded options counts steps; 0 here means once an epoch.
	train.Options
}

// Run draws fresh weights for net and trains it on ds.Train by the recipe, evaluating on ds.EvalSplit, or resumes the
// run in opt.Dir. net must have as many classes as ds. When Run returns no error, net holds the final weights.
func Run(ctx context.Context, net *resnet.Network, ds *data.Dataset, r Recipe, opt Options) (train.Result, error) {
	cfg, err := r.config(net, ds, opt)
	if err != nil {
		return train.Result{}, err
	}
	net.Init(rand.New(rand.NewPCG(opt.Seed, weightStream)))
	return train.Run(ctx, net, cfg)
}

// weightStream keeps the random numbers of the first weights apart from all others of the same seed.
const weightStream = 0x7765696768747300 // "weights"

func (r Recipe) config(net *resnet.Network, ds *data.Dataset, opt Options) (train.Config, error) {
	if len(ds.Train) == 0 {
		return train.Config{}, fmt.Errorf("pretrain: %w in the training split", data.ErrNoImages)
	}
	if net.Classes != len(ds.Classes) {
		return train.Config{}, fmt.Errorf("pretrain: the network has %d classes, the data set %d", net.Classes, len(ds.Classes))
	}
	if r.Epochs < 1 || r.Batch < 1 {
		return train.Config{}, fmt.Errorf("pretrain: a recipe of %d epochs in batches of %d, want at least 1 of each", r.Epochs, r.Batch)
	}
	if r.Loss == train.Softmax && len(ds.Classes) < 2 {
		return train.Config{}, fmt.Errorf("pretrain: expected at least 2 classes to tell apart, found %q", ds.Classes)
	}
	if r.Steps(len(ds.Train)) < 1 {
		return train.Config{}, fmt.Errorf("pretrain: %d epochs of %d images in batches of %d, want at least one step", r.Epochs, len(ds.Train), r.Batch)
	}
	cfg := train.Config{
		SGD:       train.SGD{Momentum: r.Momentum, WeightDecay: r.WeightDecay, ClipNorm: r.ClipNorm, EMA: r.EMA},
		Schedule:  r.Schedule(len(ds.Train)),
		Rate:      r.PeakRate,
		Loss:      r.Loss,
		Smoothing: r.Smoothing,
		Data: batch.TrainConfig{
			Source: ds.Source, Examples: ds.Train, Pipeline: r.Pipeline(),
			Batch: r.Batch, MicroBatch: opt.MicroBatch, Seed: opt.Seed, Workers: opt.Threads,
		},
		Options: opt.Options,
	}
	if cfg.EvaluateEvery == 0 {
		cfg.EvaluateEvery = max(1, r.stepAt(1, len(ds.Train)))
	}
	if len(ds.Val) > 0 || len(ds.Test) > 0 {
		split, examples := ds.EvalSplit()
		cfg.Split = split
		cfg.Eval = batch.EvalConfig{Source: ds.Source, Examples: examples, Processor: r.Processor(), Batch: evalBatch, Workers: opt.Threads}
	}
	return cfg, nil
}

// evalBatch is how many images are evaluated at a time. It does not touch the result.
const evalBatch = 64
