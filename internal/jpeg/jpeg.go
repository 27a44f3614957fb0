// Package jpeg decodes JPEG files to planes of samples: entropy decoding and the inverse DCT of libjpeg-turbo, to the bit.
// Up-sampling and colour are the caller's.
//
// Why not the standard library's image/jpeg: it is slower (BenchmarkPrepare of package imaging), its inverse DCT rounds
// differently, and it refuses four components without an Adobe segment.
//
// Baseline, extended sequential and progressive files of 8 bits a sample with Huffman coding are read (ITU-T T.81, which
// the clauses and figures in comments are of), with 1, 3 or 4 components.
package jpeg

import (
	"fmt"
	"io"
)

// FormatError says which rule of the format a file breaks. A file that ends early is io.ErrUnexpectedEOF instead.
type FormatError string

func (e FormatError) Error() string { return "invalid JPEG: " + string(e) }

// UnsupportedError names a feature of the format that is not implemented.
type UnsupportedError string

func (e UnsupportedError) Error() string { return "unsupported in JPEG: " + string(e) }

// Colour is what the components of a picture mean.
type Colour int

const (
	Gray  Colour = iota
	YCbCr        // full range, ITU-R BT.601
	RGB
	CMYK // 255 is no ink, as Adobe stores it
	YCCK // Y Cb Cr of inverted C M Y, and K
)

// Plane is the samples of one component.
type Plane struct {
	Pix    []uint8
	Stride int
	// W and H are the size in samples that belong to the picture: its size times H and V over the largest H and V of
	// all components, rounded up. Rows are longer and there are more, to whole blocks.
	W, H int
	// Across and Down are how many pixels of the picture a sample covers.
	Across, Down int
}

// Picture is a decoded file.
type Picture struct {
	W, H   int
	Colour Colour
	Planes []Plane // 1, 3 or 4
}

// Decoder decodes files one after the other in the same memory. The zero value is ready. It is for one goroutine.
type Decoder struct {
	data []byte
	at   int // next byte

	frame       frame
	quant       [4]*[64]int32 // in natural order; nil where the file has none yet
	dc, ac      [4]*huffman
	restart     int // MCUs between restart markers; 0 for none
	jfif, adobe bool
	transform   uint8 // of the Adobe segment

	bits   bitReader
	scans  int // of this file so far
	eobRun int // blocks yet to come without coefficients, in a scan of a progressive file

	// Memory that is kept.
	quantMemory        [4][64]int32
	dcMemory, acMemory [4]huffman
	block              [64]int16
	samples            []uint8
	coefs              []int16
	picture            Picture
	planeMemory        [4]Plane
}

// frame is the frame header (B.2.2).
type frame struct {
	progressive bool
	w, h        int
	hMax, vMax  int
	mcuW, mcuH  int // the picture in MCUs of hMax x vMax blocks
	components  []component
	memory      [4]component
}

// component is one component of the frame.
type component struct {
	id     uint8
	h, v   int // sampling factors
	quant  uint8
	blocks extent // blocks that hold samples of the picture
	padded extent // blocks of whole MCUs
	plane  []uint8
	coefs  []int16   // progressive only: 64 in natural order for each padded block
	seen   bool      // whether a scan had it
	table  [64]int32 // the quantisation table of its first scan, as libjpeg has it (latch_quant_tables)
}

// extent is a size in blocks.
type extent struct{ w, h int }

// Size returns the size of the picture in a file without decoding it.
func Size(data []byte) (w, h int, err error) {
	var d Decoder
	if err := d.segments(data, true); err != nil {
		return 0, 0, err
	}
	return d.frame.w, d.frame.h, nil
}

// Decode decodes a file. The picture is valid until the next call.
func (d *Decoder) Decode(data []byte) (*Picture, error) {
	defer func() { d.data, d.bits = nil, bitReader{} }() // the file is not kept
	if err := d.segments(data, false); err != nil {
		return nil, err
	}
	f := &d.frame
	for i := range f.components {
		if !f.components[i].seen {
			return nil, FormatError(fmt.Sprintf("component %d has no scan", f.components[i].id))
		}
	}
	if f.progressive {
		d.inverseAll()
	}
	p := &d.picture
	*p = Picture{W: f.w, H: f.h, Colour: d.colour(), Planes: d.planeMemory[:len(f.components)]}
	for i, c := range f.components {
		p.Planes[i] = Plane{
			Pix: c.plane, Stride: 8 * c.padded.w, W: ceilDiv(f.w*c.h, f.hMax), H: ceilDiv(f.h*c.v, f.vMax),
			Across: f.hMax / c.h, Down: f.vMax / c.v,
		}
	}
	return p, nil
}

