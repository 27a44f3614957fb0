package train

import (
	"errors"
	"strings"
	"testing"

	"github.com/bigtransfer/bit/resnet"
)

// TestPlanMemory: an image of 480 px takes 238 MB in R50x1's trainer (resnet.TestTrainingBytes), 58 MB of maps when it is
// evaluated, twice 8 MB padded and 6 MB decoded: 318 MB. The parameters are seven times 102 MB (with gradients, packed
// twice and again for evaluation, momentum, the model that was), 87 MB are for the program and a kernel's gradient, and
// pictures have a quarter of the memory: of 4 GB that leaves room for 6.9 images, or without the cache for 10.
// A single image fills the engine's blocks at 480 px, so nothing is computed again as long as one fits.
func TestPlanMemory(t *testing.T) {
	r50x1 := resnet.Variant{Depth: 50, Width: 1}.Config(1000)
	plan := func(budget int64, side, batch, micro int, cache int64) (MemoryPlan, error) {
		return PlanMemory(MemoryRequest{
			Network: r50x1, Side: side, Batch: batch, Extra: 2 * 4 * int64(r50x1.NumParams()), Budget: budget, MicroBatch: micro, Cache: cache,
		})
	}
	for _, c := range []struct {
		budget             int64
		side, batch, micro int
		want               int
		again              resnet.Recompute
	}{
		{0, 480, 16, 0, 16, resnet.RecomputeNothing}, // 4 GiB hold 18
		{4e9, 480, 16, 0, 6, resnet.RecomputeNothing},
		{100e9, 480, 16, 0, 16, resnet.RecomputeNothing},
		{100e9, 480, 16, 3, 3, resnet.RecomputeNothing},
	} {
		got, err := plan(c.budget, c.side, c.batch, c.micro, 0)
		if err != nil || got.MicroBatch != c.want || got.Recompute != c.again {
			t.Errorf("%d bytes, %d px, batch %d: %v, %v; want micro-batches of %d, %v again", c.budget, c.side, c.batch, got, err, c.want, c.again)
		}
	}

	if got, err := plan(4e9, 480, 16, 0, -1); err != nil || got.MicroBatch != 8 { // 10, made even
		t.Errorf("4 GB without a cache: %v, %v; want micro-batches of 8", got, err)
	}

	// Down to what a run takes at least, plans fit; below, the error says how much that is.
	budget, last := int64(8e9), MemoryPlan{MicroBatch: 17}
	seen := map[resnet.Recompute]bool{}
	for {
		got, err := plan(budget, 480, 16, 0, 100<<20)
		if err != nil {
			var e *MemoryError
			if !errors.As(err, &e) || e.Need <= budget || e.Need > budget+10e6 || !strings.Contains(err.Error(), "at least") {
				t.Errorf("%d bytes: %v", budget, err)
			}
			break
		}
		seen[got.Recompute] = true
		if got.Bytes > budget || got.Recompute < last.Recompute {
			t.Errorf("%d bytes: %v after %v", budget, got, last)
		}
		if got.Recompute == last.Recompute && got.MicroBatch > last.MicroBatch {
			t.Errorf("%d bytes: %v after %v", budget, got, last)
		}
		last = got
		budget -= 10e6
	}
	for _, again := range resnet.Recomputes() {
		if !seen[again] {
			t.Errorf("no budget makes a run compute %v again", again)
		}
	}
}

// Frozen parts need no maps: the same budget holds more images, and the same images less memory.
func TestPlanMemoryFrozen(t *testing.T) {
	r50x1 := resnet.Variant{Depth: 50, Width: 1}.Config(10)
	images, previous := 0, int64(1<<62)
	for _, f := range []resnet.Frozen{resnet.FrozenNothing, resnet.FrozenStem + 1, resnet.FrozenStem + 3, resnet.FrozenBody} {
		request := MemoryRequest{Network: r50x1, Frozen: f, Side: 480, Batch: 512, Budget: 4e9}
		got, err := PlanMemory(request)
		if err != nil || got.MicroBatch <= images || got.Bytes > request.Budget {
			t.Errorf("%v frozen: %v, %v; want more than %d images", f, got, err, images)
		}
		images = got.MicroBatch
		request.Budget, request.MicroBatch = 0, 4
		if got, err = PlanMemory(request); err != nil || got.Bytes >= previous {
			t.Errorf("%v frozen: %v, %v; want less than %d bytes", f, got, err, previous)
		}
		previous = got.Bytes
	}
}
