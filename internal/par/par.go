// Package par runs loops on a fixed set of goroutines. It decides only who computes a part, never what the parts are:
// callers cut the work by shape alone, so that results have the same bits for any number of threads.
package par

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// Pool is a team of threads for one loop at a time. The caller of For is one of them, so a pool of one starts no
// goroutine at all. For allocates nothing. A Pool must not be used by two goroutines at once.
type Pool struct {
	threads int
	next    atomic.Int64
	limit   int64
	body    func(thread, i int)
	wake    []chan struct{}
	done    sync.WaitGroup
}

// New returns a pool of the given number of threads; 0 or less means one per available CPU.
func New(threads int) *Pool {
	if threads <= 0 {
		threads = runtime.GOMAXPROCS(0)
	}
	p := &Pool{threads: threads, wake: make([]chan struct{}, threads-1)}
	for t := range p.wake {
		p.wake[t] = make(chan struct{}, 1)
		go p.work(t+1, p.wake[t])
	}
	return p
}

// Threads returns the number of threads, the caller included.
func (p *Pool) Threads() int { return p.threads }

// Close ends the pool's goroutines. The pool must be idle and is unusable afterwards.
func (p *Pool) Close() {
	for _, c := range p.wake {
		close(c)
	}
	p.wake = nil
}

// For calls body(thread, i) once for every i in [0, n), in no fixed order, and returns when all have returned.
// thread < Threads() tells which scratch memory a call may use. Bodies must write disjoint memory.
func (p *Pool) For(n int, body func(thread, i int)) {
	helpers := min(len(p.wake), n-1)
	if helpers <= 0 {
		for i := range n {
			body(0, i)
		}
		return
	}
	p.body, p.limit = body, int64(n)
	p.next.Store(0)
	p.done.Add(helpers)
	for t := range helpers {
		p.wake[t] <- struct{}{}
	}
	p.take(0)
	p.done.Wait()
	p.body = nil
}

func (p *Pool) work(thread int, wake <-chan struct{}) {
	for range wake {
		p.take(thread)
		p.done.Done()
	}
}

func (p *Pool) take(thread int) {
	for {
		i := p.next.Add(1) - 1
		if i >= p.limit {
			return
		}
		p.body(thread, int(i))
	}
}
