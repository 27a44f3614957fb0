package data

import (
	"errors"
	"fmt"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// tableRow is a row of a table on its way to an example.
type tableRow struct {
	example Example // its path is the file as the table names it, then where it is
	split   string
	place   int
	reason  string // why it is skipped, or ""
}

// tableBuilder makes a data set of tables.
type tableBuilder struct {
	l      *lister
	d      *Dataset
	labels *labeler
	err    error
	seen   map[string]seenRow

	byFolder bool            // where no column does, the folder that a file is in gives the label, and the first one the split
	skipped  map[string]bool // files of rows that are skipped
}

// seenRow is where a file was named first.
type seenRow struct {
	split string
	index int // in that split
	where string
}

func newTableBuilder(l *lister) *tableBuilder {
	b := &tableBuilder{l: l, d: &Dataset{MultiLabel: l.opener.LabelSeparator != ""}, seen: map[string]seenRow{}, skipped: map[string]bool{}}
	b.labels, b.err = newLabeler(l.opener.Classes)
	return b
}

// sampleSize is how many rows decide where the files are that a table names.
const sampleSize = 32

// add adds the rows of a table, all to a split if one is given.
func (b *tableBuilder) add(name, split string) error {
	if b.err != nil {
		return b.err
	}
	t, err := b.l.openTable(name)
	if err != nil {
		return err
	}
	names, first, err := t.head()
	if err != nil {
		return err
	}
	c, err := b.l.opener.findColumns(names, first)
	if err != nil {
		return err
	}
	if b.byFolder && c.label >= 0 && !b.isLabel(names[c.label]) {
		c.label = -1 // the only other column may be a caption
	}
	if c.label < 0 && !b.byFolder {
		return &noLabelError{names}
	}
	if split != "" {
		c.split = -1
	}
	rows, err := b.read(t, path.Dir(name), c, split)
	if err != nil {
		return err
	}
	var sample []string
	for _, r := range rows[:min(sampleSize, len(rows))] {
		sample = append(sample, r.example.Path)
	}
	at := b.l.newLocator(name, sample)
	b.d.Source = at.source()
	at.findAll(rows)
	return b.keep(t, name, rows, at)
}

// isLabel reports whether a column is named as labels are, or by the opener.
func (b *tableBuilder) isLabel(name string) bool {
	return b.l.opener.LabelColumn != "" || slices.ContainsFunc(labelColumns, func(u string) bool { return strings.EqualFold(u, name) })
}

// read reads the rows of a table in a folder.
func (b *tableBuilder) read(t table, dir string, c columns, split string) ([]tableRow, error) {
	var rows []tableRow
	err := t.rows([]int{c.file, c.label, c.split}, func(place int, cells []cell) error {
		r := tableRow{place: place, split: split, example: Example{Path: cells[0].text(), Label: NoLabel}}
		if r.example.Path == "" {
			return fmt.Errorf("%s names no file", t.place(place))
		}
		r.example.Path = strings.Clone(r.example.Path)
		if c.split >= 0 {
			if r.split = splitOf(cells[2].text()); r.split == "" {
				return fmt.Errorf("%s: the split %q, expected train, val or test", t.place(place), cells[2].text())
			}
		}
		label := cells[1]
		if b.byFolder {
			folder := path.Dir(path.Join(dir, r.example.Path))
			if first, _, _ := strings.Cut(folder, "/"); r.split == "" {
				r.split = splitOf(first)
			}
			if class := path.Base(folder); c.label < 0 && class != "." && splitOf(class) == "" {
				label = cell{values: []string{class}}
			}
		}
		if err := b.label(&r, label); err != nil {
			return fmt.Errorf("%s: %w", t.place(place), err)
		}
		rows = append(rows, r)
		return nil
	})
	if err == nil && len(rows) == 0 {
		err = errors.New("it has no rows")
	}
	return rows, err
}

// label reads the labels of a row.
func (b *tableBuilder) label(r *tableRow, c cell) error {
	values := c.values
	switch sep := b.l.opener.LabelSeparator; {
	case c.list:
		b.d.MultiLabel = true
	case sep != "":
		values = splitLabels(values, sep)
	case len(values) == 0:
		r.reason = "no label"
		return nil
	}
	for _, v := range values {
		label, err := b.labels.number(v)
		if err != nil {
			return err
		}
		r.example.Labels = append(r.example.Labels, label)
	}
	return nil
}

// splitLabels returns the labels between separators.
func splitLabels(values []string, separator string) []string {
	var labels []string
	for _, v := range values {
		for part := range strings.SplitSeq(v, separator) {
			if part = strings.TrimSpace(part); part != "" {
				labels = append(labels, part)
			}
		}
	}
	return labels
}

// keep adds the rows that can be used to the data set.
func (b *tableBuilder) keep(t table, name string, rows []tableRow, at *locator) error {
	skipped, first := 0, ""
	for _, r := range rows {
		if r.reason != "" {
			if skipped++; skipped == 1 {
				first = fmt.Sprintf("%s (%s): %s", r.example.Path, t.place(r.place), r.reason)
			}
			b.skipped[r.example.Path] = true
			b.l.skip(r.example.Path, fmt.Sprintf("%s, %s: %s", name, t.place(r.place), r.reason))
			continue
		}
		if err := b.put(r, name+", "+t.place(r.place)); err != nil {
			return fmt.Errorf("%s: %w", t.place(r.place), err)
		}
	}
	where := ""
	if at.dir != "" {
		where = fmt.Sprintf("; files are looked for in %s", filepath.Join(at.dir, filepath.FromSlash(path.Join(at.base, at.folder))))
	}
	return b.l.opener.tooManySkipped(skipped, len(rows), first, where)
}

func (b *tableBuilder) put(r tableRow, where string) error {
	to := map[string]*[]Example{splitVal: &b.d.Val, splitTest: &b.d.Test}[r.split]
	if to == nil {
		to = &b.d.Train
	}
	e := r.example
	if first, again := b.seen[e.Path]; again {
		return b.again(r, first, where)
	}
	b.seen[e.Path] = seenRow{r.split, len(*to), where}
	*to = append(*to, e)
	return nil
}

// again meets a file that was named before: with one more label, or by mistake.
func (b *tableBuilder) again(r tableRow, first seenRow, where string) error {
	before := map[string][]Example{splitVal: b.d.Val, splitTest: b.d.Test, splitTrain: b.d.Train, "": b.d.Train}[first.split]
	e := &before[first.index]
	switch {
	case first.split != r.split:
		return fmt.Errorf("%s is in the %s split, and in %s in the %s split", e.Path, r.split, first.where, first.split)
	case slices.Equal(e.Labels, r.example.Labels):
		b.l.skip(e.Path, fmt.Sprintf("%s: named before in %s", where, first.where))
	case b.d.MultiLabel:
		e.Labels = slices.Concat(e.Labels, r.example.Labels)
	default:
		return fmt.Errorf("%s has the label %q, and in %s %q: a picture of several labels has them in one cell, with a separator that is named",
			e.Path, b.labels.names[r.example.Labels[0]], first.where, b.labels.names[e.Labels[0]])
	}
	return nil
}

// finish numbers the classes and returns the data set.
func (b *tableBuilder) finish() (*Dataset, error) {
	if b.err != nil {
		return nil, b.err
	}
	d := b.d
	if len(d.Train)+len(d.Val)+len(d.Test) == 0 {
		return nil, ErrNoImages
	}
	b.labels.finish(d)
	d.finishLabels()
	return d, nil
}
