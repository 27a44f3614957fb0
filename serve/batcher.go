package serve

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/bigtransfer/bit"
	"github.com/bigtransfer/bit/imaging"
)

// task is one picture on its way through the network.
type task struct {
	picture *imaging.Image // resized and cropped for the network; or
	x       []float32      // prepared input, [h, w, 3]
	alone   func() error   // or work of its own for the model, that shares no pass

	h, w    int
	entered time.Time     // into the queue
	done    chan struct{} // closed when what follows is set

	logits, features []float32
	waited, ran      time.Duration // in the queue; in the network, together with the rest of the batch
	batch            int           // pictures of the pass
	err              error
}

// batcher is a queue of pictures for one model, and the goroutine that takes them from it. While a pass runs, the next
// batch gathers. Beyond that a picture waits only for those that are being decoded already, and not longer than delay.
type batcher struct {
	model     *bit.Classifier
	normalize *imaging.Normalizer
	engine    chan struct{} // holds one token: who has it may run a network
	most      int           // pictures of a pass
	delay     time.Duration
	aim       time.Duration // how long a pass should take at most
	observe   func(n int, ran time.Duration)

	arriving atomic.Int64 // pictures of this model that are being decoded

	mu       sync.Mutex
	queue    []*task
	closed   bool
	perPixel float64       // seconds of a pass per picture and pixel, of late; 0 at first
	changed  chan struct{} // has room for one message: the queue, closed or arriving changed
	ended    chan struct{} // closed when the goroutine has ended
}

func (b *batcher) start() {
	b.changed, b.ended = make(chan struct{}, 1), make(chan struct{})
	b.normalize = b.model.Processor().Normalizer()
	go b.loop()
}

// close lets the goroutine end when the queue is empty, and waits for it.
func (b *batcher) close() {
	b.mu.Lock()
	b.closed = true
	b.mu.Unlock()
	b.signal()
	<-b.ended
}

func (b *batcher) signal() {
	select {
	case b.changed <- struct{}{}:
	default:
	}
}

// expect announces that n pictures are being decoded, until the function that it returns is called.
func (b *batcher) expect(n int) (arrived func()) {
	b.arriving.Add(int64(n))
	return sync.OnceFunc(func() {
		if b.arriving.Add(int64(-n)) == 0 {
			b.signal()
		}
	})
}

// run puts tasks into the queue and waits until all are done.
// If the context ends first those that still wait leave the queue, and its cause is returned. Once they are in it, arrived
// is called.
func (b *batcher) run(ctx context.Context, tasks []*task, arrived func()) error {
	now := time.Now()
	for _, t := range tasks {
		t.entered, t.done = now, make(chan struct{})
	}
	b.mu.Lock()
	b.queue = append(b.queue, tasks...)
	b.mu.Unlock()
	arrived()
	b.signal()
	for _, t := range tasks {
		select {
		case <-t.done:
			if t.err != nil {
				b.withdraw(tasks)
				return t.err
			}
		case <-ctx.Done():
			b.withdraw(tasks)
			return context.Cause(ctx)
		}
	}
	return nil
}

// withdraw takes those of the tasks out of the queue that are still in it.
func (b *batcher) withdraw(tasks []*task) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.queue = slices.DeleteFunc(b.queue, func(t *task) bool { return slices.Contains(tasks, t) })
}

// depth is the number of pictures in the queue.
func (b *batcher) depth() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.queue)
}

func (b *batcher) loop() {
	defer close(b.ended)
	for b.gather() {
		b.engine <- struct{}{}
		if batch := b.take(); len(batch) > 0 { // all may have left
			b.pass(batch)
		}
		<-b.engine
	}
}

// gather returns when a batch should run: true, or false when the batcher is closed and nothing is left.
func (b *batcher) gather() bool {
	var timer *time.Timer
	for {
		b.mu.Lock()
		waiting, closed, enough, wait := len(b.queue), b.closed, false, time.Duration(0)
		if waiting > 0 {
			first := b.queue[0]
			wait = b.delay - time.Since(first.entered)
			enough = waiting >= b.limit(first) || first.alone != nil
		}
		b.mu.Unlock()
		switch {
		case waiting == 0 && closed:
			return false
		case waiting == 0:
			<-b.changed
			continue
		case enough || closed || wait <= 0 || b.arriving.Load() == 0:
			return true
		}
		if timer == nil {
			timer = time.NewTimer(wait)
			defer timer.Stop()
		} else {
			timer.Reset(wait)
		}
		select {
		case <-b.changed:
		case <-timer.C:
		}
	}
}

// limit is the number of pictures of a task's size that a pass should have: as many as it does in the time aimed at.
func (b *batcher) limit(t *task) int {
	each := b.perPixel * float64(t.h*t.w)
	if each <= 0 {
		return b.most
	}
	return max(1, min(b.most, int(b.aim.Seconds()/each)))
}

// take removes from the queue the first task and those after it that can share its pass.
func (b *batcher) take() []*task {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.queue) == 0 {
		return nil
	}
	first := b.queue[0]
	limit := b.limit(first)
	if first.alone != nil {
		limit = 1
	}
	var batch []*task
	b.queue = slices.DeleteFunc(b.queue, func(t *task) bool {
		if len(batch) == limit || t != first && (t.alone != nil || t.h != first.h || t.w != first.w) {
			return false
		}
		batch = append(batch, t)
		return true
	})
	return batch
}

// pass runs the network on a batch and hands out the results.
func (b *batcher) pass(batch []*task) {
	started := time.Now()
	err := b.compute(batch)
	ran := time.Since(started)
	if first := batch[0]; err == nil && first.alone == nil {
		b.observe(len(batch), ran)
		// An average over the last passes, in which one that was disturbed counts little.
		const share = 0.2
		now := ran.Seconds() / float64(len(batch)*first.h*first.w)
		b.mu.Lock()
		if b.perPixel == 0 {
			b.perPixel = now
		}
		b.perPixel += share * (now - b.perPixel)
		b.mu.Unlock()
	}
	for _, t := range batch {
		t.waited, t.ran, t.batch = started.Sub(t.entered), ran, len(batch)
		t.err = err
		close(t.done)
	}
}

// errPanic is the error of a request that met a mistake of this program.
var errPanic = errors.New("internal error")

// compute fills in the results of a batch. A panic, which is a mistake of ours, must not take the other requests along.
func (b *batcher) compute(batch []*task) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%w: %v\n%s", errPanic, r, debug.Stack())
		}
	}()
	first := batch[0]
	if first.alone != nil {
		return first.alone()
	}
	each := first.h * first.w * 3
	x := make([]float32, len(batch)*each)
	for i, t := range batch {
		if to := x[i*each:][:each]; t.picture != nil {
			b.normalize.Normalize(to, t.picture)
		} else {
			copy(to, t.x)
		}
	}
	logits, features, err := b.model.Outputs(x, len(batch), first.h, first.w)
	if err != nil {
		return err
	}
	classes, width := len(logits)/len(batch), len(features)/len(batch)
	for i, t := range batch {
		// Copies, so that one picture's answer does not keep the batch in memory.
		t.logits = slices.Clone(logits[i*classes:][:classes])
		t.features = slices.Clone(features[i*width:][:width])
	}
	return nil
}
