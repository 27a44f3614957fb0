package train

import (
	"bufio"
	"bytes"
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
	"strings"

	"github.com/bigtransfer/bit/tensor"
)

// A checkpoint is a safetensors file, so that other programs can look into it: 8 bytes little-endian header length, a
// JSON header, float32 values. Its metadata holds "sha256", the digest of everything after the length, with the digest
// itself taken as 64 zeros. So no changed bit goes unseen, which plain safetensors does not promise.

// tensorRef is one tensor of a file: where its values come from or go to.
type tensorRef struct {
	name   string
	shape  []int
	values []float32
}

// tensorHeader is a tensor's entry in the JSON header.
type tensorHeader struct {
	DType   string `json:"dtype"`
	Shape   []int  `json:"shape"`
	Offsets [2]int `json:"data_offsets"`
}

const (
	keyDigest = "sha256"
	metaEntry = "__metadata__"
	maxHeader = 100 << 20 // the limit of the safetensors library
)

var noDigest = strings.Repeat("0", 2*sha256.Size)

// writeTensors writes a checkpoint.
func writeTensors(w io.Writer, meta map[string]string, tensors []tensorRef) error {
	meta = maps.Clone(meta)
	meta[keyDigest] = noDigest
	entries := map[string]any{metaEntry: meta}
	at := 0
	for _, t := range tensors {
		entries[t.name] = tensorHeader{"F32", t.shape, [2]int{at, at + 4*len(t.values)}}
		at += 4 * len(t.values)
	}
	header, err := json.Marshal(entries)
	if err != nil {
		return err
	}
	for len(header)%8 != 0 {
		header = append(header, ' ') // values start aligned
	}
	h := sha256.New()
	h.Write(header)
	for _, t := range tensors {
		writeFloats(h, t.values) // a hash takes every write
	}
	header = bytes.Replace(header, []byte(noDigest), []byte(hex.EncodeToString(h.Sum(nil))), 1)

	out := bufio.NewWriterSize(w, 1<<16)
	if err := binary.Write(out, binary.LittleEndian, uint64(len(header))); err != nil {
		return err
	}
	if _, err := out.Write(header); err != nil {
		return err
	}
	for _, t := range tensors {
		if err := writeFloats(out, t.values); err != nil {
			return err
		}
	}
	return out.Flush()
}

// tensorFile is a checkpoint whose checksum is verified.
type tensorFile struct {
	meta    map[string]string
	entries map[string]tensorHeader
	src     io.ReadSeeker
	data    int64 // position of the first value
}

// openTensors reads the header of a checkpoint and verifies the checksum of the whole file.
func openTensors(src io.ReadSeeker) (*tensorFile, error) {
	in := bufio.NewReaderSize(src, 1<<16)
	var length uint64
	if err := binary.Read(in, binary.LittleEndian, &length); err != nil {
		return nil, cutShort("the header's length", err)
	}
	if length > maxHeader {
		return nil, fmt.Errorf("%w: a header of %d bytes, expected at most %d", ErrCorrupt, length, maxHeader)
	}
	var header bytes.Buffer // grows with what the file really holds
	if _, err := io.CopyN(&header, in, int64(length)); err != nil {
		return nil, cutShort("the header", err)
	}
	entries := map[string]json.RawMessage{}
	if err := json.Unmarshal(header.Bytes(), &entries); err != nil {
		return nil, fmt.Errorf("%w: header: %w", ErrCorrupt, err)
	}
	f := &tensorFile{entries: map[string]tensorHeader{}, src: src, data: 8 + int64(length)}
	if err := json.Unmarshal(entries[metaEntry], &f.meta); err != nil {
		return nil, fmt.Errorf("%w: metadata: %w", ErrCorrupt, err)
	}
	delete(entries, metaEntry)
	end := 0
	for name, raw := range entries {
		var t tensorHeader
		if err := json.Unmarshal(raw, &t); err != nil {
			return nil, fmt.Errorf("%w: header of tensor %q: %w", ErrCorrupt, name, err)
		}
		f.entries[name] = t
		end = max(end, t.Offsets[1])
	}

	digest := f.meta[keyDigest]
	if len(digest) != len(noDigest) {
		return nil, fmt.Errorf("%w: no sha256 in the metadata", ErrCorrupt)
	}
	h := sha256.New()
	h.Write(bytes.Replace(header.Bytes(), []byte(digest), []byte(noDigest), 1))
	n, err := io.Copy(h, in)
	if err != nil {
		return nil, err
	}
	if n != int64(end) {
		return nil, fmt.Errorf("%w: %d bytes of values, expected %d", ErrCorrupt, n, end)
	}
	if got := hex.EncodeToString(h.Sum(nil)); got != digest {
		return nil, fmt.Errorf("%w: sha256 is %s, expected %s", ErrCorrupt, got, digest)
	}
	return f, nil
}

func cutShort(what string, err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("%w: the file ends within %s", ErrCorrupt, what)
	}
	return err
}

// read fills the given tensors, which must be exactly those of the file, once their names and shapes are all checked.
func (f *tensorFile) read(tensors []tensorRef) error {
	for _, t := range tensors {
		e, ok := f.entries[t.name]
		if !ok {
			return fmt.Errorf("no tensor %q, expected one of shape %s", t.name, tensor.FormatShape(t.shape))
		}
		if e.DType != "F32" || !slices.Equal(e.Shape, t.shape) || e.Offsets[0] < 0 || e.Offsets[1]-e.Offsets[0] != 4*len(t.values) {
			return fmt.Errorf("tensor %q is %s %s, expected F32 %s", t.name, e.DType, tensor.FormatShape(e.Shape), tensor.FormatShape(t.shape))
		}
	}
	if len(tensors) != len(f.entries) {
		return fmt.Errorf("%d tensors, expected %d", len(f.entries), len(tensors))
	}
	in := bufio.NewReaderSize(nil, 1<<16)
	var raw [1 << 14]byte
	for _, t := range tensors {
		if _, err := f.src.Seek(f.data+int64(f.entries[t.name].Offsets[0]), io.SeekStart); err != nil {
			return err
		}
		in.Reset(f.src)
		for values := t.values; len(values) > 0; {
			n := min(len(values), len(raw)/4)
			if _, err := io.ReadFull(in, raw[:4*n]); err != nil {
				return err
			}
			for i := range n {
				values[i] = math.Float32frombits(binary.LittleEndian.Uint32(raw[4*i:]))
			}
			values = values[n:]
		}
	}
	return nil
}
