// Package machine measures what a machine can do at most, with the engine's own kernels: multiply-adds and copying. It also
// tells what the system says of processor and memory.
package machine

import (
	"os"
	"regexp"
	"runtime"
	"time"

	"github.com/bigtransfer/bit/internal/cpu"
	"github.com/bigtransfer/bit/internal/kernels"
	"github.com/bigtransfer/bit/internal/par"
)

// Limits are what a number of threads can do together at a SIMD level.
type Limits struct {
	Threads int       `json:"threads"`
	SIMD    cpu.Level `json:"simd"`
	GFLOPS  float64   `json:"gflops"`   // 10⁹ additions and multiplications a second, on registers
	CopyGBs float64   `json:"copy_gbs"` // 10⁹ bytes a second, read and written, when copying far more than caches hold
}

// Measured work. The best of several rounds counts: whatever else a machine does only takes away.
const (
	rounds = 12

	flopParts  = 64
	flopRepeat = 1 << 14 // multiply-adds of each of the 192 values in a part: 0.06 ms at 100 GFLOP/s

	copyParts = 128
	copyPart  = 1 << 18 // values in a part: 1 MiB, so a round reads 128 MiB and writes as much
)

// Measure measures the threads of a pool at the active level. It takes less than a second and 256 MiB of memory.
//
// Copying is by ordinary stores, as all of the engine's are: processors first read the line that a store goes to, which
// is not counted. The generic level copies with Go's copy, which avoids that where it can.
func Measure(pool *par.Pool) Limits {
	values := make([][192]float32, pool.Threads())
	flops := seconds(func() { multiplyAdds(pool, values) })
	from, to := make([]float32, copyParts*copyPart), make([]float32, copyParts*copyPart)
	for i := range from {
		from[i] = 1 // memory that was never written to may all be one page of zeros
	}
	copied := seconds(func() { copyAll(pool, to, from) })
	return Limits{
		Threads: pool.Threads(),
		SIMD:    cpu.Active(),
		GFLOPS:  2 * 192 * flopRepeat * flopParts / flops / 1e9,
		CopyGBs: 2 * 4 * copyParts * copyPart / copied / 1e9,
	}
}

// multiplyAdds is a round of arithmetic. values are each thread's.
func multiplyAdds(pool *par.Pool, values [][192]float32) {
	pool.For(flopParts, func(thread, _ int) {
		// Values approach 2 and stay there: they never get so small that processors take longer for them.
		kernels.MultiplyAdds(&values[thread], 0.5, 1, flopRepeat)
	})
}

// copyAll is a round of copying.
func copyAll(pool *par.Pool, to, from []float32) {
	pool.For(copyParts, func(_, part int) {
		at := part * copyPart
		kernels.CopyRows(to[at:], copyPart, from[at:], copyPart, 1, copyPart)
	})
}

// seconds returns the time of the fastest round. The first, which wakes threads and touches memory, does not count.
func seconds(round func()) float64 {
	round()
	best := time.Duration(1<<63 - 1)
	for range rounds {
		begin := time.Now()
		round()
		best = min(best, time.Since(begin))
	}
	return best.Seconds()
}

// CPU returns the processor's name, or its architecture where the system does not tell.
func CPU() string {
	info, err := os.ReadFile("/proc/cpuinfo")
	if err == nil {
		if name := modelName(info); name != "" {
			return name
		}
	}
	return runtime.GOARCH
}

// modelName finds the first processor's name in the text of Linux's /proc/cpuinfo.
func modelName(info []byte) string {
	m := regexp.MustCompile(`(?m)^model name[ \t]*:[ \t]*(.*\S)`).FindSubmatch(info)
	if m == nil {
		return ""
	}
	return string(m[1])
}
