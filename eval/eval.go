// Package eval measures a classifier on a whole split: mean cross-entropy, top-1 and top-5 in a [Result], and everything
// that its logits say in [Metrics].
package eval

import (
	"context"
	"fmt"
	"io"
	"math"

	"github.com/bigtransfer/bit/batch"
	"github.com/bigtransfer/bit/data"
	"github.com/bigtransfer/bit/internal/par"
	"github.com/bigtransfer/bit/resnet"
)

// Result is what a split says about a model. Every image counts exactly once, whatever the batches were.
type Result struct {
	Top1   float64 `json:"top1"` // fraction in [0, 1] of images whose largest logit is their label
	Top5   float64 `json:"top5"` // fraction of images whose label is among the five largest logits
	Loss   float64 `json:"loss"` // mean softmax cross-entropy, in nats
	Images int     `json:"images"`
}

// Predictor computes logits, dst [N, classes], of x [N, H, W, C]. resnet.Predictor is one.
type Predictor interface {
	Logits(dst, x []float32, n, h, w int) error
}

// Network measures net on all examples of cfg and lists the pictures that could not be decoded, which do not count.
func Network(ctx context.Context, net *resnet.Network, pool *par.Pool, cfg batch.EvalConfig) (Result, []data.Skipped, error) {
	loader, err := batch.NewEvalLoader(cfg)
	if err != nil {
		return Result{}, nil, err
	}
	defer loader.Close()
	r, err := Run(ctx, net.NewPredictor(pool), net.Classes, loader)
	return r, loader.Skipped(), err
}

// MultiLabelNetwork is Network for images that have any number of labels: see MeasureMultiLabel.
func MultiLabelNetwork(ctx context.Context, net *resnet.Network, pool *par.Pool, cfg batch.EvalConfig) (Metrics, []data.Skipped, error) {
	loader, err := batch.NewEvalLoader(cfg)
	if err != nil {
		return Metrics{}, nil, err
	}
	defer loader.Close()
	var all []float32
	var labels [][]int32
	err = Each(ctx, net.NewPredictor(pool), net.Classes, loader, func(b *batch.Batch, logits []float32) error {
		all = append(all, logits...)
		for _, index := range b.Index {
			labels = append(labels, cfg.Examples[index].Labels)
		}
		return nil
	})
	if err != nil {
		return Metrics{}, loader.Skipped(), err
	}
	m, err := MeasureMultiLabel(all, labels, net.Classes)
	return m, loader.Skipped(), err
}

// Run measures p, a model of the given number of classes, on all that the loader delivers. Its errors are those of Each.
func Run(ctx context.Context, p Predictor, classes int, loader *batch.Loader) (Result, error) {
	var t Tally
	err := Each(ctx, p, classes, loader, func(b *batch.Batch, logits []float32) error { return t.Add(logits, b.Labels, classes) })
	if err != nil {
		return Result{}, err
	}
	return t.Result(), nil
}

// Each runs p, a model of the given number of classes, on all that the loader delivers and hands each batch over with its
// logits [N, classes], which are valid until each returns. It stops early when ctx is cancelled; if no image could be
// decoded, the error wraps data.ErrNoImages. The caller closes the loader, whose Skipped lists the files that could not be
// decoded and are left out.
func Each(ctx context.Context, p Predictor, classes int, loader *batch.Loader, each func(b *batch.Batch, logits []float32) error) error {
	var logits []float32
	none := true
	for {
		b, err := loader.Next(ctx)
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
		none = false
		if n := b.N * classes; cap(logits) < n {
			logits = make([]float32, n)
		}
		logits = logits[:b.N*classes]
		if err := p.Logits(logits, b.X, b.N, b.H, b.W); err != nil {
			return err
		}
		if err := each(b, logits); err != nil {
			return err
		}
	}
	if none {
		return fmt.Errorf("evaluation: %w that can be decoded", data.ErrNoImages)
	}
	return nil
}

// Tally collects results batch by batch. The zero value is empty.
type Tally struct {
	images, top1, top5 int
	loss               float64
}

// Add counts a batch: logits [N, classes], labels [N].
func (t *Tally) Add(logits []float32, labels []int32, classes int) error {
	if len(logits) != len(labels)*classes {
		return fmt.Errorf("eval: %d logits for %d images of %d classes", len(logits), len(labels), classes)
	}
	for i, label := range labels {
		if label < 0 || int(label) >= classes {
			return fmt.Errorf("eval: label %d, want one below the model's %d classes", label, classes)
		}
		z := logits[i*classes:][:classes]
		rank := rank(z, int(label))
		if rank < 1 {
			t.top1++
		}
		if rank < 5 {
			t.top5++
		}
		t.loss += crossEntropy(z, int(label), 1)
		t.images++
	}
	return nil
}

// Result returns the means over all images so far; they are NaN when there are none.
func (t *Tally) Result() Result {
	n := float64(t.images)
	return Result{Top1: float64(t.top1) / n, Top5: float64(t.top5) / n, Loss: t.loss / n, Images: t.images}
}

// rank returns how many classes are ahead of the label: those of a larger logit and, so that a tie has one outcome,
// those of an equal logit and a lower index. A NaN is ahead of every number, and a label whose own logit is NaN is last:
// a broken model scores no hits.
func rank(z []float32, label int) int {
	own := z[label]
	ahead := 0
	for k, v := range z {
		if k != label && !(v < own) && !(v == own && k > label) {
			ahead++
		}
	}
	if own != own {
		return len(z)
	}
	return ahead
}

// crossEntropy returns log Σ exp(z/t) − z[label]/t: not −log of a softmax, which is infinite where that is too small for a
// float.
func crossEntropy(z []float32, label int, t float64) float64 {
	top := z[0]
	for _, v := range z {
		top = max(top, v) // keeps NaN
	}
	sum := 0.0
	for _, v := range z {
		sum += math.Exp((float64(v) - float64(top)) / t)
	}
	return math.Log(sum) + (float64(top)-float64(z[label]))/t
}
