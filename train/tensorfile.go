package train

import (
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/bigtransfer/bit/internal/safetensors"
	"github.com/bigtransfer/bit/tensor"
)

// A checkpoint is a safetensors file of float32 values, so that other programs can look into it, with a digest, so
// that no changed bit goes unseen.

// tensorRef is one tensor of a file: where its values come from or go to.
type tensorRef struct {
	name   string
	shape  []int
	values []float32
}

// writeTensors writes a checkpoint.
func writeTensors(w io.Writer, meta map[string]string, tensors []tensorRef) error {
	sources := make([]safetensors.Source, len(tensors))
	for i, t := range tensors {
		sources[i] = safetensors.Source{Name: t.name, DType: safetensors.F32, Shape: t.shape, Values: safetensors.Whole(t.values)}
	}
	return safetensors.WriteDigest(w, meta, sources)
}

// openTensors reads the header of a checkpoint and checks the digest of the whole file.
func openTensors(src io.ReaderAt, size int64) (*safetensors.Reader, error) {
	f, err := safetensors.NewReader(src, size)
	if err == nil {
		err = f.CheckDigest()
	}
	if errors.Is(err, safetensors.ErrFormat) {
		err = fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	return f, err
}

// readTensors fills the given tensors, which must be exactly those of the file, once their names and shapes are all
// checked.
func readTensors(f *safetensors.Reader, tensors []tensorRef) error {
	byName := make(map[string]*safetensors.Tensor, len(f.Tensors))
	for i := range f.Tensors {
		byName[f.Tensors[i].Name] = &f.Tensors[i]
	}
	for _, t := range tensors {
		e := byName[t.name]
		if e == nil {
			return fmt.Errorf("no tensor %q, expected one of shape %s", t.name, tensor.FormatShape(t.shape))
		}
		if e.DType != safetensors.F32 || !slices.Equal(e.Shape, t.shape) {
			return fmt.Errorf("tensor %q is %s %s, expected F32 %s", t.name, e.DType, tensor.FormatShape(e.Shape), tensor.FormatShape(t.shape))
		}
	}
	if len(tensors) != len(f.Tensors) {
		return fmt.Errorf("%d tensors, expected %d", len(f.Tensors), len(tensors))
	}
	for _, t := range tensors {
		if err := safetensors.NewDecoder(byName[t.name].Open(), safetensors.F32).Decode(t.values); err != nil {
			return fmt.Errorf("tensor %q: %w", t.name, err)
		}
	}
	return nil
}
