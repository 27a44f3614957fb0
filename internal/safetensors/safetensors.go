// Package safetensors reads and writes safetensors files, strictly and without a second copy of any tensor.
//
// A file is 8 bytes of little-endian header length, that many bytes of JSON, then the values of all tensors back to
// back (https://github.com/huggingface/safetensors#format):
//
//	{"__metadata__":{"format":"pt"},"head/bias":{"dtype":"F32","shape":[10],"data_offsets":[0,40]}}
//
// A reader accepts a file only if its tensors fill it without overlap, hole or remainder, every key is there once, and
// no key is unknown. A writer gives the same bytes for the same input.
//
// A file may hold a digest, which the format itself knows nothing of: metadata "sha256" is the SHA-256, in hexadecimal,
// of everything after the length, with the digest itself taken as 64 zeros. So no changed bit goes unseen, and every
// other program still reads the file.
package safetensors

import (
	"crypto/sha256"
	"errors"
	"strconv"
	"strings"

	"github.com/bigtransfer/bit/internal/strictjson"
	"github.com/bigtransfer/bit/tensor"
)

// What can be wrong with one tensor. A [Fault] unwraps to one of these.
var (
	ErrDType     = errors.New("unsupported element type")
	ErrTruncated = errors.New("truncated tensor")
	ErrOffsets   = errors.New("wrong place or size in the file")
	ErrOverlap   = errors.New("overlapping tensors")
	ErrHole      = errors.New("unused bytes between tensors")
	ErrNotFinite = errors.New("value is not finite")
)

// ErrFormat is wrapped by every error that says what is wrong with a file, as against one that says why it could not
// be read.
var ErrFormat = errors.New("not a sound safetensors file")

// ErrDuplicate is wrapped, with ErrFormat, by the error of a header that has a key twice.
var ErrDuplicate = strictjson.ErrDuplicate

// Fault says what is wrong with one tensor of a file.
type Fault struct {
	Name    string
	Problem error // one of the errors above
	Shape   []int // as the header gives it
	Detail  string
}

func (f *Fault) Error() string {
	var b strings.Builder
	b.WriteString("tensor " + strconv.Quote(f.Name))
	if f.Shape != nil {
		b.WriteString(" " + tensor.FormatShape(f.Shape))
	}
	b.WriteString(": " + f.Problem.Error())
	if f.Detail != "" {
		b.WriteString(" (" + f.Detail + ")")
	}
	return b.String()
}

// Unwrap returns the problem, for errors.Is.
func (f *Fault) Unwrap() error { return f.Problem }

const (
	metadataKey = "__metadata__"
	digestKey   = "sha256"
	// maxHeader is the bound of the reference implementation (safetensors/src/tensor.rs, MAX_HEADER_SIZE).
	maxHeader = 100_000_000
)

// noDigest stands for the digest while it is computed.
var noDigest = strings.Repeat("0", 2*sha256.Size)
