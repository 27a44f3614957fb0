package safetensors

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
	"iter"
	"maps"
	"slices"

	"github.com/bigtransfer/bit/internal/strictjson"
	"github.com/bigtransfer/bit/tensor"
)

// Source is a tensor to be written.
type Source struct {
	Name  string
	DType DType
	Shape []int
	// Values yields the values in row-major order, in pieces of any size. A piece is valid until the next is asked for.
	// With a digest the values are asked for twice.
	Values iter.Seq[[]float32]
	// Doubles is what Values is for a tensor of type F64 whose values are that; Values is then nil.
	Doubles iter.Seq[[]float64]
}

// Whole yields all values at once, for [Source].Values.
func Whole(values []float32) iter.Seq[[]float32] {
	return func(yield func([]float32) bool) { yield(values) }
}

// WholeDoubles is [Whole] for [Source].Doubles.
func WholeDoubles(values []float64) iter.Seq[[]float64] {
	return func(yield func([]float64) bool) { yield(values) }
}

// Write writes a file of the tensors in the given order. A value that the element type cannot hold is a [Fault].
func Write(w io.Writer, metadata map[string]string, tensors []Source) error {
	header, err := header(sorted(metadata), tensors)
	if err != nil {
		return err
	}
	return write(w, header, tensors)
}

// WriteDigest is [Write] of a file that [Reader.CheckDigest] can check. The key "sha256" of the metadata is its own.
func WriteDigest(w io.Writer, metadata map[string]string, tensors []Source) error {
	if _, ok := metadata[digestKey]; ok {
		return fmt.Errorf("metadata key %q is that of the digest", digestKey)
	}
	// In front, so that no other text of the header can be taken for the zeros.
	header, err := header(append(strictjson.Object{{Key: digestKey, Value: noDigest}}, sorted(metadata)...), tensors)
	if err != nil {
		return err
	}
	h := sha256.New()
	h.Write(header)
	if err := writeValues(h, tensors); err != nil {
		return err
	}
	return write(w, bytes.Replace(header, []byte(noDigest), []byte(hex.EncodeToString(h.Sum(nil))), 1), tensors)
}

func sorted(metadata map[string]string) strictjson.Object {
	var o strictjson.Object
	for _, key := range slices.Sorted(maps.Keys(metadata)) {
		o = append(o, strictjson.Member{Key: key, Value: metadata[key]})
	}
	return o
}

// header returns the JSON of a file, padded so that the values are aligned to 8 bytes, as the reference writer does.
func header(metadata strictjson.Object, tensors []Source) ([]byte, error) {
	var entries strictjson.Object
	if metadata != nil {
		entries = append(entries, strictjson.Member{Key: metadataKey, Value: metadata})
	}
	names := map[string]bool{metadataKey: true}
	at := int64(0)
	for _, t := range tensors {
		n, ok := tensor.CheckedLen(t.Shape)
		switch {
		case names[t.Name]:
			return nil, fmt.Errorf("tensor %q: name %w", t.Name, ErrDuplicate)
		case t.Doubles != nil && t.DType != F64:
			return nil, &Fault{Name: t.Name, Problem: ErrDType, Shape: t.Shape, Detail: fmt.Sprintf("doubles are of type %s, not %q", F64, t.DType)}
		case t.DType.Size() == 0:
			return nil, &Fault{Name: t.Name, Problem: ErrDType, Shape: t.Shape, Detail: fmt.Sprintf("%q is not written, want F64, F32, F16 or BF16", t.DType)}
		case !ok:
			return nil, &Fault{Name: t.Name, Problem: ErrOffsets, Shape: t.Shape, Detail: "no file holds that shape"}
		}
		names[t.Name] = true
		end := at + int64(n)*int64(t.DType.Size())
		entries = append(entries, strictjson.Member{Key: t.Name, Value: strictjson.Object{
			{Key: "dtype", Value: t.DType}, {Key: "shape", Value: append([]int{}, t.Shape...)}, {Key: "data_offsets", Value: []int64{at, end}},
		}})
		at = end
	}
	text, err := json.Marshal(entries)
	if err != nil {
		return nil, err
	}
	text = append(text, bytes.Repeat([]byte{' '}, -len(text)&7)...)
	if len(text) > maxHeader {
		return nil, fmt.Errorf("header of %d bytes, want at most %d", len(text), maxHeader)
	}
	return text, nil
}

func write(w io.Writer, header []byte, tensors []Source) error {
	out := bufio.NewWriterSize(w, 1<<16)
	if _, err := out.Write(binary.LittleEndian.AppendUint64(nil, uint64(len(header)))); err != nil {
		return err
	}
	if _, err := out.Write(header); err != nil {
		return err
	}
	if err := writeValues(out, tensors); err != nil {
		return err
	}
	return out.Flush()
}

func writeValues(w io.Writer, tensors []Source) error {
	for _, t := range tensors {
		n := 0
		e := NewEncoder(w, t.DType)
		if t.Doubles != nil {
			for values := range t.Doubles {
				if err := e.EncodeDoubles(values); err != nil {
					return err
				}
				n += len(values)
			}
		} else {
			for values := range t.Values {
				if err := e.Encode(values); err != nil {
					var fault *Fault
					if errors.As(err, &fault) {
						fault.Name, fault.Shape = t.Name, t.Shape
					}
					return err
				}
				n += len(values)
			}
		}
		if want := tensor.Len(t.Shape); n != want {
			return &Fault{Name: t.Name, Problem: ErrOffsets, Shape: t.Shape, Detail: fmt.Sprintf("%d values, the shape needs %d", n, want)}
		}
	}
	return nil
}
