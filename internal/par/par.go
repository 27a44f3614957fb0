// Package par runs loops on a fixed set of goroutines. It decides only who computes a part, never what the parts are:
// callers cut the work by shape alone, so that results have the same bits for any number of threads.
package par

import (
	"runtime"
	"sync/atomic"
)

// Pool is a team of threads for one loop at a time. The caller of For is one of them, so a pool of one starts no
// goroutine at all. For allocates nothing. A Pool must not be used by two goroutines at once.
type Pool struct {
	threads int
	helpers []*helper

	// One loop: helpers see it when their generation changes, and take indices until next reaches limit.
	body  func(thread, i int)
	limit int64
	next  atomic.Int64
	busy  atomic.Int64  // helpers that have not finished it
	done  chan struct{} // the last helper's message to a caller that sleeps
	sleep atomic.Bool   // the caller sleeps, or is about to
}

// helper is a goroutine of the pool.
type helper struct {
	generation atomic.Uint32 // rises with each loop the helper takes part in
	asleep     atomic.Bool   // it waits, or is about to wait, on wake
	wake       chan struct{}
}

// spin is how often a waiting thread looks before it goes to sleep: some ten microseconds. A layer's loop is about as
// long as waking a sleeping thread takes, and loops follow each other closely.
const spin = 4000

// New returns a pool of the given number of threads; 0 or less means one per available CPU.
func New(threads int) *Pool {
	if threads <= 0 {
		threads = runtime.GOMAXPROCS(0)
	}
	p := &Pool{threads: threads, done: make(chan struct{}, 1)}
	for t := 1; t < threads; t++ {
		h := &helper{wake: make(chan struct{}, 1)}
		p.helpers = append(p.helpers, h)
		go p.work(t, h)
	}
	return p
}

// Threads returns the number of threads, the caller included.
func (p *Pool) Threads() int { return p.threads }

// Close ends the pool's goroutines. The pool must be idle and is unusable afterwards.
func (p *Pool) Close() {
	p.body = nil
	for _, h := range p.helpers {
		p.start(h)
	}
	p.helpers = nil
}

// For calls body(thread, i) once for every i in [0, n), in no fixed order, and returns when all have returned.
// thread < Threads() tells which scratch memory a call may use. Bodies must write disjoint memory.
func (p *Pool) For(n int, body func(thread, i int)) {
	helpers := min(len(p.helpers), n-1)
	if helpers <= 0 {
		for i := range n {
			body(0, i)
		}
		return
	}
	p.body, p.limit = body, int64(n)
	p.next.Store(0)
	p.busy.Store(int64(helpers))
	for _, h := range p.helpers[:helpers] {
		p.start(h)
	}
	p.take(0)
	for range spin {
		if p.busy.Load() == 0 {
			return
		}
	}
	for p.busy.Load() != 0 {
		p.sleep.Store(true)
		if p.busy.Load() == 0 && p.sleep.CompareAndSwap(true, false) {
			return
		}
		<-p.done // from the last helper, or from one that was late to look after an earlier loop
	}
}

// start shows a helper the loop, waking it if it sleeps.
func (p *Pool) start(h *helper) {
	h.generation.Add(1)
	if h.asleep.CompareAndSwap(true, false) {
		h.wake <- struct{}{}
	}
}

func (p *Pool) work(thread int, h *helper) {
	for seen := uint32(0); ; seen++ {
		h.await(seen)
		if p.body == nil {
			return
		}
		p.take(thread)
		if p.busy.Add(-1) == 0 && p.sleep.CompareAndSwap(true, false) {
			p.done <- struct{}{}
		}
	}
}

// await returns when the generation is no longer seen.
func (h *helper) await(seen uint32) {
	for range spin {
		if h.generation.Load() != seen {
			return
		}
	}
	for h.generation.Load() == seen {
		h.asleep.Store(true)
		if h.generation.Load() != seen && h.asleep.CompareAndSwap(true, false) {
			return
		}
		<-h.wake // from start, or from one that was late to look after an earlier loop
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
