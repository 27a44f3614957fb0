package parquetfile

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sort"
	"sync"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"
)

// chunkKey is a column in a row group.
type chunkKey struct{ group, leaf int }

// chunkPages are the pages of a column in a row group.
type chunkPages struct {
	once  sync.Once
	err   error
	chunk *parquet.FileColumnChunk
	start int64 // where the chunk begins
	data  int64 // where its first page of data begins, after that of its dictionary
	list  []pagePlace
	end   int64 // of the chunk
	codec format.CompressionCodec
	// The largest levels of the column, 0 for one that is neither repeated nor null.
	maxRepetition, maxDefinition int
}

// pagePlace is where a page of data is.
type pagePlace struct {
	offset       int64
	uncompressed int32
	firstRow     int64 // in the row group; of a repeated column not known
}

// find returns the page that holds a row of the group and the row's place in it.
func (c *chunkPages) find(row int64) (page int, at int64, err error) {
	page = sort.Search(len(c.list), func(i int) bool { return c.list[i].firstRow > row }) - 1
	if page < 0 {
		return 0, 0, fmt.Errorf("%w: no page has row %d of the group", ErrCorrupt, row)
	}
	return page, row - c.list[page].firstRow, nil
}

// chunk returns the pages of a column in a row group, which are found the first time.
func (f *File) chunk(g int, leaf Leaf) (*chunkPages, error) {
	key := chunkKey{g, leaf.Index}
	f.mu.Lock()
	c := f.pages[key]
	if c == nil {
		c = &chunkPages{}
		f.pages[key] = c
	}
	f.mu.Unlock()
	c.once.Do(func() { c.err = guard(func() error { return f.findPages(c, g, leaf) }) })
	return c, c.err
}

// findPages goes from header to header.
func (f *File) findPages(c *chunkPages, g int, leaf Leaf) error {
	group := f.file.RowGroups()[g]
	var ok bool
	if c.chunk, ok = group.ColumnChunks()[leaf.Index].(*parquet.FileColumnChunk); !ok {
		return fmt.Errorf("%w: no chunk of a file", ErrCorrupt)
	}
	meta := &f.file.Metadata().RowGroups[g].Columns[leaf.Index].MetaData
	c.start = meta.DataPageOffset
	if meta.DictionaryPageOffset != 0 {
		c.start = meta.DictionaryPageOffset
	}
	end := c.start + meta.TotalCompressedSize
	c.end, c.codec = end, meta.Codec
	if column, ok := f.file.Schema().Lookup(leaf.Path...); ok {
		c.maxRepetition, c.maxDefinition = column.MaxRepetitionLevel, column.MaxDefinitionLevel
	}
	if c.start < 0 || end < c.start || end > f.size {
		return fmt.Errorf("%w: pages from byte %d to %d of %d", ErrCorrupt, c.start, end, f.size)
	}
	rows, at := int64(0), c.start
	for at < end && rows < group.NumRows() {
		header, n, err := f.pageHeader(at, end)
		if err != nil {
			return err
		}
		next := at + n + int64(header.CompressedPageSize)
		if header.CompressedPageSize < 0 || header.UncompressedPageSize < 0 || next > end {
			return fmt.Errorf("%w: a page of %d bytes at byte %d, the chunk ends at %d", ErrCorrupt, header.CompressedPageSize, at, end)
		}
		values, pageRows, isData := pageValues(header)
		// Even where one value fills it, a page takes no more than a codec makes of its bytes.
		if int64(header.UncompressedPageSize) > maxRatio*int64(header.CompressedPageSize)+room/4 || values < 0 || values*8 > 2*f.size+room/4 {
			return fmt.Errorf("%w: a page of %d bytes that claims %d bytes, %d values", ErrCorrupt, header.CompressedPageSize, header.UncompressedPageSize, values)
		}
		if err := f.checkSnappy(c.codec, header, at+n); err != nil {
			return err
		}
		switch {
		case isData:
			if c.list == nil {
				c.data = at
			}
			c.list = append(c.list, pagePlace{at, header.UncompressedPageSize, rows})
			if !leaf.Repeated {
				rows += pageRows
			}
		case header.Type == format.DictionaryPage && c.list == nil:
		case header.Type == format.IndexPage:
		default:
			return fmt.Errorf("%w: a page of type %v at byte %d", ErrCorrupt, header.Type, at)
		}
		at = next
	}
	if !leaf.Repeated && rows != group.NumRows() {
		return fmt.Errorf("%w: pages of %d rows in a group of %d", ErrCorrupt, rows, group.NumRows())
	}
	return nil
}

// maxRatio is how much larger than its compressed form a page may be. Snappy makes 21 of it at most, pictures are
// compressed already, and what zstd or brotli make more of is one value again and again.
const maxRatio = 1024

