// Package audit looks for what is wrong with a data set: labels that its own pictures contradict, pictures that are there
// twice, and pictures that cannot be read, are dark, over-exposed, blurred or of an odd size. It changes nothing; it ranks
// what a person should look at.
package audit

import (
	"cmp"
	"slices"

	"github.com/bigtransfer/bit/data"
)

// Kind is what a finding is about.
type Kind string

// The kinds, in the order of a report.
const (
	Label         Kind = "label"          // the picture looks like another class
	Duplicate     Kind = "duplicate"      // the same pixels as another picture
	NearDuplicate Kind = "near_duplicate" // looks the same as another picture
	Corrupt       Kind = "corrupt"        // cannot be decoded
	Dark          Kind = "dark"
	Bright        Kind = "bright" // over-exposed
	Blurred       Kind = "blurred"
	OddSize       Kind = "odd_size" // of a size or shape unlike the others
)

// Kinds lists them all.
var Kinds = []Kind{Label, Duplicate, NearDuplicate, Corrupt, Dark, Bright, Blurred, OddSize}

// Entry is a picture of the data set.
type Entry struct {
	data.Example
	Split string // train, val or test
}

// Entries lists all pictures of a data set.
func Entries(ds *data.Dataset) []Entry {
	var entries []Entry
	for _, s := range []struct {
		name     string
		examples []data.Example
	}{{"train", ds.Train}, {"val", ds.Val}, {"test", ds.Test}} {
		for _, e := range s.examples {
			entries = append(entries, Entry{e, s.name})
		}
	}
	return entries
}

// Finding is one reason to look at a picture.
type Finding struct {
	Kind     Kind    `json:"kind"`
	Path     string  `json:"path"`
	Split    string  `json:"split"`
	Class    string  `json:"class,omitempty"`     // its label
	Suggest  string  `json:"suggested,omitempty"` // Label: the class that it looks like
	SameAs   string  `json:"same_as,omitempty"`   // duplicates: the first of those that it equals
	Severity float64 `json:"severity"`            // in [0, 1], larger is worse; comparable within a kind only
	Detail   string  `json:"detail"`              // in words

	Entry int `json:"-"` // index in the list of entries
	First int `json:"-"` // duplicates: index of SameAs
}

// Report is the outcome of an audit.
type Report struct {
	Images   int          `json:"images"` // looked at
	Classes  []string     `json:"classes"`
	Counts   map[Kind]int `json:"counts"` // of findings
	Findings []Finding    `json:"findings"`
	Labels   LabelFit     `json:"labels"`
}

// sortFindings orders by kind, then the worst first, then by place.
func sortFindings(findings []Finding) {
	slices.SortStableFunc(findings, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(slices.Index(Kinds, a.Kind), slices.Index(Kinds, b.Kind)), cmp.Compare(b.Severity, a.Severity), cmp.Compare(a.Entry, b.Entry))
	})
}
