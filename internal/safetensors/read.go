package safetensors

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"

	"github.com/bigtransfer/bit/internal/strictjson"
	"github.com/bigtransfer/bit/tensor"
)

// Tensor is one tensor of a file: its header entry and what is wrong with it.
type Tensor struct {
	Name  string
	DType DType
	Shape []int  // never nil
	Fault *Fault // of its type, size or place; nil: none
	// Its bytes, counted from the end of the header.
	from, to int64
	data     io.ReaderAt
}

// Open returns a reader of the tensor's bytes, for a [Decoder]. The tensor must have no fault.
func (t *Tensor) Open() io.Reader { return io.NewSectionReader(t.data, t.from, t.to-t.from) }

// Reader is a file whose header is read.
type Reader struct {
	Metadata map[string]string // nil if there is none
	Tensors  []Tensor          // in the order of their places
	header   []byte
	data     *io.SectionReader // the bytes after the header
}

// NewReader reads the header of a file of the given size and checks the type, size and place of every tensor. What
// concerns one tensor is left in its Fault: a caller that knows which tensors to expect may have more to say about it;
// one that does not calls [Reader.Check].
func NewReader(r io.ReaderAt, size int64) (*Reader, error) {
	if size < 8 {
		return nil, fmt.Errorf("%w: %d bytes, it begins with 8 bytes of header length", ErrFormat, size)
	}
	var prefix [8]byte
	if err := readAt(r, prefix[:], 0); err != nil {
		return nil, err
	}
	n := binary.LittleEndian.Uint64(prefix[:])
	if n > maxHeader || int64(n) > size-8 {
		return nil, fmt.Errorf("%w: header of %d bytes in a file of %d, want at most %d", ErrFormat, n, size, min(maxHeader, size-8))
	}
	f := &Reader{header: make([]byte, n), data: io.NewSectionReader(r, 8+int64(n), size-8-int64(n))}
	if err := readAt(r, f.header, 8); err != nil {
		return nil, err
	}
	if err := f.parse(); err != nil {
		return nil, fmt.Errorf("%w: header: %w", ErrFormat, err)
	}
	if err := f.place(f.data.Size()); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	return f, nil
}

// readAt fills p. A file that has become shorter than it was said to be is not sound.
func readAt(r io.ReaderAt, p []byte, at int64) error {
	n, err := r.ReadAt(p, at)
	if n == len(p) {
		return nil
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("%w: it ends within the header", ErrFormat)
	}
	return err
}

func (f *Reader) parse() error {
	if len(f.header) == 0 || f.header[0] != '{' {
		return fmt.Errorf("starts with %.10q, want '{'", f.header)
	}
	if err := strictjson.CheckKeys(f.header); err != nil {
		return err
	}
	var entries map[string]json.RawMessage
	if err := json.Unmarshal(f.header, &entries); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(entries)) {
		if name == metadataKey {
			if err := json.Unmarshal(entries[name], &f.Metadata); err != nil {
				return fmt.Errorf("%s: %w", metadataKey, err)
			}
			continue
		}
		t := Tensor{Name: name, data: f.data}
		if err := t.parse(entries[name]); err != nil {
			return fmt.Errorf("tensor %q: %w", name, err)
		}
		f.Tensors = append(f.Tensors, t)
	}
	slices.SortFunc(f.Tensors, func(a, b Tensor) int {
		return cmp.Or(cmp.Compare(a.from, b.from), cmp.Compare(a.to, b.to), cmp.Compare(a.Name, b.Name))
	})
	return nil
}

