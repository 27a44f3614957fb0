// Package tfrecord reads and writes TFRecord files, TensorFlow's sequence of byte strings: data sets and the event files
// of TensorBoard are made of it.
//
// A record of n bytes is, in little-endian order,
//
//	uint64 n | uint32 masked CRC32C of those 8 bytes | n bytes | uint32 masked CRC32C of them
//
// as tensorflow/core/lib/io/record_writer.cc lays it out. Records follow one another without a header or an index.
package tfrecord

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
)

const (
	headerLen = 12 // length and its checksum
	footerLen = 4  // checksum of the record
)

var (
	// ErrTruncated means that a file ends within a record.
	ErrTruncated = errors.New("cut short")
	// ErrCorrupt means that a checksum is not that of the bytes it stands beside.
	ErrCorrupt = errors.New("wrong checksum")
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// maskedCRC is the CRC32C of b, rotated right by 15 bits and shifted by a constant, so that the checksum of bytes that
// hold checksums stays a good one (tensorflow/core/lib/hash/crc32c.h, Mask).
func maskedCRC(b []byte) uint32 {
	crc := crc32.Checksum(b, castagnoli)
	return (crc>>15 | crc<<17) + 0xa282ead8
}

// Is reports whether a file that starts with head, at least 12 bytes of it, is a TFRecord file: whether the length of its
// first record has the right checksum, which other files have once in 2^32. An empty file is a TFRecord file of no
// records, and is not recognised.
func Is(head []byte) bool {
	return len(head) >= headerLen && maskedCRC(head[:8]) == binary.LittleEndian.Uint32(head[8:])
}

// Append appends a record that holds data to b, for a writer that must get every record in one call.
func Append(b, data []byte) []byte {
	start := len(b)
	b = binary.LittleEndian.AppendUint64(b, uint64(len(data)))
	b = binary.LittleEndian.AppendUint32(b, maskedCRC(b[start:]))
	b = append(b, data...)
	return binary.LittleEndian.AppendUint32(b, maskedCRC(data))
}

// Writer writes records, each with one call of Write of the writer below.
type Writer struct {
	w   io.Writer
	buf []byte
}

// NewWriter returns a Writer to w.
func NewWriter(w io.Writer) *Writer { return &Writer{w: w} }

// Write writes one record that holds data. It keeps nothing back: there is nothing to flush or to close.
func (w *Writer) Write(data []byte) error {
	w.buf = Append(w.buf[:0], data)
	_, err := w.w.Write(w.buf)
	return err
}

// Reader reads records one after another.
type Reader struct {
	r      io.Reader
	next   int64 // offset of the next record
	offset int64
	buf    []byte
}

// NewReader returns a Reader of r, which should be buffered.
func NewReader(r io.Reader) *Reader { return &Reader{r: r} }

// Next returns the next record, valid until the call after, and io.EOF after the last. Both checksums are compared.
// The error of a damaged file is ErrTruncated or ErrCorrupt with the offset of the record.
func (r *Reader) Next() ([]byte, error) {
	record, err := r.read()
	if err != nil {
		if err != io.EOF {
			err = fmt.Errorf("record at byte %d: %w", r.next, err)
		}
		return nil, err
	}
	r.offset = r.next + headerLen
	r.next += headerLen + int64(len(record)) + footerLen
	return record, nil
}

// Offset returns where the bytes of the record that Next returned last start, counted from the start of r.
func (r *Reader) Offset() int64 { return r.offset }

func (r *Reader) read() ([]byte, error) {
	var header [headerLen]byte
	if n, err := io.ReadFull(r.r, header[:]); err != nil {
		if err == io.EOF && n == 0 {
			return nil, io.EOF
		}
		return nil, short(err)
	}
	if !Is(header[:]) {
		return nil, fmt.Errorf("its length has the %w", ErrCorrupt)
	}
	n := binary.LittleEndian.Uint64(header[:])
	if n > 1<<62 {
		return nil, fmt.Errorf("%w: its header claims %d bytes", ErrTruncated, n)
	}
	if err := r.fill(int64(n) + footerLen); err != nil {
		return nil, err
	}
	data, footer := r.buf[:n], r.buf[n:]
	if maskedCRC(data) != binary.LittleEndian.Uint32(footer) {
		return nil, fmt.Errorf("its %d bytes have the %w", n, ErrCorrupt)
	}
	return data, nil
}

// fill reads n bytes into buf. Memory grows with the bytes that are there, not with what a header claims.
func (r *Reader) fill(n int64) error {
	const step = 1 << 20
	r.buf = r.buf[:0]
	for int64(len(r.buf)) < n {
		have := len(r.buf)
		take := int(min(n-int64(have), max(step, int64(cap(r.buf)-have))))
		if cap(r.buf)-have < take {
			grown := make([]byte, have, min(n, 2*int64(have)+step))
			copy(grown, r.buf)
			r.buf = grown
			take = int(min(n, int64(cap(grown)))) - have
		}
		r.buf = r.buf[:have+take]
		got, err := io.ReadFull(r.r, r.buf[have:])
		if err != nil {
			r.buf = r.buf[:0]
			if err = short(err); errors.Is(err, ErrTruncated) {
				return fmt.Errorf("%w after %d of %d bytes", err, min(int64(have+got), n-footerLen), n-footerLen)
			}
			return err
		}
	}
	return nil
}

// short is the error for a read that ended early or failed.
func short(err error) error {
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return ErrTruncated
	}
	return err
}
