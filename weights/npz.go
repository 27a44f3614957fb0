package weights

import (
	"archive/zip"
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strings"

	"github.com/bigtransfer/bit/internal/safetensors"
	"github.com/bigtransfer/bit/resnet"
)

// Array is an array of a reference file with the type it has there: exactly one of the three value slices is set.
// Values are row-major.
type Array struct {
	Shape   []int
	Float32 []float32 // of float32, float16 and bfloat16
	Float64 []float64
	Int64   []int64 // of every integer type that fits
}

// Float64s returns the values as float64, whatever their type.
func (a Array) Float64s() []float64 {
	switch {
	case a.Float32 != nil:
		return widen(a.Float32)
	case a.Int64 != nil:
		return widen(a.Int64)
	default:
		return slices.Clone(a.Float64)
	}
}

func widen[T float32 | int64](xs []T) []float64 {
	ys := make([]float64, len(xs))
	for i, x := range xs {
		ys[i] = float64(x)
	}
	return ys
}

// ReadNpz reads every array of an .npz file, keyed by name without ".npy". It is meant for reference inputs and
// outputs rather than for weights: any name, shape and value (NaN too) passes.
func ReadNpz(path string) (map[string]Array, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	members, err := npzMembers(f, st.Size())
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	arrays := make(map[string]Array, len(members))
	for _, m := range members {
		if m.problem == nil && arrays[m.name].Shape != nil {
			m.problem = &TensorError{Name: m.name, Problem: ErrDuplicate, Got: m.header.shape}
		}
		if m.problem != nil {
			m.problem.File = path
			return nil, m.problem
		}
		if arrays[m.name], err = m.array(); err != nil {
			return nil, fmt.Errorf("%s: array %q of shape %s: %w", path, m.name, formatShape(m.header.shape), err)
		}
	}
	return arrays, nil
}

// npzMember is one array of an .npz archive: its header and where to read its data.
type npzMember struct {
	name    string // without ".npy"
	zip     *zip.File
	header  npyHeader
	problem *TensorError // the first thing wrong with how it is stored, or nil
}

// npzMembers lists the arrays of an archive in file order. Each is checked against the file before any data is read:
// inside it, apart from the others, and of the size that its shape needs. So only a compressed member can stand for
// more data than the file holds, and its data is not given memory before it has been unpacked.
func npzMembers(r io.ReaderAt, size int64) ([]npzMember, error) {
	z, err := zip.NewReader(r, size)
	if err != nil {
		if cut := cutMember(r, size); cut != nil {
			return nil, cut
		}
		return nil, fmt.Errorf("cannot read the zip directory at the end of the file: %w", err)
	}
	type span struct {
		from, to int64
		member   int
	}
	var members []npzMember
	var spans []span
	for _, f := range z.File {
		name, ok := strings.CutSuffix(f.Name, ".npy")
		if !ok {
			return nil, fmt.Errorf("member %q is no array, want a name that ends in .npy", f.Name)
		}
		m := npzMember{name: name, zip: f}
		bad := func(problem error, format string, args ...any) {
			m.problem = &TensorError{Problem: problem, Got: m.header.shape, Detail: fmt.Sprintf(format, args...)}
		}
		from, err := f.DataOffset()
		if err != nil {
			bad(ErrOffsets, "local zip header: %v", err)
		} else if f.CompressedSize64 > uint64(size) || from > size-int64(f.CompressedSize64) {
			bad(ErrTruncated, "%d bytes at %d, the file has %d", f.CompressedSize64, from, size)
		} else if m.header, err = readMemberHeader(f); err != nil {
			bad(ErrCorrupt, "%v", err)
		} else if f.Method == zip.Store && f.CompressedSize64 != f.UncompressedSize64 {
			bad(ErrOffsets, "stored in %d bytes but said to unpack to %d", f.CompressedSize64, f.UncompressedSize64)
		} else {
			m.problem = m.header.check(f.UncompressedSize64)
			spans = append(spans, span{from, from + int64(f.CompressedSize64), len(members)})
		}
		if m.problem != nil {
			m.problem.Name = name
		}
		members = append(members, m)
	}
	slices.SortFunc(spans, func(a, b span) int { return cmp.Or(cmp.Compare(a.from, b.from), cmp.Compare(a.to, b.to)) })
	for i := 1; i < len(spans); i++ {
		a, b := spans[i-1], spans[i]
		if m := &members[b.member]; a.to > b.from && m.problem == nil {
			m.problem = &TensorError{Name: m.name, Problem: ErrOverlap, Got: m.header.shape,
				Detail: fmt.Sprintf("begins at %d, inside %q, which ends at %d", b.from, members[a.member].name, a.to)}
		}
	}
	return members, nil
}

func readMemberHeader(f *zip.File) (npyHeader, error) {
	r, err := f.Open()
	if err != nil {
		return npyHeader{}, err
	}
	defer r.Close()
	return readNpyHeader(r)
}

// open returns a reader of the data, past the header.
func (m npzMember) open() (io.ReadCloser, error) {
	r, err := m.zip.Open()
	if err != nil {
		return nil, err
	}
	if _, err := io.CopyN(io.Discard, r, m.header.size); err != nil {
		r.Close()
		return nil, err
	}
	return r, nil
}