// parse reads {"dtype":"F32","shape":[64,3,7,7],"data_offsets":[0,37632]}. Go's JSON decoder would take "DTYPE" for
// "dtype", hence the map.
func (t *Tensor) parse(entry json.RawMessage) error {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(entry, &fields); err != nil {
		return err
	}
	var offsets []int64
	for _, f := range []struct {
		key   string
		value any
	}{{"dtype", &t.DType}, {"shape", &t.Shape}, {"data_offsets", &offsets}} {
		text, ok := fields[f.key]
		if !ok || string(text) == "null" {
			return fmt.Errorf("no %q", f.key)
		}
		if err := json.Unmarshal(text, f.value); err != nil {
			return fmt.Errorf("%s: %w", f.key, err)
		}
		delete(fields, f.key)
	}
	for key := range fields {
		return fmt.Errorf("unknown field %q", key)
	}
	if len(offsets) != 2 {
		return fmt.Errorf("data_offsets: %d numbers, want 2", len(offsets))
	}
	t.from, t.to = offsets[0], offsets[1]
	return nil
}

// place finds the fault of each tensor in size bytes of data. It returns an error only for what is the fault of no
// tensor: bytes after the last one.
func (f *Reader) place(size int64) error {
	end, previous := int64(0), ""
	for i := range f.Tensors {
		t := &f.Tensors[i]
		bad := func(problem error, format string, args ...any) {
			if t.Fault == nil {
				t.Fault = &Fault{Name: t.Name, Problem: problem, Shape: t.Shape, Detail: fmt.Sprintf(format, args...)}
			}
		}
		n, ok := tensor.CheckedLen(t.Shape)
		want := int64(n) * int64(t.DType.Size())
		switch {
		case t.from < 0 || t.to < t.from:
			bad(ErrOffsets, "bytes %d to %d", t.from, t.to)
			continue
		case !ok || n > math.MaxInt/4:
			bad(ErrOffsets, "bytes %d to %d cannot hold that shape", t.from, t.to)
		case t.DType.Size() == 0:
			bad(ErrDType, "%s, want F64, F32, F16 or BF16", t.DType)
		case t.to > size:
			bad(ErrTruncated, "bytes %d to %d, the file has %d bytes of data", t.from, t.to, size)
		case t.to-t.from != want:
			bad(ErrOffsets, "bytes %d to %d are %d, the shape needs %d of %s", t.from, t.to, t.to-t.from, want, t.DType)
		}
		switch {
		case t.from < end:
			bad(ErrOverlap, "begins at byte %d, inside %q, which ends at %d", t.from, previous, end)
		case t.from > end:
			bad(ErrHole, "begins at byte %d, the data before it ends at %d", t.from, end)
		}
		if t.to > end {
			end, previous = t.to, t.Name
		}
	}
	if end < size && f.fault() == nil {
		return fmt.Errorf("%d bytes of data, the tensors of the header end after %d", size, end)
	}
	return nil
}

// fault returns the first fault in the order of places, which may be the cause of the next, or nil.
func (f *Reader) fault() *Fault {
	for _, t := range f.Tensors {
		if t.Fault != nil {
			return t.Fault
		}
	}
	return nil
}

// Check reports the first tensor that has a fault, as an error that wraps ErrFormat and the [Fault].
func (f *Reader) Check() error {
	if fault := f.fault(); fault != nil {
		return fmt.Errorf("%w: %w", ErrFormat, fault)
	}
	return nil
}

// CheckDigest is [Reader.Check], and reads the whole file to compare it with its digest, which must be there.
func (f *Reader) CheckDigest() error {
	if err := f.Check(); err != nil {
		return err
	}
	digest := f.Metadata[digestKey]
	if len(digest) != len(noDigest) {
		return fmt.Errorf("%w: no %s in the metadata", ErrFormat, digestKey)
	}
	h := sha256.New()
	h.Write(bytes.Replace(f.header, []byte(digest), []byte(noDigest), 1))
	n, err := io.Copy(h, io.NewSectionReader(f.data, 0, f.data.Size()))
	if err != nil {
		return err
	}
	if n != f.data.Size() {
		return fmt.Errorf("%w: it ends after %d of %d bytes of data", ErrFormat, n, f.data.Size())
	}
	if got := hex.EncodeToString(h.Sum(nil)); got != digest {
		return fmt.Errorf("%w: %s is %s, expected %s", ErrFormat, digestKey, got, digest)
	}
	return nil
}
