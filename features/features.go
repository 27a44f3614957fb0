// Package features writes the features of pictures for other programs: as NumPy's .npz and .npy files, or as Parquet.
package features

import (
	"encoding/csv"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/parquet-go/parquet-go"

	"github.com/bigtransfer/bit/internal/atomicfile"
	"github.com/bigtransfer/bit/internal/numpy"
)

// Table is features of pictures and what they belong to, a row for each picture.
type Table struct {
	Width    int       // D
	Features []float32 // [N, D]
	Paths    []string  // [N]
	Splits   []string  // [N], "train", "val" or "test"; "" for none
	Labels   []int     // [N], indices of Classes, −1 for none
	Classes  []string
}

// Formats are the endings of file names that Save knows.
func Formats() []string { return []string{".npz", ".npy", ".parquet"} }

// Save writes the table to a file whose ending says the format. It appears whole or not at all.
//
//   - .npz holds arrays features float32 [N, D], labels int64 [N], paths, splits [N] and classes [C] of texts.
//   - .npy holds features alone; the rest goes to a file of the same name that ends in .csv, with columns path, split,
//     label and class, and a row for each of the array's.
//   - .parquet has columns path, split, label, class and features, a list of float32.
func (t *Table) Save(path string) error {
	if err := t.check(); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	write := map[string]func(io.Writer) error{".npz": t.writeNpz, ".npy": t.writeNpy, ".parquet": t.writeParquet}
	format := strings.ToLower(filepath.Ext(path))
	if write[format] == nil {
		return fmt.Errorf("features %s: expected a name that ends in one of %q", path, Formats())
	}
	if format == ".npy" {
		if err := atomicfile.Replace(Companion(path), t.writeCSV); err != nil {
			return err
		}
	}
	return atomicfile.Replace(path, write[format])
}

// Companion returns the name of the file beside an .npy file that says what its rows are.
func Companion(path string) string { return strings.TrimSuffix(path, filepath.Ext(path)) + ".csv" }

func (t *Table) check() error {
	n := len(t.Paths)
	if len(t.Features) != n*t.Width || len(t.Splits) != n || len(t.Labels) != n {
		return fmt.Errorf("%d feature values, %d splits and %d labels for %d pictures of %d features", len(t.Features), len(t.Splits), len(t.Labels), n, t.Width)
	}
	for i, label := range t.Labels {
		if label < -1 || label >= len(t.Classes) {
			return fmt.Errorf("%s has the label %d, expected −1 to %d", t.Paths[i], label, len(t.Classes)-1)
		}
	}
	return nil
}

// class returns the name of row i's class, "" for none.
func (t *Table) class(i int) string {
	if t.Labels[i] < 0 {
		return ""
	}
	return t.Classes[t.Labels[i]]
}

func (t *Table) matrix() numpy.Array {
	return numpy.Float32("features", []int{len(t.Paths), t.Width}, t.Features)
}

func (t *Table) writeNpz(w io.Writer) error {
	return numpy.WriteZip(w, []numpy.Array{
		t.matrix(), numpy.Int64("labels", t.Labels), numpy.Strings("paths", t.Paths), numpy.Strings("splits", t.Splits), numpy.Strings("classes", t.Classes),
	})
}

func (t *Table) writeNpy(w io.Writer) error { return numpy.Write(w, t.matrix()) }

func (t *Table) writeCSV(w io.Writer) error {
	c := csv.NewWriter(w)
	c.Write([]string{"path", "split", "label", "class"})
	for i, path := range t.Paths {
		c.Write([]string{path, t.Splits[i], strconv.Itoa(t.Labels[i]), t.class(i)})
	}
	c.Flush()
	return c.Error()
}

// row is one of a Parquet file.
type row struct {
	Path     string    `parquet:"path"`
	Split    *string   `parquet:"split,optional,dict"`
	Label    int32     `parquet:"label"`
	Class    *string   `parquet:"class,optional,dict"`
	Features []float32 `parquet:"features,list"`
}

func (t *Table) writeParquet(w io.Writer) error {
	p := parquet.NewGenericWriter[row](w, parquet.Compression(&parquet.Snappy))
	const block = 1024
	for first := 0; first < len(t.Paths); first += block {
		var rows []row
		for i := first; i < min(first+block, len(t.Paths)); i++ {
			r := row{Path: t.Paths[i], Label: int32(t.Labels[i]), Features: t.Features[i*t.Width:][:t.Width]}
			if t.Splits[i] != "" {
				r.Split = &t.Splits[i]
			}
			if class := t.class(i); t.Labels[i] >= 0 {
				r.Class = &class
			}
			rows = append(rows, r)
		}
		if _, err := p.Write(rows); err != nil {
			return err
		}
	}
	return p.Close()
}

// Append adds rows of one split.
func (t *Table) Append(split string, paths []string, labels []int, x []float32) {
	t.Paths, t.Labels, t.Features = append(t.Paths, paths...), append(t.Labels, labels...), append(t.Features, x...)
	t.Splits = append(t.Splits, slices.Repeat([]string{split}, len(paths))...)
}
