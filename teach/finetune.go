package teach

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/bigtransfer/bit"
	"github.com/bigtransfer/bit/data"
	"github.com/bigtransfer/bit/project"
	"github.com/bigtransfer/bit/resnet"
	"github.com/bigtransfer/bit/train"
	"github.com/bigtransfer/bit/transfer"
)

// What a fine-tuning is unless asked for otherwise: BiT-HyperRule shortened to what a few dozen pictures need and someone
// waits for. Warm-up and drops keep their share.
const (
	defaultSteps = 100
	mostBatch    = 128
	leastBatch   = 16

	// defaultLearningRate is the rule's own for its batch of 512, and not less for the smaller batch here: there are few
	// steps to take.
	defaultLearningRate = transfer.BaseLearningRate

	// mostCrop is the side of pictures at which a processor without accelerator is not too slow for someone who waits. The
	// rule says 480 for photographs.
	mostCrop = 224

	// heldOut of the pictures judge the model, if every class has at least minToHold; else all are trained on, and there is
	// no figure.
	heldOut   = 0.2
	minToHold = 5
)

// errStopped is the cause of the end of a training that someone stopped.
var errStopped = errors.New("stopped")

// job is a training that is under way.
type job struct {
	cancel context.CancelCauseFunc
	done   chan struct{} // closed when it is so no longer

	mu      sync.Mutex
	changed chan struct{} // closed and replaced when the record, the curve or what follows changes
	speed   float64       // images per second
	left    time.Duration
}

type jobKey struct {
	project string
	id      uint64
}

// settings completes what was asked for.
func (t *Teacher) settings(base *bit.Model, ds *data.Dataset, asked project.Settings) (project.Settings, error) {
	s := asked
	set := func(v *int, to int) {
		if *v == 0 {
			*v = to
		}
	}
	set(&s.Steps, defaultSteps)
	batch := leastBatch
	for 2*batch <= min(mostBatch, len(ds.Train)) {
		batch *= 2
	}
	set(&s.Batch, batch)
	if s.Crop == 0 {
		w, h := base.Processor().OutputSize(mostCrop, mostCrop)
		s.Crop = min(w, h, mostCrop)
	}
	of, to := transfer.Resolution(1, 1)
	s.Resize = int(math.Round(float64(s.Crop) * float64(of) / float64(to)))
	if s.LearningRate == 0 {
		s.LearningRate = defaultLearningRate
	}
	const most = 100_000
	for _, n := range []struct {
		name       string
		value, max int
	}{{"steps", s.Steps, most}, {"batch", s.Batch, 4096}, {"crop", s.Crop, 1024}} {
		if n.value < 1 || n.value > n.max {
			return s, &settingError{fmt.Sprintf("%s: %d, expected 1 to %d", n.name, n.value, n.max)}
		}
	}
	if !(s.LearningRate > 0 && s.LearningRate <= 10) {
		return s, &settingError{fmt.Sprintf("learning_rate: %v, expected a number above 0 and up to 10", s.LearningRate)}
	}
	_, err := transfer.NewPlan(base.Config(), ds, config(s))
	return s, err
}

type settingError struct{ problem string }

func (e *settingError) Error() string { return e.problem }

func config(s project.Settings) transfer.Config {
	return transfer.Config{
		Steps: s.Steps, Batch: s.Batch, LearningRate: s.LearningRate, Resize: s.Resize, Crop: s.Crop, MixupAlpha: s.Mixup,
		NoFlip: s.NoFlip, Seed: s.Seed,
	}
}

// StartTraining begins a fine-tuning on a project's pictures as they are.
func (t *Teacher) StartTraining(ctx context.Context, id string, asked project.Settings) (project.Job, error) {
	p, err := t.Store.Get(id)
	if err != nil {
		return project.Job{}, err
	}
	base, err := t.base(ctx, p.Base)
	if err != nil {
		return project.Job{}, err
	}
	ds, revision, err := t.Store.Dataset(id)
	if err != nil {
		return project.Job{}, err
	}
	if len(ds.Classes) < 2 {
		return project.Job{}, errTooFew
	}
	if err := hold(ds, asked.Seed); err != nil {
		return project.Job{}, err
	}
	settings, err := t.settings(base, ds, asked)
	if err != nil {
		return project.Job{}, err
	}
	items, err := t.Store.ItemsOf(ds)
	if err != nil {
		return project.Job{}, err
	}
	j, err := t.Store.NewJob(id, project.Job{
		Base: p.Base, Revision: revision, Settings: settings, Classes: ds.Classes, Images: len(ds.Train), HeldOut: len(ds.Val),
		Steps: settings.Steps,
	}, items)
	if err != nil {
		return j, err
	}
	t.launch(id, j.ID)
	return j, nil
}

