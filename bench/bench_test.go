package main

import (
	"bytes"
	"encoding/json"
	"io"
	"math"
	"runtime"
	"slices"
	"testing"

	"github.com/bigtransfer/bit/internal/cpu"
	"github.com/bigtransfer/bit/internal/par"
	"github.com/bigtransfer/bit/resnet"
)

func TestMedian(t *testing.T) {
	for _, c := range []struct {
		values []float64
		want   float64
	}{
		{[]float64{3}, 3},
		{[]float64{9, 1, 2}, 2},
		{[]float64{4, 1, 2, 100}, 3},
	} {
		before := slices.Clone(c.values)
		if got := median(c.values); got != c.want {
			t.Errorf("median of %v is %v, want %v", c.values, got, c.want)
		}
		if !slices.Equal(before, c.values) {
			t.Errorf("median changed %v to %v", before, c.values)
		}
	}
}

func TestSelectCases(t *testing.T) {
	all, err := selectCases(cases(), "")
	if err != nil || len(all) != len(cases()) {
		t.Errorf("empty expression: %d cases, error %v, want all", len(all), err)
	}
	one, err := selectCases(cases(), "^train/R50x1/128/16$")
	if err != nil || len(one) != 1 || one[0].Batch != 16 || one[0].Side != 128 || one[0].Task != train {
		t.Errorf("got %v, error %v", one, err)
	}
	for _, bad := range []string{"R51", "("} {
		if _, err := selectCases(cases(), bad); err == nil {
			t.Errorf("%q: no error", bad)
		}
	}
}

func TestCasesAreDistinctNetworks(t *testing.T) {
	for _, list := range [][]benchCase{cases(), scalingCases()} {
		seen := map[string]bool{}
		for _, c := range list {
			if seen[c.String()] {
				t.Errorf("two cases are called %s", c)
			}
			seen[c.String()] = true
			if err := c.Config.Validate(); err != nil {
				t.Errorf("%s: %v", c, err)
			}
		}
	}
}

