package data_test

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"testing"

	"github.com/bigtransfer/bit/data"
)

// labelled returns examples with the given number per class, and the class names.
func labelled(perClass ...int) (examples []data.Example, classes []string) {
	for label, n := range perClass {
		classes = append(classes, fmt.Sprint("class", label))
		for i := range n {
			examples = append(examples, data.Example{Path: fmt.Sprintf("%d/%d.png", label, i), Label: label})
		}
	}
	return examples, classes
}

// same reports whether two examples are one.
func same(a, b data.Example) bool { return reflect.DeepEqual(a, b) }

// at returns the position of an example.
func at(examples []data.Example, e data.Example) int {
	return slices.IndexFunc(examples, func(f data.Example) bool { return same(e, f) })
}

func countLabels(examples []data.Example, classes int) []int {
	n := make([]int, classes)
	for _, e := range examples {
		n[e.Label]++
	}
	return n
}

func TestHoldOut(t *testing.T) {
	for _, test := range []struct {
		perClass []int
		fraction float64
		want     []int // held out per class
	}{
		{[]int{10, 20, 30}, 0.1, []int{1, 2, 3}},
		{[]int{15, 15, 15, 15}, 0.1, []int{2, 2, 1, 1}}, // 6 in all; equal remainders go to the first
		{[]int{4, 13, 9}, 0.3, []int{1, 4, 3}},          // 7.8 in all; 1.2, 3.9, 2.7
		{[]int{1, 1, 100}, 0.5, []int{0, 0, 50}},        // a class is never emptied
		{[]int{2, 2}, 0.99, []int{1, 1}},
		{[]int{0, 10}, 0.2, []int{0, 2}},
	} {
		examples, classes := labelled(test.perClass...)
		train, held, err := data.HoldOut(examples, classes, test.fraction, 1)
		if err != nil {
			t.Errorf("%v of %v: %v", test.fraction, test.perClass, err)
			continue
		}
		if got := countLabels(held, len(classes)); !slices.Equal(got, test.want) {
			t.Errorf("%v of %v: held out %v, want %v", test.fraction, test.perClass, got, test.want)
		}
		checkPartition(t, examples, train, held)
	}
}

// checkPartition checks that a and b together are all, each in the order of all.
func checkPartition(t *testing.T, all, a, b []data.Example) {
	t.Helper()
	for _, e := range all {
		switch {
		case len(a) > 0 && same(a[0], e):
			a = a[1:]
		case len(b) > 0 && same(b[0], e):
			b = b[1:]
		default:
			t.Fatalf("%v is in neither part at its place", e)
		}
	}
	if len(a)+len(b) > 0 {
		t.Errorf("left over: %v and %v", a, b)
	}
}

func TestHoldOutSeed(t *testing.T) {
	examples, classes := labelled(50, 50)
	_, one, _ := data.HoldOut(examples, classes, 0.2, 1)
	_, again, _ := data.HoldOut(examples, classes, 0.2, 1)
	_, two, _ := data.HoldOut(examples, classes, 0.2, 2)
	if !reflect.DeepEqual(one, again) {
		t.Error("the same seed gave different splits")
	}
	if reflect.DeepEqual(one, two) {
		t.Error("different seeds gave the same split")
	}
	if reflect.DeepEqual(one[:10], examples[:10]) {
		t.Error("the first examples were held out, not random ones")
	}
}

func TestHoldOutErrors(t *testing.T) {
	examples, classes := labelled(1, 1, 1)
	if _, _, err := data.HoldOut(examples, classes, 0.5, 1); err == nil {
		t.Error("no error where every class has one example")
	}
	for _, fraction := range []float64{0, 1, -1, math.NaN()} {
		if _, _, err := data.HoldOut(examples, classes, fraction, 1); err == nil {
			t.Errorf("no error for the fraction %v", fraction)
		}
	}
	if _, _, err := data.HoldOut(examples, classes[:2], 0.5, 1); err == nil {
		t.Error("no error for a label without a class")
	}
}

func TestFewShot(t *testing.T) {
	examples, classes := labelled(40, 7, 100)
	five, err := data.FewShot(examples, classes, 5, 3)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := countLabels(five, 3), []int{5, 5, 5}; !slices.Equal(got, want) {
		t.Errorf("drew %v per class, want %v", got, want)
	}
	if !slices.IsSortedFunc(five, func(a, b data.Example) int {
		return at(examples, a) - at(examples, b)
	}) || len(slices.CompactFunc(slices.Clone(five), same)) != 15 {
		t.Errorf("not distinct and in their original order: %v", five)
	}
	one, err := data.FewShot(examples, classes, 1, 3)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range one {
		if at(five, e) < 0 {
			t.Errorf("%v is drawn for 1 shot and not for 5", e)
		}
	}
	other, _ := data.FewShot(examples, classes, 5, 4)
	if reflect.DeepEqual(five, other) {
		t.Error("different seeds drew the same examples")
	}
	eight, err := data.FewShotAtMost(examples, classes, 8, 3)
	if got, want := countLabels(eight, 3), []int{8, 7, 8}; err != nil || !slices.Equal(got, want) {
		t.Errorf("drew at most %v per class, %v, want %v", got, err, want)
	}
	if same, err := data.FewShotAtMost(examples, classes, 5, 3); err != nil || !reflect.DeepEqual(same, five) {
		t.Error("FewShotAtMost draws others than FewShot")
	}
	_, err = data.FewShot(examples, classes, 8, 3)
	if e, ok := errors.AsType[*data.FewShotError](err); !ok || e.Class != "class1" || e.Have != 7 || e.Want != 8 {
		t.Errorf("got %v, want a FewShotError for class1", err)
	}
	if _, err := data.FewShot(examples, classes, 0, 3); err == nil {
		t.Error("no error for 0 examples a class")
	}
}

// Over many seeds every example of a class is drawn equally often.
func TestFewShotUniform(t *testing.T) {
	examples, classes := labelled(10)
	const seeds = 4000
	count := map[string]int{}
	for seed := range uint64(seeds) {
		drawn, err := data.FewShot(examples, classes, 3, seed)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range drawn {
			count[e.Path]++
		}
	}
	// Binomial with mean 1200 and deviation 29; 5 deviations.
	for _, e := range examples {
		if n := count[e.Path]; n < 1055 || n > 1345 {
			t.Errorf("%s was drawn %d times of %d, want about 1200", e.Path, n, seeds)
		}
	}
}
