package batch

import (
	"fmt"
	"testing"

	"github.com/bigtransfer/bit/data"
)

// skewed returns examples of three classes in a ratio of 6:2:1, one with two labels and one with none.
func skewed() []data.Example {
	var list []data.Example
	for label, n := range []int{6, 2, 1} {
		for i := range n {
			list = append(list, data.Example{Path: fmt.Sprintf("%d/%d", label, i), Label: label})
		}
	}
	return list
}

// Every round has each class once; within a class all examples come once before any comes again.
func TestBalancedOrder(t *testing.T) {
	examples := skewed()
	o := NewBalancedOrder(examples, 4)
	const rounds = 60
	seen := make([]int, len(examples))
	orders := map[string]int{}
	for round := range int64(rounds) {
		classes, key := map[int]bool{}, ""
		for i := range int64(3) {
			at := o.At(3*round + i)
			seen[at]++
			classes[examples[at].Label] = true
			key += fmt.Sprint(examples[at].Label)
		}
		if len(classes) != 3 {
			t.Fatalf("round %d has the classes %v, want all three", round, classes)
		}
		orders[key]++
		for i, e := range examples {
			n := []int64{6, 2, 1}[e.Label]
			if least := int((round + 1) / n); seen[i] < least || seen[i] > least+1 {
				t.Fatalf("after round %d %s was seen %d times, want %d or %d", round, e.Path, seen[i], least, least+1)
			}
		}
	}
	if len(orders) != 6 {
		t.Errorf("of the 6 orders of 3 classes %d came in %d rounds: %v", len(orders), rounds, orders)
	}
}

// It is a function of the position alone: reading here and there gives the same as reading forwards.
func TestBalancedOrderIsAFunction(t *testing.T) {
	examples := skewed()
	const n = 100
	var want []int
	for o, p := NewBalancedOrder(examples, 9), int64(0); p < n; p++ {
		want = append(want, o.At(p))
	}
	jumping, other, differ := NewBalancedOrder(examples, 9), NewBalancedOrder(examples, 10), 0
	for i := range int64(n) {
		p := (i*37 + 4) % n
		if got := jumping.At(p); got != want[p] {
			t.Errorf("position %d: got %d, want %d", p, got, want[p])
		}
		if other.At(p) != want[p] {
			differ++
		}
	}
	if differ == 0 {
		t.Error("another seed gives the same order")
	}
}

// A picture with two labels stands for both of its classes, and one without any for itself.
func TestBalancedOrderOfSeveralLabels(t *testing.T) {
	examples := []data.Example{
		{Path: "both", Label: 0, Labels: []int32{0, 1}}, {Path: "first", Label: 0, Labels: []int32{0}}, {Path: "none", Label: data.NoLabel},
	}
	o := NewBalancedOrder(examples, 1)
	seen := make([]int, len(examples))
	for p := range int64(3 * 100) {
		seen[o.At(p)]++
	}
	if want := []int{150, 50, 100}; seen[0] != want[0] || seen[1] != want[1] || seen[2] != want[2] {
		t.Errorf("seen %v times in 100 rounds, want %v", seen, want)
	}
}
