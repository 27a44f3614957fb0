package resnet_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/bigtransfer/bit/internal/oracle"
	"github.com/bigtransfer/bit/internal/par"
	"github.com/bigtransfer/bit/nn"
	"github.com/bigtransfer/bit/resnet"
)

// Whatever is frozen and computed again, at any number of threads: parameters that are trained have the gradients of a
// trainer that freezes nothing, to the bit where convolutions are computed alike, and the others have none.
func TestFrozenGradients(t *testing.T) {
	cfg, b := smallConfig(), batch{5, 37, 29}
	net, x := newNetwork(t, cfg, 3), randomInput(1, b.len())
	labels := []int{0, 1, 2, 3, 4}
	gradients := func(threads int, o resnet.TrainerOptions, use nn.WinogradUse) map[string][]float32 {
		pool := par.New(threads)
		defer pool.Close()
		tr := net.NewTrainerWith(pool, o).WithWinograd(use)
		for range 2 { // and again, with the kernels that are folded
			tr.ZeroGrad()
			logits, err := tr.Forward(x, b.n, b.h, b.w)
			if err != nil {
				t.Fatal(err)
			}
			_, dlogits := oracle.CrossEntropy(oracle.Wide(logits), labels)
			tr.Backward(narrow(dlogits))
		}
		grads := map[string][]float32{}
		for _, p := range net.Params() {
			if p.Grad != nil {
				grads[p.Name] = append([]float32(nil), p.Grad...)
			}
		}
		return grads
	}
	for _, use := range []nn.WinogradUse{nn.WinogradNever, nn.WinogradAlways} {
		want := gradients(1, resnet.TrainerOptions{}, use)
		threads := 1
		for _, frozen := range append(depths(cfg), resnet.FrozenBody) {
			for _, again := range resnet.Recomputes() {
				t.Run(fmt.Sprintf("%v frozen, %v again, winograd %v", frozen, again, use), func(t *testing.T) {
					threads = threads%3 + 1
					got := gradients(threads, resnet.TrainerOptions{Recompute: again, Frozen: frozen}, use)
					for name, w := range want {
						g, trained := got[name]
						if trained == frozen.Freezes(name) {
							t.Errorf("%s: has a gradient: %v", name, trained)
						} else if trained && !sameBits(g, w) {
							t.Errorf("%s: the gradient is off by %.1e of its largest value", name, oracle.Error(g, oracle.Wide(w)))
						}
					}
				})
			}
		}
	}
}

// depths lists how much of a network can be frozen, but for its body.
func depths(c resnet.Config) []resnet.Frozen {
	list := []resnet.Frozen{resnet.FrozenNothing, resnet.FrozenStem}
	for s := range c.Widths {
		list = append(list, resnet.FrozenStem+resnet.Frozen(s+1))
	}
	return list
}

// What is frozen, by hand: R50x1 has 1 stem kernel, 3, 4, 6 and 3 units of 9 tensors and a projection a stage, the norm's
// two and the head's two.
func TestFrozenNames(t *testing.T) {
	cfg := resnet.Variant{Depth: 50, Width: 1}.Config(10)
	frozen := 0
	for i, f := range append(depths(cfg), resnet.FrozenBody) {
		frozen = []int{0, 1, 1 + 28, 1 + 28 + 37, 1 + 28 + 37 + 55, 1 + 28 + 37 + 55 + 28, 1 + 28 + 37 + 55 + 28 + 2}[i]
		n := 0
		for _, p := range cfg.ParamSpecs() {
			if f.Freezes(p.Name) {
				n++
			}
		}
		if n != frozen {
			t.Errorf("%v: %d tensors frozen, want %d", f, n, frozen)
		}
		if got, err := cfg.ParseFrozen(f.String()); got != f || err != nil {
			t.Errorf("%v reads back as %v, %v", f, got, err)
		}
	}
	if got, want := cfg.NumTrained(resnet.FrozenBody), 2048*10+10; got != want {
		t.Errorf("a head of %d parameters, want %d", got, want)
	}
	for _, bad := range []string{"", "block0", "block5", "block", "head", "Stem"} {
		if _, err := cfg.ParseFrozen(bad); err == nil || !strings.Contains(err.Error(), "block1 to block4") {
			t.Errorf("%q: error %v, want one that lists what there is", bad, err)
		}
	}
}

// BenchmarkFrozen is a step of R50x1 on 8 pictures of 128 pixels at each depth.
func BenchmarkFrozen(b *testing.B) {
	cfg := resnet.Variant{Depth: 50, Width: 1}.Config(10)
	pool := par.New(0)
	defer pool.Close()
	const n, side = 8, 128
	x, dlogits := randomInput(1, n*side*side*3), randomInput(2, n*cfg.Classes)
	for _, frozen := range append(depths(cfg), resnet.FrozenBody) {
		b.Run("frozen="+frozen.String(), func(b *testing.B) {
			net, err := resnet.NewNetwork(cfg)
			if err != nil {
				b.Fatal(err)
			}
			o := resnet.TrainerOptions{Frozen: frozen}
			tr := net.NewTrainerWith(pool, o)
			for b.Loop() {
				tr.ZeroGrad()
				if _, err := tr.Forward(x, n, side, side); err != nil {
					b.Fatal(err)
				}
				tr.Backward(dlogits)
			}
			b.ReportMetric(float64(cfg.TrainerBytes(n, side, side, o))/1e6, "MB")
		})
	}
}
