package weights

import (
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
	name    string // as the file spells it
	key     string // name as the naming table spells it
	shape   []int  // nil if it could not be read, then there is a problem
	dtype   DType
	problem *TensorError // what is wrong with how it is stored, or nil
	claimed bool         // the size of the data is a bold claim that only reading proves
	open    func() (io.ReadCloser, error)
}

// load checks that a file holds exactly the tensors of a network, and reads them into their canonical layout.
// Nothing is read before every name, shape, type and position is right. entries are in file order.
func load(file string, n naming, cfg resnet.Config, entries []entry) (map[string]*tensor.Tensor, error) {
	fail := func(e *TensorError, name string, want, got []int) error {
		e.File, e.Name, e.Want, e.Got = file, name, want, got
		return e
	}
	byKey := make(map[string]*entry, len(entries))
	for i := range entries {
		e := &entries[i]
		if first := byKey[e.key]; first != nil {
			return nil, fail(&TensorError{Problem: ErrDuplicate, Detail: fmt.Sprintf("also as %q", first.name)}, e.name, nil, e.shape)
		}
		byKey[e.key] = e
	}
	params := n.params(cfg)
	expected := make(map[string]param, len(params))
	for _, p := range params {
		expected[p.file] = p
		switch e := byKey[p.file]; {
		case e == nil:
			return nil, fail(&TensorError{Problem: ErrMissing}, p.file, p.stored, nil)
		case e.shape == nil:
			return nil, fail(e.problem, e.name, p.stored, nil)
		case !slices.Equal(e.shape, p.stored):
			return nil, fail(&TensorError{Problem: ErrShape}, e.name, p.stored, e.shape)
		}
	}
	for _, e := range entries {
		if _, ok := expected[e.key]; !ok {
			return nil, fail(&TensorError{Problem: ErrUnexpected}, e.name, nil, e.shape)
		}
	}
	for _, e := range entries { // the first in the file: its fault may be the cause of the next
		if e.problem != nil {
			return nil, fail(e.problem, e.name, expected[e.key].stored, e.shape)
		}
	}
	tensors := make(map[string]*tensor.Tensor, len(params))
	for _, e := range entries { // in file order, so that a disk reads forward
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
			return nil, fail(te, e.name, p.stored, e.shape)
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
