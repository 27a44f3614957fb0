package train

import (
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/bigtransfer/bit/batch"
	"github.com/bigtransfer/bit/data"
	"github.com/bigtransfer/bit/eval"
	"github.com/bigtransfer/bit/resnet"
)

// Loss selects the loss function.
type Loss int

// The losses: one class per image (BiT-S, every fine-tuning), or every class a question of its own (BiT-M, BiT-L).
const (
	Softmax Loss = iota
	Sigmoid
)

func (l Loss) String() string {
	if l == Sigmoid {
		return "sigmoid"
	}
	return "softmax"
}

// MarshalText writes the loss's name.
func (l Loss) MarshalText() ([]byte, error) { return []byte(l.String()), nil }

// Config says what to train. Schedule, Rate and Data must be set.
type Config struct {
	SGD
	Schedule  Schedule
	Rate      float64 // peak learning rate
	Loss      Loss
	Smoothing float64 // label smoothing, 0 for none

	// ClassWeights [classes] are the weights of the classes in the loss; nil for 1 each. The loss of an evaluation is not
	// weighted.
	ClassWeights []float32
	// Frozen parameters stay as they are.
	Frozen resnet.Frozen

	// Data says how to make batches; Run sets its Start and Cache. With Data.Classes set, an image can have several labels;
	// the loss must then be Sigmoid. With micro-batches, the gradients of a batch are
	// accumulated, each image weighted by 1/Data.Batch: the gradient of the whole batch up to the rounding of sums.
	Data batch.TrainConfig
	// Eval says what to evaluate on, at the end and every Options.EvaluateEvery steps. Without examples: never.
	Eval batch.EvalConfig
	// Split names what Eval is of, in histories; "val" by default.
	Split string
	// KeepBest makes the weights of the best evaluation the final ones: the one of the highest top-1, of those the one of
	// the lowest loss, of those the first. Of images with several labels it is the one of the lowest loss.
	KeepBest bool
	// Patience ends the run after so many evaluations in a row that were not the best; 0: never.
	Patience int

	Options
}

// Options say how a run goes about its work. They do not touch the result, but for EvaluateEvery where Config asks for the
// best evaluation. The zero value is a sound choice.
type Options struct {
	Threads    int   // 0: one per CPU
	CacheBytes int64 // memory for decoded pictures; 0: 1 GiB, negative: none

	Recompute resnet.Recompute // what to compute again in the backward pass, to save memory

	EvaluateEvery int // steps between evaluations; 0: only at the end

	Dir       string        // where checkpoints are kept and resumed from; "" for none
	SaveEvery time.Duration // between checkpoints; 0: five minutes. Each evaluation is followed by one too

	History string // file for a line of JSON after each step and evaluation: see History; "" for none
	Events  string // folder for TensorBoard's event files; "" for none

	OnStep     func(Progress)                // called after every step; nil for none
	OnEvaluate func(step int, r eval.Result) // called after every evaluation; nil for none
}

const (
	// defaultSaveEvery bounds the work that a kill can cost, at a negligible price for writing.
	defaultSaveEvery = 5 * time.Minute

	defaultCacheBytes = 1 << 30
)

// Progress is the state of a run after a step.
type Progress struct {
	Step, Total     int           // steps done and to be done
	StepLoss        float64       // mean loss of this step's batch
	Loss, Accuracy  float64       // running means over the last fifty steps or so; Accuracy is top-1 in [0, 1] on augmented images
	LearningRate    float64       // of this step
	GradientNorm    float64       // of this step, before clipping
	ImagesPerSecond float64       // running mean, without evaluations
	Remaining       time.Duration // at that speed, and with evaluations as long as the last one
	Waiting         float64       // share of the time of all steps of this process that passed waiting for data
}

// Result is the outcome of a finished run.
type Result struct {
	Steps    int            // optimiser steps of the whole run
	Stopped  bool           // by Config.Patience, before the schedule's end
	Eval     eval.Result    // of the final weights; zero without Config.Eval
	Best     eval.Result    // the best evaluation
	BestStep int            // the step after which it was taken; -1 for none
	Skipped  []data.Skipped // pictures that could not be decoded
}

// DivergedError says that the loss or the gradient stopped being a number. The weights are those from before the step.
type DivergedError struct {
	Step         int // counted from 0
	Loss         float64
	GradientNorm float64
}

