package main

import (
	"fmt"
	"runtime/debug"

	"github.com/dustin/go-humanize"

	"github.com/bigtransfer/bit/resnet"
)

// memoryPlan is how a training run keeps to its memory.
type memoryPlan struct {
	MicroBatch int
	Recompute  resnet.Recompute
	Bytes      int64 // expected of the whole run; 0 without --memory
}

func (p memoryPlan) String() string {
	text := fmt.Sprintf("micro-batches of %d", p.MicroBatch)
	if p.Recompute != resnet.RecomputeNothing {
		text += fmt.Sprintf(", maps of %s computed again", p.Recompute)
	}
	if p.Bytes > 0 {
		text += ", about " + humanize.Bytes(uint64(p.Bytes)) + " of memory"
	}
	return text
}

// activations is what maps and gradients of a micro-batch may take where --memory does not say more.
const activations = 4 << 30

// planMemory chooses the images to hold at once and what to compute again. It does not look at the machine, so that the
// same command gives the same bits everywhere. Micro-batches come first, since they cost nothing as long as the last maps
// of a network still fill a block of rows; then computing again, which costs time. copies is how often the run holds the
// parameters beside the trainer's own and their gradients: momentum, averages, the model that it began with.
func (o *trainingOptions) planMemory(c resnet.Config, side, batch, copies int) (memoryPlan, error) {
	if o.budget == 0 {
		p := memoryPlan{MicroBatch: o.microBatch}
		if p.MicroBatch == 0 {
			p.MicroBatch = max(1, int(activations/c.TrainingBytes(side, side, resnet.TrainerOptions{})))
		}
		p.MicroBatch = min(p.MicroBatch, batch)
		return p, nil
	}
	if !o.cacheSet() {
		o.cacheMiB = min(o.cacheMiB, o.budget/4>>20)
	}
	need := func(images int, again resnet.Recompute) int64 {
		// What the trainer takes; what evaluation takes beside it; pictures decoded and on their way; the program itself.
		return c.TrainerBytes(images, side, side, resnet.TrainerOptions{Recompute: again}) + 4*int64(copies)*int64(c.NumParams()) +
			c.PredictorBytes(images, side, side) + o.cacheMiB<<20 + 8*int64(images*side*side*c.Channels) + 64<<20
	}
	const rows = 128 // of a block of the engine
	last := (side + 31) / 32
	efficient := min(batch, (rows+last*last-1)/(last*last))
	least, most := 1, batch
	if o.microBatch > 0 {
		least = min(o.microBatch, batch)
		most, efficient = least, least
	}
	best := memoryPlan{}
	for _, again := range resnet.Recomputes() {
		images := most
		for images >= least && need(images, again) > o.budget {
			images--
		}
		if images < least || images <= best.MicroBatch {
			continue
		}
		parts := (batch + images - 1) / images
		images = max(least, (batch+parts-1)/parts) // as even as can be
		best = memoryPlan{images, again, need(images, again)}
		if images >= efficient {
			break
		}
	}
	if best.MicroBatch == 0 {
		return best, fmt.Errorf("--memory %s: this run takes at least %s at %d px, %s of it for the cache of pictures (--cache)", o.memory,
			humanize.Bytes(uint64(need(least, resnet.RecomputeStages))), side, humanize.Bytes(uint64(o.cacheMiB<<20)))
	}
	debug.SetMemoryLimit(o.budget) // what is no longer used is collected in time
	return best, nil
}
