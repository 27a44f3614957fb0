package bit

import (
	"context"
	"fmt"
	"iter"
	"runtime"
	"sync"

	"github.com/bigtransfer/bit/imaging"
)

// FileResult is what became of one file.
type FileResult struct {
	File        string
	Predictions []Prediction // the best first
	Unknown     bool         // the picture seems to show none of the model's classes; see [Classifier.Judge]
	Err         error        // why there are none; it names the file
}

// FilesOptions say how ClassifyFiles works. The zero value is a sound choice.
type FilesOptions struct {
	Top     int // classes per file; 0 for all
	Batch   int // pictures per pass of the network; 0 for 16. It changes the speed, not the results
	Workers int // goroutines that decode and prepare; 0 for one per CPU
}

// ClassifyFiles classifies picture files and yields a result for each, in their order. A file that fails yields its
// error and the rest go on. Files are read ahead on several goroutines, which end when the loop does. When ctx is
// cancelled the results simply end: check ctx.Err() after the loop.
func (m *Classifier) ClassifyFiles(ctx context.Context, files []string, o FilesOptions) iter.Seq[FileResult] {
	if o.Batch <= 0 {
		o.Batch = 16
	}
	if o.Workers <= 0 {
		o.Workers = runtime.GOMAXPROCS(0)
	}
	return func(yield func(FileResult) bool) {
		ctx, cancel := context.WithCancel(ctx)
		var running sync.WaitGroup
		defer running.Wait()
		defer cancel()
		queue := m.readAhead(ctx, &running, files, o)
		var batch []*fileTask
		for {
			t := next(ctx, queue)
			if ctx.Err() != nil {
				return
			}
			if t == nil || len(batch) == o.Batch || !fits(batch, t) {
				if !m.yieldBatch(batch, o.Top, yield) {
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

// fileTask is one file on its way.
type fileTask struct {
	file string
	in   input
	err  error
	done chan struct{} // closed when in or err is set
}

// fits reports whether t can share a pass of the network with the tasks of a batch: all that have an input have it in
// the same size.
func fits(batch []*fileTask, t *fileTask) bool {
	for _, u := range batch {
		if u.err == nil && t.err == nil {
			return t.in.h == u.in.h && t.in.w == u.in.w
		}
	}
	return true
}

// readAhead decodes and prepares the files on several goroutines and returns them in order. At most two batches are in
// memory at once.
func (m *Classifier) readAhead(ctx context.Context, running *sync.WaitGroup, files []string, o FilesOptions) <-chan *fileTask {
	queue := make(chan *fileTask, 2*o.Batch)
	work := make(chan *fileTask)
	running.Go(func() {
		defer close(queue)
		defer close(work)
		for _, file := range files {
			t := &fileTask{file: file, done: make(chan struct{})}
			for _, to := range []chan<- *fileTask{queue, work} {
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
				t.in, t.err = m.prepareFile(t.file)
				close(t.done)
			}
		})
	}
	return queue
}

func (m *Classifier) prepareFile(path string) (input, error) {
	img, err := imaging.DecodeFile(path)
	if err != nil {
		return input{}, err
	}
	in, err := m.prepare(img)
	if err != nil {
		return input{}, fmt.Errorf("%s: %w", path, err)
	}
	return in, nil
}

// next returns the next task, finished, or nil after the last one and when ctx is cancelled.
func next(ctx context.Context, queue <-chan *fileTask) *fileTask {
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
func (m *Classifier) yieldBatch(batch []*fileTask, top int, yield func(FileResult) bool) bool {
	var x []float32
	n, h, w := 0, 0, 0
	for _, t := range batch {
		if t.err == nil {
			x = append(x, t.in.x...)
			n, h, w = n+1, t.in.h, t.in.w
		}
	}
	var logits []float32
	var failed error
	if n > 0 {
		logits, failed = m.Logits(x, n, h, w)
	}
	for _, t := range batch {
		r := FileResult{File: t.file, Err: t.err}
		if r.Err == nil {
			if r.Err = failed; r.Err == nil {
				r.Predictions, r.Unknown, r.Err = m.Judge(logits[:m.net.Classes], top)
				logits = logits[m.net.Classes:]
			}
			if r.Err != nil {
				r.Err = fmt.Errorf("%s: %w", t.file, r.Err)
			}
		}
		if !yield(r) {
			return false
		}
	}
	return true
}