// checkSnappy refuses a page at a byte whose block claims to become more than its header says: the decoder makes room for the
// claim, of up to 4 GiB, before it reads on.
func (f *File) checkSnappy(codec format.CompressionCodec, h *format.PageHeader, at int64) error {
	size := int64(h.CompressedPageSize)
	if v2 := h.DataPageHeaderV2.V; h.Type == format.DataPageV2 {
		levels := int64(v2.RepetitionLevelsByteLength) + int64(v2.DefinitionLevelsByteLength)
		if levels < 0 || levels > size || v2.IsCompressed.Valid && !v2.IsCompressed.V {
			return nil // what is wrong is for the decoder to say
		}
		at, size = at+levels, size-levels
	}
	if codec != format.Snappy || size == 0 {
		return nil
	}
	b := make([]byte, min(size, binary.MaxVarintLen64))
	if _, err := f.r.ReadAt(b, at); err != nil && err != io.EOF {
		return err
	}
	if claim, n := binary.Uvarint(b); n <= 0 || claim > uint64(h.UncompressedPageSize) {
		return fmt.Errorf("%w: a block at byte %d of %d bytes claims to become %d, its page %d", ErrCorrupt, at, size, claim, h.UncompressedPageSize)
	}
	return nil
}

// pageValues returns how many values and rows a page has, and whether it is one of data at all.
func pageValues(h *format.PageHeader) (values, rows int64, isData bool) {
	switch {
	case h.Type == format.DataPage && h.DataPageHeader.Valid:
		n := int64(h.DataPageHeader.V.NumValues)
		return n, n, true
	case h.Type == format.DataPageV2 && h.DataPageHeaderV2.Valid:
		n := h.DataPageHeaderV2.V
		return int64(n.NumValues), int64(n.NumRows), true
	case h.Type == format.DictionaryPage && h.DictionaryPageHeader.Valid:
		return int64(h.DictionaryPageHeader.V.NumValues), 0, false
	}
	return 0, 0, false
}

// pageHeader reads the header at a byte, and its length.
func (f *File) pageHeader(at, end int64) (*format.PageHeader, int64, error) {
	for window := int64(4 << 10); ; window *= 8 {
		window = min(window, end-at)
		b := make([]byte, window)
		if _, err := f.r.ReadAt(b, at); err != nil && err != io.EOF {
			return nil, 0, err
		}
		w := thriftWalk{b: b}
		err := w.structure(0)
		if errors.Is(err, errShort) && window < end-at && window < 1<<20 {
			continue // statistics may hold values
		}
		if err != nil {
			return nil, 0, err
		}
		if w.elements > 1000 {
			return nil, 0, fmt.Errorf("%w: a page's header has lists", ErrCorrupt)
		}
		header := new(format.PageHeader)
		if err := thrift.Unmarshal(new(thrift.CompactProtocol), b[:w.at], header); err != nil {
			return nil, 0, fmt.Errorf("%w: %w", ErrCorrupt, err)
		}
		return header, int64(w.at), nil
	}
}

// decode returns the values of a page, which belong to the caller.
func (f *File) decode(c *chunkPages, i int) (values []parquet.Value, err error) {
	err = guard(func() error {
		if err := f.checkRuns(c, i); err != nil {
			return err
		}
		// A reader of the chunk finds this page behind that of the dictionary.
		r := &splice{r: f.r, place: c.data, skip: c.list[i].offset - c.data}
		page, err := c.chunk.PagesFrom(r).ReadPage()
		switch {
		case r.err != nil:
			return r.err
		case err != nil:
			return fmt.Errorf("%w: %w", ErrCorrupt, err)
		}
		// The page is not released: its memory is what the values lie in.
		values = make([]parquet.Value, page.NumValues())
		n, err := page.Values().ReadValues(values)
		if n != len(values) || err != nil && err != io.EOF {
			return fmt.Errorf("%w: %d of a page's %d values: %w", ErrCorrupt, n, len(values), err)
		}
		return nil
	})
	return values, err
}

// splice reads what is before a place, and then goes on later.
type splice struct {
	r           io.ReaderAt
	place, skip int64
	err         error // of reading, but for the file's end
}

func (s *splice) ReadAt(p []byte, at int64) (n int, err error) {
	defer func() {
		if err != nil && err != io.EOF && s.err == nil {
			s.err = err
		}
	}()
	if at >= s.place {
		return s.r.ReadAt(p, at+s.skip)
	}
	head := p[:min(int64(len(p)), s.place-at)]
	n, err = s.r.ReadAt(head, at)
	if n < len(head) || len(head) == len(p) {
		return n, err
	}
	m, err := s.r.ReadAt(p[n:], s.place+s.skip)
	return n + m, err
}
