package jpeg

import (
	"fmt"

	"github.com/bigtransfer/bit/internal/kernels"
)

// scan is one pass over some components (B.2.3).
type scan struct {
	parts       []part
	memory      [4]part
	start, end  int // coefficients, in the order of the file
	high, low   int // bits of the coefficients that earlier scans brought down to, and that this one does
	decode      func(d *Decoder, s *scan, p *part, block *[64]int16) bool
	interleaved bool
}

// part is a component in a scan.
type part struct {
	*component
	dc, ac *huffman
	last   int32 // DC value of the previous block
}

// maxScans bounds the scans of a file: a progressive one may go over all blocks again for a few bytes, and repeat that.
// Encoders make about ten; one for each coefficient of three components is 192.
const maxScans = 200

// readScan reads the header of a scan and decodes the scan.
func (d *Decoder) readScan(header []byte) error {
	if d.scans++; d.scans > maxScans {
		return FormatError(fmt.Sprintf("more than %d scans", maxScans))
	}
	var s scan
	if err := d.readScanHeader(&s, header); err != nil {
		return err
	}
	f := &d.frame
	if f.components[0].plane == nil {
		d.allocate()
	}
	d.bits = bitReader{data: d.data, at: d.at}
	d.eobRun = 0
	// With one component an MCU is one block, and blocks beyond the picture are left out (A.2.2).
	mcus := extent{f.mcuW, f.mcuH}
	s.interleaved = len(s.parts) > 1
	if !s.interleaved {
		mcus = s.parts[0].blocks
	}
	count, restarts := 0, 0
	for y := range mcus.h {
		for x := range mcus.w {
			if d.restart > 0 && count == d.restart {
				if err := d.readRestart(&s, restarts); err != nil {
					return err
				}
				count = 0
				restarts++
			}
			count++
			if !d.readMCU(&s, x, y) {
				return d.scanError("damaged data of a scan")
			}
		}
		if d.bits.overrun() {
			return d.scanError("")
		}
	}
	d.at = d.bits.at
	return nil
}

// readScanHeader checks what the header says of the frame and its tables.
func (d *Decoder) readScanHeader(s *scan, header []byte) error {
	f := &d.frame
	if len(header) < 1 || header[0] < 1 || header[0] > 4 || len(header) != 4+2*int(header[0]) {
		return FormatError("SOS has wrong length")
	}
	n := int(header[0])
	spectral := header[1+2*n:]
	s.start, s.end, s.high, s.low = 0, 63, 0, 0
	s.decode = (*Decoder).readBaseline
	if f.progressive {
		s.start, s.end = int(spectral[0]), int(spectral[1])
		s.high, s.low = int(spectral[2]>>4), int(spectral[2]&15)
		switch {
		case s.start > s.end || s.end > 63 || s.start == 0 && s.end != 0 || s.start > 0 && n != 1:
			return FormatError("a progressive scan of coefficients that do not go together")
		case s.low > 13 || s.high != 0 && s.high != s.low+1:
			return FormatError("a progressive scan of bits that do not go together")
		case s.start == 0 && s.high == 0:
			s.decode = (*Decoder).readFirstDC
		case s.start == 0:
			s.decode = (*Decoder).refineDC
		case s.high == 0:
			s.decode = (*Decoder).readFirstAC
		default:
			s.decode = (*Decoder).refineAC
		}
	}
	s.parts = s.memory[:n]
	blocks := 0
	for i := range s.parts {
		p := &s.parts[i]
		id, tables := header[1+2*i], header[2+2*i]
		for j := range f.components {
			if f.components[j].id == id {
				p.component = &f.components[j]
			}
		}
		if p.component == nil {
			return FormatError("a scan of a component that the frame lacks")
		}
		for j := range i {
			if s.parts[j].component == p.component {
				return FormatError("a scan of one component twice")
			}
		}
		if tables>>4 > 3 || tables&15 > 3 {
			return FormatError("a Huffman table outside of 0 to 3")
		}
		p.dc, p.ac = d.dc[tables>>4], d.ac[tables&15]
		if s.start == 0 && s.high == 0 && p.dc == nil || s.end > 0 && p.ac == nil {
			return FormatError("a scan without its Huffman tables")
		}
		if d.quant[p.quant] == nil {
			return FormatError("a scan without its quantisation table")
		}
		if !p.seen {
			p.seen, p.table = true, *d.quant[p.quant]
		}
		blocks += p.h * p.v
	}
	if n > 1 && blocks > 10 { // B.2.3
		return FormatError("more than 10 blocks in an MCU")
	}
	return nil
}

