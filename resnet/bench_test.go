package resnet_test

import (
	"fmt"
	"testing"

	"github.com/bigtransfer/bit/internal/cpu"
	"github.com/bigtransfer/bit/internal/par"
	"github.com/bigtransfer/bit/resnet"
)

// benchmark runs f for each model, size, number of threads and level, named so that benchstat can set any of them
// against another: -col /impl, -col /threads. f returns the work of one iteration; macs is what a multiply-accumulate
// of the forward pass counts for in it.
func benchmark(b *testing.B, macs float64, cases []benchCase, f func(b *testing.B, net *resnet.Network, pool *par.Pool, x []float32, c benchCase) func()) {
	for _, c := range cases {
		for _, level := range cpu.Available() {
			b.Run(fmt.Sprintf("model=%s/side=%d/batch=%d/threads=%d/impl=%s", c.model, c.side, c.n, c.threads, level), func(b *testing.B) {
				defer cpu.SetForTest(level)()
				pool := par.New(c.threads)
				defer pool.Close()
				run := f(b, newNetwork(b, c.cfg, 1), pool, randomInput(1, c.n*c.side*c.side*3), c)
				run() // plans the buffers
				b.ReportAllocs()
				for b.Loop() {
					run()
				}
				images := float64(b.N * c.n)
				b.ReportMetric(b.Elapsed().Seconds()*1e3/images, "ms/image")
				// Two floating-point operations each.
				b.ReportMetric(2*macs*float64(c.cfg.MACs(c.side, c.side))*images/b.Elapsed().Seconds()/1e9, "GFLOP/s")
			})
		}
	}
}

type benchCase struct {
	model            string
	cfg              resnet.Config
	n, side, threads int
}

// tinyConfig is a network for images of 64 px: four stages of two units, half the released base width.
func tinyConfig() resnet.Config {
	return resnet.Config{Channels: 3, StemWidth: 32, Widths: []int{128, 256, 512, 1024}, Depths: []int{2, 2, 2, 2}, Groups: 32, Classes: 200,
		GNEpsilon: resnet.GNEpsilon, WSEpsilon: resnet.WSEpsilonTimm}
}

func BenchmarkPredict(b *testing.B) {
	r50x1 := resnet.Variant{Depth: 50, Width: 1}
	cases := []benchCase{
		{"R50x1", r50x1.Config(1000), 1, 224, 1},
		{"R50x1", r50x1.Config(1000), 1, 224, 2},
		{"R50x1", r50x1.Config(1000), 8, 224, 2},
		{"tiny", tinyConfig(), 1, 64, 2},
		{"tiny", tinyConfig(), 64, 64, 2},
	}
	benchmark(b, 1, cases, func(b *testing.B, net *resnet.Network, pool *par.Pool, x []float32, c benchCase) func() {
		p, dst := net.NewPredictor(pool), make([]float32, c.n*c.cfg.Classes)
		return func() {
			if err := p.Logits(dst, x, c.n, c.side, c.side); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkTrain measures a whole step but for the update: kernels standardised, forward, backward. The backward half
// takes two products for each of the forward half.
func BenchmarkTrain(b *testing.B) {
	r50x1 := resnet.Variant{Depth: 50, Width: 1}
	cases := []benchCase{
		{"R50x1", r50x1.Config(1000), 16, 128, 2},
		{"tiny", tinyConfig(), 128, 64, 2},
	}
	benchmark(b, 3, cases, func(b *testing.B, net *resnet.Network, pool *par.Pool, x []float32, c benchCase) func() {
		t, dlogits := net.NewTrainer(pool), randomInput(2, c.n*c.cfg.Classes)
		return func() {
			t.ZeroGrad()
			if _, err := t.Forward(x, c.n, c.side, c.side); err != nil {
				b.Fatal(err)
			}
			t.Backward(dlogits)
		}
	})
}
