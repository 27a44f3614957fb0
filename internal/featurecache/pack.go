package featurecache

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math"
	"os"
	"slices"

	"github.com/bigtransfer/bit/internal/atomicfile"
)

// A pack is, little-endian:
//
//	magic    8 bytes, of which the last is the version
//	width    uint32
//	count    uint32
//	keys     count × 16 bytes
//	sums     count × uint32, CRC-32C of each vector
//	sum      uint32, CRC-32C of everything so far
//	vectors  count × width × float32

var magic = [8]byte{'b', 'i', 't', 'f', 'e', 'a', 't', 1}

const (
	headBytes  = 16
	indexBytes = 20 // of a key and a sum
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// errDamaged says that a file is no sound pack.
var errDamaged = errors.New("damaged pack")

func packSize(count, width int) int64 {
	return headBytes + int64(count)*(indexBytes+4*int64(width)) + 4
}

func writePack(path string, keys []Key, vectors []float32, width int) error {
	if len(vectors) != len(keys)*width {
		panic(fmt.Sprintf("featurecache: %d values for %d vectors of %d", len(vectors), len(keys), width))
	}
	raw := make([]byte, 4*width)
	encode := func(row int) []byte { // twice for each, rather than a copy of all in memory
		for i, v := range vectors[row*width:][:width] {
			binary.LittleEndian.PutUint32(raw[4*i:], math.Float32bits(v))
		}
		return raw
	}
	head := append([]byte(nil), magic[:]...)
	head = binary.LittleEndian.AppendUint32(head, uint32(width))
	head = binary.LittleEndian.AppendUint32(head, uint32(len(keys)))
	for _, key := range keys {
		head = append(head, key[:]...)
	}
	for i := range keys {
		head = binary.LittleEndian.AppendUint32(head, crc32.Checksum(encode(i), castagnoli))
	}
	head = binary.LittleEndian.AppendUint32(head, crc32.Checksum(head, castagnoli))
	return atomicfile.Replace(path, func(w io.Writer) error {
		_, err := w.Write(head)
		for i := 0; i < len(keys) && err == nil; i++ {
			_, err = w.Write(encode(i))
		}
		return err
	})
}

// pack is a pack whose index is read.
type pack struct {
	*os.File
	keys  []Key
	sums  []uint32
	width int
	raw   []byte // of vectors from row first on
	first int
}

// readAhead is about the bytes that are read at once, since vectors that are wanted are often side by side.
const readAhead = 1 << 20

func openPack(path string, width int) (*pack, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	p := &pack{File: f, width: width}
	if err := p.index(); err != nil {
		f.Close()
		return nil, err
	}
	return p, nil
}

func (p *pack) index() error {
	info, err := p.Stat()
	if err != nil {
		return err
	}
	head := make([]byte, headBytes)
	if _, err := p.ReadAt(head, 0); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	count := int(binary.LittleEndian.Uint32(head[12:]))
	if !bytes.Equal(head[:8], magic[:]) || int(binary.LittleEndian.Uint32(head[8:])) != p.width || info.Size() != packSize(count, p.width) {
		return errDamaged
	}
	all := make([]byte, headBytes+count*indexBytes+4)
	if _, err := p.ReadAt(all, 0); err != nil {
		return err
	}
	body, sum := all[:len(all)-4], binary.LittleEndian.Uint32(all[len(all)-4:])
	if crc32.Checksum(body, castagnoli) != sum {
		return errDamaged
	}
	for i := range count {
		p.keys = append(p.keys, Key(body[headBytes+16*i:]))
		p.sums = append(p.sums, binary.LittleEndian.Uint32(body[headBytes+16*count+4*i:]))
	}
	return nil
}

// vector reads the vector of a row.
func (p *pack) vector(row int, dst []float32) error {
	size := 4 * p.width
	if row < p.first || (row+1-p.first)*size > len(p.raw) {
		rows := min(len(p.keys)-row, max(1, readAhead/size))
		p.raw = slices.Grow(p.raw[:0], rows*size)[:rows*size]
		p.first = row
		if _, err := p.ReadAt(p.raw, packSize(len(p.keys), 0)+int64(row)*int64(size)); err != nil {
			p.raw = p.raw[:0]
			return err
		}
	}
	raw := p.raw[(row-p.first)*size:][:size]
	if crc32.Checksum(raw, castagnoli) != p.sums[row] {
		return errDamaged
	}
	for i := range dst[:p.width] {
		dst[i] = math.Float32frombits(binary.LittleEndian.Uint32(raw[4*i:]))
	}
	return nil
}
