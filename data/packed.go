package data

import (
	"fmt"
	"io"
	"io/fs"
	"math"

	"github.com/bigtransfer/bit/imaging"
	"github.com/bigtransfer/bit/internal/spool"
)

// packed is the source of pictures that lie in files of many. An example's At is the index of its span.
type packed struct {
	files  []*packedFile
	spans  []span
	decode func(at int64, b []byte) (*imaging.Image, error) // makes a picture of the bytes of span at
}

// span is where the bytes of a picture lie.
type span struct {
	offset int64
	length int32
	file   int32
}

// packedFile is a file that is read at any place.
type packedFile struct {
	name string
	size int64
	fsys fs.FS       // where it is opened for every picture, so that a thousand shards are no thousand open files;
	held io.ReaderAt // or else what it was unpacked to
}

// openPacked opens a file for reading at any place. What cannot be read that way, as it is packed itself, is unpacked to
// a temporary file. unpack, if not nil, is applied to what the file holds first.
func openPacked(fsys fs.FS, name string, unpack func(io.Reader) (io.Reader, error)) (*packedFile, error) {
	f, err := fsys.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if info.IsDir() {
		return nil, fmt.Errorf("%s: expected a file, found a folder", name)
	}
	if _, ok := f.(io.ReaderAt); ok && unpack == nil {
		return &packedFile{name: name, size: info.Size(), fsys: fsys}, nil
	}
	var r io.Reader = f
	if unpack != nil {
		if r, err = unpack(f); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	held, size, err := spool.File(r)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return &packedFile{name: name, size: size, held: held}, nil
}

// with calls use with the open file.
func (f *packedFile) with(use func(io.ReaderAt) error) error {
	if f.held != nil {
		return use(f.held)
	}
	file, err := f.fsys.Open(f.name)
	if err != nil {
		return err
	}
	defer file.Close()
	r, ok := file.(io.ReaderAt)
	if !ok {
		return fmt.Errorf("%s can no longer be read at any place", f.name)
	}
	return use(r)
}

// read returns the bytes of a span, which were there when the file was listed.
func (f *packedFile) read(offset int64, length int) ([]byte, error) {
	b := make([]byte, length)
	err := f.with(func(r io.ReaderAt) error {
		n, err := r.ReadAt(b, offset)
		if n == length {
			return nil
		}
		if err == io.EOF || err == io.ErrUnexpectedEOF {
			return fmt.Errorf("%s ends within the %d bytes from %d on: it has changed since it was opened", f.name, length, offset)
		}
		return err
	})
	return b, err
}

// addFile adds a file and returns its number for spans.
func (p *packed) addFile(f *packedFile) int32 {
	p.files = append(p.files, f)
	return int32(len(p.files) - 1)
}

// add adds the bytes of a picture, which must lie within the file, and returns the At of its example.
func (p *packed) add(file int32, offset, length int64) (at int64, err error) {
	f := p.files[file]
	if offset < 0 || length < 0 || length > f.size-offset {
		return 0, fmt.Errorf("%s: a picture of %d bytes at %d, but the file has %d", f.name, length, offset, f.size)
	}
	if length > min(imaging.DefaultMaxBytes, math.MaxInt32) {
		return 0, fmt.Errorf("%s: a picture of %d bytes at %d, at most %d are read", f.name, length, offset, imaging.DefaultMaxBytes)
	}
	p.spans = append(p.spans, span{offset, int32(length), file})
	return int64(len(p.spans) - 1), nil
}

// Image is that of [Source].
func (p *packed) Image(e Example) (*imaging.Image, error) {
	if e.At < 0 || e.At >= int64(len(p.spans)) {
		return nil, fmt.Errorf("%s is not of this data set: its place is %d of %d", e.Path, e.At, len(p.spans))
	}
	s := p.spans[e.At]
	b, err := p.files[s.file].read(s.offset, int(s.length))
	if err != nil {
		return nil, err
	}
	im, err := p.decode(e.At, b)
	if err != nil {
		return nil, &BrokenError{err}
	}
	return im, nil
}

// decodeFile is the decode of pictures that are the content of image files.
func decodeFile(_ int64, b []byte) (*imaging.Image, error) { return imaging.Decode(b) }

// decodePlanes is the decode of pictures that are height x width bytes of red, as many of green and as many of blue.
func decodePlanes(width, height int) func(int64, []byte) (*imaging.Image, error) {
	return func(_ int64, b []byte) (*imaging.Image, error) {
		im := imaging.NewImage(width, height)
		plane := width * height
		for c := range 3 {
			for i, v := range b[c*plane : (c+1)*plane] {
				im.Pix[3*i+c] = v
			}
		}
		return im, nil
	}
}

// pixels makes a picture of height x width x channels bytes, channels being 1 for gray or 3 for RGB.
func pixels(width, height, channels int, b []byte) *imaging.Image {
	im := imaging.NewImage(width, height)
	if channels == 3 {
		copy(im.Pix, b)
		return im
	}
	for i, v := range b[:width*height] {
		im.Pix[3*i], im.Pix[3*i+1], im.Pix[3*i+2] = v, v, v
	}
	return im
}
