package train

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/bigtransfer/bit/batch"
	"github.com/bigtransfer/bit/data"
	"github.com/bigtransfer/bit/eval"
	"github.com/bigtransfer/bit/internal/par"
	"github.com/bigtransfer/bit/nn"
	"github.com/bigtransfer/bit/resnet"
)

// Run trains net from its present weights, or resumes the run whose checkpoint lies in cfg.Dir; of a run that is
// complete there, it only loads the outcome. When Run returns no error, net holds the final weights, the averaged ones
// if cfg.EMA is set. After an error its weights are those of some moment of the run.
//
// When ctx is cancelled, the run is saved as it was after its last whole step, and the error is an [*InterruptedError].
func Run(ctx context.Context, net *resnet.Network, cfg Config) (Result, error) {
	if err := cfg.check(net); err != nil {
		return Result{}, err
	}
	pool := par.New(cfg.Threads)
	defer pool.Close()
	l, err := newLoop(net, pool, cfg)
	if err != nil {
		return Result{}, err
	}
	if err := l.resume(); err != nil {
		return Result{}, err
	}
	train := cfg.Data
	train.Start, train.Cache = l.at.Step, cfg.cache(len(cfg.Data.Examples))
	loader, err := batch.NewTrainLoader(train)
	if err != nil {
		return Result{}, err
	}
	defer loader.Close()
	return l.run(ctx, loader)
}

// cache returns a cache for n examples, or nil.
func (o Options) cache(n int) *batch.Cache {
	switch {
	case o.CacheBytes < 0:
		return nil
	case o.CacheBytes == 0:
		return batch.NewCache(n, defaultCacheBytes)
	}
	return batch.NewCache(n, o.CacheBytes)
}

// position is where a run stands. Together with the weights and velocities it is all that a run needs to go on.
type position struct {
	Step      int         // steps done
	Evaluated int         // the step after which Eval was taken; -1 for none
	Eval      eval.Result // the last evaluation
	BestStep  int         // the step after which BestTop1 was taken; -1 for none
	BestTop1  float64
}

// loop is a run under way.
type loop struct {
	cfg      Config
	id       identity
	net      *resnet.Network
	averaged *resnet.Network // holds the EMA; nil without
	pool     *par.Pool
	eng      *resnet.Trainer
	opt      *optimiser
	at       position
	saved    position // what LastFile holds
	savedAt  time.Time
	dlogits  []float32
	meter    meter
	evals    []data.Skipped // pictures that the last evaluation could not decode
}

func newLoop(net *resnet.Network, pool *par.Pool, cfg Config) (*loop, error) {
	l := &loop{cfg: cfg, id: identify(net, cfg), net: net, pool: pool, eng: net.NewTrainerWith(pool, resnet.TrainerOptions{Recompute: cfg.Recompute}), savedAt: time.Now()}
	if m := cfg.Data.MicroBatch; m > 0 {
		l.cfg.Eval.Batch = min(l.cfg.Eval.Batch, m) // evaluation takes no more memory for it, and its results are the same
	}
	l.at = position{Evaluated: -1, BestStep: -1}
	l.saved.Step = -1
	l.opt = newOptimiser(cfg.SGD, pool, net.Params())
	if cfg.EMA > 0 {
		var err error
		if l.averaged, err = resnet.NewNetwork(net.Config); err != nil {
			return nil, err
		}
		for i, p := range l.averaged.Params() {
			copy(p.Value, net.Params()[i].Value)
			l.opt.state[i].ema = p.Value
		}
	}
	return l, nil
}

// source is what the loop needs of a batch.Loader.
type source interface {
	Next(ctx context.Context) (*batch.Batch, error)
	Skipped() []data.Skipped
}

// run takes the steps that are left.
func (l *loop) run(ctx context.Context, src source) (Result, error) {
	for {
		if err := l.evaluate(ctx); err != nil {
			return Result{}, l.stop(ctx, err)
		}
		if l.at.Step == l.cfg.Schedule.Steps() {
			break
		}
		if ctx.Err() != nil {
			return Result{}, l.stop(ctx, ctx.Err())
		}
		if err := l.step(ctx, src); err != nil {
			return Result{}, l.stop(ctx, err)
		}
		if err := l.saveIfDue(); err != nil {
			return Result{}, err
		}
	}
	if l.saved != l.at {
		if err := l.save(LastFile); err != nil {
			return Result{}, err
		}
	}
	if l.averaged != nil {
		for i, p := range l.net.Params() {
			copy(p.Value, l.averaged.Params()[i].Value)
		}
	}
	return Result{
		Steps: l.at.Step, Eval: l.at.Eval, BestTop1: l.at.BestTop1, BestStep: l.at.BestStep,
		Skipped: append(src.Skipped(), l.evals...),
	}, nil
}

