package par

import (
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"time"
)

// Every index runs exactly once, on a thread of the pool, whether the threads still look for work or have gone to
// sleep in between, and For returns only after the last.
func TestForRunsEachIndexOnce(t *testing.T) {
	for _, threads := range []int{1, 2, 3, 8} {
		p := New(threads)
		r := rand.New(rand.NewPCG(1, uint64(threads)))
		for range 1000 {
			n := r.IntN(40)
			runs := make([]int32, n) // written without atomics: For must order it
			p.For(n, func(thread, i int) {
				if thread < 0 || thread >= threads {
					t.Errorf("thread %d of %d", thread, threads)
				}
				runs[i]++
			})
			for i, c := range runs {
				if c != 1 {
					t.Fatalf("%d threads: index %d of %d ran %d times", threads, i, n, c)
				}
			}
			if r.IntN(100) == 0 {
				time.Sleep(time.Millisecond)
			}
		}
		p.Close()
	}
}

// A caller that waits long for its helpers sleeps and is woken.
func TestForWaitsForSlowBodies(t *testing.T) {
	p := New(3)
	defer p.Close()
	for range 20 {
		var done atomic.Int32
		p.For(3, func(_, i int) {
			time.Sleep(time.Duration(i) * 2 * time.Millisecond)
			done.Add(1)
		})
		if done.Load() != 3 {
			t.Fatalf("For returned after %d of 3", done.Load())
		}
	}
}

func TestForAllocatesNothing(t *testing.T) {
	p := New(4)
	defer p.Close()
	var sum atomic.Int64
	body := func(_, i int) { sum.Add(int64(i)) }
	if n := testing.AllocsPerRun(100, func() { p.For(16, body) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// BenchmarkFor is the cost of a loop that does nothing.
func BenchmarkFor(b *testing.B) {
	for _, threads := range []int{1, 2} {
		b.Run(fmt.Sprintf("threads=%d", threads), func(b *testing.B) {
			p := New(threads)
			defer p.Close()
			body := func(_, _ int) {}
			for b.Loop() {
				p.For(8, body)
			}
		})
	}
}
