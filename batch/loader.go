package batch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/bigtransfer/bit/data"
	"github.com/bigtransfer/bit/imaging"
)

// Batch is a delivered batch. It is valid until the next call of [Loader.Next], which recycles its memory.
type Batch struct {
	Step   int  // optimiser step; in evaluation the number of the batch
	Offset int  // row of the step's whole batch at which this one starts; 0 unless there are micro-batches
	Last   bool // whether this is the last one of its step

	X       []float32 // [N, H, W, 3]
	N, H, W int
	Labels  []int32 // [N]; of several the first, data.NoLabel for none
	Index   []int32 // [N], the index of each row's example in the list

	// With mixup, row i is Lambda times its example plus 1-Lambda times another, whose label is MixLabels[i].
	// Without, nil and 1.
	MixLabels []int32
	Lambda    float64 // a float32 value, the one that mixed the pixels

	// Targets [N, classes] is 1 for every label of a row and 0 elsewhere, with mixup Lambda and 1-Lambda of two such rows;
	// nil unless asked for by TrainConfig.Classes.
	Targets []float32

	classes  int     // of Targets; 0 for none
	first    int64   // position in the endless stream of examples of the step's first row
	partner  []int32 // [N], row of the step's whole batch that is mixed in
	mixIndex []int32 // [N], index of that row's example
	broken   []bool  // [N], whether the row could not be made
	todo     atomic.Int32
	done     chan struct{} // holds a token once all rows are made
	fail     sync.Mutex
	err      error // of the lowest row that failed
	errRow   int
}

// prefetch is how many batches are made ahead of the one in use. One is enough to keep the workers busy: when they are
// the slower side, the batch in use is handed back as soon as the next is asked for. More would cost memory, which
// matters where a batch is 512 pictures of 480 pixels a side, 1.4 GB.
const prefetch = 1

// maker decides what a Loader delivers. plan is called by one goroutine, for one batch after the other; row by many.
type maker interface {
	// plan sets b's fields and the lengths of its slices, or returns false at the end.
	plan(b *Batch) bool
	// prepare turns a picture just decoded into what is kept of it, in memory of its own.
	prepare(w *worker, img *imaging.Image) (*picture, error)
	// row makes row i of b, with w's memory.
	row(l *Loader, w *worker, b *Batch, i int) error
}

// Loader makes batches ahead of their use, on its own goroutines. Next and Close are for one goroutine.
//
// A file that cannot be decoded does not end a run. In training, the next readable example of its class in the list
// (cyclically) takes its place wherever it is drawn; this depends on the files alone, so batches stay reproducible.
// In evaluation it is left out. Either way it is listed by [Loader.Skipped]. A class without one readable picture is
// an error in training. A file that cannot be read at all (it vanished, permission, a failing disk) is always an error.
type Loader struct {
	maker
	source   data.Source
	examples []data.Example
	cache    *Cache

	free    chan *Batch
	planned chan *Batch // in order of delivery
	rows    chan rowTask
	stop    chan struct{}
	running sync.WaitGroup

	current   *Batch // planned and perhaps delivered
	delivered bool
	err       error // what Next returns from now on

	broken brokenList
}

type rowTask struct {
	batch *Batch
	row   int
}

// ErrClosed is returned by Next after Close.
var ErrClosed = errors.New("batch: the loader is closed")

func newLoader(m maker, source data.Source, examples []data.Example, cache *Cache, h, w, workers int) (*Loader, error) {
	if len(examples) == 0 {
		return nil, data.ErrNoImages
	}
	if cache != nil && len(cache.images) != len(examples) {
		return nil, fmt.Errorf("batch: the cache is for %d examples, expected %d", len(cache.images), len(examples))
	}
	if workers <= 0 {
		workers = runtime.GOMAXPROCS(0)
	}
	l := &Loader{
		maker: m, source: source, examples: examples, cache: cache,
		free:    make(chan *Batch, prefetch+1),
		planned: make(chan *Batch, prefetch+1),
		rows:    make(chan rowTask, 4*workers),
		stop:    make(chan struct{}),
	}
	for range prefetch + 1 {
		l.free <- &Batch{H: h, W: w, done: make(chan struct{}, 1)}
	}
	l.running.Go(l.planAll)
	for range workers {
		l.running.Go(l.work)
	}
	return l, nil
}

