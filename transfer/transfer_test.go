package transfer

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/bigtransfer/bit/data"
	"github.com/bigtransfer/bit/internal/fixture"
	"github.com/bigtransfer/bit/resnet"
	"github.com/bigtransfer/bit/train"
)

// tinyConfig is a network that trains in milliseconds.
var tinyConfig = resnet.Config{
	Channels: 3, StemWidth: 16, Widths: []int{32, 64}, Depths: []int{1, 1}, Groups: 4, Classes: 3,
	GNEpsilon: resnet.GNEpsilon, WSEpsilon: resnet.WSEpsilonOfficial,
}

func cifar(t *testing.T) *data.Dataset {
	t.Helper()
	ds, err := data.Open(fixture.Data(t, "cifar10-mini"))
	if err != nil {
		t.Fatal(err)
	}
	return ds
}

// The zero Config is the rule: CIFAR-10 has 32x32 images, and 400 of them are a small task.
func TestPlanOfZeroConfig(t *testing.T) {
	ds := cifar(t)
	p, err := NewPlan(tinyConfig, ds, Config{})
	if err != nil {
		t.Fatal(err)
	}
	if p.Height != 32 || p.Width != 32 || p.Resize != 160 || p.Crop != 128 || p.Batch != 512 || p.LearningRate != 0.003 ||
		p.MixupAlpha != 0 || p.Schedule.Total != 500 || p.Schedule.WarmUp != 100 {
		t.Errorf("%+v, want 32x32 images resized to 160, cropped to 128, 500 steps of 512 images at 0.003 without mixup", p)
	}
	c := p.config(ds, Config{})
	if c.SGD != (train.SGD{Momentum: 0.9}) || c.Smoothing != 0 || c.Loss != train.Softmax {
		t.Errorf("%+v, label smoothing %v, %v: want momentum 0.9, softmax and nothing else", c.SGD, c.Smoothing, c.Loss)
	}
	if got, want := c.Data.Pipeline.String(), "resize(160)|random_crop(128)|flip_lr"; got != want {
		t.Errorf("augmentation %s, want %s", got, want)
	}
}

func TestPlanOverrides(t *testing.T) {
	ds := cifar(t)
	p, err := NewPlan(tinyConfig, ds, Config{Steps: 100, Batch: 128, Resize: 80, Crop: 64, MixupAlpha: 0.2})
	if err != nil {
		t.Fatal(err)
	}
	if p.Resize != 80 || p.Crop != 64 || p.Batch != 128 || p.LearningRate != 0.003/4 || p.MixupAlpha != 0.2 || p.Schedule.Total != 100 || p.Schedule.WarmUp != 20 {
		t.Errorf("%+v", p)
	}
	// 20,000 images are a medium task, with mixup unless it is switched off.
	large := *ds
	for len(large.Train) < 20_000 {
		large.Train = append(large.Train, ds.Train...)
	}
	for alpha, want := range map[float64]float64{0: 0.1, -1: 0, 0.3: 0.3} {
		if p, err = NewPlan(tinyConfig, &large, Config{MixupAlpha: alpha}); err != nil || p.MixupAlpha != want || p.Schedule.Total != 10_000 {
			t.Errorf("alpha %v: %+v, %v, want mixup %v for 10,000 steps", alpha, p, err, want)
		}
	}
	if p, err = NewPlan(tinyConfig, ds, Config{NoFlip: true}); err != nil {
		t.Fatal(err)
	}
	if got, want := p.Augmentation.String(), "resize(160)|random_crop(128)"; got != want {
		t.Errorf("augmentation %s, want %s", got, want)
	}
	for _, bad := range []Config{{Steps: -1}, {Batch: -1}, {LearningRate: -1}, {Resize: 64}, {Resize: 64, Crop: 65}, {Patience: 3},
		{ClassWeights: []float64{1}}, {ClassWeights: make([]float64, 10)}, {ClassWeights: []float64{1, 1, 1, 1, 1, -1, 1, 1, 1, 1}}, {Memory: 1 << 20},
	} {
		if _, err := NewPlan(tinyConfig, ds, bad); err == nil {
			t.Errorf("%+v is no error", bad)
		}
	}
}

// A folder of one class is a mistake, often of a level: there is nothing to tell apart.
func TestPlanOfOneClass(t *testing.T) {
	ds := &data.Dataset{Classes: []string{"photos"}, Train: []data.Example{{Path: "photos/a.png"}}}
	if _, err := NewPlan(tinyConfig, ds, Config{Resize: 36, Crop: 32}); err == nil || !strings.Contains(err.Error(), "photos") {
		t.Errorf("error %v, want one that names the class", err)
	}
}

// Fine-tuning begins with a head of zeros for the new classes, whatever the network predicted before.
func TestFineTune(t *testing.T) {
	ds := cifar(t)
	net, err := resnet.NewNetwork(tinyConfig)
	if err != nil {
		t.Fatal(err)
	}
	net.Init(rand.New(rand.NewPCG(1, 2)))
	net.Param(resnet.HeadBias).Value[1] = 5
	cfg := Config{Steps: 25, Batch: 32, Resize: 36, Crop: 32, LearningRate: 0.1}
	var first, last float64
	cfg.OnStep = func(p train.Progress) {
		if p.Step == 1 {
			first = p.StepLoss
		}
		last = p.Loss
	}
	r, err := FineTune(t.Context(), net, ds, cfg)
	if err != nil {
		t.Fatal(err)
	}
	if math.Abs(first-math.Log(10)) > 1e-6 || !(last < first) {
		t.Errorf("the loss went from %v to %v, want from ln 10 down", first, last)
	}
	if r.Split != "test" || r.Eval.Images != len(ds.Test) || r.Steps != 25 {
		t.Errorf("%d images of %q evaluated after %d steps, want %d of test after 25", r.Eval.Images, r.Split, r.Steps, len(ds.Test))
	}
	if w, h := r.Processor.OutputSize(500, 300); w != 32 || h != 32 {
		t.Errorf("the processor makes %dx%d, want 32x32", w, h)
	}

	// Without a split to evaluate on there is no score, rather than one on the training images.
	ds.Test, ds.Val = nil, nil
	cfg.Steps = 2
	if r, err = FineTune(t.Context(), net, ds, cfg); err != nil || r.Split != "" || r.Eval.Images != 0 {
		t.Errorf("%d images of %q evaluated, %v; want none", r.Eval.Images, r.Split, err)
	}
}
