package bit

import (
	"context"
	"fmt"
	"iter"
	"runtime"
	"sync"

	"github.com/bigtransfer/bit/data"
)

// Result is what became of one picture.
type Result struct {
	Name        string       // of the picture
	Predictions []Prediction // the best first
	Unknown     bool         // the picture seems to show none of the model's classes; see [Classifier.Judge]
	Features    []float32    // if asked for
	Err         error        // why there are none; it names the picture
}

// ClassifyOptions say how ClassifyPictures works. The zero value is a sound choice.
type ClassifyOptions struct {
	Top      int  // classes per picture; 0 for all
	Features bool // give the features too, as [Classifier.Features] does; they cost nothing
	Batch    int  // pictures per pass of the network; 0 for 16. It changes the speed, not the results
	Workers  int  // goroutines that fetch, decode and prepare; 0 for one per CPU, and 8 at least, since some wait for a disk or network
}

// ClassifyPictures classifies a stream of pictures, for instance that of [data.Opener.Pictures], and yields a result for
// each, in their order. One that fails yields its error and the rest go on. Pictures are read ahead on several goroutines,
// which end when the loop does; two batches are in memory at most, however many there are. When ctx is cancelled the
// results simply end: check ctx.Err() after the loop.
func (m *Classifier) ClassifyPictures(ctx context.Context, pictures iter.Seq[data.Picture], o ClassifyOptions) iter.Seq[Result] {
	if o.Batch <= 0 {
		o.Batch = 16
	}
	if o.Workers <= 0 {
		o.Workers = max(8, runtime.GOMAXPROCS(0))
	}
	return func(yield func(Result) bool) {
		ctx, cancel := context.WithCancel(ctx)
		var running sync.WaitGroup
		defer running.Wait()
		defer cancel()
		queue := m.readAhead(ctx, &running, pictures, o)
		var batch []*pictureTask
		for {
			t := next(ctx, queue)
			if ctx.Err() != nil {
				return
			}
			if t == nil || len(batch) == o.Batch || !fits(batch, t) {
				if !m.yieldBatch(batch, o, yield) {
					return
				}
				batch = batch[:0]
			}
			if t == nil {
				return
			}
			batch = append(batch, t)
		}
	}
}

// pictureTask is one picture on its way.
type pictureTask struct {
	data.Picture
	in   input
	err  error
	done chan struct{} // closed when in or err is set
}

// fits reports whether t can share a pass of the network with the tasks of a batch: all that have an input have it in
// the same size.
func fits(batch []*pictureTask, t *pictureTask) bool {
	for _, u := range batch {
		if u.err == nil && t.err == nil {
			return t.in.h == u.in.h && t.in.w == u.in.w
		}
	}
	return true
}

// readAhead decodes and prepares the pictures on several goroutines and returns them in order. At most two batches are in
// memory at once.
func (m *Classifier) readAhead(ctx context.Context, running *sync.WaitGroup, pictures iter.Seq[data.Picture], o ClassifyOptions) <-chan *pictureTask {
	queue := make(chan *pictureTask, 2*o.Batch)
	work := make(chan *pictureTask)
	running.Go(func() {
		defer close(queue)
		defer close(work)
		for p := range pictures {
			t := &pictureTask{Picture: p, done: make(chan struct{})}
			for _, to := range []chan<- *pictureTask{queue, work} {
				select {
				case to <- t:
				case <-ctx.Done():
					return
				}
			}
		}
	})
	for range o.Workers {
		running.Go(func() {
			for t := range work {
				t.in, t.err = m.preparePicture(t.Picture)
				close(t.done)
			}
		})
	}
	return queue
}

func (m *Classifier) preparePicture(p data.Picture) (input, error) {
	img, err := p.Image()
	if err != nil {
		return input{}, err
	}
	in, err := m.prepare(img)
	if err != nil {
		return input{}, fmt.Errorf("%s: %w", p.Name, err)
	}
	return in, nil
}

// next returns the next task, finished, or nil after the last one and when ctx is cancelled.
func next(ctx context.Context, queue <-chan *pictureTask) *pictureTask {
	select {
	case t := <-queue:
		if t == nil {
			return nil
		}
		select {
		case <-t.done:
			return t
		case <-ctx.Done():
		}
	case <-ctx.Done():
	}
	return nil
}

// yieldBatch runs the network on a batch and yields its results. It returns false if the loop was left.
func (m *Classifier) yieldBatch(batch []*pictureTask, o ClassifyOptions, yield func(Result) bool) bool {
	var x []float32
	n, h, w := 0, 0, 0
	for _, t := range batch {
		if t.err == nil {
			x = append(x, t.in.x...)
			n, h, w = n+1, t.in.h, t.in.w
		}
	}
	var logits, features []float32
	var failed error
	switch {
	case n > 0 && o.Features:
		logits, features, failed = m.Outputs(x, n, h, w)
	case n > 0:
		logits, failed = m.Logits(x, n, h, w)
	}
	for _, t := range batch {
		r := Result{Name: t.Name, Err: t.err}
		if r.Err == nil {
			if r.Err = failed; r.Err == nil {
				r.Predictions, r.Unknown, r.Err = m.Judge(logits[:m.net.Classes], o.Top)
				logits = logits[m.net.Classes:]
				if o.Features {
					d := m.net.FeatureWidth()
					r.Features, features = features[:d:d], features[d:]
				}
			}
			if r.Err != nil {
				r.Err = fmt.Errorf("%s: %w", t.Name, r.Err)
			}
		}
		if !yield(r) {
			return false
		}
	}
	return true
}
