package batch

import (
	"errors"
	"fmt"

	"github.com/bigtransfer/bit/data"
	"github.com/bigtransfer/bit/imaging"
)

// EvalConfig says how to make evaluation batches.
type EvalConfig struct {
	Source    data.Source
	Examples  []data.Example
	Processor *imaging.Processor // preprocessing of the model; must give all pictures the same size

	Batch   int    // most examples per Batch
	Workers int    // goroutines that decode and scale; 0 for one per CPU
	Cache   *Cache // of decoded pictures, made for Examples; nil for none
}

// NewEvalLoader returns a loader of all examples once, in their order. The last batch holds what remains. Pictures
// that cannot be decoded are left out, so that a Batch may hold fewer rows than asked for.
func NewEvalLoader(cfg EvalConfig) (*Loader, error) {
	if cfg.Batch <= 0 {
		return nil, fmt.Errorf("evaluation batches: expected at least 1 example each, found %d", cfg.Batch)
	}
	p := cfg.Processor
	if err := p.Validate(); err != nil {
		return nil, err
	}
	w, h := p.OutputSize(1, 1)
	if otherW, otherH := p.OutputSize(2, 1); w != otherW || h != otherH {
		return nil, errors.New("evaluation batches: expected a processor that gives all pictures one size, " +
			"by resizing to a width and height or by a crop")
	}
	m := &evalMaker{cfg: cfg, normalizer: p.Normalizer()}
	return newLoader(m, cfg.Source, cfg.Examples, cfg.Cache, h, w, cfg.Workers)
}

// evalMaker makes evaluation batches. next belongs to plan.
type evalMaker struct {
	cfg        EvalConfig
	normalizer *imaging.Normalizer
	next       int // batch
}

func (m *evalMaker) plan(b *Batch) bool {
	first := m.next * m.cfg.Batch
	if first >= len(m.cfg.Examples) {
		return false
	}
	b.Step, b.Last, b.Lambda = m.next, true, 1
	b.resize(min(m.cfg.Batch, len(m.cfg.Examples)-first), 0)
	for i := range b.N {
		b.Index[i] = int32(first + i)
		b.Labels[i] = int32(m.cfg.Examples[first+i].Label)
	}
	m.next++
	return true
}

func (m *evalMaker) row(l *Loader, w *worker, b *Batch, i int) error {
	pic, err := l.load(w, int(b.Index[i]))
	if _, broken := errors.AsType[*data.BrokenError](err); broken {
		b.broken[i] = true
		return nil
	}
	if err != nil {
		return err
	}
	out := pic.Image
	if !pic.prepared {
		if out, err = m.cfg.Processor.Transform(&w.resizer, pic.Image); err != nil {
			return fmt.Errorf("%s: %w", l.examples[b.Index[i]].Path, err)
		}
	}
	m.normalizer.Normalize(b.row(i), out)
	return nil
}

// prepare transforms the picture, unless that makes it larger.
func (m *evalMaker) prepare(w *worker, img *imaging.Image) (*picture, error) {
	if width, height := m.cfg.Processor.OutputSize(img.W, img.H); width*height > img.W*img.H {
		return &picture{Image: img}, nil
	}
	out, err := m.cfg.Processor.Transform(&w.resizer, img)
	if err != nil {
		return nil, err
	}
	return &picture{Image: out, prepared: true}, nil
}
