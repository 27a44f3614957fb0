package pretrain

import (
	"errors"
	"math"
	"slices"
	"testing"

	"github.com/bigtransfer/bit/data"
	"github.com/bigtransfer/bit/internal/fixture"
	"github.com/bigtransfer/bit/resnet"
	"github.com/bigtransfer/bit/train"
)

// The paper's numbers: 28,151 steps of 4096 images make 90 epochs of ILSVRC-2012, about 312,000 of ImageNet-21k; the
// rate is 0.03 per 256 images, reached after 5,000 steps and divided by ten after epochs 30, 60 and 80.
func TestPaperSchedules(t *testing.T) {
	s := BiTS.Schedule(1_281_167)
	if s.Steps() != 28_151 {
		t.Errorf("BiT-S: %d steps, want 28,151", s.Steps())
	}
	for epoch, want := range map[float64]float64{29.9: 0.48, 30.1: 0.048, 59.9: 0.048, 60.1: 0.0048, 79.9: 0.0048, 80.1: 0.00048} {
		step := int(epoch * 1_281_167 / 4096)
		if got := BiTS.PeakRate * s.Factor(step); math.Abs(got-want) > 1e-12 {
			t.Errorf("BiT-S: rate %v in epoch %v, want %v", got, epoch, want)
		}
	}
	for step, want := range map[int]float64{0: 0, 1250: 0.12, 2500: 0.24, 5000: 0.48} {
		if got := BiTS.PeakRate * s.Factor(step); math.Abs(got-want) > 1e-12 {
			t.Errorf("BiT-S: rate %v at step %d, want %v", got, step, want)
		}
	}
	if got := BiTM.Steps(14_200_000); math.Abs(float64(got)-312_000) > 100 {
		t.Errorf("BiT-M: %d steps, want about 312,000", got)
	}
	if BiTM.Loss != train.Sigmoid || BiTS.Loss != train.Softmax {
		t.Errorf("BiT-M trains on the %v loss and BiT-S on the %v loss, want sigmoid and softmax", BiTM.Loss, BiTS.Loss)
	}
	if got, want := BiTS.Pipeline().String(), "inception_crop(224)|flip_lr"; got != want {
		t.Errorf("BiT-S: %s, want %s", got, want)
	}
}

func TestEmbeddedRecipe(t *testing.T) {
	r := TinyImageNet64
	s := r.Schedule(100_000)
	if want := 10_938; s.Steps() != want { // 14·100,000/128 = 10,937.5
		t.Errorf("%d steps, want %d", s.Steps(), want)
	}
	if s.Factor(0) != 0 || s.Factor(r.WarmUp) != 1 || s.Factor(s.Steps()) != 0 {
		t.Errorf("the rate is %v, %v, %v of its peak at the start, after warm-up and at the end, want 0, 1, 0", s.Factor(0), s.Factor(r.WarmUp), s.Factor(s.Steps()))
	}
}

func cifar(t *testing.T) *data.Dataset {
	t.Helper()
	ds, err := data.Open(fixture.Data(t, "cifar10-mini"))
	if err != nil {
		t.Fatal(err)
	}
	return ds
}

func tiny(t *testing.T, classes int) *resnet.Network {
	t.Helper()
	net, err := resnet.NewNetwork(resnet.Config{
		Channels: 3, StemWidth: 16, Widths: []int{32, 64}, Depths: []int{1, 1}, Groups: 4, Classes: classes,
		GNEpsilon: resnet.GNEpsilon, WSEpsilon: resnet.WSEpsilonOfficial,
	})
	if err != nil {
		t.Fatal(err)
	}
	return net
}

// small is every recipe's shape at toy size.
func small(r Recipe) Recipe {
	r.Side, r.Epochs, r.Batch, r.WarmUp = 24, 2, 50, 2
	if r.Drops != nil {
		r.Drops = []int{1}
	}
	return r
}

func TestRecipesRun(t *testing.T) {
	ds := cifar(t)
	for name, r := range map[string]Recipe{"TinyImageNet64": TinyImageNet64, "BiTS": BiTS, "BiTM": BiTM} {
		t.Run(name, func(t *testing.T) {
			var first float64
			opt := Options{Seed: 1, MicroBatch: 20}
			opt.OnStep = func(p train.Progress) {
				if p.Step == 1 {
					first = p.StepLoss
				}
			}
			result, err := Run(t.Context(), tiny(t, 10), ds, small(r), opt)
			if err != nil {
				t.Fatal(err)
			}
			if want := 2 * len(ds.Train) / 50; result.Steps != want || result.Eval.Images != len(ds.Test) {
				t.Errorf("%d steps, %d images evaluated, want %d, %d", result.Steps, result.Eval.Images, want, len(ds.Test))
			}
			want := math.Log(10) // of a zero head
			if r.Loss == train.Sigmoid {
				want = 10 * math.Ln2
			}
			if math.Abs(first-want) > 1e-6 {
				t.Errorf("first loss %v, want %v", first, want)
			}
		})
	}
}

// The seed decides the weights that a run begins with, and so all of it.
func TestSeed(t *testing.T) {
	ds := cifar(t)
	run := func(seed uint64) []float32 {
		net := tiny(t, 10)
		r := small(TinyImageNet64)
		r.Epochs = 1
		if _, err := Run(t.Context(), net, ds, r, Options{Seed: seed}); err != nil {
			t.Fatal(err)
		}
		return slices.Clone(net.Param(resnet.StemKernel).Value)
	}
	one := run(1)
	if !slices.Equal(one, run(1)) {
		t.Error("the same seed gave other weights")
	}
	if slices.Equal(one, run(2)) {
		t.Error("another seed gave the same weights")
	}
}

func TestRunErrors(t *testing.T) {
	ds := cifar(t)
	if _, err := Run(t.Context(), tiny(t, 7), ds, small(BiTS), Options{}); err == nil {
		t.Error("7 classes for 10 are no error")
	}
	if _, err := Run(t.Context(), tiny(t, 10), ds, Recipe{}, Options{}); err == nil {
		t.Error("an empty recipe is no error")
	}
	long := small(BiTS)
	long.Batch = 2*long.Epochs*len(ds.Train) + 1
	if _, err := Run(t.Context(), tiny(t, 10), ds, long, Options{}); err == nil {
		t.Error("a batch that leaves no step is no error")
	}
	one := data.Dataset{Source: ds.Source, Classes: ds.Classes[:1], Train: []data.Example{{Path: ds.Train[0].Path}}}
	if _, err := Run(t.Context(), tiny(t, 1), &one, small(TinyImageNet64), Options{}); err == nil {
		t.Error("a softmax over one class is no error")
	}
	none := *ds
	none.Train = nil
	if _, err := Run(t.Context(), tiny(t, 10), &none, small(BiTS), Options{}); !errors.Is(err, data.ErrNoImages) {
		t.Errorf("error %v without training images, want ErrNoImages", err)
	}
}
