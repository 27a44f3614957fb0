package batch

import (
	"math"

	"github.com/bigtransfer/bit/internal/counter"
)

// Order is the endless order in which a training run sees its examples: one seeded permutation of all examples per
// epoch, one after the other. It is a pure function of (n, seed); batches may span epochs. An Order keeps the
// permutation last used, so reading forwards is fast, and is for one goroutine.
type Order struct {
	n     int
	seed  uint64
	epoch int64
	perm  []int32
	rng   *counter.Rand
}

// NewOrder returns the order of n examples, 0 < n < 2^31.
func NewOrder(n int, seed uint64) *Order {
	if n <= 0 || n > math.MaxInt32 {
		panic("batch: NewOrder: number of examples out of range")
	}
	return &Order{n: n, seed: seed, epoch: -1, perm: make([]int32, n), rng: counter.New()}
}

// At returns the index in [0, n) of the example at a position, counted from 0 at the start of the run. Position p is
// in epoch p / n.
func (o *Order) At(position int64) int {
	epoch := position / int64(o.n)
	if epoch != o.epoch {
		for i := range o.perm {
			o.perm[i] = int32(i)
		}
		o.rng.At(o.seed, counter.Order, epoch).Shuffle(o.n, func(i, j int) {
			o.perm[i], o.perm[j] = o.perm[j], o.perm[i]
		})
		o.epoch = epoch
	}
	return int(o.perm[position%int64(o.n)])
}