// scanError says why a scan ends before its last MCU.
func (d *Decoder) scanError(reason FormatError) error {
	if d.bits.fake == 0 {
		return reason
	}
	if _, err := d.nextMarkerAt(d.bits.at); err != nil {
		return err
	}
	return FormatError("a scan ends before the picture")
}

// nextMarkerAt is nextMarker from another place on.
func (d *Decoder) nextMarkerAt(at int) (uint8, error) {
	d.at = at
	return d.nextMarker()
}

// readRestart reads the marker between two restart intervals; i counts them.
func (d *Decoder) readRestart(s *scan, i int) error {
	if d.bits.overrun() {
		return d.scanError("")
	}
	marker, err := d.nextMarkerAt(d.bits.at)
	if err != nil {
		return err
	}
	if want := markerRST0 + uint8(i%8); marker != want {
		return FormatError(fmt.Sprintf("restart marker %#x is missing, found %#x", want, marker))
	}
	d.bits.at = d.at
	d.bits.align()
	d.eobRun = 0
	for i := range s.parts {
		s.parts[i].last = 0
	}
	return nil
}

// readMCU decodes the blocks of an MCU. It returns false where no Huffman code matches or its value is out of range.
func (d *Decoder) readMCU(s *scan, x, y int) bool {
	if !s.interleaved {
		return d.readBlock(s, &s.parts[0], x, y)
	}
	for i := range s.parts {
		p := &s.parts[i]
		for v := range p.v {
			for h := range p.h {
				if !d.readBlock(s, p, x*p.h+h, y*p.v+v) {
					return false
				}
			}
		}
	}
	return true
}

// readBlock decodes the block in column x and row y of a component: to coefficients of a progressive file, otherwise
// right to samples.
func (d *Decoder) readBlock(s *scan, p *part, x, y int) bool {
	if d.frame.progressive {
		return s.decode(d, s, p, (*[64]int16)(p.coefs[64*(y*p.padded.w+x):]))
	}
	clear(d.block[:])
	if !d.readBaseline(s, p, &d.block) {
		return false
	}
	stride := 8 * p.padded.w
	kernels.InverseDCT(p.plane[8*(y*stride+x):], stride, &d.block, &p.table)
	return true
}

// readBaseline decodes a block of a sequential file (F.2.2).
func (d *Decoder) readBaseline(_ *scan, p *part, block *[64]int16) bool {
	r := &d.bits
	size, diff, ok := r.symbol(p.dc)
	if !ok || size > 15 {
		return false
	}
	p.last += diff
	block[0] = int16(p.last)
	// The loop of bitReader.symbol, with its state in registers.
	acc, n := r.acc, r.n
	fast := &p.ac.fast
	for k := 1; k < 64; k++ {
		if n < 32 {
			r.acc, r.n = acc, n
			r.fill()
			acc, n = r.acc, r.n
		}
		e := fast[acc>>(64-lookahead)]
		if value := int16(e >> 16); value != 0 {
			acc <<= e & 63
			n -= int(e & 63)
			k += int(e >> 12 & 15)
			block[zigzag[k]&63] = value
			continue
		}
		symbol, length := uint8(e>>8), int(e&63)
		if length == 0 {
			if symbol, length = p.ac.long(acc); length == 0 {
				r.acc, r.n = acc, n
				return false
			}
		}
		acc <<= length
		n -= length
		size := int(symbol & 15)
		if size == 0 {
			if symbol>>4 != 15 {
				break
			}
			k += 15
			continue
		}
		k += int(symbol >> 4)
		block[zigzag[k]&63] = int16(extend(acc>>(64-size), size))
		acc <<= size
		n -= size
	}
	r.acc, r.n = acc, n
	return true
}

