package data

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"github.com/bigtransfer/bit/internal/counter"
)

// FewShotError says that a class has fewer examples than were asked for.
type FewShotError struct {
	Class      string
	Have, Want int
}

func (e *FewShotError) Error() string {
	return fmt.Sprintf("class %q has %d examples, expected at least %d", e.Class, e.Have, e.Want)
}

// FewShot draws k examples of every class without replacement and returns them in their original order. For one seed
// a smaller k draws a subset of what a larger one does. A class with fewer than k examples is a [*FewShotError].
func FewShot(examples []Example, classes []string, k int, seed uint64) ([]Example, error) {
	return fewShot(examples, classes, k, seed, true)
}

// FewShotAtMost is [FewShot], but a class with fewer than k examples gives all that it has, as in big_vision's few-shot
// evaluation (fewshot_lsr.py).
func FewShotAtMost(examples []Example, classes []string, k int, seed uint64) ([]Example, error) {
	return fewShot(examples, classes, k, seed, false)
}

func fewShot(examples []Example, classes []string, k int, seed uint64, all bool) ([]Example, error) {
	if k <= 0 {
		return nil, fmt.Errorf("few-shot: expected at least one example per class, found %d", k)
	}
	byClass, err := indicesByClass(examples, len(classes))
	if err != nil {
		return nil, err
	}
	rng := counter.New()
	chosen := make([]int, 0, k*len(classes))
	for label, indices := range byClass {
		if len(indices) < k && all {
			return nil, &FewShotError{Class: classes[label], Have: len(indices), Want: k}
		}
		shuffle(rng.At(seed, counter.FewShot, int64(label)), indices)
		chosen = append(chosen, indices[:min(k, len(indices))]...)
	}
	return pick(examples, chosen), nil
}

// HoldOut splits examples in two, for data without a validation split: held gets the given fraction of them, 0 <
// fraction < 1, every class in proportion (the largest remainders round up), and train keeps at least one of each
// class. Both are in the original order. It depends on nothing but its arguments.
func HoldOut(examples []Example, classes []string, fraction float64, seed uint64) (train, held []Example, err error) {
	if !(fraction > 0 && fraction < 1) {
		return nil, nil, fmt.Errorf("hold out: expected a fraction between 0 and 1, found %v", fraction)
	}
	byClass, err := indicesByClass(examples, len(classes))
	if err != nil {
		return nil, nil, err
	}
	quota := quotas(byClass, fraction)
	rng := counter.New()
	var heldIndices, trainIndices []int
	for label, indices := range byClass {
		shuffle(rng.At(seed, counter.HoldOut, int64(label)), indices)
		heldIndices = append(heldIndices, indices[:quota[label]]...)
		trainIndices = append(trainIndices, indices[quota[label]:]...)
	}
	if len(heldIndices) == 0 {
		return nil, nil, fmt.Errorf("hold out: %v of %d examples in %d classes leaves none to hold out",
			fraction, len(examples), len(classes))
	}
	return pick(examples, trainIndices), pick(examples, heldIndices), nil
}

// quotas returns how many of each class to hold out: fraction·n rounded to the nearest in total, shared among the
// classes by largest remainder, the lower label first among equals.
func quotas(byClass [][]int, fraction float64) []int {
	type share struct {
		label int
		rest  float64
	}
	quota := make([]int, len(byClass))
	var shares []share
	n := 0
	for label, indices := range byClass {
		exact := fraction * float64(len(indices))
		quota[label] = int(exact)
		n += len(indices)
		if rest := exact - math.Floor(exact); rest > 0 && quota[label]+1 < len(indices) {
			shares = append(shares, share{label, rest})
		}
	}
	left := int(math.Round(fraction * float64(n)))
	for _, q := range quota {
		left -= q
	}
	slices.SortStableFunc(shares, func(a, b share) int { return cmp.Compare(b.rest, a.rest) })
	for _, s := range shares[:max(0, min(left, len(shares)))] {
		quota[s.label]++
	}
	return quota
}

// indicesByClass returns the positions of each label's examples.
func indicesByClass(examples []Example, classes int) ([][]int, error) {
	byClass := make([][]int, classes)
	for i, e := range examples {
		if e.Label < 0 || e.Label >= classes {
			return nil, fmt.Errorf("%s has the label %d, expected one below %d", e.Path, e.Label, classes)
		}
		byClass[e.Label] = append(byClass[e.Label], i)
	}
	return byClass, nil
}

func shuffle(rng *counter.Rand, indices []int) {
	rng.Shuffle(len(indices), func(i, j int) { indices[i], indices[j] = indices[j], indices[i] })
}

// pick returns the examples at the given indices, in their original order. It sorts indices.
func pick(examples []Example, indices []int) []Example {
	slices.Sort(indices)
	picked := make([]Example, len(indices))
	for i, index := range indices {
		picked[i] = examples[index]
	}
	return picked
}
