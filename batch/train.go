package batch

import (
	"fmt"
	"math"

	"github.com/bigtransfer/bit/data"
	"github.com/bigtransfer/bit/imaging"
	"github.com/bigtransfer/bit/internal/counter"
)

// TrainConfig says how to make training batches.
type TrainConfig struct {
	Source   data.Source
	Examples []data.Example
	Pipeline Pipeline // augmentation; must fix the size of its pictures

	// Normalizer turns 8-bit values into numbers; nil means imaging.SymmetricNormalizer, BiT's range of [-1, 1].
	Normalizer *imaging.Normalizer

	// Classes, if not 0, asks for Batch.Targets, of so many classes: for data sets whose pictures have several labels.
	Classes  int
	Sampling Sampling // how often each class is seen

	Batch      int     // examples per optimiser step
	MicroBatch int     // most examples per delivered Batch; 0 for Batch
	MixupAlpha float64 // lambda ~ Beta(alpha, alpha); 0 for no mixup
	Seed       uint64

	Start   int    // the first step to deliver
	Workers int    // goroutines that decode and augment; 0 for one per CPU
	Cache   *Cache // of decoded pictures, made for Examples and Pipeline; nil for none
}

// NewTrainLoader returns a loader of endless training batches, beginning with step cfg.Start. The batch of step s is
// the positions [s·Batch, (s+1)·Batch) of the endless [Order] or [BalancedOrder] of the examples, cut into micro-batches if asked for.
// What a row holds depends on the examples, the pipeline, the seed, Batch (for mixup) and its position, on nothing else:
// with mixup, partners are drawn from the whole batch however it is cut.
func NewTrainLoader(cfg TrainConfig) (*Loader, error) {
	side, err := cfg.Pipeline.Side()
	if err != nil {
		return nil, fmt.Errorf("augmentation %s: %w", cfg.Pipeline, err)
	}
	switch {
	case cfg.Batch <= 0:
		return nil, fmt.Errorf("training batches: expected at least 1 example each, found %d", cfg.Batch)
	case cfg.MicroBatch < 0:
		return nil, fmt.Errorf("training batches: expected micro-batches of at least 1 example, or 0, found %d", cfg.MicroBatch)
	case cfg.Start < 0 || int64(cfg.Start) > math.MaxInt64/2/int64(cfg.Batch):
		return nil, fmt.Errorf("training batches: expected a first step of at least 0, found %d", cfg.Start)
	case !(cfg.MixupAlpha >= 0) || math.IsInf(cfg.MixupAlpha, 0):
		return nil, fmt.Errorf("mixup: expected an alpha of at least 0, found %v", cfg.MixupAlpha)
	case len(cfg.Examples) == 0:
		return nil, data.ErrNoImages
	}
	if cfg.MicroBatch == 0 || cfg.MicroBatch > cfg.Batch {
		cfg.MicroBatch = cfg.Batch
	}
	if cfg.Normalizer == nil {
		cfg.Normalizer = imaging.SymmetricNormalizer()
	}
	m := &trainMaker{
		cfg: cfg, fixed: cfg.Pipeline.fixed(),
		rng: counter.New(), step: int64(cfg.Start), index: make([]int32, cfg.Batch),
	}
	switch cfg.Sampling {
	case Natural:
		m.order = NewOrder(len(cfg.Examples), cfg.Seed).At
	case Balanced:
		m.order = NewBalancedOrder(cfg.Examples, cfg.Seed).At
	default:
		return nil, fmt.Errorf("training batches: no sampling %v", cfg.Sampling)
	}
	return newLoader(m, cfg.Source, cfg.Examples, cfg.Cache, side, side, cfg.Workers)
}

// trainMaker makes training batches. The fields from order on belong to plan.
type trainMaker struct {
	cfg   TrainConfig
	fixed int // leading steps of the pipeline that are not random

	order  func(position int64) int
	rng    *counter.Rand
	step   int64
	offset int
	index  []int32 // of the step's examples
	mix    mixing
}