// colour guesses as libjpeg does (default_decompress_parms in jdapimin.c).
func (d *Decoder) colour() Colour {
	c := d.frame.components
	switch {
	case len(c) == 1:
		return Gray
	case len(c) == 4 && d.adobe && d.transform != 0:
		return YCCK
	case len(c) == 4:
		return CMYK
	case d.jfif:
		return YCbCr
	case d.adobe && d.transform == 0, !d.adobe && c[0].id == 'R' && c[1].id == 'G' && c[2].id == 'B':
		return RGB
	}
	return YCbCr
}

// Markers (table B.1).
const (
	markerSOF0  = 0xc0
	markerSOF1  = 0xc1
	markerSOF2  = 0xc2
	markerDHT   = 0xc4
	markerJPG   = 0xc8
	markerDAC   = 0xcc
	markerSOF15 = 0xcf
	markerRST0  = 0xd0
	markerRST7  = 0xd7
	markerSOI   = 0xd8
	markerEOI   = 0xd9
	markerSOS   = 0xda
	markerDQT   = 0xdb
	markerDRI   = 0xdd
	markerAPP0  = 0xe0
	markerAPP14 = 0xee
	markerTEM   = 0x01
)

// segments walks the file to its end, decoding all scans, or to the first scan.
func (d *Decoder) segments(data []byte, headerOnly bool) error {
	d.data, d.at = data, 2
	d.frame = frame{}
	d.quant, d.dc, d.ac = [4]*[64]int32{}, [4]*huffman{}, [4]*huffman{}
	d.restart, d.jfif, d.adobe, d.transform, d.scans = 0, false, false, 0, 0
	if len(data) < 2 {
		return io.ErrUnexpectedEOF
	}
	if data[0] != 0xff || data[1] != markerSOI {
		return FormatError("no SOI marker at the start")
	}
	for {
		marker, err := d.nextMarker()
		if err != nil {
			return err
		}
		switch {
		case marker == markerEOI && (d.frame.components == nil || headerOnly):
			return FormatError("no scan before the end of the image")
		case marker == markerEOI:
			return nil
		case marker == markerTEM || marker >= markerRST0 && marker <= markerRST7 || marker == markerSOI:
			continue // no segment follows
		}
		segment, err := d.segment()
		if err != nil {
			return err
		}
		switch {
		case marker == markerSOF0 || marker == markerSOF1 || marker == markerSOF2:
			err = d.readFrame(segment, marker == markerSOF2)
		case marker == markerDHT:
			if !headerOnly {
				err = d.readHuffman(segment)
			}
		case marker >= markerSOF0 && marker <= markerSOF15 && marker != markerJPG && marker != markerDAC:
			err = UnsupportedError(fmt.Sprintf("coding process SOF%d (arithmetic, lossless or hierarchical)", marker-markerSOF0))
		case marker == markerDQT:
			err = d.readQuantisation(segment)
		case marker == markerDRI:
			if len(segment) != 2 {
				return FormatError("DRI has wrong length")
			}
			d.restart = int(segment[0])<<8 | int(segment[1])
		case marker == markerAPP0:
			d.jfif = d.jfif || len(segment) >= 5 && string(segment[:5]) == "JFIF\x00"
		case marker == markerAPP14 && len(segment) >= 12 && string(segment[:5]) == "Adobe":
			d.adobe, d.transform = true, segment[11]
		case marker == markerSOS:
			if d.frame.components == nil {
				return FormatError("a scan before the frame header")
			}
			if headerOnly {
				return nil
			}
			err = d.readScan(segment)
		}
		if err != nil {
			return err
		}
	}
}

// nextMarker skips to the next marker and returns its code. Bytes between segments break the rules but are common.
func (d *Decoder) nextMarker() (uint8, error) {
	for i := d.at; i+1 < len(d.data); i++ {
		if d.data[i] == 0xff && d.data[i+1] != 0 && d.data[i+1] != 0xff {
			d.at = i + 2
			return d.data[i+1], nil
		}
	}
	return 0, io.ErrUnexpectedEOF
}

// segment returns the content of the segment that begins with its length here.
func (d *Decoder) segment() ([]byte, error) {
	rest := d.data[d.at:]
	if len(rest) < 2 {
		return nil, io.ErrUnexpectedEOF
	}
	n := int(rest[0])<<8 | int(rest[1])
	if n < 2 {
		return nil, FormatError("a segment shorter than its length")
	}
	if n > len(rest) {
		return nil, io.ErrUnexpectedEOF
	}
	d.at += n
	return rest[2:n], nil
}

