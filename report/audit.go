package report

import (
	"context"
	"io"

	"github.com/bigtransfer/bit/audit"
	"github.com/bigtransfer/bit/data"
)

// KindTitle returns what a kind of findings is called.
func KindTitle(k audit.Kind) string {
	return map[audit.Kind]string{
		audit.Label: "Labels that look wrong", audit.Duplicate: "Duplicates", audit.NearDuplicate: "Near duplicates",
		audit.Corrupt: "Broken pictures", audit.Dark: "Dark", audit.Bright: "Over-exposed", audit.Blurred: "Blurred", audit.OddSize: "Odd sizes",
	}[k]
}

var kindNotes = map[audit.Kind]string{
	audit.Label:         "A head that was fitted to the other pictures is confident that these show another class. The surest come first; not all of them are wrong.",
	audit.Duplicate:     "The same pixels twice. Those in two splits come first: a model is then tested on what it was trained on.",
	audit.NearDuplicate: "They look the same, as pictures do that were saved again or resized.",
	audit.Corrupt:       "They cannot be decoded, and training passes them over.",
	audit.Blurred:       "Little changes from pixel to pixel, compared with the other pictures.",
	audit.OddSize:       "Much larger, smaller or longer than the other pictures.",
}

// mostShown is how many findings of a kind a page shows with their pictures.
const mostShown = 200

type auditPage struct {
	Name     string
	Report   *audit.Report
	Sections []auditSection
}

type auditSection struct {
	Kind     audit.Kind
	Title    string
	Note     string
	Count    int
	Findings []auditFinding
}

type auditFinding struct {
	audit.Finding
	Picture picture
	Other   *picture // that it equals
}

// Audit writes a page of an audit's findings with their pictures. name is that of the data set.
func Audit(ctx context.Context, w io.Writer, ds *data.Dataset, r *audit.Report, name string) error {
	page := auditPage{Name: name, Report: r}
	entries, src := audit.Entries(ds), data.Uncounted(ds) // of what is broken, all is shown
	for _, kind := range audit.Kinds {
		s := auditSection{Kind: kind, Title: KindTitle(kind), Note: kindNotes[kind], Count: r.Counts[kind]}
		for _, f := range r.Findings {
			if f.Kind != kind || len(s.Findings) == mostShown {
				continue
			}
			shown := auditFinding{Finding: f}
			var err error
			if shown.Picture, err = thumbnail(ctx, src, entries[f.Entry].Example); err != nil {
				return err
			}
			if f.SameAs != "" {
				other, err := thumbnail(ctx, src, entries[f.First].Example)
				if err != nil {
					return err
				}
				shown.Other = &other
			}
			s.Findings = append(s.Findings, shown)
		}
		page.Sections = append(page.Sections, s)
	}
	return write(w, "audit.html", page)
}
