package main

import (
	"context"
	"fmt"
	"io"
	"runtime"
	"runtime/debug"
	"time"

	"github.com/bigtransfer/bit/internal/cpu"
	"github.com/bigtransfer/bit/internal/machine"
)

// plan is what one run of the benchmark does: every case at every level with every number of threads.
type plan struct {
	settings
	cases   []benchCase
	threads []int
	levels  []cpu.Level
}

// expected guesses how many seconds the rows of a case take.
func (p plan) expected(c benchCase, threads int) float64 {
	contenders := 1
	if p.peer != nil {
		contenders = 2
	}
	return c.expected(contenders, p.runs, threads)
}

// time runs everything. With an error it returns what was finished before.
func (p plan) time(ctx context.Context, out io.Writer) (*report, error) {
	r := &report{Time: time.Now(), CPU: machine.CPU(), Cores: runtime.NumCPU()}
	defer r.finish()
	p.cases = fitting(p.cases, machine.FreeMemory(), out)
	far := progress{steps: len(p.cases) * len(p.levels) * len(p.threads), begun: time.Now()}
	for _, c := range p.cases {
		for _, n := range p.threads {
			far.total += float64(len(p.levels)) * p.expected(c, n)
		}
	}
	// Barriers between threads suffer most: PyTorch has been seen to take 20 times as long beside one busy process.
	if l := load(); l > 0.5 {
		fmt.Fprintf(out, "warning: other programs are running (load %.1f); all times will be too long, the peers' on several threads most of all\n", l)
	}
	fmt.Fprintf(out, "%v\n", &far)
	var f files
	network := "" // that f holds
	for _, c := range p.cases {
		if c.Network != network {
			if err := f.remove(); err != nil {
				return r, err
			}
			var err error
			if f, err = p.write(c); err != nil {
				return r, err
			}
			network = c.Network
		}
		for _, level := range p.levels {
			for _, n := range p.threads {
				l, err := limits(ctx, n, level)
				if err != nil {
					return r, err
				}
				r.limit(l)
				x, err := match(ctx, p.settings, c, f, n, level)
				if err != nil {
					return r, err
				}
				r.Results = append(r.Results, x)
				far.finish(p.expected(c, n))
				fmt.Fprintf(out, "%s, threads %d, %s: %s (%v)\n", c, n, level, x, &far)
			}
		}
	}
	return r, f.remove()
}

// fitting returns the cases that run in so many free bytes and tells of the others; 0 is unknown. The largest networks
// are their weights and little else.
func fitting(cases []benchCase, free int64, out io.Writer) []benchCase {
	var fit []benchCase
	for _, c := range cases {
		if need := 4 * int64(c.Config.NumParams()) * 5 / 4; free > 0 && free < need {
			fmt.Fprintf(out, "%s is left out: it needs some %s of memory, and %s are free\n", c, megabytes(need), megabytes(free))
			continue
		}
		fit = append(fit, c)
	}
	return fit
}

// write writes a case's network with random weights, whose memory is free again afterwards.
func (p plan) write(c benchCase) (files, error) {
	defer debug.FreeOSMemory()
	net, err := randomNetwork(c.Config)
	if err != nil {
		return files{}, err
	}
	return writeNetwork(p.work, "network", net, p.peer != nil)
}
