package fewshot

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"testing"

	"github.com/bigtransfer/bit"
	"github.com/bigtransfer/bit/data"
	"github.com/bigtransfer/bit/internal/fixture"
	"github.com/bigtransfer/bit/probe"
	"github.com/bigtransfer/bit/transfer"
)

func open(t *testing.T) (*bit.Model, *data.Dataset) {
	t.Helper()
	m, err := bit.Open(t.Context(), fixture.Case(t, "hf-tiny"))
	if err != nil {
		t.Fatal(err)
	}
	ds, err := data.Open(fixture.Data(t, "cifar10-mini"))
	if err != nil {
		t.Fatal(err)
	}
	return m, ds
}

var small = Config{
	Methods: []Method{Scratch, Probe, FineTune}, Shots: []int{1, 3}, Seeds: []uint64{0, 7},
	Train: transfer.Config{Steps: 2, Batch: 4, Resize: 36, Crop: 32}, Judge: 20,
	Embed: bit.EmbedOptions{NoCache: true},
}

// without returns runs without their times.
func without(list []Run) []Run {
	list = slices.Clone(list)
	for i := range list {
		list[i].Seconds = 0
	}
	return list
}

// Every run is a function of its method, shots and seed: a measurement that is interrupted and goes on has the same runs.
func TestMeasure(t *testing.T) {
	m, ds := open(t)
	c := small
	var jobs []Run
	c.OnJob = func(method Method, shots int, seed uint64) {
		jobs = append(jobs, Run{Method: method, Shots: shots, Seed: seed})
	}
	want, skipped, err := Measure(t.Context(), m, ds, c)
	if err != nil || len(skipped) > 0 {
		t.Fatal(err, skipped)
	}
	at := 0
	for _, method := range []Method{Probe, FineTune, Scratch} { // the fastest first
		for _, shots := range c.Shots {
			for _, seed := range c.Seeds {
				r := want[at]
				images := 20
				if method == Probe {
					images = 300
				}
				if !r.is(method, shots, seed) || !jobs[at].is(method, shots, seed) || r.Examples != 10*shots || r.Images != images || r.Top1 < 0 || r.Top1 > 1 {
					t.Errorf("run %d is %+v", at, r)
				}
				at++
			}
		}
	}
	if at != len(want) {
		t.Errorf("%d runs, want %d", len(want), at)
	}

	stop := errors.New("stop")
	ctx, cancel := context.WithCancelCause(t.Context())
	c.OnRun = func(r Run) error {
		if r.is(FineTune, 1, 7) {
			cancel(stop)
		}
		return nil
	}
	part, _, err := Measure(ctx, m, ds, c)
	if !errors.Is(err, stop) || len(part) != 6 {
		t.Fatalf("error %v after %d runs, want the cause of the cancellation after 6", err, len(part))
	}
	c.Done = part
	began := 0
	c.OnRun = func(Run) error { began++; return nil }
	whole, _, err := Measure(t.Context(), m, ds, c)
	if err != nil || began != 6 || !reflect.DeepEqual(without(whole), without(want)) {
		t.Errorf("error %v, %d more runs, %+v, want %+v", err, began, whole, want)
	}
}

// A probe's accuracy is that of package probe on the model's features of the pictures that FewShot draws.
func TestProbeRun(t *testing.T) {
	m, ds := open(t)
	list, _, err := Measure(t.Context(), m, ds, Config{Shots: []int{2}, Seeds: []uint64{5}, Lambda: 64, Embed: bit.EmbedOptions{NoCache: true}})
	if err != nil {
		t.Fatal(err)
	}
	drawn, err := data.FewShot(ds.Train, ds.Classes, 2, 5)
	if err != nil {
		t.Fatal(err)
	}
	features := func(examples []data.Example) (x []float32, labels []int) {
		for _, e := range examples {
			img, err := ds.Image(e)
			if err != nil {
				t.Fatal(err)
			}
			f, err := m.Features(t.Context(), img)
			if err != nil {
				t.Fatal(err)
			}
			x, labels = append(x, f[0]...), append(labels, e.Label)
		}
		return x, labels
	}
	x, labels := features(drawn)
	h, err := probe.Fit(x, labels, 10, probe.Config{Lambda: 64, NoScale: true})
	if err != nil {
		t.Fatal(err)
	}
	if want := h.Accuracy(features(ds.Test)); list[0].Top1 != want {
		t.Errorf("accuracy %v, want %v", list[0].Top1, want)
	}
}

func TestMeasureErrors(t *testing.T) {
	m, ds := open(t)
	for what, c := range map[string]Config{
		"method": {Methods: []Method{"magic"}}, "shots": {Shots: []int{0}}, "penalty": {Lambda: -1, Embed: bit.EmbedOptions{NoCache: true}},
	} {
		if _, _, err := Measure(t.Context(), m, ds, c); err == nil {
			t.Errorf("no error for a wrong %s", what)
		}
	}
	bare := *ds
	bare.Test = nil
	if _, _, err := Measure(t.Context(), m, &bare, Config{}); !errors.Is(err, ErrNoSplit) {
		t.Errorf("error %v, want ErrNoSplit", err)
	}
	several := *ds
	several.MultiLabel = true
	if _, _, err := Measure(t.Context(), m, &several, Config{}); err == nil {
		t.Error("no error for several labels")
	}
	full := errors.New("no space left on device")
	c := small
	c.OnRun = func(Run) error { return full }
	if list, _, err := Measure(t.Context(), m, ds, c); !errors.Is(err, full) || len(list) != 1 {
		t.Errorf("error %v after %d runs, want that of OnRun after 1", err, len(list))
	}
}
