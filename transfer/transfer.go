package transfer

import (
	"context"
	"fmt"

	"github.com/bigtransfer/bit/batch"
	"github.com/bigtransfer/bit/data"
	"github.com/bigtransfer/bit/eval"
	"github.com/bigtransfer/bit/imaging"
	"github.com/bigtransfer/bit/internal/par"
	"github.com/bigtransfer/bit/resnet"
	"github.com/bigtransfer/bit/train"
)

// Config departs from BiT-HyperRule. Its zero value is the rule: 0 in any field means what the rule, or the preset, says.
type Config struct {
	Preset       Preset
	Steps        int     // length of training; warm-up and drops keep their share of it
	Batch        int     // images per step; BaseBatch
	LearningRate float64 // after warm-up; BaseLearningRate·Batch/BaseBatch
	Framing      Framing // how pictures of any shape become squares
	Resize, Crop int     // side of training images before and after the random crop, and Crop of evaluation images; Resolution's. For a Crop alone ResizeFor
	MixupAlpha   float64 // MixupAlpha for tasks that are not Small; negative for none
	NoFlip       bool    // do not mirror images: for digits, text and whatever else has a left and a right
	Seed         uint64  // of the order of images, their augmentation and mixup

	// Frozen parts of the network are not trained, which saves time and memory.
	Frozen resnet.Frozen
	// Sampling is how often training sees each class.
	Sampling batch.Sampling
	// ClassWeights, by the data set's classes, are the classes' weights in the loss; nil for none. They are scaled to a mean
	// of 1 over the labels of all training images. See BalancedWeights.
	ClassWeights []float64
	// Patience ends training after so many evaluations in a row on the validation split that were not the best; 0: never.
	Patience int

	// MicroBatch is the most images in memory at once; 0 for what Memory holds. Memory is the bytes that the whole run may
	// take; 0 for 4 GiB of activations and what the rest needs. Both change how sums are rounded, and nothing else.
	MicroBatch int
	Memory     int64

	// PretrainedSide is the side in pixels of the images that the network knows, for Lite; 0 for UpstreamSide.
	PretrainedSide int
	// Mean and Std, per channel, of the pixel values that the network expects, in units of 255; 0.5 each, which is [-1, 1].
	Mean, Std [3]float64

	// OnJudge is called before the test split is looked at, once, after training on a data set with a validation split.
	OnJudge func(split string, images int)

	// Options.EvaluateEvery is a tenth of the run if there is a validation split.
	train.Options
}

// Result is the outcome of fine-tuning.
type Result struct {
	// Result is that of training, but for Eval, which is of the final weights on Split.
	train.Result
	Split      string             // by which the model is judged, see data.Dataset.EvalSplit; "" if the data set has no split for that
	MultiLabel *eval.MultiLabel   // what else Split says, if images have several labels
	Val        eval.Result        // of the final weights on the validation split, by which they were chosen; zero without one
	Processor  *imaging.Processor // prepares images for the fine-tuned network
	Plan       Plan
}

// FineTune gives net a new head with a class for each of ds.Classes, of zeros, and trains its parameters on ds.Train by
// BiT-HyperRule as changed by cfg. With a validation split, the weights that are best on it become the final ones; they
// are then judged by ds.EvalSplit, which has no part in the choice if there is a test split. If cfg.Dir holds a checkpoint of
// the same run, it is resumed; net must then hold the same weights as at first.
//
// If ds.MultiLabel, each class is a question of its own, with the sigmoid loss, and the head's bias begins at the classes'
// frequencies.
//
// The errors for interruption, divergence and a foreign checkpoint are those of train.Run.
func FineTune(ctx context.Context, net *resnet.Network, ds *data.Dataset, cfg Config) (Result, error) {
	plan, err := NewPlan(net.Config, ds, cfg)
	if err != nil {
		return Result{}, err
	}
	r := Result{Plan: plan, Processor: plan.processor(cfg)}
	c := plan.config(ds, cfg)
	judged := batch.EvalConfig{Source: ds.Source, Processor: r.Processor, Batch: min(evalBatch, plan.Memory.MicroBatch), Workers: cfg.Threads}
	if len(ds.Val) > 0 || len(ds.Test) > 0 {
		r.Split, judged.Examples = ds.EvalSplit()
	}
	c.Eval, c.Split = judged, r.Split
	if len(ds.Val) > 0 {
		c.Eval.Examples, c.Split = ds.Val, valSplit
	}
	net.NewHead(len(ds.Classes))
	if ds.MultiLabel {
		copy(net.Param(resnet.HeadBias).Value, priorBias(ds))
	}
	if r.Result, err = train.Run(ctx, net, c); err != nil {
		return r, err
	}
	if len(ds.Val) > 0 {
		r.Val = r.Eval
	}
	if r.Split != c.Split || ds.MultiLabel && r.Split != "" {
		if cfg.OnJudge != nil {
			cfg.OnJudge(r.Split, len(judged.Examples))
		}
		err = r.judge(ctx, net, ds, judged, c)
	}
	return r, err
}

// evalBatch is how many images are evaluated at a time. It does not touch the result.
const evalBatch = 32

// valSplit is the validation split's name.
const valSplit = "val"

// judge measures the final weights on the split by which they are judged.
func (r *Result) judge(ctx context.Context, net *resnet.Network, ds *data.Dataset, on batch.EvalConfig, c train.Config) error {
	pool := par.New(c.Threads)
	defer pool.Close()
	var m eval.Metrics
	var skipped []data.Skipped
	var err error
	if ds.MultiLabel {
		m, skipped, err = eval.MultiLabelNetwork(ctx, net, pool, on)
	} else {
		m.Result, skipped, err = eval.Network(ctx, net, pool, on)
	}
	if err != nil && ctx.Err() != nil {
		return &train.InterruptedError{Step: r.Steps, Total: c.Schedule.Steps(), Dir: c.Dir, Cause: context.Cause(ctx)}
	}
	if err != nil {
		return fmt.Errorf("the %s split: %w", r.Split, err)
	}
	r.Eval, r.MultiLabel = m.Result, m.MultiLabel
	if r.Split == c.Split { // recorded, and its skipped pictures listed, by the run
		return nil
	}
	r.Skipped = append(r.Skipped, skipped...)
	if c.History == "" {
		return nil
	}
	err = train.AppendEvaluation(c.History, train.EvaluationRecord{Step: r.Steps, Split: r.Split, Top1: m.Top1, Top5: m.Top5, Loss: m.Loss})
	return err
}
