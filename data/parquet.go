package data

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"

	"github.com/parquet-go/parquet-go"

	"github.com/bigtransfer/bit/imaging"
	"github.com/bigtransfer/bit/internal/parquetfile"
)

const parquetExt = ".parquet"

func isParquet(_ string, head []byte) bool {
	return strings.HasPrefix(string(head), parquetfile.Magic)
}

// parquetReader reads parts of a Parquet file.
type parquetReader struct{ *packedFile }

// ReadAt implements [io.ReaderAt].
func (r parquetReader) ReadAt(p []byte, at int64) (n int, err error) {
	err = r.with(func(f io.ReaderAt) error {
		n, err = f.ReadAt(p, at)
		return err
	})
	if n < len(p) && err == io.EOF && at+int64(len(p)) <= r.size {
		err = fmt.Errorf("%s ends within the %d bytes from %d on: it has changed since it was opened", r.name, len(p), at)
	}
	return n, err
}

// parquetShard is a Parquet file with a row for each picture.
type parquetShard struct {
	name        string
	file        *parquetfile.File
	features    features
	bytes, path *parquetfile.Leaf // of the picture; path may be nil
}

func (l *lister) openParquet(name string, cache *parquetfile.Cache) (*parquetfile.File, error) {
	f, err := openPacked(l.fsys, name, nil)
	if err != nil {
		return nil, err
	}
	return parquetfile.Open(parquetReader{f}, f.size, cache)
}

// openShard opens a file, whose pictures are in a column of bytes or in a group of bytes and path, as Python's datasets
// writes them. It is a [*noPicturesError] if there is none.
func (l *lister) openShard(name string, cache *parquetfile.Cache) (*parquetShard, error) {
	file, err := l.openParquet(name, cache)
	if err != nil {
		return nil, err
	}
	s := &parquetShard{name: name, file: file}
	if s.features, err = readFeatures(file); err != nil {
		return nil, err
	}
	leaves := file.Leaves()
	binary := func(column string) *parquetfile.Leaf { // of that name, or of its group
		for i, leaf := range leaves {
			if leaf.Kind == parquet.ByteArray && !leaf.Text && !leaf.Repeated && strings.EqualFold(leaf.Path[0], column) &&
				(len(leaf.Path) == 1 || len(leaf.Path) == 2 && leaf.Path[1] == "bytes") {
				return &leaves[i]
			}
		}
		return nil
	}
	wanted := []string{l.opener.FileColumn}
	if l.opener.FileColumn == "" {
		wanted = append(s.features.images, fileColumns...)
		for _, leaf := range leaves { // then any
			wanted = append(wanted, leaf.Path[0])
		}
	}
	for _, column := range wanted {
		if s.bytes = binary(column); s.bytes != nil {
			break
		}
	}
	if s.bytes == nil {
		return nil, &noPicturesError{columnNames(leaves)}
	}
	for i, leaf := range leaves {
		if len(leaf.Path) == 2 && leaf.Path[0] == s.bytes.Path[0] && leaf.Path[1] == "path" && leaf.Text {
			s.path = &leaves[i]
		}
	}
	return s, nil
}

// noPicturesError says that a Parquet file has no column of pictures.
type noPicturesError struct{ columns []string }

func (e *noPicturesError) Error() string {
	return "no column holds pictures, expected bytes, or a group of bytes and path; its columns are: " + strings.Join(e.columns, ", ")
}

func columnNames(leaves []parquetfile.Leaf) []string {
	names := make([]string, len(leaves))
	for i, leaf := range leaves {
		names[i] = leaf.Name()
	}
	return names
}

// parquetPictures is the source of pictures that are rows of Parquet files. Example.At is the number of the file times
// rowsPerFile plus the row.
type parquetPictures struct {
	shards []*parquetShard
	beside Source // of those that are only named
}

const rowsPerFile = 1 << 40

// Image is that of [Source].
func (p *parquetPictures) Image(e Example) (*imaging.Image, error) {
	s, row := p.shards[e.At/rowsPerFile], e.At%rowsPerFile
	b, err := s.file.Bytes(*s.bytes, row)
	if errors.Is(err, parquetfile.ErrCorrupt) {
		return nil, &BrokenError{err}
	}
	if err != nil {
		return nil, err
	}
	if b == nil {
		return p.named(s, row)
	}
	img, err := imaging.Decode(b)
	if err != nil {
		return nil, &BrokenError{err}
	}
	return img, nil
}

// named returns a picture of which a row has no bytes, and perhaps a path.
func (p *parquetPictures) named(s *parquetShard, row int64) (*imaging.Image, error) {
	if s.path == nil {
		return nil, &BrokenError{errors.New("no picture: the value is null")}
	}
	name, err := s.file.Bytes(*s.path, row)
	if err != nil {
		return nil, err
	}
	at := path.Join(path.Dir(s.name), string(name))
	if name == nil || p.beside == nil || !fs.ValidPath(at) {
		return nil, &BrokenError{fmt.Errorf("no picture: the value has no bytes, and the path %q", name)}
	}
	img, err := p.beside.Image(Example{Path: at})
	if errors.Is(err, fs.ErrNotExist) {
		err = &BrokenError{err}
	}
	return img, err
}
