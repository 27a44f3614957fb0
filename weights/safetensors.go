package weights

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
)

// A safetensors file is 8 bytes of length, that many bytes of JSON, then the data of all tensors back to back.
// https://github.com/huggingface/safetensors#format

// maxSafetensorsHeader is the bound of the reference implementation (safetensors/src/tensor.rs, MAX_HEADER_SIZE).
const maxSafetensorsHeader = 100_000_000

// safetensor is one tensor of a safetensors file: its header entry and what is wrong with it.
type safetensor struct {
	name     string
	dtype    DType
	shape    []int
	from, to int64 // bytes from the end of the header
	problem  *TensorError
}

// safetensorsFile is the parsed header of a file.
type safetensorsFile struct {
	metadata map[string]string
	tensors  []safetensor // by position
	data     io.ReaderAt  // the bytes after the header
}

// readSafetensors reads the header of a file and checks the place of every tensor: the tensors must fill the rest of
// the file without overlap, hole or remainder. What concerns one tensor is left in its problem.
func readSafetensors(r io.ReaderAt, size int64) (*safetensorsFile, error) {
	var prefix [8]byte
	if _, err := r.ReadAt(prefix[:], 0); err != nil {
		return nil, fmt.Errorf("%d bytes are no safetensors file, it begins with 8 bytes of header length", size)
	}
	n := binary.LittleEndian.Uint64(prefix[:])
	if n > maxSafetensorsHeader || int64(n) > size-8 {
		return nil, fmt.Errorf("safetensors header of %d bytes in a file of %d, want at most %d", n, size, min(maxSafetensorsHeader, size-8))
	}
	text := make([]byte, n)
	if _, err := r.ReadAt(text, 8); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("safetensors header: %w", err)
	}
	f := &safetensorsFile{data: io.NewSectionReader(r, 8+int64(n), size-8-int64(n))}
	if err := f.parse(text); err != nil {
		return nil, fmt.Errorf("safetensors header: %w", err)
	}
	return f, f.place(size - 8 - int64(n))
}

func (f *safetensorsFile) parse(text []byte) error {
	if len(text) == 0 || text[0] != '{' {
		return fmt.Errorf("starts with %.10q, want '{'", text)
	}
	if err := rejectDuplicateKeys(text); err != nil {
		return err
	}
	var header map[string]json.RawMessage
	if err := json.Unmarshal(text, &header); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(header)) {
		raw := header[name]
		if name == "__metadata__" {
			if err := json.Unmarshal(raw, &f.metadata); err != nil {
				return fmt.Errorf("__metadata__: %w", err)
			}
			continue
		}
		t, err := parseSafetensor(raw)
		if err != nil {
			return fmt.Errorf("tensor %q: %w", name, err)
		}
		t.name = name
		f.tensors = append(f.tensors, t)
	}
	slices.SortFunc(f.tensors, func(a, b safetensor) int {
		return cmp.Or(cmp.Compare(a.from, b.from), cmp.Compare(a.to, b.to), cmp.Compare(a.name, b.name))
	})
	return nil
}

// parseSafetensor reads {"dtype":"F32","shape":[64,3,7,7],"data_offsets":[0,37632]}. Go's JSON decoder would take
// "DTYPE" for "dtype", hence the map.
func parseSafetensor(raw json.RawMessage) (safetensor, error) {
	var t safetensor
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(raw, &fields); err != nil {
		return t, err
	}
	var offsets []int64
	for _, m := range []member{{"dtype", &t.dtype}, {"shape", &t.shape}, {"data_offsets", &offsets}} {
		value, ok := fields[m.key]
		if !ok || string(value) == "null" {
			return t, fmt.Errorf("no %q", m.key)
		}
		if err := json.Unmarshal(value, m.value); err != nil {
			return t, fmt.Errorf("%s: %w", m.key, err)
		}
		delete(fields, m.key)
	}
	for key := range fields {
		return t, fmt.Errorf("unknown field %q", key)
	}
	if len(offsets) != 2 {
		return t, fmt.Errorf("data_offsets: %d numbers, want 2", len(offsets))
	}
	t.from, t.to = offsets[0], offsets[1]
	return t, nil
}

// place finds what is wrong with the type, size and position of each tensor in size bytes of data. It returns an
// error only if the fault is that of no tensor.
func (f *safetensorsFile) place(size int64) error {
	end, previous := int64(0), ""
	for i := range f.tensors {
		t := &f.tensors[i]
		bad := func(problem error, format string, args ...any) {
			if t.problem == nil {
				t.problem = &TensorError{Name: t.name, Problem: problem, Got: t.shape, Detail: fmt.Sprintf(format, args...)}
			}
		}
		n, ok := elements(t.shape)
		want := int64(n) * int64(t.dtype.Size())
		switch {
		case t.from < 0 || t.to < t.from:
			bad(ErrOffsets, "bytes %d to %d", t.from, t.to)
			continue
		case !ok || n > math.MaxInt/4:
			bad(ErrOffsets, "bytes %d to %d cannot hold that shape", t.from, t.to)
		case t.dtype.Size() == 0:
			bad(ErrDType, "%s, want F32, F16 or BF16", t.dtype)
		case t.to > size:
			bad(ErrTruncated, "bytes %d to %d, the file has %d bytes of data", t.from, t.to, size)
		case t.to-t.from != want:
			bad(ErrOffsets, "bytes %d to %d are %d, the shape needs %d of %s", t.from, t.to, t.to-t.from, want, t.dtype)
		}
		switch {
		case t.from < end:
			bad(ErrOverlap, "begins at byte %d, inside %q, which ends at %d", t.from, previous, end)
		case t.from > end:
			bad(ErrHole, "begins at byte %d, the data before it ends at %d", t.from, end)
		}
		if t.to > end {
			end, previous = t.to, t.name
		}
	}
	faultless := !slices.ContainsFunc(f.tensors, func(t safetensor) bool { return t.problem != nil })
	if end < size && faultless {
		return fmt.Errorf("%d bytes of data, the tensors of the header end after %d", size, end)
	}
	return nil
}

