package imaging

import (
	"encoding/binary"
	"fmt"
)

// checkTIFFExtents tells whether the first page's directory and all that it points to lie within the file: the values
// of its tags and its strips or tiles. The library reads only what it needs and takes what it gets.
func checkTIFFExtents(data []byte) error {
	var order binary.ByteOrder = binary.LittleEndian
	if data[0] == 'M' {
		order = binary.BigEndian
	}
	size := int64(len(data))
	inside := func(what string, index, offset, n int64) error {
		if offset+n > size {
			return fmt.Errorf("%w: %s %d at %d to %d of %d bytes", ErrTruncated, what, index, offset, offset+n, size)
		}
		return nil
	}
	if err := inside("header", 0, 0, 8); err != nil {
		return err
	}
	directory := int64(order.Uint32(data[4:]))
	if err := inside("directory", 0, directory, 2); err != nil {
		return err
	}
	entries := int64(order.Uint16(data[directory:]))
	if err := inside("directory", 0, directory, 2+entries*12); err != nil {
		return err
	}
	// Sizes of the field types 1 to 12 (TIFF 6.0, section 2); others are skipped.
	typeSizes := [...]int64{1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8}
	const stripOffsets, stripByteCounts, tileOffsets, tileByteCounts = 273, 279, 324, 325
	fields := map[uint16]tiffField{}
	for i := range entries {
		entry := data[directory+2+i*12:][:12]
		tag, kind, count := order.Uint16(entry), order.Uint16(entry[2:]), int64(order.Uint32(entry[4:]))
		if kind == 0 || int(kind) >= len(typeSizes) {
			continue
		}
		values := entry[8:]
		if n := count * typeSizes[kind]; n > 4 {
			at := int64(order.Uint32(values))
			if err := inside("tag", int64(tag), at, n); err != nil {
				return err
			}
			values = data[at : at+n]
		}
		fields[tag] = tiffField{order, kind, int(count), values}
	}
	for _, tags := range [][2]uint16{{stripOffsets, stripByteCounts}, {tileOffsets, tileByteCounts}} {
		offsets, counts := fields[tags[0]], fields[tags[1]]
		for i := range min(offsets.count, counts.count) {
			if err := inside("strip or tile", int64(i), offsets.at(i), counts.at(i)); err != nil {
				return err
			}
		}
	}
	return nil
}

// tiffField is an array of integers.
type tiffField struct {
	order  binary.ByteOrder
	kind   uint16
	count  int
	values []byte
}

// at returns value i, 0 if the field does not hold SHORT or LONG.
func (f tiffField) at(i int) int64 {
	switch f.kind {
	case 3:
		return int64(f.order.Uint16(f.values[i*2:]))
	case 4:
		return int64(f.order.Uint32(f.values[i*4:]))
	}
	return 0
}
