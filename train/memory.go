package train

import (
	"fmt"

	"github.com/dustin/go-humanize"

	"github.com/bigtransfer/bit/resnet"
)

// MemoryRequest says what a run needs memory for, and how much it may take.
type MemoryRequest struct {
	Network resnet.Config
	Frozen  resnet.Frozen
	Side    int   // of the images, in pixels
	Batch   int   // images per step
	Extra   int64 // bytes of the run beside what a trainer takes: momentum, averages, the model that it began with

	Budget     int64 // bytes for the whole run; 0: 4 GiB for activations and what the rest needs
	MicroBatch int   // most images at once, at least; 0: what the budget holds
	Cache      int64 // bytes for decoded pictures, as Options.CacheBytes; at 0 no more than a quarter of the budget
}

// MemoryPlan is how a run keeps to its memory.
type MemoryPlan struct {
	MicroBatch int              `json:"micro_batch"`
	Recompute  resnet.Recompute `json:"recompute"`
	Cache      int64            `json:"cache_bytes"` // for Options.CacheBytes
	Bytes      int64            `json:"bytes"`       // expected of the whole run, at most
}

// MemoryError says that a run cannot keep to its budget.
type MemoryError struct {
	Budget, Need, Cache int64 // bytes; Need is the least, Cache the part of it that is for pictures
	Side                int
}

func (e *MemoryError) Error() string {
	return fmt.Sprintf("this run takes at least %s at %d px, %s of it for the cache of pictures, and may take %s",
		humanize.Bytes(uint64(e.Need)), e.Side, humanize.Bytes(uint64(max(0, e.Cache))), humanize.Bytes(uint64(e.Budget)))
}

// activations is what maps and gradients of a micro-batch may take where there is no budget.
const activations = 4 << 30

// PlanMemory chooses the images to hold at once and what to compute again. It does not look at the machine, so that the
// same run has the same bits everywhere. Micro-batches come first, since they cost nothing as long as the last maps of a
// network still fill a block of rows; then computing again, which costs time.
func PlanMemory(r MemoryRequest) (MemoryPlan, error) {
	c, cache := r.Network, r.Cache
	if cache == 0 {
		cache = defaultCacheBytes
		if r.Budget > 0 {
			cache = min(cache, max(1, r.Budget/4))
		}
	}
	options := func(again resnet.Recompute) resnet.TrainerOptions {
		return resnet.TrainerOptions{Recompute: again, Frozen: r.Frozen}
	}
	need := func(images int, again resnet.Recompute) int64 {
		// What the trainer takes; what evaluation takes beside it; pictures decoded and on their way; the program itself.
		return c.TrainerBytes(images, r.Side, r.Side, options(again)) + r.Extra + c.PredictorBytes(images, r.Side, r.Side) +
			max(0, cache) + 8*int64(images*r.Side*r.Side*c.Channels) + 64<<20
	}
	if r.Budget == 0 {
		images := r.MicroBatch
		if images == 0 {
			images = max(1, int(activations/c.TrainingBytes(r.Side, r.Side, options(resnet.RecomputeNothing))))
		}
		images = min(images, r.Batch)
		return MemoryPlan{images, resnet.RecomputeNothing, cache, need(images, resnet.RecomputeNothing)}, nil
	}
	const rows = 128 // of a block of the engine
	last := (r.Side + 31) / 32
	efficient := min(r.Batch, (rows+last*last-1)/(last*last))
	least, most := 1, r.Batch
	if r.MicroBatch > 0 {
		least = min(r.MicroBatch, r.Batch)
		most, efficient = least, least
	}
	best := MemoryPlan{Cache: cache}
	for _, again := range resnet.Recomputes() {
		images := most
		for images >= least && need(images, again) > r.Budget {
			images--
		}
		if images < least || images <= best.MicroBatch {
			continue
		}
		parts := (r.Batch + images - 1) / images
		images = max(least, (r.Batch+parts-1)/parts) // as even as can be
		best = MemoryPlan{images, again, cache, need(images, again)}
		if images >= efficient {
			break
		}
	}
	if best.MicroBatch == 0 {
		return best, &MemoryError{r.Budget, need(least, resnet.RecomputeStages), cache, r.Side}
	}
	return best, nil
}

func (p MemoryPlan) String() string {
	text := fmt.Sprintf("micro-batches of %d", p.MicroBatch)
	if p.Recompute != resnet.RecomputeNothing {
		text += fmt.Sprintf(", maps of %s computed again", p.Recompute)
	}
	return text + ", about " + humanize.Bytes(uint64(p.Bytes)) + " of memory"
}
