package data

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// CheckOptions are the settings of [Dataset.Check]. The zero value is ready.
type CheckOptions struct {
	ScanOptions
	MaxBroken      float64 // share of the pictures that may be broken; 0 for DefaultMaxSkipped, 1 for any
	KeepDuplicates bool    // leaves pictures in that are there twice
}

// CheckResult counts what a check left out. Skipped names them.
type CheckResult struct {
	Broken     int // cannot be decoded, or smaller than Opener.MinSide
	Duplicates int // the same pixels as another picture
	Skipped    []Skipped
}

// Check decodes all pictures of the data set and leaves out of its splits those that cannot be used. No file is changed.
//
//   - A picture that cannot be decoded, or is smaller than [Opener] allows.
//   - One with the very pixels of another of the same label: the first is kept; where they are in different splits, that
//     of test is, then that of val, so that no model is trained on what it is judged by. Pictures that are the same and
//     have different labels are kept, since which label is wrong is not known.
//
// Of an animated picture the first frame counts. More broken pictures than allowed are a [*TooManyBrokenError], with the
// result and the data set cut down all the same.
func (d *Dataset) Check(ctx context.Context, o CheckOptions) (CheckResult, error) {
	// The splits whose pictures are kept come first.
	splits := []*[]Example{&d.Test, &d.Val, &d.Train}
	var all []Example
	for _, s := range splits {
		all = append(all, *s...)
	}
	looks, err := Scan(ctx, d.Source, all, o.ScanOptions)
	if err != nil {
		return CheckResult{}, err
	}
	var r CheckResult
	left := make([]bool, len(all))
	type key struct {
		digest Digest
		labels string
	}
	seen := map[key]int{}
	for i, look := range looks {
		if look.Broken != nil {
			r.Broken++
			left[i] = true
			r.Skipped = append(r.Skipped, Skipped{all[i].Path, look.Broken.Error()})
			continue
		}
		k := key{look.Digest, fmt.Sprint(all[i].Label, all[i].Labels)}
		if first, again := seen[k]; again && !o.KeepDuplicates {
			r.Duplicates++
			left[i] = true
			r.Skipped = append(r.Skipped, Skipped{all[i].Path, "the same picture as " + all[first].Path})
		} else if !again {
			seen[k] = i
		}
	}
	for _, s := range splits {
		kept := make([]Example, 0, len(*s))
		for i, e := range *s {
			if !left[i] {
				kept = append(kept, e)
			}
		}
		left = left[len(*s):]
		*s = kept
	}
	slices.SortFunc(r.Skipped, func(a, b Skipped) int { return strings.Compare(a.Path, b.Path) })
	d.Skipped = append(d.Skipped, r.Skipped...)
	limit := o.MaxBroken
	if limit == 0 {
		limit = DefaultMaxSkipped
	}
	if float64(r.Broken) > limit*float64(len(all)) {
		i := slices.IndexFunc(looks, func(l Look) bool { return l.Broken != nil })
		return r, &TooManyBrokenError{r.Broken, len(all), limit, Skipped{all[i].Path, looks[i].Broken.Error()}}
	}
	return r, nil
}
