// Package parquetfile reads columns of Parquet files: a value by its row, from any number of goroutines, or all in order.
//
// Values by row are for large ones, pictures, of which a page of about a megabyte holds a few. Most writers leave out the
// index of pages, so it is made of the pages' headers; a page that was decoded is kept in a cache of a fixed size.
// Decoding is that of github.com/parquet-go/parquet-go. Every size that a file claims is held against the file before
// memory for it is asked for.
package parquetfile

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"

	"github.com/parquet-go/parquet-go"
)

// ErrCorrupt means that a file's bytes are not those of a sound Parquet file.
var ErrCorrupt = errors.New("not a sound Parquet file")

// Magic is how every Parquet file begins and ends.
const Magic = "PAR1"

// room is what reading may take beside twice the size of a file, in bytes.
const room = 32 << 20

// File is an open Parquet file.
type File struct {
	r     io.ReaderAt
	size  int64
	file  *parquet.File
	cache *Cache
	first []int64 // of each row group, its first row; then the number of rows
	id    uint64  // tells the files of a cache apart

	mu    sync.Mutex
	pages map[chunkKey]*chunkPages
}

// Leaf is a column of values.
type Leaf struct {
	Path     []string // names of its groups and its own
	Index    int
	Kind     parquet.Kind
	Text     bool // bytes that are a text
	Repeated bool // a row may have any number of values
}

