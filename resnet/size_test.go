package resnet

import (
	"testing"

	"github.com/bigtransfer/bit/internal/par"
	"github.com/bigtransfer/bit/nn"
)

// The estimate must be what a trainer lays out, map by map.
func TestTrainingBytes(t *testing.T) {
	cfg := Config{Channels: 3, StemWidth: 8, Widths: []int{32, 64, 128}, Depths: []int{1, 2, 1}, Groups: 4, Classes: 5, GNEpsilon: 1e-5, WSEpsilon: 1e-8}
	net, err := NewNetwork(cfg)
	if err != nil {
		t.Fatal(err)
	}
	tr := net.NewTrainer(par.New(1))
	for _, c := range []struct{ n, h, w int }{{1, 32, 32}, {2, 33, 47}, {3, 75, 20}} {
		p := net.newPass(tr.e, tr.ks, newArena(true), c.n, c.h, c.w)
		values := len(p.input.Data) + len(p.stemOut.Data) + len(p.back.dstem.Data) + len(p.pooled.Data)
		buffers := map[*float32]int{} // gradients of many maps lie in the same few buffers
		for i, u := range p.units {
			values += len(u.h1.Data) + len(u.h2.Data) + len(u.y.Data)
			g := p.back.units[i]
			for _, m := range []*nn.Map{g.dx, g.dy, g.dh1, g.dh2} {
				buffers[&m.Data[0]] = cap(m.Data)
			}
		}
		for _, size := range buffers {
			values += size
		}
		if got, want := cfg.TrainingBytes(c.h, c.w)*int64(c.n), int64(4*values); got != want {
			t.Errorf("%d x %dx%d: %d bytes, want %d", c.n, c.h, c.w, got, want)
		}
	}
}