func (e *DivergedError) Error() string {
	return fmt.Sprintf("training diverged at step %d: loss %v, gradient norm %v; try a lower learning rate, a longer warm-up or gradient clipping", e.Step, e.Loss, e.GradientNorm)
}

// InterruptedError says that the context was cancelled after a number of whole steps. If Dir is not empty and Unsaved is
// nil, the run was saved there, and the same call resumes it. It unwraps to the cause of the cancellation and to Unsaved.
type InterruptedError struct {
	Step, Total int
	Dir         string
	Unsaved     error // why the run could not be saved
	Cause       error
}

func (e *InterruptedError) Error() string {
	switch {
	case e.Unsaved != nil:
		return fmt.Sprintf("interrupted after step %d of %d: %v", e.Step, e.Total, e.Unsaved)
	case e.Dir == "":
		return fmt.Sprintf("interrupted after step %d of %d, nothing saved", e.Step, e.Total)
	}
	return fmt.Sprintf("interrupted after step %d of %d, saved in %s", e.Step, e.Total, e.Dir)
}

func (e *InterruptedError) Unwrap() []error {
	if e.Unsaved != nil {
		return []error{e.Cause, e.Unsaved}
	}
	return []error{e.Cause}
}

// check reports the first setting that makes no sense.
func (c Config) check(net *resnet.Network) error {
	switch {
	case c.Schedule == nil || c.Schedule.Steps() < 0:
		return errors.New("train: a schedule of at least 0 steps is needed")
	case !(c.Rate >= 0) || math.IsInf(c.Rate, 0):
		return fmt.Errorf("train: learning rate %v, want a finite number of at least 0", c.Rate)
	case !(c.Momentum >= 0 && c.Momentum < 1):
		return fmt.Errorf("train: momentum %v, want [0, 1)", c.Momentum)
	case !(c.EMA >= 0 && c.EMA < 1):
		return fmt.Errorf("train: EMA decay %v, want [0, 1)", c.EMA)
	case !(c.Smoothing >= 0 && c.Smoothing < 1):
		return fmt.Errorf("train: label smoothing %v, want [0, 1)", c.Smoothing)
	case !(c.WeightDecay >= 0) || !(c.ClipNorm >= 0):
		return fmt.Errorf("train: weight decay %v and clip norm %v, want at least 0", c.WeightDecay, c.ClipNorm)
	case c.EvaluateEvery < 0:
		return fmt.Errorf("train: evaluation every %d steps, want at least 1, or 0 for only at the end", c.EvaluateEvery)
	case c.Patience < 0:
		return fmt.Errorf("train: patience of %d evaluations, want at least 1, or 0 for no early stop", c.Patience)
	case (c.Patience > 0 || c.KeepBest) && len(c.Eval.Examples) == 0:
		return errors.New("train: the best weights are to be found, and there is nothing to evaluate on")
	case c.Data.Classes != 0 && (c.Data.Classes != net.Classes || c.Loss != Sigmoid):
		return fmt.Errorf("train: several labels an image, of %d classes, with %v loss: want the network's %d classes and sigmoid loss", c.Data.Classes, c.Loss, net.Classes)
	case c.ClassWeights != nil && len(c.ClassWeights) != net.Classes:
		return fmt.Errorf("train: %d class weights, want one for each of the network's %d classes", len(c.ClassWeights), net.Classes)
	}
	for k, w := range c.ClassWeights {
		if !(w >= 0) || math.IsInf(float64(w), 0) {
			return fmt.Errorf("train: the weight of class %d is %v, want a finite number of at least 0", k, w)
		}
	}
	for _, list := range [][]data.Example{c.Data.Examples, c.Eval.Examples} {
		for _, e := range list {
			for _, label := range e.Labels {
				if label < 0 || int(label) >= net.Classes {
					return fmt.Errorf("train: %s has the label %d, want one below the network's %d classes", e.Path, label, net.Classes)
				}
			}
			if c.Data.Classes != 0 && e.Label == data.NoLabel {
				continue
			}
			if e.Label < 0 || e.Label >= net.Classes {
				return fmt.Errorf("train: %s has the label %d, want one below the network's %d classes", e.Path, e.Label, net.Classes)
			}
		}
	}
	return nil
}