func (m *trainMaker) plan(b *Batch) bool {
	if m.offset == 0 {
		for i := range m.index {
			m.index[i] = int32(m.order(m.step*int64(m.cfg.Batch) + int64(i)))
		}
		if m.cfg.MixupAlpha > 0 {
			m.mix.draw(m.rng.At(m.cfg.Seed, counter.Mixup, m.step), m.cfg.Batch, m.cfg.MixupAlpha)
		}
	}
	b.Step, b.Offset = int(m.step), m.offset
	b.resize(min(m.cfg.MicroBatch, m.cfg.Batch-m.offset), m.cfg.Classes)
	b.first = m.step * int64(m.cfg.Batch)
	b.Lambda = 1
	for i := range b.N {
		b.Index[i] = m.index[m.offset+i]
		b.Labels[i] = int32(m.cfg.Examples[b.Index[i]].Label)
	}
	if m.cfg.MixupAlpha > 0 {
		b.Lambda = float64(m.mix.lambda)
		b.partner = append(b.partner[:0], m.mix.partner[m.offset:m.offset+b.N]...)
		b.mixIndex, b.MixLabels = b.mixIndex[:0], b.MixLabels[:0]
		for _, row := range b.partner {
			b.mixIndex = append(b.mixIndex, m.index[row])
			b.MixLabels = append(b.MixLabels, int32(m.cfg.Examples[m.index[row]].Label))
		}
	}
	m.offset += b.N
	b.Last = m.offset == m.cfg.Batch
	if b.Last {
		m.step, m.offset = m.step+1, 0
	}
	return true
}

func (m *trainMaker) row(l *Loader, w *worker, b *Batch, i int) error {
	dst := b.row(i)
	lambda := float32(b.Lambda)
	var err error
	if b.Index[i], err = m.picture(l, w, dst, b.Index[i], b.first+int64(b.Offset+i)); err != nil {
		return err
	}
	b.addTargets(i, &l.examples[b.Index[i]], lambda)
	if lambda == 1 {
		return nil
	}
	// The partner is made a second time, because its row may be in another micro-batch, already in use or gone.
	if w.partner == nil {
		w.partner = make([]float32, len(dst))
	}
	mixed, err := m.picture(l, w, w.partner, b.mixIndex[i], b.first+int64(b.partner[i]))
	if err != nil {
		return err
	}
	b.addTargets(i, &l.examples[mixed], 1-lambda)
	for j, v := range w.partner[:len(dst)] {
		dst[j] = lambda*dst[j] + (1-lambda)*v
	}
	return nil
}

// picture writes an example as it appears at a position of the stream to dst [H, W, 3]. It returns the index of the
// example used, which is another one of the same class if the wanted one is broken.
func (m *trainMaker) picture(l *Loader, w *worker, dst []float32, index int32, position int64) (int32, error) {
	used, pic, err := l.loadOrNext(w, int(index))
	if err != nil {
		return 0, err
	}
	steps := m.cfg.Pipeline
	if pic.prepared {
		steps = steps[m.fixed:]
	}
	w.rng.At(m.cfg.Seed, counter.Augment, position)
	v, err := steps.apply(wholeOf(pic.Image), w)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", l.examples[used].Path, err)
	}
	w.normalize(dst, v, m.cfg.Normalizer)
	return int32(used), nil
}

// prepare applies the steps that are the same every time, unless their result is larger than what they are given: a
// photograph is kept at the size it is resized to, a thumbnail as it is.
func (m *trainMaker) prepare(w *worker, img *imaging.Image) (*picture, error) {
	if m.fixed == 0 {
		return &picture{Image: img}, nil
	}
	v, err := m.cfg.Pipeline[:m.fixed].apply(wholeOf(img), w)
	if err != nil {
		return nil, err
	}
	if v.w*v.h > img.W*img.H {
		return &picture{Image: img}, nil
	}
	return &picture{Image: v.img.Crop(v.x, v.y, v.w, v.h), prepared: true}, nil
}
