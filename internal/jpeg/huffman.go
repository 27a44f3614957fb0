package jpeg

// lookahead is how many bits the first table of a Huffman code is indexed by: at the usual qualities more than nine
// codes of ten, with the bits of the value behind them, are no longer.
const lookahead = 10

// huffman is a Huffman code as tables.
type huffman struct {
	// fast tells, for each possible lookahead bits, what they start with:
	//
	//	bits 0-7    how many bits that takes, 0 where the code is longer than lookahead
	//	bits 8-15   the symbol: in its low half the number of bits of a value that follow, in the high half a run
	//	bits 16-31  that value, where its bits are among the lookahead ones and counted; otherwise 0
	fast [1 << lookahead]uint32
	// end[n], left-aligned in 16 bits, is one more than the last code of up to n bits, and at[n] is what to add to a
	// code of n bits to get the index of its symbol.
	end     [17]uint32
	at      [17]int32
	symbols [256]uint8
}

// readHuffman reads Huffman tables (B.2.4.2).
func (d *Decoder) readHuffman(s []byte) error {
	for len(s) > 0 {
		if len(s) < 17 {
			return FormatError("DHT has wrong length")
		}
		class, id := s[0]>>4, s[0]&15
		if class > 1 || id > 3 {
			return FormatError("a Huffman table outside of 0 to 3")
		}
		n := 0
		for _, c := range s[1:17] {
			n += int(c)
		}
		if n > 256 || len(s) < 17+n {
			return FormatError("DHT has wrong length")
		}
		h := &d.dcMemory[id]
		if class == 1 {
			h = &d.acMemory[id]
		}
		if err := h.build(s[1:17], s[17:17+n]); err != nil {
			return err
		}
		if class == 0 {
			d.dc[id] = h
		} else {
			d.ac[id] = h
		}
		s = s[17+n:]
	}
	return nil
}

// build makes the tables from the number of codes of each length and the symbols in order (annex C).
func (h *huffman) build(counts, symbols []byte) error {
	copy(h.symbols[:], symbols)
	clear(h.fast[:])
	code, k := uint32(0), 0
	for n := 1; n <= 16; n++ {
		h.at[n] = int32(k) - int32(code)
		for range counts[n-1] {
			if code >= 1<<n {
				return FormatError("a Huffman table has more codes than there are")
			}
			if n <= lookahead {
				h.fill(code, n, symbols[k])
			}
			code++
			k++
		}
		h.end[n] = code << (16 - n)
		code <<= 1
	}
	return nil
}

// fill sets the entries that begin with a code of n bits.
func (h *huffman) fill(code uint32, n int, symbol uint8) {
	rest := lookahead - n
	entries := h.fast[code<<rest:][:1<<rest]
	e := uint32(symbol)<<8 | uint32(n)
	size := int(symbol & 15)
	if size == 0 || size > rest {
		for i := range entries {
			entries[i] = e
		}
		return
	}
	run := 1 << (rest - size)
	for v := range 1 << size {
		e := uint32(uint16(extend(uint64(v), size)))<<16 | uint32(symbol)<<8 | uint32(n+size)
		for i := range entries[v*run : (v+1)*run] {
			entries[v*run+i] = e
		}
	}
}

// extend is the value that the given bits stand for among those of size bits (figure F.12).
func extend(bits uint64, size int) int32 {
	v := int32(bits)
	if v < 1<<size>>1 {
		v += 1 - 1<<size
	}
	return v
}

// long finds the code at the top of acc by its length; n is 0 if there is none.
func (h *huffman) long(acc uint64) (symbol uint8, n int) {
	top := uint32(acc >> 48)
	for n := 1; n <= 16; n++ {
		if top < h.end[n] {
			return h.symbols[uint8(int32(top>>(16-n))+h.at[n])], n
		}
	}
	return 0, 0
}
