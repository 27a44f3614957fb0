package main

import (
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/bigtransfer/bit/internal/cpu"
	"github.com/bigtransfer/bit/internal/machine"
)

// settings hold for a whole run of the benchmark.
type settings struct {
	runs      int
	tolerance float64       // largest difference of outputs, relative to the largest output
	pause     time.Duration // before each turn
	work      string        // folder for networks and inputs

	peer func(task) contender // whom this program is compared with; nil to run it alone
}

// Training steps in comparison and timing. With this rate the loss of R50x1 falls by 1.5 % over the compared steps,
// enough to show a wrong gradient, and agrees to about 1e-6.
const (
	trainRate     = 1e-3
	trainMomentum = 0.9
	trainSteps    = 4
)

// side is one contender's part of a result.
type side struct {
	Program string    `json:"program"`
	Limited bool      `json:"limited"`          // uses no wider vectors than the result's SIMD level has
	Seconds []float64 `json:"seconds"`          // of each run
	Median  float64   `json:"median"`           // seconds
	Start   float64   `json:"start"`            // seconds from process start to the first logits
	Memory  int64     `json:"memory,omitempty"` // peak resident bytes, 0 where the system does not tell
}

// result is one row of the table.
type result struct {
	Case    string    `json:"case"`
	Threads int       `json:"threads"`
	SIMD    cpu.Level `json:"simd"`
	Batch   int       `json:"batch"`
	MACs    float64   `json:"macs"`    // of a forward pass over the batch
	FLOPs   float64   `json:"flops"`   // of a run, by the usual count
	Traffic float64   `json:"traffic"` // bytes to and from memory: see benchCase.Traffic
	Ours    side      `json:"ours"`

	// With a peer:
	Peer  *side   `json:"peer,omitempty"`
	Speed float64 `json:"speed,omitempty"` // the peer's median time over ours
	Error float64 `json:"error,omitempty"` // largest relative difference of the outputs

	// Ours:
	GFLOPS    float64 `json:"gflops"`
	PeakShare float64 `json:"peak_share"` // of the machine's multiply-adds
	CopyShare float64 `json:"copy_share"` // of the machine's copy bandwidth, Traffic taken as moved
}

// String is what is said of a result as soon as it is there.
func (r result) String() string {
	if r.Peer == nil {
		return milliseconds(r.Ours.Median)
	}
	return fmt.Sprintf("ours %s, peer %s, %.2f", milliseconds(r.Ours.Median), milliseconds(r.Peer.Median), r.Speed)
}

// match compares and times one case.
func match(ctx context.Context, s settings, c benchCase, f files, threads int, level cpu.Level) (result, error) {
	res := result{
		Case: c.String(), Threads: threads, SIMD: level, Batch: c.Batch,
		MACs: c.MACs(), FLOPs: c.FLOPs(), Traffic: c.Traffic(),
	}
	self, err := bit()
	if err != nil {
		return res, err
	}
	contenders, sides := []contender{self}, []*side{&res.Ours}
	if s.peer != nil {
		res.Peer = new(side)
		contenders, sides = append(contenders, s.peer(c.Task)), append(sides, res.Peer)
	}
	shape := []int{c.Batch, c.Config.Channels, c.Side, c.Side}
	in := request{Op: "input", Input: filepath.Join(s.work, "input"), Shape: shape}
	if err := writeInput(in.Input, randomImages(c.Batch*c.Config.Channels*c.Side*c.Side)); err != nil {
		return res, err
	}
	defer os.Remove(in.Input)

	var workers []*worker
	var outputs [][][]float64
	for i, contender := range contenders {
		w, opened, err := contender.start(ctx, f, threads, level)
		if err != nil {
			return res, err
		}
		defer w.close()
		workers = append(workers, w)
		sides[i].Program = describe(opened)
		sides[i].Limited = contender.limited(level)
		if _, err := w.ask(in); err != nil {
			return res, err
		}
		first, err := firstOutputs(w, c, sides[i])
		if err != nil {
			return res, err
		}
		outputs = append(outputs, first)
	}
	if res.Peer != nil {
		if res.Error, err = largestDifference(outputs[0], outputs[1], s.tolerance); err != nil {
			return res, fmt.Errorf("%s on %d threads: %s and %s disagree: %w", res.Case, threads, res.Ours.Program, res.Peer.Program, err)
		}
	}
	if err := takeTurns(ctx, s, workers, sides); err != nil {
		return res, err
	}
	if res.Peer != nil {
		res.Speed = res.Peer.Median / res.Ours.Median
	}
	return res, nil
}

