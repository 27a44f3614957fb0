package main

import (
	"context"
	"io"
	"math"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bigtransfer/bit/internal/cpu"
	"github.com/bigtransfer/bit/resnet"
)

// The benchmark starts itself as a worker, and in a test that is the test's program.
func TestMain(m *testing.M) {
	if slices.Equal(os.Args[1:], []string{workerFlag}) {
		main()
		return
	}
	os.Exit(m.Run())
}

// tinyPlan runs two small cases at one level.
func tinyPlan(t *testing.T, peer func(task) contender) plan {
	c := resnet.Config{
		Channels: 3, StemWidth: 8, Widths: []int{16, 32}, Depths: []int{1, 1}, Groups: 4, Classes: 3,
		GNEpsilon: resnet.GNEpsilon, WSEpsilon: resnet.WSEpsilonOfficial,
	}
	return plan{
		settings: settings{runs: 7, tolerance: 1e-4, work: t.TempDir(), peer: peer},
		cases:    []benchCase{{predict, "tiny", c, 32, 2}, {train, "tiny", c, 32, 2}},
		threads:  []int{1},
		levels:   best(cpu.Available()),
	}
}

// ourselves is this program as its own peer.
func ourselves(t *testing.T) func(task) contender {
	return func(task) contender {
		c, err := bit()
		if err != nil {
			t.Fatal(err)
		}
		c.limits = map[cpu.Level][]string{cpu.AVX512: {cpu.Override + "=generic"}}
		return c
	}
}

func TestPlan(t *testing.T) {
	for name, peer := range map[string]func(task) contender{"alone": nil, "compared": ourselves(t)} {
		p := tinyPlan(t, peer)
		r, err := p.time(t.Context(), io.Discard)
		if err != nil {
			t.Fatal(err)
		}
		if len(r.Results) != 2 || len(r.Limits) != 1 {
			t.Fatalf("%s: %d results and %d limits, want 2 and 1", name, len(r.Results), len(r.Limits))
		}
		for i, x := range r.Results {
			sides := []side{x.Ours}
			if peer != nil {
				sides = append(sides, *x.Peer)
				if !(x.Speed > 0) || !(x.Error <= p.tolerance) {
					t.Errorf("%s, %s: ratio %v, error %v", name, x.Case, x.Speed, x.Error)
				}
			} else if x.Peer != nil {
				t.Errorf("%s, %s: there is a peer", name, x.Case)
			}
			for _, s := range sides {
				if len(s.Seconds) != p.runs || s.Median != median(s.Seconds) || !(slices.Min(s.Seconds) > 0) || !(s.Start > 0) {
					t.Errorf("%s, %s: %+v", name, x.Case, s)
				}
			}
			if x.Case != p.cases[i].String() || !(x.GFLOPS > 0) || !(x.PeakShare > 0) || !(x.CopyShare > 0) {
				t.Errorf("%s: %+v", name, x)
			}
		}
		if left, err := os.ReadDir(p.work); err != nil || len(left) > 0 {
			t.Errorf("%s: %v are left, error %v", name, left, err)
		}
	}
}

// stopAfter ends a context when a text has been written.
type stopAfter struct {
	text string
	stop func()
}

func (s stopAfter) Write(b []byte) (int, error) {
	if strings.Contains(string(b), s.text) {
		s.stop()
	}
	return len(b), nil
}

func TestInterruptedPlan(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	r, err := tinyPlan(t, nil).time(ctx, stopAfter{"(1 of 2", stop})
	if err == nil || len(r.Results) != 1 || !(r.Results[0].PeakShare > 0) {
		t.Errorf("error %v, results %+v: want an error and the first result", err, r.Results)
	}
}

func TestFitting(t *testing.T) {
	all := scalingCases()
	var told strings.Builder
	if got := fitting(all, 0, &told); len(got) != len(all) || told.Len() > 0 {
		t.Errorf("unknown memory: %d of %d cases, %q", len(got), len(all), told.String())
	}
	got := fitting(all, 4e9, &told) // the weights of R152x4 are 3.7 GB
	if len(got) != len(all)-1 || !strings.HasPrefix(told.String(), "predict/R152x4/224/1 is left out") {
		t.Errorf("4 GB: %d of %d cases, %q", len(got), len(all), told.String())
	}
}

func TestExpected(t *testing.T) {
	c := benchCase{Task: predict, Config: resnet.Variant{Depth: 50, Width: 1}.Config(1000), Side: 224, Batch: 8}
	// Two contenders, each 2 s and 7 + 2 runs of 65.4 GFLOP on two threads of 50 GFLOP/s.
	if got, want := c.expected(2, 7, 2), 2*(2+9*2*8*r50x1MACs/100e9); math.Abs(got-want) > 1e-9 {
		t.Errorf("predict: %v s, want %v", got, want)
	}
	c.Task = train
	if got, want := c.expected(1, 7, 1), 2+(7+2+trainSteps)*6*8*r50x1MACs/50e9; math.Abs(got-want) > 1e-9 {
		t.Errorf("train: %v s, want %v", got, want)
	}
}

func TestProgress(t *testing.T) {
	begun := time.Now()
	p := progress{steps: 3, total: 60, begun: begun}
	if got := p.left(begun); got != time.Minute {
		t.Errorf("before the first step %v are left, want 1m", got)
	}
	if s := p.String(); !strings.HasPrefix(s, "0 of 3, about 1m0s") {
		t.Errorf("before the first step: %q", s)
	}
	p.finish(20)
	if got := p.left(begun.Add(40 * time.Second)); got != 80*time.Second { // twice as slow as expected
		t.Errorf("%v are left, want 80s", got)
	}
	p.finish(20)
	p.finish(20)
	if s := p.String(); s != "3 of 3" {
		t.Errorf("at the end: %q", s)
	}
}
