package resnet

import (
	"runtime"
	"testing"

	"github.com/bigtransfer/bit/internal/par"
	"github.com/bigtransfer/bit/nn"
)

// The estimate of an image must be what a trainer lays out, map by map; that of a trainer what it allocates.
func TestTrainingBytes(t *testing.T) {
	cfg := Config{Channels: 3, StemWidth: 8, Widths: []int{32, 64, 128}, Depths: []int{1, 3, 2}, Groups: 4, Classes: 5, GNEpsilon: 1e-5, WSEpsilon: 1e-8}
	net, err := NewNetwork(cfg)
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range everyTrainer(cfg) {
		for _, c := range []struct{ n, h, w int }{{1, 32, 32}, {2, 33, 47}, {3, 75, 20}} {
			tr := net.NewTrainerWith(par.New(1), o)
			p := net.newPass(tr.e, tr.ks, memory{}, &o, c.n, c.h, c.w)
			buffers := map[*float32]int{} // many maps lie in the same few buffers
			maps := []*nn.Map{p.input, p.stemOut, p.back.dstem, p.back.dlast, p.pooled}
			for i, u := range p.units {
				g := p.back.units[i]
				maps = append(maps, u.h1, u.h2, u.y, g.dx, g.dy, g.dh1, g.dh2)
			}
			values := 0
			for _, m := range maps {
				if m == nil { // of what is frozen
					continue
				}
				buffers[&m.Data[0]] = max(buffers[&m.Data[0]], cap(m.Data))
			}
			for _, size := range buffers {
				values += size
			}
			if got, want := cfg.TrainingBytes(c.h, c.w, o)*int64(c.n), int64(4*values); got != want {
				t.Errorf("%d x %dx%d, %+v: %d bytes, want %d", c.n, c.h, c.w, o, got, want)
			}
		}
	}
}

// everyTrainer lists all ways to train the network.
func everyTrainer(c Config) (all []TrainerOptions) {
	frozen := []Frozen{FrozenNothing, FrozenStem, FrozenBody}
	for s := range c.Widths {
		frozen = append(frozen, FrozenStem+Frozen(s+1))
	}
	for _, f := range frozen {
		for _, again := range Recomputes() {
			all = append(all, TrainerOptions{again, f})
		}
	}
	return all
}

func TestTrainerBytes(t *testing.T) {
	cfg := Variant{Depth: 50, Width: 1}.Config(10)
	net, err := NewNetwork(cfg)
	if err != nil {
		t.Fatal(err)
	}
	pool := par.New(2)
	defer pool.Close()
	const images, side = 4, 96
	x := make([]float32, images*side*side*3)
	values := int64(4 * cfg.NumParams()) // which the network has before
	previous := map[Frozen]int64{}
	for _, o := range everyTrainer(cfg) {
		for _, p := range net.Params() {
			p.Grad = nil
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		tr := net.NewTrainerWith(pool, o)
		if _, err := tr.Forward(x, images, side, side); err != nil {
			t.Fatal(err)
		}
		runtime.ReadMemStats(&after)
		got, want := int64(after.TotalAlloc-before.TotalAlloc)+values, cfg.TrainerBytes(images, side, side, o)
		t.Logf("%+v: %d bytes allocated, %d estimated", o, got, want)
		if ratio := float64(got) / float64(want); ratio < 0.9 || ratio > 1.05 {
			t.Errorf("%+v: %d bytes allocated, %.2f of the estimated %d", o, got, ratio, want)
		}
		if before, ok := previous[o.Frozen]; ok && o.Frozen <= FrozenStem && got >= before {
			t.Errorf("%+v takes %d bytes, no less than the %d of what makes less again", o, got, before)
		}
		previous[o.Frozen] = got
	}
}