// array reads the data of a member without a problem. Memory is spent as data arrives.
func (m npzMember) array() (Array, error) {
	r, err := m.open()
	if err != nil {
		return Array{}, err
	}
	defer r.Close()
	raw, err := io.ReadAll(r) // to the end, where archive/zip compares size and checksum
	if err != nil {
		return Array{}, fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	a := Array{Shape: m.header.shape}
	le := binary.LittleEndian
	switch m.header.descr {
	case "<f2", "<f4", "|V2", "<V2":
		a.Float32, err = decodeFloats(raw, npyDTypes[m.header.descr])
	case "<f8":
		a.Float64 = decode(raw, 8, func(b []byte) float64 { return math.Float64frombits(le.Uint64(b)) })
	case "|i1":
		a.Int64 = decode(raw, 1, func(b []byte) int64 { return int64(int8(b[0])) })
	case "<i2":
		a.Int64 = decode(raw, 2, func(b []byte) int64 { return int64(int16(le.Uint16(b))) })
	case "<i4":
		a.Int64 = decode(raw, 4, func(b []byte) int64 { return int64(int32(le.Uint32(b))) })
	case "<i8":
		a.Int64 = decode(raw, 8, func(b []byte) int64 { return int64(le.Uint64(b)) })
	case "|u1":
		a.Int64 = decode(raw, 1, func(b []byte) int64 { return int64(b[0]) })
	case "<u2":
		a.Int64 = decode(raw, 2, func(b []byte) int64 { return int64(le.Uint16(b)) })
	case "<u4":
		a.Int64 = decode(raw, 4, func(b []byte) int64 { return int64(le.Uint32(b)) })
	}
	return a, nil
}

func decodeFloats(raw []byte, dtype DType) ([]float32, error) {
	xs := make([]float32, len(raw)/dtype.Size())
	return xs, safetensors.NewDecoder(bytes.NewReader(raw), dtype).Decode(xs)
}

func decode[T any](raw []byte, size int, one func([]byte) T) []T {
	xs := make([]T, len(raw)/size)
	for i := range xs {
		xs[i] = one(raw[i*size:])
	}
	return xs
}

// cutMember finds the array in which a file without a zip directory ends, by walking the local headers from the
// start. It returns nil if the file does not look like the beginning of an archive of plain members.
func cutMember(r io.ReaderAt, size int64) *TensorError {
	const (
		signature  = 0x04034b50
		fixed      = 30 // bytes of a local header before name and extra field
		descriptor = 1 << 3
		zip64      = 0x0001
	)
	le := binary.LittleEndian
	var last *TensorError
	for at := int64(0); at < size; {
		var h [fixed]byte
		if _, err := r.ReadAt(h[:], at); err != nil || le.Uint32(h[:]) != signature || le.Uint16(h[6:])&descriptor != 0 {
			return last
		}
		names, extras := int64(le.Uint16(h[26:])), int64(le.Uint16(h[28:]))
		text := make([]byte, names+extras)
		if _, err := r.ReadAt(text, at+fixed); err != nil {
			return last
		}
		packed := uint64(le.Uint32(h[18:]))
		for extra := text[names:]; packed == math.MaxUint32 && len(extra) >= 4; {
			id, n := le.Uint16(extra), int(le.Uint16(extra[2:]))
			if len(extra) < 4+n {
				return last
			}
			if id == zip64 && n >= 16 { // unpacked size, then packed size
				packed = le.Uint64(extra[12:])
				break
			}
			extra = extra[4+n:]
		}
		name := strings.TrimSuffix(string(text[:names]), ".npy")
		data := at + fixed + names + extras
		if packed > uint64(size) || data > size-int64(packed) {
			e := &TensorError{Name: name, Problem: ErrTruncated,
				Detail: fmt.Sprintf("the file ends after %d of its %d bytes", size-data, packed)}
			if le.Uint16(h[8:]) == zip.Store {
				if head, err := readNpyHeader(io.NewSectionReader(r, data, size-data)); err == nil {
					e.Want, e.Got = head.shape, head.shape
				}
			}
			return e
		}
		last = &TensorError{Name: name, Problem: ErrTruncated, Detail: "the file ends after this array, before the zip directory"}
		at = data + int64(packed)
	}
	return last
}

// openNpz reads an official checkpoint, its values only if they are wanted. Nothing but names and shapes says what network it holds.
func openNpz(file string, r io.ReaderAt, size int64, values bool) (*Model, error) {
	members, err := npzMembers(r, size)
	if err != nil {
		var te *TensorError
		if errors.As(err, &te) {
			te.File = file
			return nil, te
		}
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	// What takes half of its size in the file is given memory at once: float32 weights hardly compress.
	const believable = 2
	entries := make([]entry, len(members))
	for i, m := range members {
		dtype, ok := npyDTypes[m.header.descr]
		if m.problem == nil && !ok {
			m.problem = &TensorError{Problem: ErrDType, Detail: fmt.Sprintf("%q, want \"<f4\", \"<f2\" or, for bfloat16, \"|V2\"", m.header.descr)}
		}
		entries[i] = entry{
			name: m.name, key: normaliseNpz(m.name), shape: m.header.shape, dtype: dtype,
			problem: m.problem, claimed: m.zip.UncompressedSize64/believable > m.zip.CompressedSize64, open: m.open,
		}
	}
	cfg, err := npzNaming.infer(file, entries)
	if err != nil {
		return nil, err
	}
	cfg.Groups, cfg.GNEpsilon, cfg.WSEpsilon = releasedGroups, resnet.GNEpsilon, resnet.WSEpsilonOfficial
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	tensors, err := load(file, npzNaming, cfg, entries, values)
	if err != nil {
		return nil, err
	}
	return &Model{Format: FormatNpz, Config: cfg, Tensors: tensors}, nil
}

// releasedGroups is the number of GroupNorm groups of every released model, where a checkpoint does not say it.
const releasedGroups = 32

// npyDTypes are the element types of weights. NumPy has no bfloat16: JAX's comes out as two bytes of nothing in
// particular (big_vision utils.py, recover_dtype).
var npyDTypes = map[string]DType{"<f4": F32, "<f2": F16, "|V2": BF16, "<V2": BF16}
