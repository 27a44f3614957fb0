// Package fewshot measures how much a model knows about a task by how few examples it needs: accuracy at a few training
// pictures of each class, over several draws of them, as in the tables of the BiT paper and its code
// (big_transfer README.md: lowest, median and highest of at least five runs).
//
// Three methods are compared on the same draws: a closed-form head on the frozen features, fine-tuning, and the same
// training from random weights, which is what the pretraining must beat.
package fewshot

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/bigtransfer/bit"
	"github.com/bigtransfer/bit/data"
	"github.com/bigtransfer/bit/probe"
	"github.com/bigtransfer/bit/transfer"
)

// Method is a way to learn a task.
type Method string

// The methods, in the order in which they run: the fastest first.
const (
	Probe    Method = "probe"    // ridge regression on features, penalty 1024 (big_vision fewshot_lsr.py)
	FineTune Method = "finetune" // of all weights, by BiT-HyperRule
	Scratch  Method = "scratch"  // the same from random weights
)

// Methods lists all methods.
func Methods() []Method { return []Method{Probe, FineTune, Scratch} }

// Config says what to measure. The zero value is big_vision's protocol: a probe at 1, 5, 10 and 25 examples of each
// class, five draws of each.
type Config struct {
	Methods []Method        // nil for Probe
	Shots   []int           // training examples of each class; nil for DefaultShots
	Seeds   []uint64        // one draw for each; nil for 0 to 4
	Lambda  float64         // penalty of Probe; 0 for probe.DefaultLambda
	Train   transfer.Config // of FineTune and Scratch; its Seed and Dir are the run's own
	Judge   int             // most pictures on which FineTune and Scratch are judged, evenly spread over the split; 0 for all

	Embed bit.EmbedOptions
	Done  []Run                                       // of an earlier call: not run again
	OnRun func(Run) error                             // called after each run that is not in Done; an error ends the measurement
	OnJob func(method Method, shots int, seed uint64) // called before each such run; nil for none
}

// DefaultShots are the numbers of examples of big_vision's evaluation.
func DefaultShots() []int { return []int{1, 5, 10, 25} }

// Run is one draw and its outcome.
type Run struct {
	Method   Method  `json:"method"`
	Shots    int     `json:"shots"`
	Seed     uint64  `json:"seed"`
	Top1     float64 `json:"top1"`     // between 0 and 1
	Examples int     `json:"examples"` // training pictures
	Images   int     `json:"images"`   // pictures it was judged on
	Seconds  float64 `json:"seconds"`  // for fitting or training and judging, without computing features
}

// is reports whether r is the run of a method, number of shots and seed.
func (r Run) is(method Method, shots int, seed uint64) bool {
	return r.Method == method && r.Shots == shots && r.Seed == seed
}

// ErrNoSplit says that a data set has no split to judge on.
var ErrNoSplit = errors.New("few-shot: the data set needs a test or validation split beside the training split")

// filled returns the configuration with its defaults, or says what is wrong with it.
func (c Config) filled() (Config, error) {
	if c.Methods == nil {
		c.Methods = []Method{Probe}
	}
	if c.Shots == nil {
		c.Shots = DefaultShots()
	}
	if c.Seeds == nil {
		c.Seeds = []uint64{0, 1, 2, 3, 4}
	}
	if c.Lambda == 0 {
		c.Lambda = probe.DefaultLambda
	}
	for _, m := range c.Methods {
		if !slices.Contains(Methods(), m) {
			return c, fmt.Errorf("few-shot: method %q, expected one of %q", m, Methods())
		}
	}
	for _, k := range c.Shots {
		if k < 1 {
			return c, fmt.Errorf("few-shot: %d examples of each class, expected at least 1", k)
		}
	}
	return c, nil
}

// Measure runs what c asks for and returns all runs, those of c.Done first. Runs are a pure function of the model, the
// data set, the configuration, shots and seed: those that an interrupted call has reported can be left out of the next.
func Measure(ctx context.Context, m *bit.Model, ds *data.Dataset, c Config) ([]Run, []data.Skipped, error) {
	c, err := c.filled()
	if err != nil {
		return nil, nil, err
	}
	if ds.MultiLabel {
		return nil, nil, errors.New("few-shot: pictures of several labels are not supported")
	}
	if len(ds.Val) == 0 && len(ds.Test) == 0 || len(ds.Train) == 0 {
		return nil, nil, ErrNoSplit
	}
	_, split := ds.EvalSplit()
	var judged []data.Example
	for _, e := range split {
		if e.Label != data.NoLabel {
			judged = append(judged, e)
		}
	}
	s := &measurement{m: m, ds: ds, c: c, judged: judged, runs: slices.Clone(c.Done)}
	for _, method := range Methods() {
		if !slices.Contains(c.Methods, method) {
			continue
		}
		for _, shots := range c.Shots {
			for _, seed := range c.Seeds {
				if err := s.run(ctx, method, shots, seed); err != nil {
					return s.runs, s.skipped, err
				}
			}
		}
	}
	return s.runs, s.skipped, nil
}

// measurement is a call of Measure.
type measurement struct {
	m       *bit.Model
	ds      *data.Dataset
	c       Config
	judged  []data.Example
	runs    []Run
	skipped []data.Skipped

	features *features // of every picture that a probe needs; nil before the first one
}

func (s *measurement) run(ctx context.Context, method Method, shots int, seed uint64) error {
	if slices.ContainsFunc(s.runs, func(r Run) bool { return r.is(method, shots, seed) }) {
		return nil
	}
	if err := context.Cause(ctx); err != nil {
		return err
	}
	train, err := s.draw(shots, seed)
	if err != nil {
		return err
	}
	if method == Probe && s.features == nil {
		if err := s.embed(ctx); err != nil {
			return err
		}
	}
	if s.c.OnJob != nil {
		s.c.OnJob(method, shots, seed)
	}
	start := time.Now()
	r := Run{Method: method, Shots: shots, Seed: seed, Examples: len(train)}
	if method == Probe {
		err = s.probe(train, &r)
	} else {
		err = s.train(ctx, train, &r)
	}
	if err != nil {
		return fmt.Errorf("%s, %d examples of each class, seed %d: %w", method, shots, seed, err)
	}
	r.Seconds = time.Since(start).Seconds()
	s.runs = append(s.runs, r)
	if s.c.OnRun != nil {
		return s.c.OnRun(r)
	}
	return nil
}

func (s *measurement) draw(shots int, seed uint64) ([]data.Example, error) {
	return data.FewShotAtMost(s.ds.Train, s.ds.Classes, shots, seed)
}
