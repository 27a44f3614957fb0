package audit

import (
	"context"
	"fmt"
	"strings"

	"github.com/bigtransfer/bit/data"
)

// Options say how Run works. The zero value is a sound choice.
type Options struct {
	Folds      int                   // that labels are judged in; 0 for 5
	Repeats    int                   // of the folds; 0 for as many as are quick, 4 at most
	Seed       uint64                // of the folds
	Workers    int                   // goroutines that decode; 0 for one per CPU
	OnProgress func(done, total int) // called with the pictures looked at so far; nil for none
}

// Features are those of some pictures: row i, of D numbers, is that of the entry Index[i]. Pictures that could not be
// decoded are missing.
type Features struct {
	Width  int       // D
	Values []float32 // [N, D]
	Index  []int     // [N]
}

// quickExamples is about how many pictures a repeat of the folds may judge within seconds.
const quickExamples = 20_000

// Run audits a data set. embed returns the features of its pictures.
func Run(ctx context.Context, ds *data.Dataset, embed func(ctx context.Context, examples []data.Example) (Features, error), o Options) (*Report, error) {
	entries := Entries(ds)
	if len(entries) == 0 {
		return nil, data.ErrNoImages
	}
	if o.Folds == 0 {
		o.Folds = 5
	}
	if o.Folds < 2 {
		return nil, fmt.Errorf("audit: %d folds, want at least 2", o.Folds)
	}
	var progress func(int)
	if o.OnProgress != nil {
		progress = func(done int) { o.OnProgress(done, len(entries)) }
	}
	looks, err := lookAt(ctx, ds, entries, o.Workers, progress)
	if err != nil {
		return nil, err
	}
	examples := make([]data.Example, len(entries))
	for i, e := range entries {
		examples[i] = e.Example
	}
	f, err := embed(ctx, examples)
	if err != nil {
		return nil, err
	}
	row := make([]int, len(entries)) // of features; -1 for none
	for i := range row {
		row[i] = -1
	}
	for r, i := range f.Index {
		row[i] = r
	}
	class := func(label int) string {
		if label < 0 || label >= len(ds.Classes) {
			return ""
		}
		return ds.Classes[label]
	}
	r := &Report{Images: len(entries), Classes: ds.Classes, Counts: map[Kind]int{}, Labels: LabelFit{Folds: o.Folds}}
	same, g := duplicates(entries, looks, f.Values, row, f.Width, class)
	r.Findings = append(same, odd(entries, looks, class)...)
	labels, err := r.judgeLabels(ctx, ds, entries, f, g, class, o)
	if err != nil {
		return nil, err
	}
	r.Findings = append(r.Findings, labels...)
	sortFindings(r.Findings)
	for _, f := range r.Findings {
		r.Counts[f.Kind]++
	}
	return r, nil
}

// judgeLabels finds labels that look wrong and notes by what they were judged.
func (r *Report) judgeLabels(ctx context.Context, ds *data.Dataset, entries []Entry, f Features, g groups, class func(int) string, o Options) ([]Finding, error) {
	if ds.MultiLabel {
		r.Labels = LabelFit{Skipped: "pictures have several labels"}
		return nil, nil
	}
	// A class of a single picture, or of copies of one, cannot be told from the others without it.
	count := make([]int, len(ds.Classes))
	counted := map[[2]int]bool{} // groups of each class
	for _, i := range f.Index {
		label := entries[i].Label
		if at := [2]int{label, g.find(i)}; label >= 0 && !counted[at] {
			counted[at] = true
			count[label]++
		}
	}
	var rows, labels, group []int
	var x []float32
	several := 0
	for _, n := range count {
		if n > 1 {
			several++
		}
	}
	for at, i := range f.Index {
		if label := entries[i].Label; label >= 0 && count[label] > 1 {
			rows, labels, group = append(rows, i), append(labels, label), append(group, g.find(i))
			x = append(x, f.Values[at*f.Width:][:f.Width]...)
		}
	}
	if several < 2 {
		r.Labels = LabelFit{Skipped: "there are not two classes of two pictures"}
		return nil, nil
	}
	if o.Repeats == 0 {
		o.Repeats = max(1, min(4, quickExamples/len(rows)))
	}
	classes := len(ds.Classes)
	p, err := OutOfSample(ctx, x, labels, group, classes, o.Folds, o.Repeats, o.Seed)
	if err != nil {
		return nil, err
	}
	for i, y := range labels {
		best := 0
		for k, v := range p[i*classes:][:classes] {
			if v > p[i*classes+best] {
				best = k
			}
		}
		if best == y {
			r.Labels.Accuracy += 1 / float64(len(labels))
		}
	}
	var findings []Finding
	for _, issue := range LabelIssues(p, labels, classes) {
		i := rows[issue.Row]
		e := entries[i]
		findings = append(findings, Finding{
			Kind: Label, Path: e.Path, Split: e.Split, Class: class(e.Label), Suggest: class(issue.Suggest), Severity: 1 - issue.Confidence, Entry: i, First: -1,
			Detail: fmt.Sprintf("looks like %s: %.1f %%, and %.1f %% like its label", strings.TrimSpace(class(issue.Suggest)), 100*p[issue.Row*classes+issue.Suggest], 100*issue.Confidence),
		})
	}
	return findings, nil
}
