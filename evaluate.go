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
// [data.Dataset.Relabel]. It also returns the pictures that could not be decoded, which do not count.
func (m *Classifier) Evaluate(ctx context.Context, ds *data.Dataset, examples []data.Example, o EvaluateOptions) (eval.Result, []data.Skipped, error) {
	if m.net.Channels != 3 {
		return eval.Result{}, nil, fmt.Errorf("the network takes %d channels, a picture has 3", m.net.Channels)
	}
	if o.Batch <= 0 {
		o.Batch = 32
	}
	loader, err := batch.NewEvalLoader(batch.EvalConfig{
		Source: ds.Source, Examples: examples, Processor: m.processor, Batch: o.Batch, Workers: o.Workers,
	})
	if err != nil {
		return eval.Result{}, nil, err
	}
	defer loader.Close()
	r, err := eval.Run(ctx, &progressing{model: m, report: o.OnProgress}, m.net.Classes, loader)
	return r, loader.Skipped(), err
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
