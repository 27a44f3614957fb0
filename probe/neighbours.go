package probe

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas32"
)

// Neighbours finds the examples most alike by the cosine of their features.
type Neighbours struct {
	features int
	classes  int
	unit     []float32 // [N, D], each of length 1
	labels   []int
}

// Neighbour is an example that is alike.
type Neighbour struct {
	Index  int     // of the example
	Cosine float64 // 1 for the same direction
}

// NewNeighbours takes the features x [N, D] of examples with labels below classes.
func NewNeighbours(x []float32, labels []int, classes int) (*Neighbours, error) {
	n := len(labels)
	if n == 0 || len(x) == 0 || len(x)%n != 0 {
		return nil, fmt.Errorf("probe: %d feature values for %d examples", len(x), n)
	}
	if err := check(x, labels, len(x)/n, classes); err != nil {
		return nil, err
	}
	return &Neighbours{features: len(x) / n, classes: classes, unit: normalise(x, len(x)/n), labels: labels}, nil
}

// normalise returns x [N, D] with each row of length 1; zeros stay.
func normalise(x []float32, d int) []float32 {
	unit := make([]float32, len(x))
	for at := 0; at < len(x); at += d {
		square := 0.0
		for _, v := range x[at : at+d] {
			square += float64(v) * float64(v)
		}
		if square == 0 {
			continue
		}
		for j, v := range x[at : at+d] {
			unit[at+j] = float32(float64(v) / math.Sqrt(square))
		}
	}
	return unit
}

// Nearest returns, for each of the features x [M, D], the k examples most alike, the most alike first and of equal ones
// the first. There are fewer if there are fewer examples.
func (n *Neighbours) Nearest(x []float32, k int) [][]Neighbour {
	m, d, count := len(x)/n.features, n.features, len(n.labels)
	nearest := make([][]Neighbour, m)
	const block = 128
	cosines := make([]float32, min(block, m)*count)
	for first := 0; first < m; first += block {
		rows := min(block, m-first)
		query := normalise(x[first*d:(first+rows)*d], d)
		blas32.Gemm(blas.NoTrans, blas.Trans, 1, blas32.General{Rows: rows, Cols: d, Stride: d, Data: query},
			blas32.General{Rows: count, Cols: d, Stride: d, Data: n.unit}, 0, blas32.General{Rows: rows, Cols: count, Stride: count, Data: cosines})
		for i := range rows {
			nearest[first+i] = largest(cosines[i*count:][:count], k)
		}
	}
	return nearest
}

// largest returns the k largest of the cosines, in order.
func largest(cosines []float32, k int) []Neighbour {
	k = min(k, len(cosines))
	var best []Neighbour // sorted
	order := func(a, b Neighbour) int {
		return cmp.Or(cmp.Compare(b.Cosine, a.Cosine), cmp.Compare(a.Index, b.Index))
	}
	for i, c := range cosines {
		candidate := Neighbour{i, float64(c)}
		if len(best) == k && (k == 0 || order(candidate, best[k-1]) > 0) {
			continue
		}
		at, _ := slices.BinarySearchFunc(best, candidate, order)
		best = slices.Insert(best, at, candidate)[:min(k, len(best)+1)]
	}
	return best
}

// Classify returns the class of each of the features x [M, D] by the votes of its k nearest neighbours, each of the weight
// of its cosine; of equal classes the one of the nearest.
func (n *Neighbours) Classify(x []float32, k int) []int {
	classes := make([]int, 0, len(x)/n.features)
	votes := make([]float64, n.classes)
	for _, nearest := range n.Nearest(x, k) {
		clear(votes)
		best := -1
		for _, neighbour := range nearest {
			votes[n.labels[neighbour.Index]] += neighbour.Cosine
		}
		for _, neighbour := range nearest { // the nearest first
			if label := n.labels[neighbour.Index]; best < 0 || votes[label] > votes[best] {
				best = label
			}
		}
		classes = append(classes, best)
	}
	return classes
}