// hold sets pictures of a data set aside to judge by, if there are enough.
func hold(ds *data.Dataset, seed uint64) error {
	count := make([]int, len(ds.Classes))
	for _, e := range ds.Train {
		count[e.Label]++
	}
	for _, n := range count {
		if n < minToHold {
			return nil
		}
	}
	held, err := data.HoldOut(ds.Train, nil, ds.Classes, heldOut, seed)
	if err == nil {
		ds.Hold(held)
	}
	return err
}

// launch lets a job run that waits or is paused. It reports whether it does not run already.
func (t *Teacher) launch(id string, n uint64) bool {
	k := jobKey{id, n}
	ctx, cancel := context.WithCancelCause(t.ctx)
	j := &job{cancel: cancel, done: make(chan struct{}), changed: make(chan struct{})}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.jobs[k] != nil || t.ctx.Err() != nil {
		cancel(nil)
		return false
	}
	t.jobs[k] = j
	t.running.Go(func() {
		defer cancel(nil)
		t.work(ctx, k, j)
		t.mu.Lock()
		delete(t.jobs, k)
		t.mu.Unlock()
		close(j.done)
	})
	return true
}

// running returns a job that is under way, or nil.
func (t *Teacher) underWay(id string, n uint64) *job {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.jobs[jobKey{id, n}]
}

// update changes the record of a job and tells who watches.
func (t *Teacher) update(k jobKey, j *job, change func(*project.Job), points ...project.Point) {
	if _, err := t.Store.UpdateJob(k.project, k.id, change, points...); err != nil {
		t.Log.Error("training not recorded", "project", k.project, "training", k.id, "error", err)
	}
	j.tell()
}

func (j *job) tell() {
	j.mu.Lock()
	close(j.changed)
	j.changed = make(chan struct{})
	j.mu.Unlock()
}

// work does a job, from where it is, until it has ended or is stopped.
func (t *Teacher) work(ctx context.Context, k jobKey, j *job) {
	err := t.takeTurn(ctx, k, j)
	if err == nil {
		err = t.fineTune(ctx, k, j)
		<-t.turn
	}
	_, interrupted := errors.AsType[*train.InterruptedError](err)
	switch {
	case err == nil:
		t.update(k, j, func(r *project.Job) { r.State, r.Why = project.Done, "" })
		os.RemoveAll(t.checkpoints(k))
	case errors.Is(err, errStopped) || context.Cause(ctx) == errStopped && (interrupted || errors.Is(err, ctx.Err())):
		t.update(k, j, func(r *project.Job) { r.State, r.Why = project.Paused, "" })
	case ctx.Err() != nil && (interrupted || errors.Is(err, ctx.Err())):
		t.update(k, j, func(r *project.Job) { r.State, r.Why = project.Paused, "The server ended while this was training." })
	default:
		t.Log.Error("training failed", "project", k.project, "training", k.id, "error", err)
		t.update(k, j, func(r *project.Job) { r.State, r.Why = project.Failed, sentence(err) })
	}
}

