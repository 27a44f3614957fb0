package project

import (
	"slices"

	"github.com/bigtransfer/bit/imaging"
)

// Warning is something about a project's pictures that makes a model worse, or its accuracy look better than it is.
type Warning struct {
	Kind     WarningKind
	Classes  []uint64 // that it is about
	Pictures []uint64
}

// WarningKind is what a [Warning] is about.
type WarningKind string

const (
	Few       WarningKind = "few"       // a class has fewer pictures than MinPictures, which a head can hardly generalise from
	Skew      WarningKind = "skew"      // a class has more than MaxSkew times the pictures of another
	Conflict  WarningKind = "conflict"  // the same picture is in several classes
	Duplicate WarningKind = "duplicate" // pictures look like earlier ones of their class: left out one by one, they give each other away
)

// Rules of thumb: below MinPictures leaving one out tells little, and where a class is rarer than 1 in MaxSkew of another,
// guessing the other one is often right.
const (
	MinPictures = 5
	MaxSkew     = 3
)

// Warnings returns what to know about the pictures of a project.
func (s *Store) Warnings(id string) (list []Warning, err error) {
	var classes []Class
	var pictures []Picture
	err = s.view(id, func(t *tx) error {
		if classes, err = all[Class](t.in(classBucket)); err != nil {
			return err
		}
		pictures, err = all[Picture](t.in(pictureBucket))
		return err
	})
	if err != nil {
		return nil, err
	}
	return warnings(classes, pictures), nil
}

func warnings(classes []Class, pictures []Picture) []Warning {
	var list []Warning
	count := map[uint64]int{}
	for _, p := range pictures {
		count[p.Class]++
	}
	var few []uint64
	var least, most Class
	for _, c := range classes {
		n := count[c.ID]
		if n > 0 && n < MinPictures {
			few = append(few, c.ID)
		}
		if n > 0 && (least.ID == 0 || n < count[least.ID]) {
			least = c
		}
		if n > count[most.ID] {
			most = c
		}
	}
	if few != nil {
		list = append(list, Warning{Kind: Few, Classes: few})
	}
	if least.ID != 0 && count[most.ID] > MaxSkew*count[least.ID] {
		list = append(list, Warning{Kind: Skew, Classes: []uint64{most.ID, least.ID}})
	}
	list = append(list, conflicts(pictures)...)
	for _, c := range classes {
		if alike := lookalikes(c, pictures); alike != nil {
			list = append(list, Warning{Kind: Duplicate, Classes: []uint64{c.ID}, Pictures: alike})
		}
	}
	return list
}

// conflicts finds pictures that are in several classes.
func conflicts(pictures []Picture) []Warning {
	var list []Warning
	groups := map[string][]Picture{}
	for _, p := range pictures {
		groups[p.Pixels] = append(groups[p.Pixels], p)
	}
	for _, p := range pictures { // in their order
		group := groups[p.Pixels]
		if group[0].ID != p.ID {
			continue
		}
		w := Warning{Kind: Conflict}
		for _, q := range group {
			w.Pictures = append(w.Pictures, q.ID)
			if !slices.Contains(w.Classes, q.Class) {
				w.Classes = append(w.Classes, q.Class)
			}
		}
		if len(w.Classes) > 1 {
			list = append(list, w)
		}
	}
	return list
}

// lookalikes returns the pictures of a class that look like an earlier one of it.
func lookalikes(c Class, pictures []Picture) (alike []uint64) {
	var hashes []imaging.Hash
	var ids []uint64
	for _, p := range pictures {
		if p.Class == c.ID {
			hashes, ids = append(hashes, p.Look), append(ids, p.ID)
		}
	}
	for i, first := range imaging.NearGroups(hashes, imaging.NearDuplicate) {
		if first != i {
			alike = append(alike, ids[i])
		}
	}
	return alike
}
