package imaging

import (
	"bytes"
	"fmt"
	"image"
	"image/jpeg"
	"io"
)

// jpegHeader is what the segments before the first scan say.
type jpegHeader struct {
	width, height, components int
	// adobeTransform is the byte offset of the colour transform in the Adobe segment, 0 without one.
	adobeTransform int
}

// readJPEGHeader walks the segments up to the frame header. Bytes between segments are skipped and the Adobe segment is
// looked for up to the first scan, as image/jpeg does: what is checked here must be what is decoded there.
func readJPEGHeader(data []byte) (h jpegHeader, err error) {
	for i := 2; ; {
		for i < len(data) && data[i] != 0xff {
			i++
		}
		for i < len(data) && data[i] == 0xff {
			i++
		}
		if i >= len(data) {
			return h, io.ErrUnexpectedEOF
		}
		marker := data[i]
		i++
		switch {
		case marker == 0 || marker >= 0xd0 && marker <= 0xd7: // stuffing, restart markers: no length
			continue
		case marker == 0xd9:
			return h, jpeg.FormatError("no scan before the end of the image")
		}
		if i+2 > len(data) {
			return h, io.ErrUnexpectedEOF
		}
		n := int(data[i])<<8 | int(data[i+1])
		if n < 2 {
			return h, jpeg.FormatError("short segment length")
		}
		if i+n > len(data) {
			return h, io.ErrUnexpectedEOF
		}
		segment := data[i+2 : i+n]
		switch {
		case marker >= 0xc0 && marker <= 0xc2: // baseline, extended sequential, progressive
			if len(segment) < 6 {
				return h, jpeg.FormatError("SOF has wrong length")
			}
			h.height = int(segment[1])<<8 | int(segment[2])
			h.width = int(segment[3])<<8 | int(segment[4])
			h.components = int(segment[5])
		case marker == 0xee && len(segment) >= 12 && string(segment[:5]) == "Adobe":
			h.adobeTransform = i + 2 + 11
		case marker == 0xda:
			if h.components == 0 {
				return h, jpeg.FormatError("missing SOF marker")
			}
			return h, nil
		}
		i += n
	}
}

func jpegSize(data []byte) (w, h int, err error) {
	header, err := readJPEGHeader(data)
	return header.width, header.height, err
}

// decodeJPEG reads coefficients and inverts the DCT with image/jpeg; upsampling and colour conversion are ours
// (see fromYCbCr), because image/jpeg leaves chroma at its low resolution and replicates it.
func decodeJPEG(data []byte) (*Image, error) {
	header, err := readJPEGHeader(data)
	if err != nil {
		return nil, err
	}
	if header.components == 4 {
		return decodeJPEG4(data, header.adobeTransform)
	}
	m, err := jpeg.Decode(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	return FromImage(m), nil
}

// adobeSegment declares four components that are not transformed.
const adobeSegment = "\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00\x00"

// decodeJPEG4 decodes CMYK and YCCK. Whatever the file says, image/jpeg is told that the components are plain CMYK, so
// that it returns them unconverted: for YCCK its own conversion replicates chroma, and without an Adobe segment it
// refuses. Ink is taken to be stored inverted in either case, as Adobe does and Pillow assumes.
func decodeJPEG4(data []byte, adobeTransform int) (*Image, error) {
	var r io.Reader
	transform := byte(0)
	if adobeTransform == 0 {
		r = io.MultiReader(bytes.NewReader(data[:2]), bytes.NewReader([]byte(adobeSegment)), bytes.NewReader(data[2:]))
	} else {
		transform = data[adobeTransform]
		r = io.MultiReader(bytes.NewReader(data[:adobeTransform]), bytes.NewReader([]byte{0}), bytes.NewReader(data[adobeTransform+1:]))
	}
	m, err := jpeg.Decode(r)
	if err != nil {
		return nil, err
	}
	inks, ok := m.(*image.CMYK)
	if !ok {
		return nil, fmt.Errorf("%w: four components decode to %T", ErrCorrupt, m)
	}
	if transform != 0 {
		transformYCCK(inks)
	}
	return FromImage(inks), nil
}

// transformYCCK converts 255-Y, 255-Cb, 255-Cr, K as they come from image/jpeg to C, M, Y, K in place.
func transformYCCK(inks *image.CMYK) {
	w, h := inks.Rect.Dx(), inks.Rect.Dy()
	buf := make([]uint8, w*6)
	y, cb, cr, rgb := buf[:w], buf[w:2*w], buf[2*w:3*w], buf[3*w:]
	for row := range h {
		pix := inks.Pix[row*inks.Stride:][:w*4]
		for x := range w {
			y[x], cb[x], cr[x] = 255-pix[4*x], 255-pix[4*x+1], 255-pix[4*x+2]
		}
		// YCCK converts to R G B, whose inverse is C M Y, which Adobe stores inverted: twice inverted, R is the ink C.
		convertYCbCrRow(rgb, y, cb, cr)
		for x := range w {
			copy(pix[4*x:4*x+3], rgb[3*x:3*x+3])
		}
	}
}
