package batch

import (
	"fmt"

	"github.com/bigtransfer/bit/data"
	"github.com/bigtransfer/bit/internal/counter"
)

// Sampling says how often a training run sees the examples of a class.
type Sampling int

// The ways to sample.
const (
	// Natural sampling sees every example once in an epoch, so a class as often as it has examples.
	Natural Sampling = iota
	// Balanced sampling sees every class equally often, and within a class every example equally often: see [BalancedOrder].
	Balanced
)

func (s Sampling) String() string {
	switch s {
	case Natural:
		return "natural"
	case Balanced:
		return "balanced"
	}
	return fmt.Sprintf("Sampling(%d)", int(s))
}

// MarshalText writes the sampling's name.
func (s Sampling) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// BalancedOrder is an endless order of examples in which all classes take turns. Of k classes, positions r·k to r·k+k-1
// are round r and hold one example of each class, the classes in an order drawn for the round; the examples of a class
// come in a permutation drawn for each time that they have all been used. So after any number of rounds every class has been
// seen equally often, and within a class no example more than once more than another.
//
// It is a pure function of the classes' examples and the seed, as [Order] is, keeps the permutations last used, and is for
// one goroutine.
type BalancedOrder struct {
	classes [][]int32 // the examples of each class that has any
	seed    uint64
	round   int64
	turns   []int32 // the order of classes in the round
	perms   []classPerm
	rng     *counter.Rand
}

// classPerm is the permutation last used of a class.
type classPerm struct {
	pass int64
	perm []int32
}

// NewBalancedOrder returns the order of examples, which must not be empty, balanced over their labels. A picture with
// several labels counts for each of them, and those without any are a class of their own.
func NewBalancedOrder(examples []data.Example, seed uint64) *BalancedOrder {
	at := map[int]int{} // label to index in classes
	o := &BalancedOrder{seed: seed, round: -1, rng: counter.New()}
	add := func(label, example int) {
		i, ok := at[label]
		if !ok {
			i = len(o.classes)
			at[label] = i
			o.classes = append(o.classes, nil)
		}
		o.classes[i] = append(o.classes[i], int32(example))
	}
	for i, e := range examples {
		if len(e.Labels) == 0 {
			add(e.Label, i)
			continue
		}
		for _, label := range e.Labels {
			add(int(label), i)
		}
	}
	o.turns = make([]int32, len(o.classes))
	for _, class := range o.classes {
		o.perms = append(o.perms, classPerm{pass: -1, perm: make([]int32, len(class))})
	}
	return o
}

// At returns the index of the example at a position, counted from 0 at the start of the run.
func (o *BalancedOrder) At(position int64) int {
	k := int64(len(o.classes))
	round := position / k
	if round != o.round {
		o.permute(o.turns, counter.Turns, round)
		o.round = round
	}
	class := int64(o.turns[position%k])
	n := int64(len(o.classes[class]))
	p := &o.perms[class]
	if pass := round / n; pass != p.pass {
		o.permute(p.perm, counter.ClassOrder, pass*k+class)
		p.pass = pass
	}
	return int(o.classes[class][p.perm[round%n]])
}

// permute draws the permutation that belongs to a counter.
func (o *BalancedOrder) permute(perm []int32, s counter.Stream, at int64) {
	for i := range perm {
		perm[i] = int32(i)
	}
	o.rng.At(o.seed, s, at).Shuffle(len(perm), func(i, j int) { perm[i], perm[j] = perm[j], perm[i] })
}
