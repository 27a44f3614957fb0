package data

import (
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/bigtransfer/bit/internal/parquetfile"
)

// parquetBuilder makes a data set of Parquet files.
type parquetBuilder struct {
	l      *lister
	d      *Dataset
	source *parquetPictures
	cache  parquetfile.Cache
	names  []string // of the classes, as the files have them; nil if they have none
	labels *labeler // of the first file on
}

func newParquetBuilder(l *lister) *parquetBuilder {
	b := &parquetBuilder{l: l, source: &parquetPictures{beside: Files{l.fsys}}}
	if l.opener.Images != "" {
		b.source.beside = localFiles{l.opener.Images}
	}
	b.d = &Dataset{Source: b.source, MultiLabel: l.opener.LabelSeparator != ""}
	return b
}

// add adds the rows of a file, all to a split if one is given.
func (b *parquetBuilder) add(name, split string) error {
	s, err := b.l.openShard(name, &b.cache)
	if err != nil {
		return err
	}
	t := newParquetTable(s.file)
	c, err := b.columns(t, s)
	if err != nil {
		return err
	}
	if split != "" {
		c.split = -1
	}
	if err := b.setClasses(s, t.leaves[c.label].Path[0]); err != nil {
		return err
	}
	shard := int64(len(b.source.shards))
	b.source.shards = append(b.source.shards, s)
	skipped, rows, first := 0, 0, ""
	err = t.rows([]int{c.label, c.split}, func(row int, cells []cell) error {
		e := Example{Path: name + "#" + strconv.Itoa(row), At: shard*rowsPerFile + int64(row), Label: NoLabel}
		in := split
		if c.split >= 0 {
			if in = splitOf(cells[1].text()); in == "" {
				return fmt.Errorf("row %d: the split %q, expected train, val or test", row, cells[1].text())
			}
		}
		rows++
		reason, err := b.label(&e, cells[0])
		if err != nil {
			return fmt.Errorf("row %d: %w", row, err)
		}
		if reason != "" {
			if skipped++; skipped == 1 {
				first = e.Path + ": " + reason
			}
			b.l.skip(e.Path, reason)
			return nil
		}
		b.d.add(in, e)
		return nil
	})
	if err != nil {
		return err
	}
	if split == splitTest && skipped == rows { // as those of competitions are
		return nil
	}
	return b.l.opener.tooManySkipped(skipped, rows, first, "")
}

// columns finds the columns of labels and splits. What the file says are labels comes first.
func (b *parquetBuilder) columns(t *parquetTable, s *parquetShard) (c columns, err error) {
	names, _, err := t.head()
	if err != nil {
		return c, err
	}
	o := b.l.opener
	known := s.features.labels
	if o.LabelColumn == "" && len(known) > 0 {
		i, _ := findColumn(known, "", "label", labelColumns)
		if i < 0 && len(known) > 1 {
			return c, fmt.Errorf("the columns %s are of labels, one must be chosen", strings.Join(known, ", "))
		}
		o.LabelColumn = known[max(0, i)]
	}
	if c.label, err = findColumn(names, o.LabelColumn, "label", labelColumns); err != nil {
		return c, err
	}
	if c.split, err = findColumn(names, o.SplitColumn, "split", splitColumns, c.label); err != nil {
		return c, err
	}
	if c.label < 0 {
		c.label = onlyOther(len(names), c.split)
	}
	if c.label < 0 {
		return c, &noLabelError{names}
	}
	return c, nil
}

// setClasses takes the names of the classes from a file's features, which are the same in all files.
func (b *parquetBuilder) setClasses(s *parquetShard, column string) (err error) {
	names := s.features.classes[column]
	if b.labels != nil {
		if b.l.opener.Classes == nil && !slices.Equal(names, b.names) {
			return fmt.Errorf("its classes are %.8q, those of %s are %.8q", names, b.source.shards[0].name, b.names)
		}
		return nil
	}
	b.names = names
	if b.l.opener.Classes != nil {
		names = b.l.opener.Classes
	}
	b.labels, err = newLabeler(names)
	return err
}

// label reads the labels of a row, and says why it has none if it needs one.
func (b *parquetBuilder) label(e *Example, c cell) (reason string, err error) {
	values := c.values
	if c.list {
		b.d.MultiLabel = true
	} else if sep := b.l.opener.LabelSeparator; sep != "" {
		values = splitLabels(values, sep)
	} else if len(values) == 0 || values[0] == "-1" && b.labels.given { // as datasets marks a split without labels
		return "no label", nil
	}
	for _, v := range values {
		label, err := b.labels.number(v)
		if err != nil {
			return "", err
		}
		if e.Label = int(label); c.list || b.l.opener.LabelSeparator != "" {
			e.Labels = append(e.Labels, label)
		}
	}
	return "", nil
}

// finish numbers the classes and returns the data set.
func (b *parquetBuilder) finish() (*Dataset, error) {
	d := b.d
	if len(d.Train)+len(d.Val)+len(d.Test) == 0 {
		return nil, ErrNoImages
	}
	b.labels.finish(d)
	d.finishLabels()
	return d, nil
}

// openParquetFile lists a data set that is a Parquet file: of pictures, or a table that names them.
func (o Opener) openParquetFile(name string) (*Dataset, error) {
	dir, base := filepath.Split(name)
	if dir == "" {
		dir = "."
	}
	b := newParquetBuilder(newDirLister(o, dir))
	err := b.add(base, "")
	if _, none := err.(*noPicturesError); none {
		d, tableErr := o.openTable(name)
		if tableErr != nil {
			return nil, fmt.Errorf("%w; %w", err, tableErr)
		}
		return d, nil
	}
	if err != nil {
		return nil, err
	}
	d, err := b.finish()
	if err == nil {
		b.l.complete(d)
	}
	return d, err
}