func TestLargestDifference(t *testing.T) {
	peers := [][]float64{{1, -4}, {10}}
	d, err := largestDifference([][]float64{{1, -4.0002}, {10}}, peers, 1e-4)
	if err != nil || math.Abs(d-5e-5) > 1e-12 {
		t.Errorf("difference %v, error %v, want 5e-5", d, err)
	}
	for name, ours := range map[string][][]float64{
		"too far":       {{1, -4}, {10.002}},
		"NaN":           {{math.NaN(), -4}, {10}},
		"a value less":  {{1}, {10}},
		"nothing":       {{1, -4}, nil},
		"a second more": {{1, -4}, {10, 10}},
	} {
		if _, err := largestDifference(ours, peers, 1e-4); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if _, err := largestDifference([][]float64{nil}, [][]float64{nil}, 1e-4); err == nil {
		t.Error("two empty outputs agree")
	}
}

func TestWithVectors(t *testing.T) {
	for _, c := range []struct{ available, want []cpu.Level }{
		{[]cpu.Level{cpu.Generic}, []cpu.Level{cpu.Generic}},
		{[]cpu.Level{cpu.Generic, cpu.AVX2}, []cpu.Level{cpu.AVX2}},
		{[]cpu.Level{cpu.Generic, cpu.AVX2, cpu.AVX512}, []cpu.Level{cpu.AVX2, cpu.AVX512}},
	} {
		if got := withVectors(c.available); !slices.Equal(got, c.want) {
			t.Errorf("of %v: %v, want %v", c.available, got, c.want)
		}
	}
}

func TestParseFlags(t *testing.T) {
	if got, err := parseThreads("1"); err != nil || !slices.Equal(got, []int{1}) {
		t.Errorf("threads 1: %v, error %v", got, err)
	}
	for _, bad := range []string{"0", "x", "1,", ",", "1000000"} {
		if _, err := parseThreads(bad); err == nil {
			t.Errorf("threads %q: no error", bad)
		}
	}
	if got, err := parseThreads(""); err != nil || !slices.Equal(got, []int{1, 2}[:min(2, runtime.NumCPU())]) {
		t.Errorf("threads by default: %v, error %v", got, err)
	}
	if got, err := parseLevels("", best); err != nil || !slices.Equal(got, cpu.Available()[len(cpu.Available())-1:]) {
		t.Errorf("best level: %v, error %v", got, err)
	}
	if got, err := parseLevels("generic", best); err != nil || !slices.Equal(got, []cpu.Level{cpu.Generic}) {
		t.Errorf("level generic: %v, error %v", got, err)
	}
	if _, err := parseLevels("avx1024", best); err == nil {
		t.Error("level avx1024: no error")
	}
	for _, args := range [][]string{{"-runs", "6", "-cases", "embedded"}, {"stray"}, {"-cases", "("}} {
		if err := run(t.Context(), args, io.Discard, io.Discard); err == nil {
			t.Errorf("%v: no error", args)
		}
	}
}

// worked asks our worker a list of requests and returns the replies.
func worked(t *testing.T, requests ...request) []reply {
	t.Helper()
	var in, out bytes.Buffer
	e := json.NewEncoder(&in)
	for _, r := range requests {
		if err := e.Encode(r); err != nil {
			t.Fatal(err)
		}
	}
	if err := serve(&ours{}, &in, &out); err != nil {
		t.Fatal(err)
	}
	var replies []reply
	for d := json.NewDecoder(&out); ; {
		var r reply
		if err := d.Decode(&r); err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		replies = append(replies, r)
	}
	if len(replies) != len(requests) {
		t.Fatalf("%d replies to %d requests", len(replies), len(requests))
	}
	return replies
}

func tiny(t *testing.T) (*resnet.Network, files, string, []float32) {
	t.Helper()
	dir := t.TempDir()
	net, err := randomNetwork(resnet.Config{
		Channels: 3, StemWidth: 8, Widths: []int{16, 32}, Depths: []int{1, 1}, Groups: 4, Classes: 3,
		GNEpsilon: resnet.GNEpsilon, WSEpsilon: resnet.WSEpsilonOfficial,
	})
	if err != nil {
		t.Fatal(err)
	}
	f, err := writeNetwork(dir, "network", net, false)
	if err != nil {
		t.Fatal(err)
	}
	x := randomImages(2 * 3 * 16 * 12)
	if err := writeInput(dir+"/input", x); err != nil {
		t.Fatal(err)
	}
	return net, f, dir + "/input", x
}

func TestWorkerPredicts(t *testing.T) {
	net, f, input, x := tiny(t)
	const n, c, h, w = 2, 3, 16, 12
	nhwc := make([]float32, len(x))
	for i := range n {
		for ch := range c {
			for y := range h {
				for col := range w {
					nhwc[((i*h+y)*w+col)*c+ch] = x[((i*c+ch)*h+y)*w+col]
				}
			}
		}
	}
	want := make([]float32, n*net.Classes)
	if err := net.NewPredictor(par.New(1)).Logits(want, nhwc, n, h, w); err != nil {
		t.Fatal(err)
	}
	for _, r := range worked(t,
		request{Op: "open", Model: f.directory, Threads: 1},
		request{Op: "input", Input: input, Shape: []int{n, c, h, w}},
		request{Op: "time", Count: 2, Warmup: 1},
		request{Op: "logits"})[2:] {
		switch {
		case r.Error != "":
			t.Error(r.Error)
		case r.Logits == nil:
			if !(r.Seconds > 0) {
				t.Errorf("a run took %v s", r.Seconds)
			}
		default:
			for i, v := range want {
				if r.Logits[i] != float64(v) {
					t.Errorf("logit %d is %v, want %v", i, r.Logits[i], v)
				}
			}
		}
	}
}

func TestWorkerTrains(t *testing.T) {
	_, f, input, _ := tiny(t)
	replies := worked(t,
		request{Op: "open", Model: f.directory, Threads: 1},
		request{Op: "input", Input: input, Shape: []int{2, 3, 16, 12}},
		request{Op: "train", Labels: []int{0, 2}, Rate: 0.1, Momentum: 0.9},
		request{Op: "logits"},
		request{Op: "steps", Count: 20},
		request{Op: "logits"})
	for i, r := range replies {
		if r.Error != "" {
			t.Fatalf("request %d: %s", i, r.Error)
		}
	}
	// The first loss is the mean cross-entropy of the first logits.
	crossEntropy := func(z []float64, label int) float64 {
		sum := 0.0
		for _, v := range z {
			sum += math.Exp(v)
		}
		return math.Log(sum) - z[label]
	}
	mean := func(logits []float64) float64 { return (crossEntropy(logits[:3], 0) + crossEntropy(logits[3:], 2)) / 2 }
	losses := replies[4].Losses
	if want := mean(replies[3].Logits); math.Abs(losses[0]-want) > 1e-6 {
		t.Errorf("first loss %v, the logits say %v", losses[0], want)
	}
	if last := mean(replies[5].Logits); !(last < losses[19]) || !(losses[19] < losses[0]/2) {
		t.Errorf("losses %v and then %v do not fall", losses, last)
	}
}

func TestWorkerReportsErrors(t *testing.T) {
	_, f, input, _ := tiny(t)
	replies := worked(t,
		request{Op: "dance"},
		request{Op: "open", Model: t.TempDir(), Threads: 1},
		request{Op: "open", Model: f.directory, Threads: 1},
		request{Op: "input", Input: input, Shape: []int{3, 3, 16, 12}},
		request{Op: "input", Input: input + "x", Shape: []int{2, 3, 16, 12}})
	for i, r := range replies {
		if failed := r.Error != ""; failed != (i != 2) {
			t.Errorf("request %d: error %q", i, r.Error)
		}
	}
}
