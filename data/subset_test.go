package data_test

import (
	"errors"
	"fmt"
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

// A group that counts for another class may take one of the last two of a class: then the other stays.
func TestHoldOutSparesClasses(t *testing.T) {
	examples, classes := labelled(4, 2)
	groups := []int{0, 1, 2, 3, 0, 5} // the first of class 1 looks like the first of class 0
	both := 0
	for seed := range uint64(50) {
		held, err := data.HoldOut(examples, groups, classes, 0.5, seed)
		if err != nil {
			t.Fatal(err)
		}
		if held[0] != held[4] {
			t.Fatalf("seed %d: a group is on two sides: %v", seed, held)
		}
		if held[4] && held[5] {
			t.Fatalf("seed %d: all of class 1 is held out: %v", seed, held)
		}
		if held[4] {
			both++
		}
	}
	if both == 0 || both == 50 {
		t.Errorf("the group was held out by %d of 50 seeds", both)
	}
}
