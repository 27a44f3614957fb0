package train

import (
	"context"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/bigtransfer/bit/batch"
	"github.com/bigtransfer/bit/data"
	"github.com/bigtransfer/bit/imaging"
	"github.com/bigtransfer/bit/internal/fixture"
	"github.com/bigtransfer/bit/internal/par"
	"github.com/bigtransfer/bit/resnet"
)

// tiny is a network that trains in milliseconds: one unit a stage, 8 to 16 channels in its bottlenecks.
func tiny(t testing.TB, classes int) *resnet.Network {
	t.Helper()
	net, err := resnet.NewNetwork(resnet.Config{
		Channels: 3, StemWidth: 16, Widths: []int{32, 64}, Depths: []int{1, 1}, Groups: 4, Classes: classes,
		GNEpsilon: resnet.GNEpsilon, WSEpsilon: resnet.WSEpsilonOfficial,
	})
	if err != nil {
		t.Fatal(err)
	}
	net.Init(rand.New(rand.NewPCG(1, 2)))
	return net
}

func cifar(t testing.TB) *data.Dataset {
	t.Helper()
	ds, err := data.Open(fixture.Data(t, "cifar10-mini"))
	if err != nil {
		t.Fatal(err)
	}
	return ds
}

// recipe trains a tiny network on cifar10-mini for the given number of steps.
func recipe(ds *data.Dataset, steps int) Config {
	return Config{
		SGD:      SGD{Momentum: 0.9, WeightDecay: 1e-4, ClipNorm: 1},
		Schedule: Cosine{WarmUp: 2, Total: steps},
		Rate:     0.1,
		Data: batch.TrainConfig{
			Source: ds.Source, Examples: ds.Train, Batch: 16, MicroBatch: 8, Seed: 3,
			Pipeline: batch.Pipeline{batch.Resize{Size: 36, Filter: imaging.Bilinear}, batch.RandomCrop{Size: 32}, batch.FlipLR{}},
		},
	}
}

// A few steps on real images lower the loss, which starts at exactly ln 10 because the head is zero.
func TestLossDrops(t *testing.T) {
	ds := cifar(t)
	net := tiny(t, len(ds.Classes))
	cfg := recipe(ds, 60)
	var losses []float64
	cfg.OnStep = func(p Progress) { losses = append(losses, p.StepLoss) }
	cfg.Eval = batch.EvalConfig{Source: ds.Source, Examples: ds.Test, Processor: imaging.Squash(32, imaging.Bilinear), Batch: 64}
	r, err := Run(t.Context(), net, cfg)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := losses[0], math.Log(10); math.Abs(got-want) > 1e-6 {
		t.Errorf("first loss %v, want ln 10 = %v", got, want)
	}
	last := 0.0
	for _, l := range losses[50:] {
		last += l / 10
	}
	if last > 2.1 {
		t.Errorf("mean loss of the last ten steps is %.3f, want below 2.1 (starts at 2.303)", last)
	}
	if r.Eval.Images != len(ds.Test) || r.Steps != 60 {
		t.Errorf("%d images evaluated after %d steps, want %d after 60", r.Eval.Images, r.Steps, len(ds.Test))
	}
	t.Logf("mean of the last ten losses %.3f, %+v", last, r)
}

// repeat delivers one batch for ever.
type repeat struct{ b *batch.Batch }

func (r repeat) Next(context.Context) (*batch.Batch, error) { return r.b, nil }
func (r repeat) Skipped() []data.Skipped                    { return nil }

// slow is a source whose batches take their time.
type slow struct {
	repeat
	pause time.Duration
}

func (s slow) Next(ctx context.Context) (*batch.Batch, error) {
	time.Sleep(s.pause)
	return s.repeat.Next(ctx)
}

// The time that a step waits for its data is told apart from the rest: it is at least what the source sleeps, and no more
// than the whole.
func TestWaitingIsMeasured(t *testing.T) {
	ds := cifar(t)
	cfg := recipe(ds, 1000)
	var p Progress
	cfg.OnStep = func(q Progress) { p = q }
	loader, err := batch.NewTrainLoader(cfg.Data)
	if err != nil {
		t.Fatal(err)
	}
	defer loader.Close()
	b, err := loader.Next(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	b.Last = true
	pool := par.New(2)
	defer pool.Close()
	const pause, steps = 50 * time.Millisecond, 4
	for _, src := range []source{repeat{b}, slow{repeat{b}, pause}} {
		l, err := newLoop(tiny(t, 10), pool, cfg)
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		for range steps {
			if err := l.step(t.Context(), src); err != nil {
				t.Fatal(err)
			}
		}
		took := time.Since(start)
		if _, sleeps := src.(slow); !sleeps && p.Waiting > 0.5 {
			t.Errorf("%.3f of the time spent waiting for a batch that was there", p.Waiting)
		} else if least := (steps * pause).Seconds() / took.Seconds(); sleeps && (p.Waiting < least || p.Waiting > 1) {
			t.Errorf("%.3f of the time spent waiting, want between %.3f and 1", p.Waiting, least)
		}
	}
}

// From the second step on, a step of the loop allocates nothing: forward, loss, backward, norm, update, averaging.
func TestStepAllocatesNothing(t *testing.T) {
	ds := cifar(t)
	cfg := recipe(ds, 1000)
	cfg.EMA = 0.99
	loader, err := batch.NewTrainLoader(cfg.Data)
	if err != nil {
		t.Fatal(err)
	}
	defer loader.Close()
	b, err := loader.Next(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	b.Last = true
	pool := par.New(2)
	defer pool.Close()
	l, err := newLoop(tiny(t, 10), pool, cfg)
	if err != nil {
		t.Fatal(err)
	}
	step := func() {
		if err := l.step(t.Context(), repeat{b}); err != nil {
			t.Fatal(err)
		}
	}
	step()
	if n := testing.AllocsPerRun(5, step); n > 0 {
		t.Errorf("a step allocates %v times, want 0", n)
	}
}
