package parquetfile

import (
	"encoding/binary"
	"fmt"
)

// Types of Thrift's compact protocol (thrift-compact-protocol.md).
const (
	thriftStop   = 0
	thriftTrue   = 1
	thriftFalse  = 2
	thriftByte   = 3
	thriftI16    = 4
	thriftI32    = 5
	thriftI64    = 6
	thriftDouble = 7
	thriftBinary = 8
	thriftList   = 9
	thriftSet    = 10
	thriftMap    = 11
	thriftStruct = 12
	thriftUUID   = 16
)

// maxDepth is more than Parquet's metadata is nested.
const maxDepth = 16

// thriftWalk steps over a structure in Thrift's compact protocol, and so tells its length and that every length in it is
// true, before memory is asked for by one.
type thriftWalk struct {
	b        []byte
	at       int
	elements int // of lists, sets and maps, in all
}

// errShort says that the bytes end before the structure does.
var errShort = fmt.Errorf("%w: its metadata is cut short", ErrCorrupt)

func (w *thriftWalk) byte() (byte, error) {
	if w.at >= len(w.b) {
		return 0, errShort
	}
	w.at++
	return w.b[w.at-1], nil
}

func (w *thriftWalk) varint() (uint64, error) {
	v, n := binary.Uvarint(w.b[w.at:])
	if n == 0 {
		return 0, errShort
	}
	if n < 0 {
		return 0, fmt.Errorf("%w: a number of more than 64 bits", ErrCorrupt)
	}
	w.at += n
	return v, nil
}

func (w *thriftWalk) skip(n uint64) error {
	if n > uint64(len(w.b)-w.at) {
		return errShort
	}
	w.at += int(n)
	return nil
}

func (w *thriftWalk) structure(depth int) error {
	if depth > maxDepth {
		return fmt.Errorf("%w: its metadata is nested more than %d deep", ErrCorrupt, maxDepth)
	}
	for {
		head, err := w.byte()
		if err != nil {
			return err
		}
		kind := head & 0xf
		if kind == thriftStop {
			return nil
		}
		if head>>4 == 0 { // the field's number follows
			if _, err := w.varint(); err != nil {
				return err
			}
		}
		if kind == thriftTrue || kind == thriftFalse {
			continue // the value is the type
		}
		if err := w.value(kind, depth); err != nil {
			return err
		}
	}
}

func (w *thriftWalk) value(kind byte, depth int) error {
	switch kind {
	case thriftTrue, thriftFalse, thriftByte:
		return w.skip(1)
	case thriftI16, thriftI32, thriftI64:
		_, err := w.varint()
		return err
	case thriftDouble:
		return w.skip(8)
	case thriftUUID:
		return w.skip(16)
	case thriftBinary:
		n, err := w.varint()
		if err != nil {
			return err
		}
		return w.skip(n)
	case thriftList, thriftSet:
		head, err := w.byte()
		if err != nil {
			return err
		}
		n := uint64(head >> 4)
		if n == 15 {
			if n, err = w.varint(); err != nil {
				return err
			}
		}
		return w.list(n, depth, head&0xf)
	case thriftMap:
		n, err := w.varint()
		if err != nil || n == 0 {
			return err
		}
		kinds, err := w.byte()
		if err != nil {
			return err
		}
		return w.list(n, depth, kinds>>4, kinds&0xf)
	case thriftStruct:
		return w.structure(depth + 1)
	}
	return fmt.Errorf("%w: its metadata has a value of type %d", ErrCorrupt, kind)
}

// list steps over n times one value of each kind.
func (w *thriftWalk) list(n uint64, depth int, kinds ...byte) error {
	if n > uint64(len(w.b)-w.at) { // each takes a byte or more
		return errShort
	}
	w.elements += int(n)
	for range n {
		for _, kind := range kinds {
			if err := w.value(kind, depth); err != nil {
				return err
			}
		}
	}
	return nil
}
