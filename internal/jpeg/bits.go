package jpeg

import "encoding/binary"

// bitReader reads the bits of a scan. The zeros stuffed behind bytes of 0xff are left out; at a marker, or at the end of
// the data, there are as many zero bits as are asked for, and overrun tells that some of them were used.
type bitReader struct {
	data []byte
	at   int    // next byte to load
	acc  uint64 // the next bits, from the top
	n    int    // how many bits of acc count
	fake int    // how many of those, the last, are not the file's
}

// fill brings at least 56 bits into acc.
func (r *bitReader) fill() {
	if r.at+8 <= len(r.data) {
		x := binary.BigEndian.Uint64(r.data[r.at:])
		const ones = 0x0101010101010101
		if (^x-ones)&x&(ones<<7) == 0 && r.fake == 0 { // no byte is 0xff
			r.acc |= x >> r.n // what of it does not count yet will be the same when it is read again
			loaded := (63 - r.n) >> 3
			r.at += loaded
			r.n += 8 * loaded
			return
		}
	}
	r.acc &= ^uint64(0) << (64 - r.n)
	for r.n <= 56 {
		b := uint64(0)
		switch {
		case r.fake > 0 || r.at >= len(r.data):
			r.fake += 8
		case r.data[r.at] != 0xff:
			b = uint64(r.data[r.at])
			r.at++
		case r.at+1 < len(r.data) && r.data[r.at+1] == 0:
			b = 0xff
			r.at += 2
		default:
			r.fake += 8
		}
		r.acc |= b << (56 - r.n)
		r.n += 8
	}
}

// overrun tells whether more bits were used than there were.
func (r *bitReader) overrun() bool { return r.n < r.fake }

// align forgets the bits before the next marker.
func (r *bitReader) align() { r.acc, r.n, r.fake = 0, 0, 0 }

// bit returns the next bit.
func (r *bitReader) bit() bool {
	if r.n == 0 {
		r.fill()
	}
	top := r.acc>>63 != 0
	r.acc <<= 1
	r.n--
	return top
}

// take returns the next n <= 16 bits.
func (r *bitReader) take(n int) uint64 {
	if r.n < n {
		r.fill()
	}
	v := r.acc >> 1 >> (63 - n)
	r.acc <<= n
	r.n -= n
	return v
}

// symbol decodes a symbol, and the value behind it if it has one. ok is false if no code matches.
func (r *bitReader) symbol(h *huffman) (symbol uint8, value int32, ok bool) {
	if r.n < 32 {
		r.fill()
	}
	e := h.fast[r.acc>>(64-lookahead)]
	symbol = uint8(e >> 8)
	n := int(e & 0xff)
	if value = int32(e) >> 16; value == 0 {
		if n == 0 {
			if symbol, n = h.long(r.acc); n == 0 {
				return 0, 0, false
			}
		}
		if size := int(symbol & 15); size > 0 {
			r.acc <<= n
			r.n -= n
			value = extend(r.acc>>(64-size), size)
			n = size
		}
	}
	r.acc <<= n
	r.n -= n
	return symbol, value, true
}
