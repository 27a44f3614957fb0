package main

import (
	"runtime/debug"
	"strconv"
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
	defer debug.SetMemoryLimit(debug.SetMemoryLimit(-1))
	r50x1 := resnet.Variant{Depth: 50, Width: 1}.Config(1000)
	plan := func(memory string, side, batch, micro int, cache int64) (memoryPlan, error) {
		o := trainingOptions{memory: memory, microBatch: micro, cacheMiB: defaultCache(cache), cacheSet: func() bool { return cache >= 0 }}
		if err := o.check(); err != nil {
			t.Fatal(err)
		}
		return o.planMemory(r50x1, side, batch, 2)
	}
	for _, c := range []struct {
		memory             string
		side, batch, micro int
		want               int
		again              resnet.Recompute
	}{
		{"", 480, 16, 0, 16, resnet.RecomputeNothing}, // 4 GiB hold 18
		{"4GB", 480, 16, 0, 6, resnet.RecomputeNothing},
		{"4 GB", 480, 16, 0, 6, resnet.RecomputeNothing},
		{"100GB", 480, 16, 0, 16, resnet.RecomputeNothing},
		{"100GB", 480, 16, 3, 3, resnet.RecomputeNothing},
	} {
		got, err := plan(c.memory, c.side, c.batch, c.micro, -1)
		if err != nil || got.MicroBatch != c.want || got.Recompute != c.again {
			t.Errorf("--memory %q, %d px, batch %d: %v, %v; want micro-batches of %d, %v again", c.memory, c.side, c.batch, got, err, c.want, c.again)
		}
	}

	if got, err := plan("4GB", 480, 16, 0, 0); err != nil || got.MicroBatch != 8 { // 10, made even
		t.Errorf("4 GB without a cache: %v, %v; want micro-batches of 8", got, err)
	}

	// Down to what a run takes at least, plans fit; below, the error says how much that is.
	budget, last := int64(8e9), memoryPlan{MicroBatch: 17}
	seen := map[resnet.Recompute]bool{}
	for {
		got, err := plan(strconv.FormatInt(budget, 10)+"B", 480, 16, 0, 100)
		if err != nil {
			if !strings.Contains(err.Error(), "at least") || !strings.Contains(err.Error(), "--cache") {
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

func defaultCache(set int64) int64 {
	if set < 0 {
		return 1024
	}
	return set
}
