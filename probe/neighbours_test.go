package probe

import (
	"cmp"
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// Directions in the plane: of (1, 0), (1, 1), (0, 1), (−1, 0) the nearest to (2, 1) is (1, 1) with 3/√10, then (1, 0)
// with 2/√5, then (0, 1) with 1/√5.
func TestNearestByHand(t *testing.T) {
	n, err := NewNeighbours([]float32{1, 0, 1, 1, 0, 1, -1, 0, 0, 0}, []int{0, 1, 0, 2, 2}, 3)
	if err != nil {
		t.Fatal(err)
	}
	got := n.Nearest([]float32{2, 1}, 3)[0]
	for i, want := range []Neighbour{{1, 3 / math.Sqrt(10)}, {0, 2 / math.Sqrt(5)}, {2, 1 / math.Sqrt(5)}} {
		if got[i].Index != want.Index || math.Abs(got[i].Cosine-want.Cosine) > 1e-6 {
			t.Errorf("neighbour %d is %+v, want %+v", i, got[i], want)
		}
	}
	// Alone the nearest, class 1, decides; of three, class 0 has 1.34 to 0.95.
	for k, want := range map[int]int{1: 1, 3: 0, 9: 0} {
		if got := n.Classify([]float32{2, 1}, k)[0]; got != want {
			t.Errorf("%d neighbours vote for %d, want %d", k, got, want)
		}
	}
}

func TestNearestAgainstSorting(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n, d := rapid.IntRange(1, 40).Draw(t, "examples"), rapid.IntRange(1, 6).Draw(t, "features")
		x, labels := examples(rapid.Uint64().Draw(t, "seed"), n, d, 3)
		query, _ := examples(rapid.Uint64().Draw(t, "query"), 150, d, 3)
		k := rapid.IntRange(1, 45).Draw(t, "k")
		all, err := NewNeighbours(x, labels, 3)
		if err != nil {
			t.Fatal(err)
		}
		for i, got := range all.Nearest(query, k) {
			q := query[i*d:][:d]
			cosine := func(at int) float64 {
				dot, a, b := 0.0, 0.0, 0.0
				for j := range d {
					u, v := float64(q[j]), float64(x[at*d+j])
					dot, a, b = dot+u*v, a+u*u, b+v*v
				}
				return dot / max(math.Sqrt(a*b), 1e-300)
			}
			var want []float64
			for at := range n {
				want = append(want, cosine(at))
			}
			slices.SortFunc(want, func(a, b float64) int { return cmp.Compare(b, a) })
			if len(got) != min(k, n) {
				t.Fatalf("%d neighbours, want %d", len(got), min(k, n))
			}
			for j, g := range got {
				if math.Abs(g.Cosine-want[j]) > 1e-5 || math.Abs(g.Cosine-cosine(g.Index)) > 1e-5 {
					t.Errorf("neighbour %d of %d is %+v, want a cosine of %v", j, i, g, want[j])
				}
			}
		}
	})
}
