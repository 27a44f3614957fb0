package data

import (
	"cmp"
	"context"
	"encoding/binary"
	"slices"

	"github.com/bigtransfer/bit/imaging"
	"github.com/bigtransfer/bit/internal/counter"
)

// DefaultHoldOut is the share of the pictures that is held out where no other is asked for.
const DefaultHoldOut = 0.1

// SplitOptions are the settings of [Dataset.EnsureSplit]. The zero value is ready.
type SplitOptions struct {
	ScanOptions
	Fraction   float64 // share of the pictures to hold out; 0 for DefaultHoldOut
	Seed       uint64
	BesideTest bool // makes Val also where there is a Test split
	NoSave     bool // writes nothing
}

// SplitReport says what [Dataset.EnsureSplit] did.
type SplitReport struct {
	Held    int    // pictures in Val now that the data set does not hold out itself
	New     int    // of them and those of Train, how many were decided about now
	Alike   int    // pictures among them that look like another, and are on its side
	Seed    uint64 // by which the split was drawn, now or then
	File    string // where the split is written; "" if there is none or it could not be written
	Unsaved error  // why it could not be written
}

// EnsureSplit makes a data set that has training pictures alone one with a Val split, on which a model can be judged. A
// data set that has a Val split, or unless o says otherwise a Test split, stays as it is.
//
// A share of every class is held out, drawn by the seed; of a multi-label data set, of the pictures that have the same
// first label. Pictures that look alike ([imaging.NearDuplicate]) are kept on one side: a model that was trained on one
// file of a photo must not be judged by another. The first time, all pictures are decoded for that.
//
// The split is written to a file, bit-split.json in the folder of the data set or, where data is one file, beside it as
// NAME.bit-split.json, or in the user's folder for caches if neither can be written; a data set that was not opened by its
// path has none. From then on [Open] puts into Val what it says is held out, whatever the options. Pictures that were
// added since are decided about by EnsureSplit: those that look like one that was there go to its side, others are drawn;
// one that was moved or renamed is known by its pixels.
//
// Where the data is too little to hold out one picture, nothing happens.
func (d *Dataset) EnsureSplit(ctx context.Context, o SplitOptions) (SplitReport, error) {
	if o.Fraction == 0 {
		o.Fraction = DefaultHoldOut
	}
	if d.split == nil {
		if len(d.Val) > 0 || len(d.Test) > 0 && !o.BesideTest {
			return SplitReport{}, nil
		}
		return d.makeSplit(ctx, o)
	}
	return d.extendSplit(ctx, o)
}

// JoinSplit undoes EnsureSplit: what it held out is in Train again. Its file stays.
func (d *Dataset) JoinSplit() {
	if d.split != nil {
		d.Train = append(d.Train, d.Val...)
		slices.SortFunc(d.Train, byLabelAndPath)
		d.Val, d.split = nil, nil
	}
}

func byLabelAndPath(a, b Example) int {
	return cmp.Or(cmp.Compare(a.Label, b.Label), cmp.Compare(a.Path, b.Path))
}

// scan looks at examples, of which not too many may be broken.
func (d *Dataset) scan(ctx context.Context, examples []Example, o ScanOptions) ([]Look, error) {
	looks, err := Scan(ctx, d.Source, examples, o)
	if err != nil {
		return nil, err
	}
	broken, first := 0, -1
	for i, l := range looks {
		if l.Broken != nil {
			if broken++; first < 0 {
				first = i
			}
		}
	}
	if g := guardOf(d.Source); g != nil && float64(broken) > g.limit*float64(g.of) {
		return nil, &TooManyBrokenError{broken, g.of, g.limit, Skipped{examples[first].Path, looks[first].Broken.Error()}}
	}
	return looks, nil
}

// groupsOf returns a number for each look, the same for those that are alike. Broken pictures are like no other, and those
// that a hash does not tell apart are like those with the same pixels.
func groupsOf(looks []Look) (groups []int, alike int) {
	var hashes []imaging.Hash
	var at []int
	groups = make([]int, len(looks))
	plain := map[Digest]int{}
	for i, l := range looks {
		groups[i] = i
		switch {
		case l.Broken != nil:
		case l.Hash != 0:
			hashes, at = append(hashes, l.Hash), append(at, i)
		default:
			if first, again := plain[l.Digest]; again {
				groups[i] = first
				alike++
			} else {
				plain[l.Digest] = i
			}
		}
	}
	for i, first := range imaging.NearGroups(hashes, imaging.NearDuplicate) {
		if groups[at[i]] = at[first]; i != first {
			alike++
		}
	}
	return groups, alike
}

