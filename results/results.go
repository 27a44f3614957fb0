// Package results keeps what pictures were classified as in files: JSON lines, CSV or Parquet. A run that was killed leaves
// what was done, whole records only, and goes on from there to the same file as without the interruption.
package results

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"strings"

	"github.com/bigtransfer/bit"
	"github.com/bigtransfer/bit/data"
)

// Formats of files.
const (
	JSONL   = "jsonl"   // an object in each line: file, predictions, or error; see [AppendJSON]
	CSV     = "csv"     // a row for each picture: file, label, score, label_2, score_2, …, unknown, error
	Parquet = "parquet" // columns file, predictions (a list of label, index, score), unknown, features, error
)

// Options say how results are kept. The zero value is a sound choice.
type Options struct {
	Format   string // "" for what the extension of the file's name says
	Top      int    // classes per picture, the columns of CSV; 0 for 5
	Features bool   // keep features, which CSV cannot
	Resume   bool   // go on with the file if it is there; else it must not be
}

// FormatOf returns the format of a file by the extension of its name.
func FormatOf(path string) (string, error) {
	switch strings.ToLower(filepath.Ext(path)) {
	case ".jsonl", ".ndjson", ".json":
		return JSONL, nil
	case ".csv":
		return CSV, nil
	case ".parquet":
		return Parquet, nil
	}
	return "", fmt.Errorf("%s: expected a name that ends in .jsonl, .csv or .parquet, or a format that is named", path)
}

// File is a file of results. It is for one goroutine.
type File struct {
	w    writer
	done map[[16]byte]int // how often each name is in it
	n    int
}

// writer is a format.
type writer interface {
	// resume calls use for the name of every result that is there, and leaves the rest of an unfinished one out.
	resume(use func(name string)) error
	write(r bit.Result) error
	// flush makes what was written survive the process.
	flush() error
	// finish completes the file; flush comes before.
	finish() error
	close() error
}

// Open makes a file of results, or opens one to go on with.
func Open(path string, o Options) (*File, error) {
	if o.Top <= 0 {
		o.Top = 5
	}
	if o.Format == "" {
		var err error
		if o.Format, err = FormatOf(path); err != nil {
			return nil, err
		}
	}
	open := map[string]func(string, Options) (writer, error){JSONL: openJSONL, CSV: openCSV, Parquet: openParquet}[o.Format]
	switch {
	case open == nil:
		return nil, fmt.Errorf("the format %q, expected %s, %s or %s", o.Format, JSONL, CSV, Parquet)
	case o.Features && o.Format == CSV:
		return nil, errors.New("features are lists of numbers, which CSV does not have: keep them in JSON lines or Parquet")
	}
	if !o.Resume {
		for _, p := range []string{path, path + partsSuffix} {
			if _, err := os.Lstat(p); !errors.Is(err, fs.ErrNotExist) {
				return nil, &ExistsError{p}
			}
		}
	}
	w, err := open(path, o)
	if err != nil {
		return nil, err
	}
	f := &File{w: w, done: map[[16]byte]int{}}
	if err := w.resume(func(name string) { f.done[key(name)]++; f.n++ }); err != nil {
		w.close()
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return f, nil
}

// ExistsError says that a file is there that a new one would replace.
type ExistsError struct{ Path string }

func (e *ExistsError) Error() string { return e.Path + " is there already" }

// key stands for a name. A million of them take 16 MB and not a hundred.
func key(name string) [16]byte {
	sum := sha256.Sum256([]byte(name))
	return [16]byte(sum[:])
}

// Len returns how many results were in the file when it was opened.
func (f *File) Len() int { return f.n }

// Missing gives the pictures whose results are not in the file yet. One that is named twice has two.
func (f *File) Missing(pictures iter.Seq[data.Picture]) iter.Seq[data.Picture] {
	return func(yield func(data.Picture) bool) {
		for p := range pictures {
			if len(f.done) > 0 {
				k := key(p.Name)
				if n := f.done[k]; n > 1 {
					f.done[k] = n - 1
					continue
				} else if n == 1 {
					delete(f.done, k)
					continue
				}
			}
			if !yield(p) {
				return
			}
		}
	}
}

// Write adds a result. It may stay in memory for about a second, or of a Parquet file for half a minute.
func (f *File) Write(r bit.Result) error { return f.w.write(r) }

// Close closes the file. With finish all pictures are done; else it can be gone on with.
func (f *File) Close(finish bool) error {
	err := f.w.flush()
	if err == nil && finish {
		err = f.w.finish()
	}
	return errors.Join(err, f.w.close())
}