// takeTurn waits until no other training runs.
func (t *Teacher) takeTurn(ctx context.Context, k jobKey, j *job) error {
	t.update(k, j, func(r *project.Job) { r.State, r.Why = project.Waiting, "" })
	select {
	case t.turn <- struct{}{}:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	t.update(k, j, func(r *project.Job) { r.State = project.Running })
	return nil
}

func (t *Teacher) checkpoints(k jobKey) string {
	return filepath.Join(t.Store.RunDir(k.project, k.id), "checkpoints")
}

// fineTune trains, judges and saves the model of a job.
func (t *Teacher) fineTune(ctx context.Context, k jobKey, j *job) error {
	record, err := t.Store.Job(k.project, k.id)
	if err != nil {
		return err
	}
	ds, err := t.Store.JobDataset(k.project, k.id)
	if err != nil {
		return err
	}
	base, err := t.base(ctx, record.Base)
	if err != nil {
		return err
	}
	cfg := config(record.Settings)
	c := base.Config()
	cfg.MicroBatch = min(cfg.Batch, max(1, int(t.Memory/c.TrainingBytes(cfg.Crop, cfg.Crop, resnet.TrainerOptions{}))))
	log := &trainingLog{t: t, k: k, j: j, every: max(1, record.Steps/maxPoints)}
	cfg.Options = train.Options{Dir: t.checkpoints(k), SaveEvery: saveEvery(c), CacheBytes: cacheBytes, OnStep: log.step}
	judged := ds.Val
	ds.Val = nil // judged below, with what was confused
	started := time.Now()
	tuned, _, err := bit.FineTuneOn(ctx, base, ds, cfg)
	log.flush()
	if err != nil {
		return err
	}
	m := project.Model{
		Kind: project.FineTune, Base: record.Base, Classes: record.Classes, Revision: record.Revision, Pictures: record.Images, Job: k.id,
	}
	if err := judge(ctx, tuned, ds.Source, judged, &m); err != nil {
		return err
	}
	p, err := t.Store.Get(k.project)
	if err != nil {
		return err
	}
	if err := tuned.Save(t.Store.ModelDir(k.project, k.id), tunedCard(p, record, m, time.Since(started))); err != nil {
		return err
	}
	m.Trained = time.Now().UTC()
	return t.Store.SetModel(k.project, m)
}

// judge fills in how a model does on examples that it has not seen.
func judge(ctx context.Context, c *bit.Model, src data.Source, examples []data.Example, m *project.Model) error {
	if len(examples) == 0 {
		return nil
	}
	m.Judged, m.Confusion = len(examples), newConfusion(len(m.Classes))
	for _, e := range examples {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		img, err := src.Image(e)
		if err != nil {
			return err
		}
		best, err := c.Classify(img, 1)
		if err != nil {
			return err
		}
		m.Confusion[e.Label][best[0].Index]++
	}
	m.Accuracy = accuracy(m.Confusion)
	return nil
}

const (
	maxPoints  = 1000      // of a curve
	cacheBytes = 256 << 20 // of decoded pictures
)

// saveEvery bounds what a kill can cost: to ten seconds, or to twenty times what writing weights and momentum takes at
// 100 MB a second.
func saveEvery(c resnet.Config) time.Duration {
	const bytesPerSecond, share = 100e6, 20
	writing := float64(8*c.NumParams()) / bytesPerSecond * share
	return max(10*time.Second, time.Duration(writing*float64(time.Second)))
}

// trainingLog records the steps of a training, a few times a second.
type trainingLog struct {
	t       *Teacher
	k       jobKey
	j       *job
	every   int // steps from a point of the curve to the next
	points  []project.Point
	at      int
	flushed time.Time
}

// flushEvery is how often progress is recorded: often enough to watch.
const flushEvery = 400 * time.Millisecond

func (l *trainingLog) step(p train.Progress) {
	l.at = p.Step
	if p.Step%l.every == 0 || p.Step == 1 || p.Step == p.Total {
		l.points = append(l.points, project.Point{Step: p.Step, Loss: p.Loss, Accuracy: p.Accuracy, LearningRate: p.LearningRate})
	}
	l.j.mu.Lock()
	l.j.speed, l.j.left = p.ImagesPerSecond, p.Remaining
	l.j.mu.Unlock()
	if time.Since(l.flushed) >= flushEvery {
		l.flush()
	}
}

func (l *trainingLog) flush() {
	if l.at > 0 {
		l.t.update(l.k, l.j, func(r *project.Job) { r.Step = l.at }, l.points...)
	}
	l.points, l.flushed = nil, time.Now()
}

// StopTraining pauses a training, and waits until it is saved.
func (t *Teacher) StopTraining(ctx context.Context, id string, n uint64) (project.Job, error) {
	if j := t.underWay(id, n); j != nil {
		j.cancel(errStopped)
		select {
		case <-j.done:
		case <-ctx.Done():
			return project.Job{}, context.Cause(ctx)
		}
	}
	return t.Store.Job(id, n)
}

// ResumeTraining goes on with a training that is paused.
func (t *Teacher) ResumeTraining(id string, n uint64) (project.Job, error) {
	r, err := t.Store.Job(id, n)
	if err != nil {
		return r, err
	}
	if r.State.Ended() {
		return r, fmt.Errorf("a training that is %s cannot go on: %w", r.State, project.ErrInUse)
	}
	t.launch(id, n)
	return t.Store.Job(id, n)
}

// DiscardTraining stops a training and removes it with its checkpoints and its model.
func (t *Teacher) DiscardTraining(ctx context.Context, id string, n uint64) error {
	if _, err := t.StopTraining(ctx, id, n); err != nil {
		return err
	}
	return t.Store.DeleteJob(id, n)
}
