package bit

import (
	"context"
	"fmt"

	"github.com/bigtransfer/bit/batch"
	"github.com/bigtransfer/bit/data"
	"github.com/bigtransfer/bit/eval"
)

// EvaluateOptions say how Evaluate works. The zero value is a sound choice.
type EvaluateOptions struct {
	Batch      int            // pictures per pass of the network; 0 for 32. It changes the speed, not the result
	Workers    int            // goroutines that decode and prepare; 0 for one per CPU
	OnProgress func(done int) // called after every pass with the number of pictures so far; nil for none
}

// Evaluate measures the model on examples of ds, whose labels must be numbered as the model's outputs: see
// [data.Dataset.Relabel]. It also returns the pictures that could not be decoded, which do not count. The classes of the
// metrics have the model's names.
func (m *Classifier) Evaluate(ctx context.Context, ds *data.Dataset, examples []data.Example, o EvaluateOptions) (eval.Metrics, []data.Skipped, error) {
	var metrics eval.Metrics
	var skipped []data.Skipped
	var err error
	if ds.MultiLabel {
		var out DataLogits
		out, err = m.LogitsOf(ctx, ds, examples, o)
		if skipped = out.Skipped; err == nil {
			labels := make([][]int32, len(out.Index))
			for i, at := range out.Index {
				labels[i] = examples[at].Labels
			}
			metrics, err = eval.MeasureMultiLabel(out.Logits, labels, m.net.Classes)
		}
	} else {
		l := eval.NewLedger(m.net.Classes, m.calibration)
		skipped, err = m.each(ctx, ds, examples, o, func(b *batch.Batch, logits []float32) error { return l.Add(logits, b.Labels, b.Index) })
		if err == nil {
			metrics = l.Metrics()
		}
	}
	if err == nil && metrics.Loss-metrics.Loss != 0 {
		err = ErrNotFinite
	}
	if err != nil {
		return eval.Metrics{}, skipped, err
	}
	for i := range metrics.Classes {
		metrics.Classes[i].Label = m.Label(metrics.Classes[i].Index)
	}
	return metrics, skipped, nil
}

// DataLogits are the network's outputs for pictures of a data set.
type DataLogits struct {
	Logits  []float32      // [N, classes]
	Index   []int32        // [N], of each picture in the list of examples
	Skipped []data.Skipped // pictures that could not be decoded and are missing
}

// LogitsOf runs the network on examples from src.
func (m *Classifier) LogitsOf(ctx context.Context, src data.Source, examples []data.Example, o EvaluateOptions) (DataLogits, error) {
	var out DataLogits
	var err error
	out.Skipped, err = m.each(ctx, src, examples, o, func(b *batch.Batch, logits []float32) error {
		out.Logits, out.Index = append(out.Logits, logits...), append(out.Index, b.Index...)
		return nil
	})
	return out, err
}

// each runs the network on examples and hands over its batches with their logits.
func (m *Classifier) each(ctx context.Context, src data.Source, examples []data.Example, o EvaluateOptions, do func(b *batch.Batch, logits []float32) error) ([]data.Skipped, error) {
	if m.net.Channels != 3 {
		return nil, fmt.Errorf("the network takes %d channels, a picture has 3", m.net.Channels)
	}
	if m.headless {
		return nil, ErrNoHead
	}
	if o.Batch <= 0 {
		o.Batch = 32
	}
	loader, err := batch.NewEvalLoader(batch.EvalConfig{
		Source: src, Examples: examples, Processor: m.processor, Batch: o.Batch, Workers: o.Workers,
	})
	if err != nil {
		return nil, err
	}
	defer loader.Close()
	err = eval.Each(ctx, &progressing{model: m, report: o.OnProgress}, m.net.Classes, loader, do)
	return loader.Skipped(), err
}

// progressing is a model that tells how many pictures it has seen.
type progressing struct {
	model  *Classifier
	report func(done int)
	done   int
}

// Logits is that of [eval.Predictor].
func (p *progressing) Logits(dst, x []float32, n, h, w int) error {
	logits, err := p.model.Logits(x, n, h, w)
	if err != nil {
		return err
	}
	copy(dst, logits)
	p.done += n
	if p.report != nil {
		p.report(p.done)
	}
	return nil
}