// readFrame reads a frame header. Memory is taken at the first scan.
func (d *Decoder) readFrame(s []byte, progressive bool) error {
	f := &d.frame
	switch {
	case f.components != nil:
		return FormatError("two frame headers")
	case len(s) < 6 || len(s) != 6+3*int(s[5]):
		return FormatError(fmt.Sprintf("SOF has wrong length %d", len(s)))
	case s[0] != 8:
		return UnsupportedError(fmt.Sprintf("%d bits a sample", s[0]))
	case s[5] != 1 && s[5] != 3 && s[5] != 4:
		return UnsupportedError(fmt.Sprintf("%d components", s[5]))
	}
	f.progressive = progressive
	f.h, f.w = int(s[1])<<8|int(s[2]), int(s[3])<<8|int(s[4])
	f.hMax, f.vMax = 1, 1
	f.components = f.memory[:s[5]]
	for i := range f.components {
		c := &f.components[i]
		q := s[6+3*i:]
		*c = component{id: q[0], h: int(q[1] >> 4), v: int(q[1] & 15), quant: q[2]}
		if c.h < 1 || c.h > 4 || c.v < 1 || c.v > 4 {
			return FormatError("a sampling factor outside of 1 to 4")
		}
		if c.quant > 3 {
			return FormatError(fmt.Sprintf("quantisation table %d, want 0 to 3", c.quant))
		}
		for j := range i {
			if f.components[j].id == c.id {
				return FormatError("two components of one name")
			}
		}
		f.hMax, f.vMax = max(f.hMax, c.h), max(f.vMax, c.v)
	}
	f.mcuW, f.mcuH = ceilDiv(f.w, 8*f.hMax), ceilDiv(f.h, 8*f.vMax)
	for i := range f.components {
		c := &f.components[i]
		if f.hMax%c.h != 0 || f.vMax%c.v != 0 { // libjpeg refuses it too
			return UnsupportedError("a component sampled at a fraction of another's resolution")
		}
		c.blocks = extent{ceilDiv(ceilDiv(f.w*c.h, f.hMax), 8), ceilDiv(ceilDiv(f.h*c.v, f.vMax), 8)}
		c.padded = extent{f.mcuW * c.h, f.mcuH * c.v}
	}
	return nil
}

// allocate takes the memory of the planes and, for a progressive file, of the coefficients.
func (d *Decoder) allocate() {
	n := 0
	for _, c := range d.frame.components {
		n += 64 * c.padded.w * c.padded.h
	}
	if cap(d.samples) < n {
		d.samples = make([]uint8, n)
	}
	if d.frame.progressive {
		if cap(d.coefs) < n {
			d.coefs = make([]int16, n)
		} else {
			clear(d.coefs[:n])
		}
	}
	at := 0
	for i := range d.frame.components {
		c := &d.frame.components[i]
		next := at + 64*c.padded.w*c.padded.h
		c.plane = d.samples[at:next:next]
		if d.frame.progressive {
			c.coefs = d.coefs[at:next:next]
		}
		at = next
	}
}

// zigzag holds the natural index of each coefficient in the order of the file (figure A.6). What lies beyond the last
// coefficient, where only damaged files lead, ends in the last.
var zigzag = func() (z [64 + 16]uint8) {
	x, y := 0, 0
	for i := range 64 {
		z[i] = uint8(8*y + x)
		switch up := (x+y)%2 == 0; {
		case up && x == 7, !up && y < 7 && x == 0:
			y++
		case up && y == 0, !up && y == 7:
			x++
		case up:
			x, y = x+1, y-1
		default:
			x, y = x-1, y+1
		}
	}
	for i := 64; i < len(z); i++ {
		z[i] = 63
	}
	return z
}()

// readQuantisation reads quantisation tables (B.2.4.1).
func (d *Decoder) readQuantisation(s []byte) error {
	for len(s) > 0 {
		precision, id := s[0]>>4, s[0]&15
		if precision > 1 || id > 3 {
			return FormatError("a quantisation table outside of 0 to 3 or of more than 16 bits")
		}
		size := 64 * (1 + int(precision))
		if s = s[1:]; len(s) < size {
			return FormatError("DQT has wrong length")
		}
		q := &d.quantMemory[id]
		for i := range 64 {
			if precision == 0 {
				q[zigzag[i]] = int32(s[i])
			} else {
				q[zigzag[i]] = int32(s[2*i])<<8 | int32(s[2*i+1])
			}
		}
		d.quant[id] = q
		s = s[size:]
	}
	return nil
}

func ceilDiv(a, b int) int { return (a + b - 1) / b }
