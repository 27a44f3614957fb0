package eval

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/bigtransfer/bit/batch"
	"github.com/bigtransfer/bit/data"
	"github.com/bigtransfer/bit/imaging"
	"github.com/bigtransfer/bit/internal/fixture"
	"github.com/bigtransfer/bit/internal/par"
	"github.com/bigtransfer/bit/resnet"
)

// Six classes, so that top-5 can miss. The ranks are read off by hand.
func TestTally(t *testing.T) {
	var tally Tally
	err := tally.Add([]float32{
		5, 4, 3, 2, 1, 0, // label 0: first
		5, 4, 3, 2, 1, 0, // label 4: fifth
		5, 4, 3, 2, 1, 0, // label 5: sixth
		1, 1, 1, 1, 1, 1, // label 0: a tie goes to the lower index, first
	}, []int32{0, 4, 5, 0}, 6)
	if err != nil {
		t.Fatal(err)
	}
	// A second batch of another size counts by its images, not as much as the first.
	if err := tally.Add([]float32{1, 1, 1, 1, 1, 1}, []int32{5}, 6); err != nil { // sixth of the tie
		t.Fatal(err)
	}
	lse := math.Log(math.Exp(5) + math.Exp(4) + math.Exp(3) + math.Exp(2) + math.Exp(1) + 1)
	loss := ((lse - 5) + (lse - 1) + lse + 2*math.Log(6)) / 5
	got := tally.Result()
	if got.Images != 5 || got.Top1 != 2.0/5 || got.Top5 != 3.0/5 || math.Abs(got.Loss-loss) > 1e-12 {
		t.Errorf("%+v, want top-1 2/5, top-5 3/5, loss %v of 5 images", got, loss)
	}
}

func TestTallyFewerThanFiveClasses(t *testing.T) {
	var tally Tally
	if err := tally.Add([]float32{1, 2, 3}, []int32{0}, 3); err != nil {
		t.Fatal(err)
	}
	if got := tally.Result(); got.Top1 != 0 || got.Top5 != 1 {
		t.Errorf("%+v, want top-1 0 and top-5 1", got)
	}
}

// A model that computes NaN has no hits, whichever logits are NaN, and says so in its loss.
func TestTallyNaN(t *testing.T) {
	nan := float32(math.NaN())
	for _, z := range [][]float32{{nan, nan}, {nan, 0}, {0, nan}} {
		var tally Tally
		if err := tally.Add(z, []int32{0}, 2); err != nil {
			t.Fatal(err)
		}
		if got := tally.Result(); got.Top1 != 0 || !math.IsNaN(got.Loss) {
			t.Errorf("logits %v: %+v, want no hit and a loss of NaN", z, got)
		}
	}
}

func TestTallyBadInput(t *testing.T) {
	var tally Tally
	if tally.Add([]float32{1, 2}, []int32{2}, 2) == nil || tally.Add([]float32{1, 2}, []int32{-1}, 2) == nil {
		t.Error("a label outside of the classes is no error")
	}
	if tally.Add([]float32{1, 2, 3}, []int32{0}, 2) == nil {
		t.Error("three logits for one image of two classes are no error")
	}
}

// Every image counts once, whatever the batches: sizes that leave a remainder, one by one, and all at once agree.
func TestNetworkBatches(t *testing.T) {
	ds, err := data.Open(fixture.Data(t, "cifar10-mini"))
	if err != nil {
		t.Fatal(err)
	}
	net, err := resnet.NewNetwork(resnet.Config{
		Channels: 3, StemWidth: 16, Widths: []int{32, 64}, Depths: []int{1, 1}, Groups: 4, Classes: 10,
		GNEpsilon: resnet.GNEpsilon, WSEpsilon: resnet.WSEpsilonOfficial,
	})
	if err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(1, 2))
	net.Init(r)
	for i := range net.Param(resnet.HeadKernel).Value { // a zero head would tie everything
		net.Param(resnet.HeadKernel).Value[i] = float32(r.NormFloat64())
	}
	pool := par.New(2)
	defer pool.Close()
	var examples []data.Example // 50, of all classes
	for i := 0; i < len(ds.Test); i += len(ds.Test) / 50 {
		examples = append(examples, ds.Test[i])
	}
	measure := func(rows int) Result {
		got, skipped, err := Network(t.Context(), net, pool, batch.EvalConfig{
			Source: ds.Source, Examples: examples, Processor: imaging.Squash(32, imaging.Bilinear), Batch: rows,
		})
		if err != nil || len(skipped) > 0 {
			t.Fatal(skipped, err)
		}
		return got
	}
	want := measure(50)
	if want.Images != 50 || want.Top5 <= want.Top1 {
		t.Errorf("%+v, want 50 images and some of them second to fifth", want)
	}
	for _, rows := range []int{1, 7, 64} {
		got := measure(rows)
		loss := got.Loss
		got.Loss = want.Loss // rounding inside the network depends on the batch
		if got != want || math.Abs(loss-want.Loss) > 1e-6*want.Loss {
			got.Loss = loss
			t.Errorf("batches of %d: %+v, want %+v", rows, got, want)
		}
	}
	if _, _, err := Network(t.Context(), net, pool, batch.EvalConfig{Source: ds.Source, Processor: imaging.Squash(32, imaging.Bilinear), Batch: 1}); !errors.Is(err, data.ErrNoImages) {
		t.Errorf("error %v without images, want ErrNoImages", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := Network(ctx, net, pool, batch.EvalConfig{Source: ds.Source, Examples: examples, Processor: imaging.Squash(32, imaging.Bilinear), Batch: 1}); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v after cancelling, want context.Canceled", err)
	}
}
