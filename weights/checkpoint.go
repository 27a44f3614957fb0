package weights

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/bigtransfer/bit/resnet"
	"github.com/bigtransfer/bit/tensor"
)

// entry is one tensor of a checkpoint file, described but not yet read. Every reader turns its format into entries;
// what follows is the same for all.
type entry struct {
	file    string // that it is in, if that is not the checkpoint itself but one of several
	name    string // as the file spells it
	key     string // name as the naming table spells it
	shape   []int  // nil if it could not be read, then there is a problem
	dtype   DType
	problem *TensorError // what is wrong with how it is stored, or nil
	claimed bool         // the size of the data is a bold claim that only reading proves
	open    func() (io.ReadCloser, error)
}

// in returns the file that an entry of the given checkpoint is in.
func (e *entry) in(checkpoint string) string { return cmp.Or(e.file, checkpoint) }

// load checks that a checkpoint holds exactly the tensors of a network and, with values, reads them into their canonical
// layout. The head of one that has none is all zeros. Nothing is read before every name, shape, type and position is
// right. entries are in file order.
func load(file string, n naming, cfg resnet.Config, entries []entry, values bool) (map[string]*tensor.Tensor, error) {
	fail := func(e *entry, te *TensorError, want []int) error {
		te.File, te.Name, te.Want, te.Got = e.in(file), e.name, want, e.shape
		return te
	}
	byKey := make(map[string]*entry, len(entries))
	for i := range entries {
		e := &entries[i]
		if first := byKey[e.key]; first != nil {
			return nil, fail(e, &TensorError{Problem: ErrDuplicate, Detail: fmt.Sprintf("also as %q", first.name)}, nil)
		}
		byKey[e.key] = e
	}
	params := n.params(cfg)
	tensors := make(map[string]*tensor.Tensor, len(params))
	if n.headless(entries) {
		params = slices.DeleteFunc(params, func(p param) bool {
			head := p.Name == resnet.HeadKernel || p.Name == resnet.HeadBias
			if head {
				tensors[p.Name] = &tensor.Tensor{Shape: p.Shape, Data: make([]float32, tensor.Len(p.Shape))}
			}
			return head
		})
	}
	expected := make(map[string]param, len(params))
	for _, p := range params {
		expected[p.file] = p
		switch e := byKey[p.file]; {
		case e == nil:
			return nil, &TensorError{File: file, Name: p.file, Problem: ErrMissing, Want: p.stored}
		case e.shape == nil:
			return nil, fail(e, e.problem, p.stored)
		case !slices.Equal(e.shape, p.stored):
			return nil, fail(e, &TensorError{Problem: ErrShape}, p.stored)
		}
	}
	for i := range entries {
		e := &entries[i]
		if _, ok := expected[e.key]; !ok {
			return nil, fail(e, &TensorError{Problem: ErrUnexpected}, nil)
		}
	}
	for i := range entries { // the first in the file: its fault may be the cause of the next
		if e := &entries[i]; e.problem != nil {
			return nil, fail(e, e.problem, expected[e.key].stored)
		}
	}
	if !values {
		return nil, nil
	}
	for i := range entries { // in file order, so that a disk reads forward
		e := &entries[i]
		p := expected[e.key]
		values, err := e.read(p, n.oihw)
		if err != nil {
			var te *TensorError
			if !errors.As(err, &te) {
				te = &TensorError{Problem: ErrCorrupt, Detail: err.Error()}
				if errors.Is(err, io.ErrUnexpectedEOF) {
					te.Problem = ErrTruncated
				}
			}
			return nil, fail(e, te, p.stored)
		}
		tensors[p.Name] = &tensor.Tensor{Shape: p.Shape, Data: values}
	}
	return tensors, nil
}

func (e *entry) read(p param, oihw bool) ([]float32, error) {
	r, err := e.open()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	values, err := readTensor(r, e.dtype, p, oihw, e.claimed)
	if err != nil {
		return nil, err
	}
	// One more byte must not be there; asking for it also makes archive/zip compare the checksum.
	var one [1]byte
	switch n, err := io.ReadFull(r, one[:]); {
	case n > 0:
		return nil, &TensorError{Problem: ErrOffsets, Detail: "more data than the shape needs"}
	case !errors.Is(err, io.EOF):
		return nil, err
	}
	return values, nil
}
