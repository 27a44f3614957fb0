package batch

import (
	"slices"
	"testing"
)

// The order is a function of the position alone: reading backwards or here and there gives the same.
func TestOrderIsAFunction(t *testing.T) {
	const n = 7
	forwards := NewOrder(n, 9)
	var want []int
	for p := range int64(5 * n) {
		want = append(want, forwards.At(p))
	}
	jumping := NewOrder(n, 9)
	for i := range int64(5 * n) {
		p := (i*13 + 4) % (5 * n)
		if got := jumping.At(p); got != want[p] {
			t.Errorf("position %d: got %d, want %d", p, got, want[p])
		}
	}
}

// Every one of the 24 orders of four examples is as likely as any other.
func TestOrderUniform(t *testing.T) {
	o := NewOrder(4, 1)
	index := map[[4]int]int{}
	var counts [24]int
	for epoch := range int64(12000) {
		var perm [4]int
		for i := range perm {
			perm[i] = o.At(4*epoch + int64(i))
		}
		if sorted := slices.Sorted(slices.Values(perm[:])); !slices.Equal(sorted, []int{0, 1, 2, 3}) {
			t.Fatalf("epoch %d is %v", epoch, perm)
		}
		if _, seen := index[perm]; !seen {
			index[perm] = len(index)
		}
		counts[index[perm]]++
	}
	checkUniform(t, "order", counts[:])
}
