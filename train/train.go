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
	split := cfg.Split
	if split == "" {
		split = "val"
	}
	if l.record, err = openRecorder(cfg.Options, split, l.at); err != nil {
		return Result{}, err
	}
	r, err := l.run(ctx, loader)
	if closing := l.record.close(); err == nil {
		err = closing
	}
	return r, err
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
	BestStep  int         // the step after which Best was taken; -1 for none
	Best      eval.Result
	Stale     int // evaluations since
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
	record   *recorder
	evalTook time.Duration // the last evaluation
	best     [][]float32   // the weights of the best evaluation, if they are kept and there is no directory for them
}

func newLoop(net *resnet.Network, pool *par.Pool, cfg Config) (*loop, error) {
	l := &loop{cfg: cfg, id: identify(net, cfg), net: net, pool: pool, savedAt: time.Now(), record: &recorder{},
		eng: net.NewTrainerWith(pool, resnet.TrainerOptions{Recompute: cfg.Recompute, Frozen: cfg.Frozen})}
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
			if !cfg.Frozen.Freezes(p.Name) {
				l.opt.state[i].ema = p.Value
			}
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
		if l.at.Step == l.cfg.Schedule.Steps() || l.stopped() {
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
	r := Result{
		Steps: l.at.Step, Stopped: l.at.Step < l.cfg.Schedule.Steps(), Eval: l.at.Eval, Best: l.at.Best, BestStep: l.at.BestStep,
		Skipped: append(src.Skipped(), l.evals...),
	}
	if l.cfg.KeepBest && l.at.BestStep != l.at.Step {
		if err := l.loadBest(); err != nil {
			return Result{}, err
		}
		r.Eval = l.at.Best
	}
	return r, nil
}

// stopped reports whether the run's patience is at an end.
func (l *loop) stopped() bool { return l.cfg.Patience > 0 && l.at.Stale >= l.cfg.Patience }

// step takes one optimiser step on the next batch. If it returns an error no parameter has changed, unless that is of
// writing the step down.
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
		p.Remaining += time.Duration(l.evaluationsLeft()) * l.evalTook
		l.cfg.OnStep(p)
	}
	return l.record.step(StepRecord{
		Step: l.at.Step, Loss: loss, Accuracy: correct / float64(rows), Rate: rate,
		ImagesPerSecond: float64(rows) / time.Since(start).Seconds(),
	})
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
	t := nn.Targets{A: b.Labels, B: b.MixLabels, Lambda: b.Lambda, Smoothing: l.cfg.Smoothing, Weights: l.cfg.ClassWeights}
	if l.cfg.Data.Classes != 0 {
		t.A, t.B, t.Y = nil, nil, b.Targets
	}
	lossOf := nn.SoftmaxCrossEntropy
	if l.cfg.Loss == Sigmoid {
		lossOf = nn.SigmoidCrossEntropy
	}
	loss = lossOf(dlogits, logits, l.net.Classes, t, 1/float64(l.cfg.Data.Batch))
	correct = hits(logits, l.net.Classes, t)
	l.eng.Backward(dlogits)
	return loss, correct, nil
}

// hits counts the examples whose largest logit is their label, or one of them; a mixed example counts by the weight of
// that label.
func hits(logits []float32, classes int, t nn.Targets) float64 {
	total := 0.0
	for i := range len(t.Y) / classes {
		top := 0
		z, y := logits[i*classes:][:classes], t.Y[i*classes:]
		for k, v := range z {
			if v > z[top] {
				top = k
			}
		}
		total += float64(y[top])
	}
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
	begin := time.Now()
	var r eval.Result
	var skipped []data.Skipped
	var err error
	if l.cfg.Data.Classes == 0 {
		r, skipped, err = eval.Network(ctx, net, l.pool, l.cfg.Eval)
	} else {
		var m eval.Metrics
		m, skipped, err = eval.MultiLabelNetwork(ctx, net, l.pool, l.cfg.Eval)
		r = m.Result
	}
	if err != nil {
		return fmt.Errorf("evaluation after step %d: %w", l.at.Step, err)
	}
	l.evals, l.evalTook = skipped, time.Since(begin)
	l.at.Evaluated, l.at.Eval = l.at.Step, r
	l.at.Stale++
	if l.at.BestStep < 0 || l.better(r, l.at.Best) {
		l.at.BestStep, l.at.Best, l.at.Stale = l.at.Step, r, 0
		if err := l.saveBest(net); err != nil {
			return err
		}
	}
	if err := l.record.evaluation(l.at.Step, r); err != nil {
		return err
	}
	if l.cfg.OnEvaluate != nil {
		l.cfg.OnEvaluate(l.at.Step, r)
	}
	return l.save(LastFile)
}

// evaluationsLeft returns how many evaluations are due after the step just done or later.
func (l *loop) evaluationsLeft() int {
	if len(l.cfg.Eval.Examples) == 0 {
		return 0
	}
	total, every := l.cfg.Schedule.Steps(), l.cfg.EvaluateEvery
	if every <= 0 {
		return 1
	}
	return (total+every-1)/every - (l.at.Step-1)/every
}

// better reports whether an evaluation is better than the best: see Config.KeepBest. A loss that is no number is the worst.
func (l *loop) better(r, best eval.Result) bool {
	if l.cfg.Data.Classes == 0 && r.Top1 != best.Top1 {
		return r.Top1 > best.Top1
	}
	return r.Loss < best.Loss || math.IsNaN(best.Loss) && !math.IsNaN(r.Loss)
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
