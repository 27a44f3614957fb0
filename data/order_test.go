package data

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

// mix64 is SplitMix64: its first outputs from the seed 1234567 are published with the algorithm's reference code.
func TestMix64(t *testing.T) {
	const seed, gamma uint64 = 1234567, 0x9e3779b97f4a7c15
	state := seed
	for i, want := range []uint64{6457827717110365317, 3203168211198807973, 9817491932198370423, 4593380528125082431} {
		if got := mix64(state); got != want {
			t.Errorf("output %d is %d, want %d", i, got, want)
		}
		state += gamma
	}
}
