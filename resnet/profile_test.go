package resnet_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/bigtransfer/bit/internal/par"
	"github.com/bigtransfer/bit/resnet"
)

// convolutions returns the layers of a network that multiply, by the names of their kernels.
func convolutions(cfg resnet.Config) []string {
	var layers []string
	for _, p := range cfg.ParamSpecs() {
		switch layer, found := strings.CutSuffix(p.Name, "/kernel"); {
		case p.Name == resnet.StemKernel:
			layers = append(layers, "root/conv")
		case found:
			layers = append(layers, layer)
		}
	}
	return layers
}

// checkProfile wants each of the convolutions once in a part of a profile and a count of multiply-accumulates.
func checkProfile(t *testing.T, profile []resnet.LayerTime, part string, want []string, wantMACs int64) {
	t.Helper()
	var layers []string
	macs := int64(0)
	for _, l := range profile {
		if !(l.Seconds > 0) {
			t.Errorf("%s %s took %v s", l.Layer, l.Part, l.Seconds)
		}
		if l.Part == part && l.MACs > 0 {
			layers = append(layers, l.Layer)
			macs += l.MACs
		}
		if (l.MACs > 0) != (l.Shape != "") || (l.MACs > 0) != (l.Algorithm != "") {
			t.Errorf("%s %s: %d multiply-accumulates, shape %q, algorithm %q", l.Layer, l.Part, l.MACs, l.Shape, l.Algorithm)
		}
	}
	slices.Sort(layers)
	want = slices.Sorted(slices.Values(want))
	if !slices.Equal(layers, want) {
		t.Errorf("%s: layers\n%v\nwant\n%v", part, layers, want)
	}
	if macs != wantMACs {
		t.Errorf("%s: %d multiply-accumulates, want %d", part, macs, wantMACs)
	}
}

// A profile of predicting has every convolution once, and its runs are those of Logits.
func TestPredictorProfile(t *testing.T) {
	everyLevel(t, func(t *testing.T) {
		pool := par.New(2)
		defer pool.Close()
		cfg, b := smallConfig(), batch{2, 37, 29}
		p, x, want := newNetwork(t, cfg, 3).NewPredictor(pool), randomInput(1, b.len()), make([]float32, b.n*cfg.Classes)
		if err := p.Logits(want, x, b.n, b.h, b.w); err != nil {
			t.Fatal(err)
		}
		clear(p.LastLogits())
		profile, err := p.Profile(t.Context(), x, b.n, b.h, b.w, 3)
		if err != nil {
			t.Fatal(err)
		}
		if !sameBits(p.LastLogits(), want) {
			t.Error("a profiled run has other logits")
		}
		checkProfile(t, profile, "forward", convolutions(cfg), int64(b.n)*cfg.MACs(b.h, b.w))

		// 37x29, halved by the stem, the pool and the second stage: 19x15, 10x8, 5x4.
		type row struct{ kind, shape string }
		rows := map[string]row{
			"root/conv":           {"7x7/2", "7x7/2 3-16 on 19x15"},
			"root/pool":           {"pool", ""},
			"block1/unit01/gn1":   {"gn", ""},
			"block1/unit01/proj":  {"1x1/1", "1x1/1 16-32 on 10x8"},
			"block2/unit01/conv1": {"1x1/1", "1x1/1 32-16 on 10x8"},
			"block2/unit01/conv2": {"3x3/2", "3x3/2 16-16 on 5x4"},
			"block2/unit01/proj":  {"1x1/2", "1x1/2 32-64 on 5x4"},
			"head":                {"head", "1x1/1 96-11 on 1x1"},
		}
		for _, l := range profile {
			if w, ok := rows[l.Layer]; ok && (row{l.Kind, l.Shape}) != w {
				t.Errorf("%s: kind %q, shape %q, want %q, %q", l.Layer, l.Kind, l.Shape, w.kind, w.shape)
			}
			delete(rows, l.Layer)
		}
		if len(rows) > 0 {
			t.Errorf("not in the profile: %v", rows)
		}
	})
}

// A profile of training has every convolution once in each part, but for the gradient of the pixels, and its runs leave
// the gradients of one step.
func TestTrainerProfile(t *testing.T) {
	pool := par.New(2)
	defer pool.Close()
	cfg, b := smallConfig(), batch{2, 37, 29}
	net := newNetwork(t, cfg, 3)
	tr, x, dlogits := net.NewTrainer(pool), randomInput(1, b.len()), randomInput(2, b.n*cfg.Classes)
	tr.ZeroGrad()
	logits, err := tr.Forward(x, b.n, b.h, b.w)
	if err != nil {
		t.Fatal(err)
	}
	tr.Backward(dlogits)
	want := slices.Clone(logits)
	var grads [][]float32
	for _, p := range net.Params() {
		grads = append(grads, slices.Clone(p.Grad))
	}
	profile, err := tr.Profile(t.Context(), x, dlogits, b.n, b.h, b.w, 3)
	if err != nil {
		t.Fatal(err)
	}
	if !sameBits(tr.LastLogits(), want) {
		t.Error("a profiled run has other logits")
	}
	for i, p := range net.Params() {
		if !sameBits(p.Grad, grads[i]) {
			t.Errorf("a profiled run has another gradient of %s", p.Name)
		}
	}
	all, macs := convolutions(cfg), int64(b.n)*cfg.MACs(b.h, b.w)
	stem := int64(b.n) * 19 * 15 * 7 * 7 * 3 * 16
	checkProfile(t, profile, "forward", all, macs)
	checkProfile(t, profile, "kernel gradient", all, macs)
	checkProfile(t, profile, "input gradient", slices.DeleteFunc(all, func(l string) bool { return l == "root/conv" }), macs-stem)
	for _, part := range []string{"clear", "fold"} {
		if n := len(slices.DeleteFunc(slices.Clone(profile), func(l resnet.LayerTime) bool { return l.Part != part })); n != 1 {
			t.Errorf("%d times %s, want 1", n, part)
		}
	}
}

func TestProfileInterrupted(t *testing.T) {
	pool := par.New(1)
	defer pool.Close()
	cfg, b := smallConfig(), batch{1, 8, 8}
	cause := fmt.Errorf("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(cause)
	net, x := newNetwork(t, cfg, 3), randomInput(1, b.len())
	if _, err := net.NewPredictor(pool).Profile(ctx, x, b.n, b.h, b.w, 1); err != cause {
		t.Errorf("predicting: error %v, want %v", err, cause)
	}
	if _, err := net.NewTrainer(pool).Profile(ctx, x, make([]float32, cfg.Classes), b.n, b.h, b.w, 1); err != cause {
		t.Errorf("training: error %v, want %v", err, cause)
	}
}
