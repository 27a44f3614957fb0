package imaging

import (
	"sync"

	"github.com/bigtransfer/bit/internal/jpeg"
)

// jpegDecoders keeps the memory of decoders: half that of a picture of 4:2:0, up to three times that of a progressive one
// of 4:4:4. What is not used between two garbage collections is let go.
var jpegDecoders = sync.Pool{New: func() any { return new(jpeg.Decoder) }}

func decodeJPEG(data []byte) (*Image, error) {
	d := jpegDecoders.Get().(*jpeg.Decoder)
	p, err := d.Decode(data)
	if err != nil {
		jpegDecoders.Put(d)
		return nil, err
	}
	im := NewImage(p.W, p.H)
	fromPlanes(im, p)
	jpegDecoders.Put(d)
	return im, nil
}

// fromPlanes fills im with the picture's pixels. Ink is taken to be stored inverted, as Adobe does and Pillow assumes.
func fromPlanes(im *Image, p *jpeg.Picture) {
	var rows [4]planeRows
	for i := range p.Planes {
		rows[i] = newPlaneRows(&p.Planes[i])
	}
	if len(p.Planes) == 4 {
		fromInkPlanes(im, &rows, p.Colour)
		return
	}
	for y := range im.H {
		out := im.row(y)
		switch p.Colour {
		case jpeg.Gray:
			fromGrayRow(out, rows[0].row(y))
		case jpeg.RGB:
			r, g, b := rows[0].row(y), rows[1].row(y), rows[2].row(y)
			for x := range im.W {
				q := out[3*x : 3*x+3 : 3*x+3]
				q[0], q[1], q[2] = r[x], g[x], b[x]
			}
		default:
			convertYCbCrRow(out, rows[0].row(y), rows[1].row(y), rows[2].row(y))
		}
	}
}

// fromInkPlanes converts CMYK and YCCK.
func fromInkPlanes(im *Image, rows *[4]planeRows, colour jpeg.Colour) {
	inks, rgb := make([]uint8, 4*im.W), make([]uint8, 3*im.W)
	for y := range im.H {
		c, m, yellow, k := rows[0].row(y), rows[1].row(y), rows[2].row(y), rows[3].row(y)
		if colour == jpeg.YCCK {
			// YCCK converts to R G B, whose inverse is C M Y, which Adobe stores inverted: twice inverted, R is the ink C.
			convertYCbCrRow(rgb, c, m, yellow)
		}
		for x := range im.W {
			q := inks[4*x : 4*x+4 : 4*x+4]
			if colour == jpeg.YCCK {
				q[0], q[1], q[2] = rgb[3*x], rgb[3*x+1], rgb[3*x+2]
			} else {
				q[0], q[1], q[2] = 255-c[x], 255-m[x], 255-yellow[x]
			}
			q[3] = 255 - k[x]
		}
		fromCMYKRow(im.row(y), inks)
	}
}
