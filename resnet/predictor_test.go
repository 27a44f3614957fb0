package resnet_test

import (
	"runtime"
	"testing"

	"github.com/bigtransfer/bit/internal/par"
	"github.com/bigtransfer/bit/nn"
)

// TestShapes changes the shape of the input from call to call, growing and shrinking: what a shape gives does not
// depend on those before it, and is that of training.
func TestShapes(t *testing.T) {
	everyLevel(t, func(t *testing.T) {
		pool := par.New(2)
		defer pool.Close()
		cfg := smallConfig()
		net := newNetwork(t, cfg, 8)
		used, tr := net.NewPredictor(pool), net.NewTrainer(pool)
		same, sameTrainer := net.NewPredictor(pool).WithWinograd(nn.WinogradAlways), net.NewTrainer(pool).WithWinograd(nn.WinogradAlways)
		for i, b := range []batch{{2, 20, 31}, {5, 37, 29}, {2, 20, 31}, {1, 1, 1}, {3, 8, 70}, {5, 37, 29}, {1, 64, 3}} {
			x := randomInput(uint64(i), b.len())
			fresh, got, features := make([]float32, b.n*cfg.Classes), make([]float32, b.n*cfg.Classes), make([]float32, b.n*cfg.FeatureWidth())
			for _, err := range []error{
				net.NewPredictor(pool).Logits(fresh, x, b.n, b.h, b.w), used.Logits(got, x, b.n, b.h, b.w), used.Features(features, x, b.n, b.h, b.w),
			} {
				if err != nil {
					t.Fatal(err)
				}
			}
			if !sameBits(got, fresh) {
				t.Errorf("%v: other bits after other shapes", b)
			}
			logits, err := tr.Forward(x, b.n, b.h, b.w)
			if err != nil {
				t.Fatal(err)
			}
			closeTo(t, "logits", fresh, logits)
			closeTo(t, "features", features, tr.Features())
			if err := same.Features(features, x, b.n, b.h, b.w); err != nil {
				t.Fatal(err)
			}
			if _, err := sameTrainer.Forward(x, b.n, b.h, b.w); err != nil {
				t.Fatal(err)
			}
			if !sameBits(sameTrainer.Features(), features) {
				t.Errorf("%v: the trainer's features have other bits than the predictor's", b)
			}
		}
	})
}

// TestRefold: a predictor shows the parameters it was made with until it is told of new ones.
func TestRefold(t *testing.T) {
	pool := par.New(1)
	defer pool.Close()
	cfg, b := smallConfig(), batch{2, 16, 16}
	net := newNetwork(t, cfg, 9)
	p, x := net.NewPredictor(pool), randomInput(1, b.len())
	run := func() []float32 {
		dst := make([]float32, b.n*cfg.Classes)
		if err := p.Logits(dst, x, b.n, b.h, b.w); err != nil {
			t.Fatal(err)
		}
		return dst
	}
	before := run()
	for i, v := range newNetwork(t, cfg, 10).Param("block2/unit01/conv2/kernel").Value {
		net.Param("block2/unit01/conv2/kernel").Value[i] = v
	}
	p.Refold()
	after := run()
	if sameBits(before, after) {
		t.Error("another kernel, the same logits")
	}
	p = net.NewPredictor(pool)
	if !sameBits(after, run()) {
		t.Error("a refolded predictor and a new one differ")
	}
}

// TestFreeze: a network that has become a predictor has the bits of one that has not, at shapes whose convolutions
// are computed in tiles and directly, whether the panels of a kernel fit the memory of its parameters (64 classes) or not (11).
func TestFreeze(t *testing.T) {
	everyLevel(t, func(t *testing.T) {
		pool := par.New(2)
		defer pool.Close()
		for _, classes := range []int{11, 64} {
			cfg := smallConfig()
			cfg.Widths[1], cfg.Widths[2], cfg.Classes = 128, 256, classes
			live, frozen := newNetwork(t, cfg, 12).NewPredictor(pool), newNetwork(t, cfg, 12).Freeze(pool)
			for i, b := range []batch{{1, 20, 31}, {2, 130, 140}, {1, 20, 31}} {
				x := randomInput(uint64(i), b.len())
				want, got := make([]float32, b.n*classes), make([]float32, b.n*classes)
				for _, err := range []error{live.Logits(want, x, b.n, b.h, b.w), frozen.Logits(got, x, b.n, b.h, b.w)} {
					if err != nil {
						t.Fatal(err)
					}
				}
				if !sameBits(got, want) {
					t.Errorf("%d classes, %v: other bits than before", classes, b)
				}
			}
			func() {
				defer func() {
					if recover() == nil {
						t.Errorf("%d classes: a predictor without parameters was refolded", classes)
					}
				}()
				frozen.Refold()
			}()
		}
	})
}

// TestShapesShareMemory: the partial batch at the end of a run computes in the maps of the whole ones.
func TestShapesShareMemory(t *testing.T) {
	pool := par.New(2)
	defer pool.Close()
	cfg := smallConfig()
	p := newNetwork(t, cfg, 13).NewPredictor(pool)
	spent := func(b batch) int {
		x, dst := randomInput(1, b.len()), make([]float32, b.n*cfg.Classes)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		if err := p.Logits(dst, x, b.n, b.h, b.w); err != nil {
			t.Fatal(err)
		}
		runtime.ReadMemStats(&after)
		return int(after.TotalAlloc - before.TotalAlloc)
	}
	whole := batch{16, 128, 128}
	if got, stem := spent(whole), 16*64*64*cfg.StemWidth*4; got < 2*stem { // and two outputs of units at least
		t.Fatalf("%v: %d bytes allocated, its maps alone are more than %d", whole, got, 2*stem)
	}
	partial := batch{15, 128, 128}
	got, input := spent(partial), 4*partial.len()
	t.Logf("%d bytes allocated, of which the input takes %d", got, input)
	if got > input+input/4 {
		t.Errorf("%v after %v: %d bytes allocated, want little more than the %d of its input", partial, whole, got, input)
	}
}

// TestInput: an input that does not fit is an error that says so, before anything is computed.
func TestInput(t *testing.T) {
	pool := par.New(1)
	defer pool.Close()
	net := newNetwork(t, smallConfig(), 11)
	tr, p := net.NewTrainer(pool), net.NewPredictor(pool)
	dst := make([]float32, 11)
	for want, c := range map[string]struct {
		len     int
		n, h, w int
	}{
		"resnet: input holds 299 values, want 1·10·10·3 = 300":                   {299, 1, 10, 10},
		"resnet: input of 0 images of 10x10 pixels, want at least one of each":   {0, 0, 10, 10},
		"resnet: input of 1 images of 0x10 pixels, want at least one of each":    {0, 1, 0, 10},
		"resnet: input of -1 images of 10x-10 pixels, want at least one of each": {300, -1, 10, -10},
	} {
		_, err := tr.Forward(make([]float32, c.len), c.n, c.h, c.w)
		for who, err := range map[string]error{"Forward": err, "Logits": p.Logits(dst, make([]float32, c.len), c.n, c.h, c.w), "Features": p.Features(dst, make([]float32, c.len), c.n, c.h, c.w)} {
			if err == nil || err.Error() != want {
				t.Errorf("%s: error %v, want %q", who, err, want)
			}
		}
	}
}