// readFirstDC decodes the high bits of a DC coefficient (G.1.2.1).
func (d *Decoder) readFirstDC(s *scan, p *part, block *[64]int16) bool {
	size, diff, ok := d.bits.symbol(p.dc)
	if !ok || size > 15 {
		return false
	}
	p.last += diff
	block[0] = int16(p.last << s.low)
	return true
}

// refineDC adds one bit to a DC coefficient (G.1.2.1).
func (d *Decoder) refineDC(s *scan, _ *part, block *[64]int16) bool {
	if d.bits.bit() {
		block[0] |= 1 << s.low
	}
	return true
}

// readFirstAC decodes the high bits of a band of AC coefficients (G.1.2.2).
func (d *Decoder) readFirstAC(s *scan, p *part, block *[64]int16) bool {
	if d.eobRun > 0 {
		d.eobRun--
		return true
	}
	for k := s.start; k <= s.end; k++ {
		symbol, value, ok := d.bits.symbol(p.ac)
		if !ok {
			return false
		}
		run := int(symbol >> 4)
		switch {
		case symbol&15 != 0:
			k += run
			block[zigzag[k]] = int16(value << s.low)
		case run == 15:
			k += 15
		default:
			d.eobRun = d.readEOBRun(run) - 1
			return true
		}
	}
	return true
}

// readEOBRun returns how many blocks, from this one on, have no more coefficients in this band.
func (d *Decoder) readEOBRun(size int) int { return 1<<size + int(d.bits.take(size)) }

// refineAC adds one bit to the coefficients of a band that are not zero yet, and places new ones among them (G.1.2.3).
func (d *Decoder) refineAC(s *scan, p *part, block *[64]int16) bool {
	k := s.start
	if d.eobRun == 0 {
		for k <= s.end {
			symbol, sign, ok := d.bits.symbol(p.ac)
			if !ok || symbol&15 > 1 {
				return false
			}
			run := int(symbol >> 4)
			if symbol&15 == 0 && run < 15 {
				d.eobRun = d.readEOBRun(run)
				break
			}
			k = d.refineZeros(block, k, s.end, run, 1<<s.low)
			if sign != 0 && k <= s.end {
				block[zigzag[k]] = int16(sign << s.low)
			}
			k++
		}
	}
	if d.eobRun > 0 {
		d.refineZeros(block, k, s.end, 64, 1<<s.low)
		d.eobRun--
	}
	return true
}

// refineZeros refines coefficients from k on, until the zero behind the given number of zeros, and returns its place.
func (d *Decoder) refineZeros(block *[64]int16, k, end, zeros int, bit int16) int {
	for ; k <= end; k++ {
		c := &block[zigzag[k]]
		switch {
		case *c == 0 && zeros == 0:
			return k
		case *c == 0:
			zeros--
		case d.bits.bit() && *c&bit == 0:
			if *c > 0 {
				*c += bit
			} else {
				*c -= bit
			}
		}
	}
	return k
}

// inverseAll makes samples of the coefficients of a progressive file.
func (d *Decoder) inverseAll() {
	for i := range d.frame.components {
		c := &d.frame.components[i]
		stride := 8 * c.padded.w
		for y := range c.padded.h {
			for x := range c.padded.w {
				kernels.InverseDCT(c.plane[8*(y*stride+x):], stride, (*[64]int16)(c.coefs[64*(y*c.padded.w+x):]), &c.table)
			}
		}
	}
}
