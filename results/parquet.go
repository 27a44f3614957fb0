package results

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/parquet-go/parquet-go"

	"github.com/bigtransfer/bit"
	"github.com/bigtransfer/bit/internal/atomicfile"
)

// row is a result in a Parquet file.
type row struct {
	File        string       `parquet:"file"`
	Predictions []prediction `parquet:"predictions,list"`
	Unknown     bool         `parquet:"unknown"`
	Features    []float32    `parquet:"features,list"`
	Error       *string      `parquet:"error,optional"`
}

type prediction struct {
	Label string  `parquet:"label,dict"`
	Index int32   `parquet:"index"`
	Score float32 `parquet:"score"`
}

// A Parquet file ends with the list of what is in it, so it cannot grow. What is done is kept in files of their own, in
// the folder of the file's name and partsSuffix, each whole or not there, and becomes one file at the end.
const (
	partsSuffix = ".parts"
	partRows    = 8192 // also rows of a group of the file
	partTime    = 30 * time.Second
	writeRows   = 256
)

// parquetFile is a Parquet file in parts.
type parquetFile struct {
	path  string
	dir   string
	parts []string // files in dir, in order
	rows  []row    // that are in no part yet
	since time.Time
}

func openParquet(path string, _ Options) (writer, error) {
	p := &parquetFile{path: path, dir: path + partsSuffix, since: time.Now()}
	_, fileErr := os.Stat(path)
	entries, dirErr := os.ReadDir(p.dir)
	if dirErr != nil && !errors.Is(dirErr, fs.ErrNotExist) {
		return nil, dirErr
	}
	if fileErr == nil && dirErr == nil { // it was made of the parts, which were about to be removed
		if err := os.RemoveAll(p.dir); err != nil {
			return nil, err
		}
		entries = nil
	}
	if err := os.MkdirAll(p.dir, 0o777); err != nil {
		return nil, err
	}
	for _, e := range entries {
		if filepath.Ext(e.Name()) == ".parquet" {
			p.parts = append(p.parts, filepath.Join(p.dir, e.Name()))
		}
	}
	slices.Sort(p.parts)
	if fileErr == nil { // it is the first part of a longer one
		if err := checkColumns(path); err != nil {
			return nil, err
		}
		part := p.next()
		if err := os.Rename(path, part); err != nil {
			return nil, err
		}
		p.parts = append(p.parts, part)
	}
	return p, nil
}

func (p *parquetFile) next() string {
	return filepath.Join(p.dir, fmt.Sprintf("%06d.parquet", len(p.parts)))
}

func (p *parquetFile) resume(use func(name string)) error {
	type named struct {
		File string `parquet:"file"`
	}
	for _, part := range p.parts {
		err := readRows(part, func(rows []named) error {
			for _, r := range rows {
				use(r.File)
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// checkColumns reports a file that has other columns than ours, of which reading would make empty rows and writing an end.
func checkColumns(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	file, err := parquet.OpenFile(f, info.Size(), parquet.SkipPageIndex(true))
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	names := func(s *parquet.Schema) string {
		var list []string
		for _, column := range s.Columns() {
			list = append(list, strings.Join(column, "."))
		}
		slices.Sort(list)
		return strings.Join(list, ",")
	}
	if got, want := names(file.Schema()), names(parquet.SchemaOf(row{})); got != want {
		return fmt.Errorf("%s: its columns are %s, those of results %s", path, got, want)
	}
	return nil
}

// readRows calls use for the rows of a file, some at a time.
func readRows[T any](path string, use func([]T) error) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	file, err := parquet.OpenFile(f, info.Size())
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	r := parquet.NewGenericReader[T](file)
	defer r.Close()
	for {
		rows := make([]T, writeRows)
		n, err := r.Read(rows)
		if n > 0 {
			if err := use(rows[:n]); err != nil {
				return err
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
	}
}

func (p *parquetFile) write(r bit.Result) error {
	out := row{File: r.Name, Unknown: r.Unknown, Features: r.Features}
	for _, q := range r.Predictions {
		out.Predictions = append(out.Predictions, prediction{q.Label, int32(q.Index), q.Score})
	}
	if r.Err != nil {
		text := message(r)
		out.Error = &text
	}
	p.rows = append(p.rows, out)
	if len(p.rows) < partRows && time.Since(p.since) < partTime {
		return nil
	}
	return p.flush()
}

func newRowWriter(w io.Writer) *parquet.GenericWriter[row] {
	return parquet.NewGenericWriter[row](w, parquet.Compression(&parquet.Snappy), parquet.MaxRowsPerRowGroup(partRows))
}

func (p *parquetFile) flush() error {
	p.since = time.Now()
	if len(p.rows) == 0 {
		return nil
	}
	part := p.next()
	err := atomicfile.Replace(part, func(w io.Writer) error {
		out := newRowWriter(w)
		_, err := out.Write(p.rows)
		return errors.Join(err, out.Close())
	})
	if err != nil {
		return err
	}
	p.parts, p.rows = append(p.parts, part), nil
	return nil
}

// finish makes one file of the parts. Its bytes depend on the rows alone.
func (p *parquetFile) finish() error {
	err := atomicfile.Replace(p.path, func(w io.Writer) error {
		out := newRowWriter(w)
		// Rows are written in groups of one size, since pages end between these.
		var group []row
		put := func(least int) error {
			for len(group) >= least && len(group) > 0 {
				n := min(writeRows, len(group))
				if _, err := out.Write(group[:n]); err != nil {
					return err
				}
				group = group[n:]
			}
			return nil
		}
		for _, part := range p.parts {
			err := readRows(part, func(rows []row) error {
				group = append(group, rows...)
				return put(writeRows)
			})
			if err != nil {
				return err
			}
		}
		return errors.Join(put(0), out.Close())
	})
	if err != nil {
		return err
	}
	return os.RemoveAll(p.dir)
}

func (p *parquetFile) close() error { return nil }