// step takes one optimiser step on the next batch. If it returns an error no parameter has changed.
func (l *loop) step(ctx context.Context, src source) error {
	start := time.Now()
	l.eng.ZeroGrad()
	loss, correct := 0.0, 0.0
	waited := time.Duration(0)
	for last := false; !last; {
		asked := time.Now()
		b, err := src.Next(ctx)
		waited += time.Since(asked)
		if err != nil {
			return fmt.Errorf("batch of step %d: %w", l.at.Step, err)
		}
		partLoss, partCorrect, err := l.accumulate(b)
		if err != nil {
			return fmt.Errorf("train: step %d: %w", l.at.Step, err)
		}
		loss, correct, last = loss+partLoss, correct+partCorrect, b.Last
	}
	norm := l.opt.norm()
	if math.IsNaN(loss+norm) || math.IsInf(loss+norm, 0) {
		return &DivergedError{Step: l.at.Step, Loss: loss, GradientNorm: norm}
	}
	rate := l.cfg.Rate * l.cfg.Schedule.Factor(l.at.Step)
	l.opt.step(rate, norm, l.at.Step)
	l.at.Step++

	rows := l.cfg.Data.Batch
	l.meter.add(loss, correct/float64(rows), rows, time.Since(start), waited)
	if l.cfg.OnStep != nil {
		p := l.meter.progress(l.at.Step, l.cfg.Schedule.Steps())
		p.StepLoss, p.LearningRate, p.GradientNorm = loss, rate, norm
		l.cfg.OnStep(p)
	}
	return nil
}

// accumulate adds the gradient of a micro-batch, weighted by its share of the batch, and returns its share of the mean
// loss and how many of its images were classified right.
func (l *loop) accumulate(b *batch.Batch) (loss, correct float64, err error) {
	logits, err := l.eng.Forward(b.X, b.N, b.H, b.W)
	if err != nil {
		return 0, 0, err
	}
	if cap(l.dlogits) < len(logits) {
		l.dlogits = make([]float32, len(logits))
	}
	dlogits := l.dlogits[:len(logits)]
	t := nn.Targets{A: b.Labels, B: b.MixLabels, Lambda: b.Lambda, Smoothing: l.cfg.Smoothing}
	lossOf := nn.SoftmaxCrossEntropy
	if l.cfg.Loss == Sigmoid {
		lossOf = nn.SigmoidCrossEntropy
	}
	loss = lossOf(dlogits, logits, l.net.Classes, t, 1/float64(l.cfg.Data.Batch))
	correct = hits(logits, l.net.Classes, t)
	l.eng.Backward(dlogits)
	return loss, correct, nil
}

// hits counts the examples whose largest logit is their label; a mixed example counts by the weight of that label.
func hits(logits []float32, classes int, t nn.Targets) float64 {
	total := 0.0
	for i, a := range t.A {
		z := logits[i*classes:][:classes]
		top := 0
		for k, v := range z {
			if v > z[top] {
				top = k
			}
		}
		switch {
		case t.B == nil && int(a) == top:
			total++
		case t.B != nil && int(a) == top && int(t.B[i]) == top:
			total++
		case t.B != nil && int(a) == top:
			total += t.Lambda
		case t.B != nil && int(t.B[i]) == top:
			total += 1 - t.Lambda
		}
	}
	return total
}

// evaluate measures the network if that is due after the steps done so far and was not done before the run was
// interrupted, and keeps the weights if they are the best yet.
func (l *loop) evaluate(ctx context.Context) error {
	every := l.cfg.EvaluateEvery
	due := l.at.Step == l.cfg.Schedule.Steps() || l.at.Step > 0 && every > 0 && l.at.Step%every == 0
	if len(l.cfg.Eval.Examples) == 0 || !due || l.at.Evaluated == l.at.Step {
		return nil
	}
	if l.saved != l.at { // evaluation takes its time, and the best weights may find no room: keep the steps done first
		if err := l.save(LastFile); err != nil {
			return err
		}
	}
	net := l.net
	if l.averaged != nil {
		net = l.averaged
	}
	r, skipped, err := eval.Network(ctx, net, l.pool, l.cfg.Eval)
	if err != nil {
		return fmt.Errorf("evaluation after step %d: %w", l.at.Step, err)
	}
	l.evals = skipped
	l.at.Evaluated, l.at.Eval = l.at.Step, r
	if l.at.BestStep < 0 || r.Top1 > l.at.BestTop1 {
		l.at.BestStep, l.at.BestTop1 = l.at.Step, r.Top1
		if err := l.save(BestFile); err != nil {
			return err
		}
	}
	if l.cfg.OnEvaluate != nil {
		l.cfg.OnEvaluate(l.at.Step, r)
	}
	return l.save(LastFile)
}

// stop ends the run early, between two steps. If the context was cancelled it tries to save the run and returns an
// InterruptedError, otherwise it returns the cause.
func (l *loop) stop(ctx context.Context, cause error) error {
	if ctx.Err() == nil {
		return cause
	}
	e := &InterruptedError{Step: l.at.Step, Total: l.cfg.Schedule.Steps(), Dir: l.cfg.Dir, Cause: context.Cause(ctx)}
	if l.saved != l.at {
		e.Unsaved = l.save(LastFile)
	}
	return e
}