// Open reads the metadata of a file of size bytes, which r must give until the file is no longer used. cache may be shared
// with other files.
func Open(r io.ReaderAt, size int64, cache *Cache) (f *File, err error) {
	if err := checkFooter(r, size); err != nil {
		return nil, err
	}
	f = &File{r: r, size: size, cache: cache, id: cache.nextID(), pages: map[chunkKey]*chunkPages{}}
	err = guard(func() error {
		var err error
		f.file, err = parquet.OpenFile(r, size, parquet.SkipPageIndex(true), parquet.SkipBloomFilters(true))
		if err == nil {
			f.file.Schema().Columns() // is made lazily
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	rows := int64(0)
	for _, g := range f.file.Metadata().RowGroups {
		f.first = append(f.first, rows)
		if g.NumRows < 0 || g.NumRows > size+1<<16 { // no row is stored in less than a byte
			return nil, fmt.Errorf("%w: a group of %d rows", ErrCorrupt, g.NumRows)
		}
		rows += g.NumRows
	}
	f.first = append(f.first, rows)
	if rows != f.file.NumRows() || rows > size+1<<16 {
		return nil, fmt.Errorf("%w: %d rows in its groups, %d in all", ErrCorrupt, rows, f.file.NumRows())
	}
	return f, nil
}

// guard calls the decoder, which panics on some files.
func guard(f func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%w: %v", ErrCorrupt, r)
		}
	}()
	return f()
}

// checkFooter checks the lengths in the metadata at the end of a file, and that the decoded form is no larger than the
// file warrants.
func checkFooter(r io.ReaderAt, size int64) error {
	const tail = 8 // length of the metadata, Magic
	var end [tail]byte
	if size < tail+int64(len(Magic)) {
		return fmt.Errorf("%w: %d bytes", ErrCorrupt, size)
	}
	if _, err := r.ReadAt(end[:], size-tail); err != nil && err != io.EOF {
		return err
	}
	if string(end[4:]) != Magic {
		return fmt.Errorf("%w: it ends with %q, expected %q: it may be cut short", ErrCorrupt, end[4:], Magic)
	}
	n := int64(binary.LittleEndian.Uint32(end[:]))
	if n > size-tail-int64(len(Magic)) {
		return fmt.Errorf("%w: metadata of %d bytes in a file of %d", ErrCorrupt, n, size)
	}
	footer := make([]byte, n)
	if _, err := r.ReadAt(footer, size-tail-n); err != nil && err != io.EOF {
		return err
	}
	w := thriftWalk{b: footer}
	if err := w.structure(0); err != nil {
		return err
	}
	// An element of the largest lists, those of columns and their chunks, takes about this much decoded.
	const perElement = 2000
	if int64(w.elements)*perElement > 2*size+room {
		return fmt.Errorf("%w: %d columns and chunks in a file of %d bytes", ErrCorrupt, w.elements, size)
	}
	return nil
}

// Rows returns the number of rows.
func (f *File) Rows() int64 { return f.first[len(f.first)-1] }

// Lookup returns a value of the file's own metadata.
func (f *File) Lookup(key string) (string, bool) { return f.file.Lookup(key) }

// Leaves returns the columns of values in the order of the file.
func (f *File) Leaves() []Leaf {
	var leaves []Leaf
	schema := f.file.Schema()
	for _, path := range schema.Columns() {
		c, ok := schema.Lookup(path...)
		if !ok {
			continue
		}
		kind := c.Node.Type()
		logical := kind.LogicalType()
		leaves = append(leaves, Leaf{
			Path: path, Index: c.ColumnIndex, Kind: kind.Kind(), Repeated: c.MaxRepetitionLevel > 0,
			Text: kind.Kind() == parquet.ByteArray && logical != nil && logical.Value != nil,
		})
	}
	return leaves
}

// Name returns the path of a column with dots.
func (l Leaf) Name() string { return strings.Join(l.Path, ".") }

// group returns the row group of a row.
func (f *File) group(row int64) (int, error) {
	if row < 0 || row >= f.Rows() {
		return 0, fmt.Errorf("row %d of %d", row, f.Rows())
	}
	i, found := slices.BinarySearch(f.first, row)
	if !found {
		i--
	}
	for f.first[i+1] == row { // an empty group
		i++
	}
	return i, nil
}

// Scan calls use for each row with its values of a column, one or, of a repeated one, any number; null ones are among
// them. They are valid until use returns.
func (f *File) Scan(leaf Leaf, use func(row int64, values []parquet.Value) error) error {
	for g := range len(f.first) - 1 {
		if err := f.scanGroup(g, leaf, use); err != nil {
			return fmt.Errorf("column %s: %w", leaf.Name(), err)
		}
	}
	return nil
}

func (f *File) scanGroup(g int, leaf Leaf, use func(row int64, values []parquet.Value) error) error {
	pages, err := f.chunk(g, leaf)
	if err != nil {
		return err
	}
	row, end := f.first[g]-1, f.first[g+1]
	var values []parquet.Value // of row
	flush := func() error {
		if len(values) == 0 {
			return nil
		}
		err := use(row, values)
		values = values[:0]
		return err
	}
	for i := range pages.list {
		page, err := f.decode(pages, i)
		if err != nil {
			return err
		}
		for _, v := range page {
			if v.RepetitionLevel() == 0 {
				if err := flush(); err != nil {
					return err
				}
				if row++; row == end {
					return fmt.Errorf("%w: more than the %d rows of its group", ErrCorrupt, end-f.first[g])
				}
			} else if row < f.first[g] {
				return fmt.Errorf("%w: it begins in the middle of a row", ErrCorrupt)
			}
			values = append(values, v)
		}
	}
	if err := flush(); err != nil {
		return err
	}
	if row+1 != end {
		return fmt.Errorf("%w: %d rows of a group of %d", ErrCorrupt, row+1-f.first[g], end-f.first[g])
	}
	return nil
}

// Bytes returns the value of a column of bytes that is not repeated, nil if it is null. The caller must not change it.
func (f *File) Bytes(leaf Leaf, row int64) ([]byte, error) {
	g, err := f.group(row)
	if err != nil {
		return nil, err
	}
	pages, err := f.chunk(g, leaf)
	if err != nil {
		return nil, fmt.Errorf("column %s: %w", leaf.Name(), err)
	}
	i, at, err := pages.find(row - f.first[g])
	if err != nil {
		return nil, fmt.Errorf("column %s: %w", leaf.Name(), err)
	}
	values, err := f.cache.get(pageKey{f.id, chunkKey{g, leaf.Index}, i}, func() ([][]byte, int64, error) {
		page, err := f.decode(pages, i)
		if err != nil {
			return nil, 0, err
		}
		values := make([][]byte, len(page))
		for i, v := range page {
			if !v.IsNull() {
				values[i] = v.ByteArray()
			}
		}
		return values, int64(pages.list[i].uncompressed) + int64(len(values)*24), nil
	})
	if err != nil {
		return nil, fmt.Errorf("column %s: %w", leaf.Name(), err)
	}
	if at >= int64(len(values)) {
		return nil, fmt.Errorf("column %s: %w: a page of %d values, expected more than %d", leaf.Name(), ErrCorrupt, len(values), at)
	}
	return values[at], nil
}
