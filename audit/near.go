package audit

import (
	"cmp"
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

// pair is two pictures, a < b.
type pair struct{ a, b int }

// nearHashes calls found for each pair of hashes that differ in at most MaxDistance bits. Such a pair agrees in one of
// MaxDistance+1 parts of the hash, so only pictures that share a part are compared.
func nearHashes(hashes []imaging.Hash, found func(pair)) {
	const parts = MaxDistance + 1
	part := func(h imaging.Hash, k int) uint64 {
		from, to := k*64/parts, (k+1)*64/parts
		return uint64(h) >> from & (1<<(to-from) - 1)
	}
	for k := range parts {
		buckets := map[uint64][]int{}
		for i, h := range hashes {
			buckets[part(h, k)] = append(buckets[part(h, k)], i)
		}
		for _, bucket := range buckets {
			for j, b := range bucket {
				for _, a := range bucket[:j] {
					if hashes[a].Distance(hashes[b]) > MaxDistance {
						continue
					}
					earlier := false // found by an earlier part
					for e := range k {
						earlier = earlier || part(hashes[a], e) == part(hashes[b], e)
					}
					if !earlier {
						found(pair{a, b})
					}
				}
			}
		}
	}
}

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
		pair
		cosine float64
		bits   int
	}
	var list []near
	nearHashes(hashes, func(p pair) {
		a, b := row[at[p.a]], row[at[p.b]]
		if a < 0 || b < 0 {
			return
		}
		if c := dot(alike[a*d:][:d], alike[b*d:][:d]); c >= MinCosine {
			list = append(list, near{pair{min(at[p.a], at[p.b]), max(at[p.a], at[p.b])}, c, hashes[p.a].Distance(hashes[p.b])})
		}
	})
	// Of those that a picture resembles, the one that it resembles most.
	slices.SortFunc(list, func(a, b near) int {
		return cmp.Or(cmp.Compare(b.cosine, a.cosine), cmp.Compare(a.bits, b.bits), cmp.Compare(a.b, b.b), cmp.Compare(a.a, b.a))
	})
	told := map[int]bool{}
	for _, n := range list {
		if !told[n.b] {
			told[n.b] = true
			add(NearDuplicate, n.a, n.b, (n.cosine-MinCosine)/(1-MinCosine)/4, "looks the same")
		} else {
			g.join(n.a, n.b)
		}
	}
	return findings, g
}
