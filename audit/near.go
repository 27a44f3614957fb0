package audit

import (
	"cmp"
	"maps"
	"math"
	"slices"

	"github.com/bigtransfer/bit/imaging"
)

// MaxDistance is how many of the 64 bits of their hashes two near duplicates may differ in, and MinCosine how alike
// their features must be, once the data set's mean is taken off. A picture saved again as JPEG, enlarged or brightened is
// within both; of pictures that only have a composition in common, the features tell. See docs/JUDGEMENT.md for what was
// measured.
const (
	MaxDistance = 8
	MinCosine   = 0.9
)

// centred is features [N, D] without their mean, each of length 1, so that a product is a cosine.
func centred(features []float32, d int) []float32 {
	n := len(features) / d
	mean := make([]float64, d)
	for i, v := range features {
		mean[i%d] += float64(v) / float64(n)
	}
	out := make([]float32, len(features))
	for i := range n {
		row, square := out[i*d:][:d], 0.0
		for j := range row {
			v := float64(features[i*d+j]) - mean[j]
			row[j], square = float32(v), square+v*v
		}
		if square > 0 {
			scale := float32(1 / math.Sqrt(square))
			for j := range row {
				row[j] *= scale
			}
		}
	}
	return out
}

func dot(a, b []float32) float64 {
	sum := 0.0
	for i, v := range a {
		sum += float64(v) * float64(b[i])
	}
	return sum
}

// groups joins pictures that are linked: union and find over their indices, where the first of a group stands for it.
type groups []int

func newGroups(n int) groups {
	g := make(groups, n)
	for i := range g {
		g[i] = i
	}
	return g
}

func (g groups) find(i int) int {
	for g[i] != i {
		g[i] = g[g[i]]
		i = g[i]
	}
	return i
}

func (g groups) join(a, b int) {
	a, b = g.find(a), g.find(b)
	g[max(a, b)] = min(a, b)
}

// duplicates finds pictures that equal or resemble an earlier one. It returns the findings and the group of each picture.
func duplicates(entries []Entry, looks []look, features []float32, row []int, d int, class func(int) string) ([]Finding, groups) {
	g := newGroups(len(entries))
	var findings []Finding
	add := func(kind Kind, first, i int, severity float64, detail string) {
		a, b := entries[first], entries[i]
		if a.Split != b.Split {
			severity += 0.5
			detail += ", in another split"
		}
		if a.Label != b.Label {
			severity += 0.25
			detail += ", with another label: " + class(a.Label)
		}
		findings = append(findings, Finding{
			Kind: kind, Path: b.Path, Split: b.Split, Class: class(b.Label), SameAs: a.Path, Severity: min(severity, 1), Detail: detail, Entry: i, First: first,
		})
		g.join(first, i)
	}
	exact := map[[32]byte]int{}
	var hashes []imaging.Hash
	var at []int // entries of hashes: one of each set of equal pictures
	for i, l := range looks {
		if l.err != nil {
			continue
		}
		if first, ok := exact[l.digest]; ok {
			add(Duplicate, first, i, 0.25, "the same pixels")
			continue
		}
		exact[l.digest] = i
		if l.hash != 0 { // of one colour: they have nothing else to be told by
			hashes, at = append(hashes, l.hash), append(at, i)
		}
	}
	if features == nil {
		return findings, g
	}
	alike := centred(features, d)
	type near struct {
		first  int
		cosine float64
		bits   int
	}
	best := map[int]near{} // of the earlier pictures that one resembles, that which it resembles most
	for i, j := range imaging.NearPairs(hashes, MaxDistance) {
		first, second := at[i], at[j]
		a, b := row[first], row[second]
		if a < 0 || b < 0 {
			continue
		}
		n := near{first, dot(alike[a*d:][:d], alike[b*d:][:d]), hashes[i].Distance(hashes[j])}
		if n.cosine < MinCosine {
			continue
		}
		g.join(first, second)
		if old, ok := best[second]; !ok || cmp.Or(cmp.Compare(n.cosine, old.cosine), cmp.Compare(old.bits, n.bits), cmp.Compare(old.first, n.first)) > 0 {
			best[second] = n
		}
	}
	for _, second := range slices.Sorted(maps.Keys(best)) {
		n := best[second]
		add(NearDuplicate, n.first, second, (n.cosine-MinCosine)/(1-MinCosine)/4, "looks the same")
	}
	return findings, g
}
