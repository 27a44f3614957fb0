package data

import (
	"errors"
	"fmt"
	"io/fs"
	"strconv"

	"github.com/parquet-go/parquet-go"

	"github.com/bigtransfer/bit/internal/parquetfile"
)

// parquetTable is a Parquet file as a table: its columns of texts and integers, and of lists of these.
type parquetTable struct {
	file   *parquetfile.File
	leaves []parquetfile.Leaf
}

func newParquetTable(f *parquetfile.File) *parquetTable {
	t := &parquetTable{file: f}
	for _, leaf := range f.Leaves() {
		// A list is a group of a group of its elements.
		top := len(leaf.Path) == 1 || leaf.Repeated && len(leaf.Path) <= 3
		switch leaf.Kind {
		case parquet.Int32, parquet.Int64, parquet.Boolean:
		case parquet.ByteArray:
			top = top && leaf.Text
		default:
			top = false
		}
		if top {
			t.leaves = append(t.leaves, leaf)
		}
	}
	return t
}

func openParquetTable(fsys fs.FS, name string) (table, error) {
	l := &lister{fsys: fsys}
	f, err := l.openParquet(name, new(parquetfile.Cache))
	if err != nil {
		return nil, err
	}
	return newParquetTable(f), nil
}

func (t *parquetTable) place(n int) string { return fmt.Sprintf("row %d", n) }

// head is that of [table].
func (t *parquetTable) head() (columns, first []string, err error) {
	if t.file.Rows() == 0 {
		return nil, nil, errors.New("it has no rows")
	}
	first = make([]string, len(t.leaves))
	for i, leaf := range t.leaves {
		columns = append(columns, leaf.Path[0])
		err := t.file.Scan(leaf, func(_ int64, values []parquet.Value) error {
			if c := parquetCell(leaf, values); !c.list {
				first[i] = c.text()
			}
			return errStop
		})
		if err != nil && !errors.Is(err, errStop) {
			return nil, nil, err
		}
	}
	return columns, first, nil
}

// rows is that of [table]. The columns are read one after the other, so their cells are in memory together.
func (t *parquetTable) rows(columns []int, use func(place int, cells []cell) error) error {
	read := make([][]cell, len(columns))
	known := map[string]string{} // texts, which are the same few
	for i, at := range columns {
		if at < 0 {
			continue
		}
		leaf := t.leaves[at]
		err := t.file.Scan(leaf, func(_ int64, values []parquet.Value) error {
			c := parquetCell(leaf, values)
			for j, text := range c.values {
				k, ok := known[text]
				if !ok {
					if k = text; len(known) < 1<<16 {
						known[k] = k
					}
				}
				c.values[j] = k
			}
			read[i] = append(read[i], c)
			return nil
		})
		if err != nil {
			return err
		}
	}
	cells := make([]cell, len(columns))
	for row := range int(t.file.Rows()) {
		for i := range cells {
			if cells[i] = (cell{}); read[i] != nil {
				cells[i] = read[i][row]
			}
		}
		if err := use(row, cells); err != nil {
			return err
		}
	}
	return nil
}

// parquetCell returns the values of a row.
func parquetCell(leaf parquetfile.Leaf, values []parquet.Value) cell {
	c := cell{list: leaf.Repeated}
	for _, v := range values {
		if v.IsNull() { // also an empty list
			continue
		}
		switch leaf.Kind {
		case parquet.Int32:
			c.values = append(c.values, strconv.FormatInt(int64(v.Int32()), 10))
		case parquet.Int64:
			c.values = append(c.values, strconv.FormatInt(v.Int64(), 10))
		case parquet.Boolean:
			c.values = append(c.values, strconv.FormatBool(v.Boolean()))
		default:
			c.values = append(c.values, textCell(string(v.ByteArray())).values...)
		}
	}
	return c
}
