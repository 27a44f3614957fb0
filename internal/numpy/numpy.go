// Package numpy writes NumPy's .npy and .npz files (numpy/lib/format.py, version 1.0): arrays in C order, uncompressed, the
// same bytes for the same arrays.
package numpy

import (
	"archive/zip"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/bigtransfer/bit/internal/safetensors"
)

// Array is an array to be written.
type Array struct {
	Name  string // in an .npz file
	descr string
	shape []int
	bytes int64 // of the values
	write func(io.Writer) error
}

// Float32 is an array of float32, "<f4".
func Float32(name string, shape []int, values []float32) Array {
	return Array{name, "<f4", shape, 4 * int64(len(values)), func(w io.Writer) error {
		return safetensors.NewEncoder(w, safetensors.F32).Encode(values)
	}}
}

// Int64 is an array of int64, "<i8", of one axis.
func Int64(name string, values []int) Array {
	return Array{name, "<i8", []int{len(values)}, 8 * int64(len(values)), func(w io.Writer) error {
		raw := make([]byte, 0, 8*len(values))
		for _, v := range values {
			raw = binary.LittleEndian.AppendUint64(raw, uint64(v))
		}
		_, err := w.Write(raw)
		return err
	}}
}

// Strings is an array of texts, "<U" and the length of the longest, of one axis. NumPy keeps 4 bytes a character and
// takes zeros at the end for padding.
func Strings(name string, values []string) Array {
	longest := 1 // NumPy has no texts of length 0 in a file
	for _, s := range values {
		longest = max(longest, utf8.RuneCountInString(s))
	}
	return Array{name, fmt.Sprintf("<U%d", longest), []int{len(values)}, 4 * int64(longest) * int64(len(values)), func(w io.Writer) error {
		raw := make([]byte, 4*longest)
		for _, s := range values {
			clear(raw)
			at := 0
			for _, r := range s {
				binary.LittleEndian.PutUint32(raw[at:], uint32(r))
				at += 4
			}
			if _, err := w.Write(raw); err != nil {
				return err
			}
		}
		return nil
	}}
}

// header returns what stands before the values. It fills multiples of 64 bytes.
func (a Array) header() []byte {
	var tuple strings.Builder
	for i, n := range a.shape {
		if i > 0 {
			tuple.WriteByte(' ')
		}
		fmt.Fprintf(&tuple, "%d,", n)
	}
	shape := tuple.String()
	if len(a.shape) > 1 { // Python writes the comma at the end only in a tuple of one
		shape = strings.TrimSuffix(shape, ",")
	}
	head := append([]byte("\x93NUMPY\x01\x00"), 0, 0)
	head = fmt.Appendf(head, "{'descr': '%s', 'fortran_order': False, 'shape': (%s), }", a.descr, shape)
	for len(head)%64 != 63 {
		head = append(head, ' ')
	}
	head = append(head, '\n')
	binary.LittleEndian.PutUint16(head[8:], uint16(len(head)-10))
	return head
}

// Write writes one array as an .npy file.
func Write(w io.Writer, a Array) error {
	if _, err := w.Write(a.header()); err != nil {
		return err
	}
	return a.write(w)
}

// WriteZip writes arrays as an .npz file. Their values are written twice: without a data descriptor, which NumPy does not
// write either, the checksum of a member stands before it.
func WriteZip(w io.Writer, arrays []Array) error {
	z := zip.NewWriter(w)
	for _, a := range arrays {
		sum := crc32.NewIEEE()
		if err := Write(sum, a); err != nil {
			return err
		}
		size := uint64(len(a.header())) + uint64(a.bytes)
		member, err := z.CreateRaw(&zip.FileHeader{
			Name: a.Name + ".npy", Method: zip.Store, CRC32: sum.Sum32(), CompressedSize64: size, UncompressedSize64: size,
		})
		if err != nil {
			return err
		}
		if err := Write(member, a); err != nil {
			return err
		}
	}
	return z.Close()
}