// makeSplit makes the first split of a data set.
func (d *Dataset) makeSplit(ctx context.Context, o SplitOptions) (SplitReport, error) {
	looks, err := d.scan(ctx, d.Train, o.ScanOptions)
	if err != nil {
		return SplitReport{}, err
	}
	groups, alike := groupsOf(looks)
	held, err := HoldOut(d.Train, groups, d.Classes, o.Fraction, o.Seed)
	if err != nil || !slices.Contains(held, true) {
		return SplitReport{}, err
	}
	s := &splitFile{Version: splitVersion, Seed: o.Seed, Fraction: o.Fraction}
	for i, e := range d.Train {
		s.add(e, looks[i], held[i])
	}
	r := SplitReport{New: len(d.Train), Alike: alike, Seed: o.Seed}
	d.split = s
	d.Hold(held)
	r.Held = len(d.Val)
	if !o.NoSave {
		r.File, r.Unsaved = s.save(d.root)
	}
	return r, nil
}

// extendSplit decides about pictures that a split does not know.
func (d *Dataset) extendSplit(ctx context.Context, o SplitOptions) (SplitReport, error) {
	r := SplitReport{Held: len(d.Val), File: d.split.path, Seed: d.split.Seed}
	var fresh []Example
	for _, e := range d.Train {
		if !d.split.known[e.Path] {
			fresh = append(fresh, e)
		}
	}
	if len(fresh) == 0 {
		return r, nil
	}
	looks, err := d.scan(ctx, fresh, o.ScanOptions)
	if err != nil {
		return SplitReport{}, err
	}
	side := d.split.sides(looks)
	keepClasses(d.Train, fresh, side)
	held := make([]bool, len(d.Train))
	i := 0
	for at, e := range d.Train {
		if d.split.known[e.Path] {
			continue
		}
		held[at] = side[i]
		d.split.add(e, looks[i], side[i])
		i++
	}
	d.Hold(held)
	r.New, r.Held = len(fresh), len(d.Val)
	if !o.NoSave {
		r.File, r.Unsaved = d.split.save(d.root)
	}
	return r, nil
}

// keepClasses trains on the new pictures of a class, such as a burst that looks alike, which would else have none to train
// on: side says which of fresh are held out, and train has all of them.
func keepClasses(train, fresh []Example, side []bool) {
	left := map[int]int{} // by label
	for _, e := range train {
		left[e.Label]++
	}
	for i, e := range fresh {
		if side[i] {
			left[e.Label]--
		}
	}
	for i, e := range fresh {
		side[i] = side[i] && (e.Label == NoLabel || left[e.Label] > 0)
	}
}

// Hold moves the training examples for which held is true to Val, sorted by label and path.
func (d *Dataset) Hold(held []bool) {
	var train []Example
	for i, e := range d.Train {
		if held[i] {
			d.Val = append(d.Val, e)
		} else {
			train = append(train, e)
		}
	}
	slices.SortFunc(d.Val, byLabelAndPath)
	d.Train = train
}

// sides returns for new pictures whether each is held out: as those are that it looks like, or by lot.
func (s *splitFile) sides(looks []Look) []bool {
	before := len(s.Pictures)
	all := make([]Look, 0, before+len(looks))
	for _, p := range s.Pictures {
		l := Look{Digest: p.Digest, Hash: imaging.Hash(p.Hash)}
		if p.Digest == (Digest{}) {
			l.Broken = &BrokenError{}
		}
		all = append(all, l)
	}
	all = append(all, looks...)
	groups, _ := groupsOf(all)
	type votes struct {
		train, held bool
		least       Digest // of the new ones
	}
	byGroup := map[int]*votes{}
	for i, g := range groups {
		v := byGroup[g]
		if v == nil {
			v = &votes{least: all[i].Digest}
			byGroup[g] = v
		}
		switch {
		case i >= before:
			if slices.Compare(all[i].Digest[:], v.least[:]) < 0 {
				v.least = all[i].Digest
			}
		case s.Pictures[i].HeldOut:
			v.held = true
		default:
			v.train = true
		}
	}
	exact := map[Digest]bool{}
	for _, p := range s.Pictures {
		exact[p.Digest] = p.HeldOut
	}
	rng := counter.New()
	held := make([]bool, len(looks))
	for i, l := range looks {
		v := byGroup[groups[before+i]]
		side, known := exact[l.Digest]
		switch {
		case l.Broken != nil:
		case known:
			held[i] = side
		case v.held || v.train:
			held[i] = !v.train // one like pictures of both sides is trained on
		default:
			// By the picture, not by its place: the order in which pictures are added does not matter.
			lot := int64(binary.LittleEndian.Uint64(v.least[:8]))
			held[i] = rng.At(s.Seed, counter.HoldOut, lot).Float64() < s.Fraction
		}
	}
	return held
}
