package train

import (
	"errors"
	"math"

	"github.com/bigtransfer/bit/eval"
	"github.com/bigtransfer/bit/internal/tensorboard"
)

// recorder writes a run's course down, where its options ask for it. A nil part does nothing.
type recorder struct {
	split   string
	history *historyWriter
	events  *tensorboard.Writer
}

// openRecorder opens what the options ask for, for a run that stands at a position.
func openRecorder(o Options, split string, at position) (*recorder, error) {
	r := &recorder{split: split}
	var err error
	if o.History != "" {
		if r.history, err = openHistory(o.History, split, at); err != nil {
			return nil, err
		}
	}
	if o.Events != "" {
		next := 0 // of a new run even step 0
		if at.Step > 0 {
			next = at.Step + 1
		}
		if r.events, err = tensorboard.Create(o.Events, next); err != nil {
			return nil, errors.Join(err, r.close())
		}
	}
	return r, nil
}

func (r *recorder) step(s StepRecord) error {
	if r.history != nil {
		if err := r.history.step(s); err != nil {
			return err
		}
	}
	if r.events == nil {
		return nil
	}
	return r.events.Add(s.Step,
		tensorboard.Scalar{Tag: "train/loss", Value: s.Loss}, tensorboard.Scalar{Tag: "train/accuracy", Value: s.Accuracy},
		tensorboard.Scalar{Tag: "train/learning_rate", Value: s.Rate}, tensorboard.Scalar{Tag: "train/images_per_second", Value: s.ImagesPerSecond})
}

// evaluation records an evaluation, unless its loss is no number, which JSON has no way to say.
func (r *recorder) evaluation(step int, e eval.Result) error {
	if math.IsNaN(e.Loss) || math.IsInf(e.Loss, 0) {
		return nil
	}
	if r.history != nil {
		if err := r.history.evaluation(step, r.split, e); err != nil {
			return err
		}
	}
	if r.events == nil {
		return nil
	}
	return r.events.Add(step, tensorboard.Scalar{Tag: r.split + "/top1", Value: e.Top1},
		tensorboard.Scalar{Tag: r.split + "/top5", Value: e.Top5}, tensorboard.Scalar{Tag: r.split + "/loss", Value: e.Loss})
}

// flush writes out what is kept back, so that a checkpoint is never ahead of it.
func (r *recorder) flush() error {
	if r.history != nil {
		if err := r.history.flush(); err != nil {
			return err
		}
	}
	if r.events != nil {
		return r.events.Flush()
	}
	return nil
}

func (r *recorder) close() error {
	var failed []error
	if r.history != nil {
		failed = append(failed, r.history.close())
	}
	if r.events != nil {
		failed = append(failed, r.events.Close())
	}
	return errors.Join(failed...)
}