func (f *safetensorsFile) entries() []entry {
	es := make([]entry, len(f.tensors))
	for i, t := range f.tensors {
		es[i] = entry{
			name: t.name, key: t.name, shape: t.shape, dtype: t.dtype, problem: t.problem,
			open: func() (io.ReadCloser, error) {
				return io.NopCloser(io.NewSectionReader(f.data, t.from, t.to-t.from)), nil
			},
		}
	}
	return es
}

// maxNesting bounds the depth of JSON that is read here; a header has 3 levels, a config.json not many more.
const maxNesting = 100

// rejectDuplicateKeys reports an object that has a key twice, of which encoding/json would silently keep the last.
func rejectDuplicateKeys(text []byte) error {
	type level struct {
		keys  map[string]bool // nil in an array
		isKey bool            // the next string is a key
	}
	var stack []level
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		switch token {
		case json.Delim('}'), json.Delim(']'):
			stack = stack[:len(stack)-1]
			continue
		}
		if len(stack) > 0 {
			if top := &stack[len(stack)-1]; top.keys != nil {
				if top.isKey {
					key := token.(string)
					if top.keys[key] {
						return fmt.Errorf("key %q: %w", key, ErrDuplicate)
					}
					top.keys[key] = true
				}
				top.isKey = !top.isKey
			}
		}
		switch token {
		case json.Delim('{'):
			stack = append(stack, level{map[string]bool{}, true})
		case json.Delim('['):
			stack = append(stack, level{})
		}
		if len(stack) > maxNesting {
			return fmt.Errorf("nested more than %d deep", maxNesting)
		}
	}
}

// writeSafetensors writes parameters in the given order, in the layout of a format, as float32 or float16. The same
// input always gives the same bytes.
func writeSafetensors(w io.Writer, params []param, values func(param) []float32, oihw bool, dtype DType) error {
	header := object{{"__metadata__", map[string]string{"format": "pt"}}}
	at := int64(0)
	for _, p := range params {
		n, _ := elements(p.stored)
		end := at + int64(n)*int64(dtype.Size())
		header = append(header, member{p.file, object{
			{"dtype", dtype}, {"shape", p.stored}, {"data_offsets", []int64{at, end}},
		}})
		at = end
	}
	text, err := json.Marshal(header)
	if err != nil {
		return err
	}
	text = append(text, bytes.Repeat([]byte{' '}, -len(text)&7)...) // data aligned to 8 bytes, as the reference writer does
	if _, err := w.Write(binary.LittleEndian.AppendUint64(nil, uint64(len(text)))); err != nil {
		return err
	}
	if _, err := w.Write(text); err != nil {
		return err
	}
	for _, p := range params {
		if err := writeTensor(w, p, values(p), oihw, dtype); err != nil {
			return err
		}
	}
	return nil
}

// writeTensor writes one parameter, a block of output channels at a time where the layout differs.
func writeTensor(w io.Writer, p param, values []float32, oihw bool, dtype DType) error {
	const block = 16
	var raw []byte
	write := func(xs []float32) error {
		raw = raw[:0]
		for _, x := range xs {
			switch dtype {
			case F32:
				raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(x))
			case F16:
				h := toFloat16(x)
				if y := h.float32(); y-y != 0 {
					return &TensorError{Name: p.file, Problem: ErrNotFinite, Want: p.stored, Got: p.stored,
						Detail: fmt.Sprintf("%v is beyond the range of float16, save as float32", x)}
				}
				raw = binary.LittleEndian.AppendUint16(raw, uint16(h))
			default:
				return fmt.Errorf("cannot write element type %q, want F32 or F16", dtype)
			}
		}
		_, err := w.Write(raw)
		return err
	}
	if oihw && len(p.stored) >= 2 {
		co := p.stored[0]
		row := len(values) / co
		buf := make([]float32, min(block, co)*row)
		for o := 0; o < co; o += block {
			part := buf[:min(block, co-o)*row]
			gatherOIHW(part, values, o, p.stored)
			if err := write(part); err != nil {
				return err
			}
		}
		return nil
	}
	for part := range slices.Chunk(values, 1<<16) {
		if err := write(part); err != nil {
			return err
		}
	}
	return nil
}
