package main

import (
	"slices"
	"testing"

	"github.com/bigtransfer/bit/internal/machine"
	"github.com/bigtransfer/bit/resnet"
)

// Rates and shares, computed by hand: 4 images of 3·10⁹ multiply-accumulates together on a machine of 20 GFLOP/s.
func TestBenchReport(t *testing.T) {
	r := &benchReport{Machine: machine.Limits{GFLOPS: 20}, Input: []int{4, 1, 1, 3}, MACs: 3e9, Seconds: []float64{0.75, 0.5, 2, 0.25}}
	r.finish([]resnet.LayerTime{
		{Layer: "a", Kind: "gn", Part: "forward", Seconds: 0.125},
		{Layer: "b", Kind: "1x1/1", Part: "forward", Algorithm: "direct", MACs: 1e9, Seconds: 0.125},
		{Layer: "c", Kind: "1x1/1", Part: "forward", Algorithm: "direct", MACs: 1e9, Seconds: 0.5},
		{Layer: "c", Kind: "1x1/1", Part: "input gradient", Algorithm: "direct", MACs: 1e9, Seconds: 0.25},
	})
	// The runs in order are 0.25, 0.5, 0.75 and 2.
	if r.Median != 0.625 || r.Images != 6.4 || r.GFLOPS != 9.6 || r.PeakShare != 0.48 {
		t.Errorf("median %v, %v images/s, %v GFLOP/s, share %v; want 0.625, 6.4, 9.6, 0.48", r.Median, r.Images, r.GFLOPS, r.PeakShare)
	}
	type speed struct {
		layer, kind, part           string
		count                       int
		seconds, share, flops, peak float64
	}
	check := func(what string, list []layerSpeed, want []speed) {
		var got []speed
		for _, l := range list {
			got = append(got, speed{l.Layer, l.Kind, l.Part, l.Count, l.Seconds, l.TimeShare, l.GFLOPS, l.PeakShare})
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s:\n%v\nwant\n%v", what, got, want)
		}
	}
	check("layers", r.Layers, []speed{
		{"a", "gn", "forward", 1, 0.125, 0.125, 0, 0},
		{"b", "1x1/1", "forward", 1, 0.125, 0.125, 16, 0.8},
		{"c", "1x1/1", "forward", 1, 0.5, 0.5, 4, 0.2},
		{"c", "1x1/1", "input gradient", 1, 0.25, 0.25, 8, 0.4},
	})
	check("kinds", r.Kinds, []speed{
		{"", "1x1/1", "forward", 2, 0.625, 0.625, 6.4, 0.32},
		{"", "1x1/1", "input gradient", 1, 0.25, 0.25, 8, 0.4},
		{"", "gn", "forward", 1, 0.125, 0.125, 0, 0},
	})
}

func TestMilliseconds(t *testing.T) {
	for seconds, want := range map[float64]string{0.0001234: "0.123", 0.0055544: "5.554", 0.0555: "55.50", 0.42444: "424.4", 1.2181: "1218", 20.5: "20500"} {
		if got := milliseconds(seconds); got != want {
			t.Errorf("%v s: %s ms, want %s", seconds, got, want)
		}
	}
}
