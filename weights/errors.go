package weights

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/bigtransfer/bit/internal/safetensors"
)

// What can be wrong with one tensor of a checkpoint. A [TensorError] unwraps to one of these.
var (
	ErrMissing    = errors.New("missing tensor")
	ErrUnexpected = errors.New("unexpected tensor")
	ErrDuplicate  = safetensors.ErrDuplicate // there more than once
	ErrShape      = errors.New("wrong shape")
	ErrDType      = safetensors.ErrDType // unsupported element type
	ErrOrder      = errors.New("stored column by column (Fortran order)")
	ErrTruncated  = safetensors.ErrTruncated
	ErrOffsets    = safetensors.ErrOffsets // wrong place or size in the file
	ErrOverlap    = safetensors.ErrOverlap
	ErrHole       = safetensors.ErrHole // unused bytes between tensors
	ErrNotFinite  = safetensors.ErrNotFinite
	ErrCorrupt    = errors.New("corrupt tensor data")
)

// ErrFormat means that a path is no checkpoint of a format this package reads.
var ErrFormat = errors.New("not a BiT checkpoint")

// ErrUnsupported means that a checkpoint describes a network that differs from BiT in a way this module does not compute.
var ErrUnsupported = errors.New("unsupported network")

// TensorError reports one bad tensor of a checkpoint: which, why, and the shapes expected and found.
type TensorError struct {
	File    string // where the tensor was looked for
	Name    string // as the file spells it
	Problem error  // one of the errors above
	Want    []int  // expected shape in the file's own layout, -1 for an axis of any length; nil if no such tensor is expected
	Got     []int  // shape found; nil if the tensor is not there
	Detail  string // the rest of the story: positions, element type, index of the value
}

func (e *TensorError) Error() string {
	var b strings.Builder
	if e.File != "" {
		b.WriteString(e.File + ": ")
	}
	switch e.Problem {
	case ErrMissing, ErrUnexpected:
		fmt.Fprintf(&b, "%v %q", e.Problem, e.Name)
	default:
		fmt.Fprintf(&b, "tensor %q: %v", e.Name, e.Problem)
	}
	if e.Want != nil || e.Got != nil {
		fmt.Fprintf(&b, ": expected %s, found %s", formatShape(e.Want), formatShape(e.Got))
	}
	if e.Detail != "" {
		b.WriteString(" (" + e.Detail + ")")
	}
	return b.String()
}

// Unwrap returns the problem, for errors.Is.
func (e *TensorError) Unwrap() error { return e.Problem }

// tensorError says the same of a tensor as the package that reads and writes safetensors files, or nil for nil.
func tensorError(f *safetensors.Fault) *TensorError {
	if f == nil {
		return nil
	}
	return &TensorError{Name: f.Name, Problem: f.Problem, Got: f.Shape, Detail: f.Detail}
}

// formatShape renders (7, 7, any, 64) and, for a tensor that is not there, "none".
func formatShape(shape []int) string {
	if shape == nil {
		return "none"
	}
	parts := make([]string, len(shape))
	for i, d := range shape {
		parts[i] = strconv.Itoa(d)
		if d == anyLen {
			parts[i] = "any"
		}
	}
	return "(" + strings.Join(parts, ", ") + ")"
}

// anyLen stands for an axis of a TensorError.Want whose length the rest of the file does not determine.
const anyLen = -1
