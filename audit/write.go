package audit

import (
	"encoding/csv"
	"io"
	"strconv"
)

// WriteCSV writes the findings as a table with a header, ranked within each kind.
func (r *Report) WriteCSV(w io.Writer) error {
	c := csv.NewWriter(w)
	c.Write([]string{"kind", "rank", "path", "split", "class", "suggested", "same_as", "severity", "detail"}) // errors come with Flush
	rank := map[Kind]int{}
	for _, f := range r.Findings {
		rank[f.Kind]++
		c.Write([]string{
			string(f.Kind), strconv.Itoa(rank[f.Kind]), f.Path, f.Split, f.Class, f.Suggest, f.SameAs, strconv.FormatFloat(f.Severity, 'f', 4, 64), f.Detail,
		})
	}
	c.Flush()
	return c.Error()
}
