package probe

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"math"
	"slices"
)

// sample is some of the examples that were added: those of the smallest keys, which are digests of their features. The
// sample of a union is found in the union of the samples, whatever the order, so it is as mergeable as a sum.
type sample struct {
	features int
	most     int     // examples to keep
	kept     []entry // in the order of their keys
}

type entry struct {
	key   [sha256.Size]byte
	label int
	x     []float32 // [D]
}

func compareEntries(a, b entry) int {
	return cmp.Or(bytes.Compare(a.key[:], b.key[:]), cmp.Compare(a.label, b.label))
}

// newEntry copies the features.
func newEntry(x []float32, label int) entry {
	raw := make([]byte, 0, 4*len(x))
	for _, v := range x {
		raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(v))
	}
	return entry{sha256.Sum256(raw), label, slices.Clone(x)}
}

// add adds entries and keeps those of the smallest keys.
func (s *sample) add(entries []entry) {
	s.kept = append(s.kept, entries...)
	slices.SortFunc(s.kept, compareEntries)
	if len(s.kept) <= s.most {
		return
	}
	clear(s.kept[s.most:])
	s.kept = s.kept[:s.most]
}

// matrix returns features [M, D] and labels.
func (s *sample) matrix() (x []float32, labels []int) {
	x = make([]float32, 0, len(s.kept)*s.features)
	for _, e := range s.kept {
		x = append(x, e.x...)
		labels = append(labels, e.label)
	}
	return x, labels
}