// takeTurns times the runs of all workers, one each in turn.
func takeTurns(ctx context.Context, s settings, workers []*worker, sides []*side) error {
	warmup := 1
	for range s.runs {
		slowest := 0.0
		for i, w := range workers {
			if err := sleep(ctx, s.pause); err != nil {
				return err
			}
			r, err := w.ask(request{Op: "time", Count: 1, Warmup: warmup})
			if err != nil {
				return err
			}
			sides[i].Seconds = append(sides[i].Seconds, r.Seconds)
			slowest = max(slowest, r.Seconds)
		}
		if slowest > 0.25 {
			warmup = 0 // what a pause costs no longer shows
		}
	}
	for i, w := range workers {
		sides[i].Median = median(sides[i].Seconds)
		sides[i].Memory = machine.PeakMemory(w.cmd.Process.Pid)
	}
	return nil
}

// limits measures the machine in a process of its own, since the level of this one does not change.
func limits(ctx context.Context, threads int, level cpu.Level) (machine.Limits, error) {
	self, err := bit()
	if err != nil {
		return machine.Limits{}, err
	}
	w, err := startWorker(ctx, self.name, self.command, self.limits[level])
	if err != nil {
		return machine.Limits{}, err
	}
	defer w.close()
	r, err := w.ask(request{Op: "limits", Threads: threads})
	if err != nil {
		return machine.Limits{}, err
	}
	return *r.Limits, nil
}

// firstOutputs returns everything that is compared: logits, and when training the losses of a few steps.
func firstOutputs(w *worker, c benchCase, s *side) ([][]float64, error) {
	if c.Task == train {
		labels := make([]int, c.Batch)
		for i := range labels {
			labels[i] = i * 37 % c.Config.Classes
		}
		if _, err := w.ask(request{Op: "train", Labels: labels, Rate: trainRate, Momentum: trainMomentum}); err != nil {
			return nil, err
		}
	}
	first, err := w.ask(request{Op: "logits"})
	if err != nil {
		return nil, err
	}
	s.Start = time.Since(w.begun).Seconds()
	if c.Task == predict {
		return [][]float64{first.Logits}, nil
	}
	steps, err := w.ask(request{Op: "steps", Count: trainSteps})
	return [][]float64{first.Logits, steps.Losses}, err
}

// largestDifference returns the largest difference of corresponding outputs, relative to the largest value of each
// output, and an error if that is above the tolerance.
func largestDifference(ours, peers [][]float64, tolerance float64) (float64, error) {
	worst := 0.0
	for k, want := range peers {
		got := ours[k]
		if len(got) != len(want) || len(want) == 0 {
			return 0, fmt.Errorf("output %d has %d and %d values", k, len(got), len(want))
		}
		largest := 0.0
		for _, v := range want {
			largest = max(largest, math.Abs(v))
		}
		for i, v := range want {
			d := math.Abs(got[i]-v) / largest
			if !(d <= tolerance) {
				return d, fmt.Errorf("output %d, value %d: %v and %v, relative difference %.1e, tolerated %.1e", k, i, got[i], v, d, tolerance)
			}
			worst = max(worst, d)
		}
	}
	return worst, nil
}

// median returns the middle value, or the mean of the two in the middle.
func median(values []float64) float64 {
	v := slices.Sorted(slices.Values(values))
	n := len(v)
	return (v[(n-1)/2] + v[n/2]) / 2
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(d):
		return nil
	}
}
