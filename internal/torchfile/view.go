package torchfile

import (
	"fmt"
	"io"

	"github.com/bigtransfer/bit/tensor"
)

// view is a tensor's part of a storage, in elements.
type view struct {
	storage        *storage
	offset         int64
	shape, strides []int
}

// open returns a reader of a view that has passed check.
func (v *view) open() (io.ReadCloser, error) {
	s := v.storage
	n, size := tensor.Len(v.shape), s.dtype.Size()
	if v.rowMajor() && n == s.elements {
		return s.member.Open() // with its checksum
	}
	if err := s.verify(); err != nil {
		return nil, err
	}
	if v.rowMajor() {
		return io.NopCloser(io.NewSectionReader(s.file, s.from+v.offset*int64(size), int64(n)*int64(size))), nil
	}
	last := v.offset
	for i, stride := range v.strides {
		last += int64(v.shape[i]-1) * int64(stride)
	}
	r := &gatherer{view: v, left: n, index: make([]int, len(v.shape)), element: make([]byte, size)}
	if span := last - v.offset + 1; span <= 2*int64(n) { // a permutation, mostly: in memory while it is put in order
		r.span = make([]byte, span*int64(size))
		if _, err := s.file.ReadAt(r.span, s.from+v.offset*int64(size)); err != nil {
			return nil, err
		}
	}
	return io.NopCloser(r), nil
}

// rowMajor reports that the elements lie one after the other. The stride of an axis of length 1 does not matter.
func (v *view) rowMajor() bool {
	next := 1
	for i := len(v.shape) - 1; i >= 0; i-- {
		if v.shape[i] > 1 && v.strides[i] != next {
			return tensor.Len(v.shape) == 0
		}
		next *= v.shape[i]
	}
	return true
}

// verify reads a storage once, to compare its checksum, before parts of it are read.
func (s *storage) verify() error {
	if s.verified {
		return nil
	}
	r, err := s.member.Open()
	if err != nil {
		return err
	}
	defer r.Close()
	if _, err := io.Copy(io.Discard, r); err != nil {
		return fmt.Errorf("member %q: %w", s.member.Name, err)
	}
	s.verified = true
	return nil
}

// gatherer reads the elements of a view row by row, wherever they lie.
type gatherer struct {
	view    *view
	span    []byte // of the storage, from the first element to the last; nil: elements are read one by one
	index   []int  // of the next element
	at      int64  // of it, from the first, in elements
	left    int    // elements
	element []byte // the last one
	pending []byte // what is still to be given of it
}

func (g *gatherer) Read(p []byte) (int, error) {
	n := 0
	for n < len(p) {
		if len(g.pending) == 0 {
			if g.left == 0 {
				break
			}
			if err := g.next(); err != nil {
				return n, err
			}
		}
		k := copy(p[n:], g.pending)
		n, g.pending = n+k, g.pending[k:]
	}
	if n == 0 && len(p) > 0 {
		return 0, io.EOF
	}
	return n, nil
}

// next makes the next element the pending one.
func (g *gatherer) next() error {
	size := len(g.element)
	if g.span != nil {
		copy(g.element, g.span[g.at*int64(size):])
	} else if _, err := g.view.storage.file.ReadAt(g.element, g.view.storage.from+(g.view.offset+g.at)*int64(size)); err != nil {
		return err
	}
	g.pending = g.element
	g.left--
	for i := len(g.index) - 1; i >= 0; i-- { // count up
		stride := int64(g.view.strides[i])
		if g.index[i]++; g.index[i] < g.view.shape[i] {
			g.at += stride
			break
		}
		g.at -= stride * int64(g.index[i]-1)
		g.index[i] = 0
	}
	return nil
}