// planAll hands the rows of every batch to the workers.
func (l *Loader) planAll() {
	defer close(l.planned)
	for {
		var b *Batch
		select {
		case b = <-l.free:
		case <-l.stop:
			return
		}
		if !l.plan(b) {
			return
		}
		b.err = nil
		b.todo.Store(int32(b.N))
		l.planned <- b // never blocks: there is room for all batches
		for i := range b.N {
			select {
			case l.rows <- rowTask{b, i}:
			case <-l.stop:
				return
			}
		}
	}
}

func (l *Loader) work() {
	w := newWorker()
	for {
		select {
		case <-l.stop:
			return
		case t := <-l.rows:
			if err := l.row(l, w, t.batch, t.row); err != nil {
				t.batch.failed(t.row, err)
			}
			if t.batch.todo.Add(-1) == 0 {
				t.batch.done <- struct{}{}
			}
		}
	}
}

// failed keeps the error of the lowest row, so that it is the same with any number of workers.
func (b *Batch) failed(row int, err error) {
	b.fail.Lock()
	defer b.fail.Unlock()
	if b.err == nil || row < b.errRow {
		b.err, b.errRow = err, row
	}
}

// resize sets N and the lengths of the slices that every batch has; Targets are cleared.
func (b *Batch) resize(n, classes int) {
	b.N, b.classes = n, classes
	b.Targets = slices.Grow(b.Targets[:0], n*classes)[:n*classes]
	clear(b.Targets)
	b.X = slices.Grow(b.X[:0], n*b.H*b.W*3)[:n*b.H*b.W*3]
	b.Labels = slices.Grow(b.Labels[:0], n)[:n]
	b.Index = slices.Grow(b.Index[:0], n)[:n]
	b.broken = slices.Grow(b.broken[:0], n)[:n]
	clear(b.broken)
}

// addTargets adds the labels of an example to row i of Targets, with the given weight.
func (b *Batch) addTargets(i int, e *data.Example, weight float32) {
	if b.classes == 0 {
		return
	}
	row := b.Targets[i*b.classes:][:b.classes]
	for _, label := range e.Labels {
		row[label] += weight
	}
	if e.Labels == nil && e.Label >= 0 {
		row[e.Label] += weight
	}
}

// row returns the pixels of row i, [H, W, 3].
func (b *Batch) row(i int) []float32 {
	size := b.H * b.W * 3
	return b.X[i*size : (i+1)*size]
}

// leaveOutBroken closes the gaps that broken rows left.
func (b *Batch) leaveOutBroken() {
	n := 0
	for i, broken := range b.broken {
		if broken {
			continue
		}
		if n < i {
			copy(b.row(n), b.row(i))
			b.Labels[n], b.Index[n] = b.Labels[i], b.Index[i]
		}
		n++
	}
	b.N, b.X, b.Labels, b.Index = n, b.X[:n*b.H*b.W*3], b.Labels[:n], b.Index[:n]
}

// Next returns the next batch in order, waiting for it if it is not ready. After the last one, which only evaluation
// has, it returns io.EOF. When ctx is cancelled it returns the cause, and the next call waits for the same batch again.
// Any other error is final.
func (l *Loader) Next(ctx context.Context) (*Batch, error) {
	for l.err == nil {
		if l.delivered {
			l.free <- l.current
			l.current, l.delivered = nil, false
		}
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		if err := l.wait(ctx); err != nil {
			return nil, err
		}
		if l.err != nil {
			break
		}
		l.delivered = true
		l.current.leaveOutBroken()
		if l.current.N > 0 {
			return l.current, nil
		}
	}
	return nil, l.err
}

// wait sets current to the next batch and waits until its rows are made. It sets err at the end and when a row failed.
func (l *Loader) wait(ctx context.Context) error {
	if l.current == nil {
		select {
		case l.current = <-l.planned:
			if l.current == nil { // closed
				l.err = io.EOF
				return nil
			}
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	select {
	case <-l.current.done:
		l.err = l.current.err
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Close ends the loader's goroutines and waits for them. The batch last returned stays valid.
func (l *Loader) Close() {
	if l.err != ErrClosed {
		close(l.stop)
		l.err = ErrClosed
	}
	l.running.Wait()
}
