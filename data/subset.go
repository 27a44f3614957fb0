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

// HoldOut says which examples to hold out: the given fraction of them, 0 < fraction < 1, every class in proportion (the
// largest remainders round up), and never all of a class. Examples of one group, as [imaging.NearGroups] numbers them, stay
// on one side; nil is a group for each. It depends on nothing but its arguments. Where too few are there to hold out one, it
// holds out none. [Dataset.EnsureSplit] uses it for data sets whose pictures are not known yet.
func HoldOut(examples []Example, groups []int, classes []string, fraction float64, seed uint64) ([]bool, error) {
	if !(fraction > 0 && fraction < 1) {
		return nil, fmt.Errorf("hold out: expected a fraction between 0 and 1, found %v", fraction)
	}
	byClass := make([][]int, len(classes)+1) // the last of those without a label
	for i, e := range examples {
		label := e.Label
		if label == NoLabel {
			label = len(classes)
		} else if label < 0 || label >= len(classes) {
			return nil, fmt.Errorf("%s has the label %d, expected one below %d", e.Path, e.Label, len(classes))
		}
		byClass[label] = append(byClass[label], i)
	}
	if groups == nil {
		groups = make([]int, len(examples))
		for i := range groups {
			groups[i] = i
		}
	}
	members := map[int][]int{} // of each group
	for i, g := range groups {
		members[g] = append(members[g], i)
	}
	quota := quotas(byClass, fraction)
	rng := counter.New()
	held := make([]bool, len(examples))
	for label, indices := range byClass {
		// A group counts for the class of its first example, by which it is drawn.
		var own []int
		for _, i := range indices {
			if members[groups[i]][0] == i {
				own = append(own, groups[i])
			}
		}
		shuffle(rng.At(seed, counter.HoldOut, int64(label)), own)
		for _, g := range own {
			if n := len(members[g]); n <= quota[label] && spares(byClass, examples, held, members[g]) {
				quota[label] -= n
				for _, i := range members[g] {
					held[i] = true
				}
			}
		}
	}
	return held, nil
}

// spares reports whether each class of a group has an example beside it that is not held out: a group of another class may
// have taken some before.
func spares(byClass [][]int, examples []Example, held []bool, group []int) bool {
	for _, i := range group {
		label := examples[i].Label
		if label == NoLabel {
			continue
		}
		if !slices.ContainsFunc(byClass[label], func(j int) bool { return !held[j] && !slices.Contains(group, j) }) {
			return false
		}
	}
	return true
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
