package transfer

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/bigtransfer/bit/batch"
	"github.com/bigtransfer/bit/data"
	"github.com/bigtransfer/bit/internal/par"
	"github.com/bigtransfer/bit/resnet"
)

// Estimate is how long a run is expected to take, as measured on this machine while it does what else it does.
type Estimate struct {
	Step        time.Duration // one optimiser step, data included
	Evaluation  time.Duration // once over the split that is evaluated during the run
	Evaluations int           // of that split
	Judgement   time.Duration // once over the test split, if that is another one
	Total       time.Duration

	Images int // that the network's time was measured on
	Side   int // of these in pixels: less than the run's where that would have taken long, and then scaled by the work
}

// What Measure may take: of a network's forward and backward pass, in multiply-accumulates, and of pictures.
const (
	probeMACs   = 1.5e11 // about a second on two cores of 2024
	probeImages = 32
	probeRounds = 5                      // at least, so that hiccups do not count
	probeLeast  = 500 * time.Millisecond // rounds go on for
	probeTime   = 3 * time.Second        // and not beyond
)

// Measure times a little of a run: the network forward and backward on a few images, and the preparation of some training
// images. It takes a few seconds. net, whose weights do not matter and stay as they are, needs no head for the classes.
func Measure(ctx context.Context, net *resnet.Network, ds *data.Dataset, p Plan, cfg Config) (Estimate, error) {
	e := Estimate{Side: p.Crop}
	macs := func(side int) float64 { return 3 * float64(net.MACs(side, side)) }
	for e.Side > 64 && macs(e.Side) > probeMACs {
		e.Side /= 2
	}
	e.Images = max(1, min(p.Memory.MicroBatch, probeImages, int(probeMACs/macs(e.Side))))
	network, err := measureNetwork(ctx, net, len(ds.Classes), p, cfg, e.Images, e.Side)
	if err != nil {
		return e, err
	}
	scale := macs(p.Crop) / macs(e.Side)
	pictures, err := measurePictures(ctx, ds, p, cfg)
	if err != nil {
		return e, err
	}

	draws := 1.0 // of a picture for each row
	if p.MixupAlpha > 0 {
		draws = 2
	}
	steps, images := float64(p.Schedule.Total), float64(p.Batch)
	// A picture is decoded the first time, and again each time if the cache has no room for it.
	bytes := 3 * float64(min(p.Height*p.Width, p.Resize*p.Resize))
	cached := max(0, min(1, float64(p.Memory.Cache)/(bytes*float64(p.Examples)))) // a negative size is no cache
	seen := steps * images * draws
	first := min(seen, float64(p.Examples)*cached)
	again := max(0, seen-first)
	data := first*pictures.cold + again*(cached*pictures.warm+(1-cached)*pictures.cold)
	step := images*network.image*scale + network.step

	e.Step = seconds(step + data/steps)
	pass := func(n int) float64 { return float64(n) * (network.forward*scale + pictures.cold) }
	during, after := len(ds.Val), len(ds.Test)
	if during == 0 {
		during, after = len(ds.Test), 0
	}
	e.Evaluation, e.Judgement = seconds(pass(during)), seconds(pass(after))
	if during > 0 {
		e.Evaluations = 1
		if every := p.EvaluateEvery; every > 0 {
			e.Evaluations = (p.Schedule.Total + every - 1) / every
		}
	}
	e.Total = seconds(steps*step+data) + time.Duration(e.Evaluations)*e.Evaluation + e.Judgement
	return e, nil
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

// networkCost is in seconds.
type networkCost struct {
	image   float64 // of an image, forward and backward
	forward float64 // of an image, forward only
	step    float64 // of what a step does besides: kernels folded, gradients cleared, parameters changed
}

// measureNetwork times a trainer of its own over the network's values.
func measureNetwork(ctx context.Context, net *resnet.Network, classes int, p Plan, cfg Config, images, side int) (networkCost, error) {
	over, err := resnet.NewNetworkOver(net.Config, func(s resnet.ParamSpec) []float32 { return net.Param(s.Name).Value })
	if err != nil {
		return networkCost{}, err
	}
	over.NewHead(classes)
	pool := par.New(cfg.Threads)
	defer pool.Close()
	t := over.NewTrainerWith(pool, resnet.TrainerOptions{Recompute: p.Memory.Recompute, Frozen: p.Frozen})
	x, dlogits := make([]float32, images*side*side*net.Channels), make([]float32, images*classes)
	for i := range x {
		x[i] = float32(i%255)/127 - 1 // a network of zeros is not slower, one of denormals would be
	}
	var whole, forward, folded []time.Duration
	for begin, round := time.Now(), 0; len(whole) < probeRounds || time.Since(begin) < probeLeast; round++ {
		if ctx.Err() != nil {
			return networkCost{}, context.Cause(ctx)
		}
		start := time.Now()
		t.ZeroGrad()
		if _, err := t.Forward(x, images, side, side); err != nil {
			return networkCost{}, err
		}
		toLogits := time.Since(start)
		t.Backward(dlogits)
		took := time.Since(start)
		if took > probeTime || len(whole) > 0 && time.Since(begin) > probeTime {
			whole, folded, forward = append(whole, took), append(folded, toLogits), append(forward, toLogits)
			break
		}
		if round == 0 { // which also plans and allocates
			continue
		}
		again := time.Now()
		if _, err := t.Forward(x, images, side, side); err != nil {
			return networkCost{}, err
		}
		whole, folded, forward = append(whole, took), append(folded, toLogits), append(forward, time.Since(again))
	}
	// The optimiser reads and writes what ZeroGrad and folding do, about once more.
	step := max(0, median(folded)-median(forward))
	n := float64(images)
	return networkCost{image: (median(whole) - step) / n, forward: median(forward) / n, step: 2 * step}, nil
}

// median returns the median in seconds: on a busy machine some rounds take many times as long as others.
func median(times []time.Duration) float64 {
	slices.Sort(times)
	return times[len(times)/2].Seconds()
}

// pictureCost is in seconds for a picture, with all workers at work.
type pictureCost struct{ cold, warm float64 }

// measurePictures times the loader on some training images: as they are read and decoded, and from the cache.
func measurePictures(ctx context.Context, ds *data.Dataset, p Plan, cfg Config) (pictureCost, error) {
	n := min(probeImages, len(ds.Train))
	some := make([]data.Example, n)
	for i := range some {
		some[i] = ds.Train[i*len(ds.Train)/n]
	}
	c := p.config(ds, cfg).Data
	c.Examples, c.Sampling, c.MixupAlpha, c.Batch, c.MicroBatch = some, batch.Natural, 0, n, 0
	var cold, warm []time.Duration
	for range 3 {
		c.Cache = batch.NewCache(n, 1<<40)
		l, err := batch.NewTrainLoader(c)
		if err != nil {
			return pictureCost{}, err
		}
		for i := range 4 {
			begin := time.Now()
			if _, err := l.Next(ctx); err != nil {
				l.Close()
				return pictureCost{}, fmt.Errorf("timing the preparation of pictures: %w", err)
			}
			if i == 0 {
				cold = append(cold, time.Since(begin))
			} else {
				warm = append(warm, time.Since(begin))
			}
		}
		l.Close()
	}
	cost := pictureCost{cold: median(cold) / float64(n), warm: median(warm) / float64(n)}
	cost.cold = max(cost.cold, cost.warm)
	return cost, nil
}
