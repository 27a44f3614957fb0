package imaging

import (
	"image"
	"image/color"
)

// FromImage converts any image to 8-bit RGB. Gray is replicated; alpha is dropped, not blended: a half transparent red
// is red. Of 16-bit values the high byte is kept, as PNG readers do when they strip to 8 bits. YCbCr is taken as JPEG's
// (full range), and its subsampled chroma is interpolated as libjpeg does it.
func FromImage(m image.Image) *Image {
	b := m.Bounds()
	im := NewImage(b.Dx(), b.Dy())
	if im.W == 0 || im.H == 0 {
		return im
	}
	switch m := m.(type) {
	case *image.YCbCr:
		fromYCbCr(im, m)
	case *image.NYCbCrA:
		fromYCbCr(im, &m.YCbCr)
	case *image.Gray:
		for y := range im.H {
			fromGrayRow(im.row(y), m.Pix[y*m.Stride:])
		}
	case *image.Gray16:
		for y := range im.H {
			out, in := im.row(y), m.Pix[y*m.Stride:]
			for i, j := 0, 0; i < len(out); i, j = i+3, j+2 {
				v := in[j]
				out[i], out[i+1], out[i+2] = v, v, v
			}
		}
	case *image.NRGBA:
		for y := range im.H {
			fromNRGBARow(im.row(y), m.Pix[y*m.Stride:])
		}
	case *image.RGBA:
		for y := range im.H {
			fromRGBARow(im.row(y), m.Pix[y*m.Stride:])
		}
	case *image.NRGBA64:
		for y := range im.H {
			out, in := im.row(y), m.Pix[y*m.Stride:]
			for i, j := 0, 0; i < len(out); i, j = i+3, j+8 {
				out[i], out[i+1], out[i+2] = in[j], in[j+2], in[j+4]
			}
		}
	case *image.Paletted:
		fromPaletted(im, m)
	case *image.CMYK:
		for y := range im.H {
			fromCMYKRow(im.row(y), m.Pix[y*m.Stride:])
		}
	default:
		i := 0
		for y := b.Min.Y; y < b.Max.Y; y++ {
			for x := b.Min.X; x < b.Max.X; x++ {
				im.Pix[i], im.Pix[i+1], im.Pix[i+2] = straightRGB(m.At(x, y))
				i += 3
			}
		}
	}
	return im
}

// straightRGB returns the high bytes of c's red, green and blue, not multiplied by alpha.
func straightRGB(c color.Color) (r, g, b uint8) {
	if c, ok := c.(color.NRGBA); ok {
		return c.R, c.G, c.B
	}
	if c, ok := c.(color.NRGBA64); ok {
		return uint8(c.R >> 8), uint8(c.G >> 8), uint8(c.B >> 8)
	}
	r16, g16, b16, a := c.RGBA()
	if a != 0 && a != 0xffff {
		r16, g16, b16 = min(r16*0xffff/a, 0xffff), min(g16*0xffff/a, 0xffff), min(b16*0xffff/a, 0xffff)
	}
	return uint8(r16 >> 8), uint8(g16 >> 8), uint8(b16 >> 8)
}

func fromGrayRow(out, in []uint8) {
	in = in[:len(out)/3]
	for x, v := range in {
		p := out[x*3 : x*3+3 : x*3+3]
		p[0], p[1], p[2] = v, v, v
	}
}

func fromNRGBARow(out, in []uint8) {
	for i, j := 0, 0; i < len(out); i, j = i+3, j+4 {
		p, q := out[i:i+3:i+3], in[j:j+4:j+4]
		p[0], p[1], p[2] = q[0], q[1], q[2]
	}
}

// fromRGBARow undoes the multiplication by alpha.
func fromRGBARow(out, in []uint8) {
	for i, j := 0, 0; i < len(out); i, j = i+3, j+4 {
		p, q := out[i:i+3:i+3], in[j:j+4:j+4]
		a := uint32(q[3])
		if a == 255 || a == 0 {
			p[0], p[1], p[2] = q[0], q[1], q[2]
			continue
		}
		for c := range 3 {
			p[c] = uint8(min((uint32(q[c])*255+a/2)/a, 255))
		}
	}
}

// fromPaletted looks colours up. An index beyond the palette is black.
func fromPaletted(im *Image, m *image.Paletted) {
	var rgb [256][3]uint8
	for i, c := range m.Palette {
		if i == len(rgb) {
			break
		}
		rgb[i][0], rgb[i][1], rgb[i][2] = straightRGB(c)
	}
	for y := range im.H {
		out := im.row(y)
		for x, v := range m.Pix[y*m.Stride:][:im.W] {
			p, q := out[x*3:x*3+3:x*3+3], &rgb[v]
			p[0], p[1], p[2] = q[0], q[1], q[2]
		}
	}
}

// fromCMYKRow converts ink amounts (255 is full ink) with the arithmetic of Pillow's cmyk2rgb (src/libImaging/Convert.c):
// what the black ink leaves, less the share that the colour ink takes of it, both in 8 bits.
func fromCMYKRow(out, in []uint8) {
	for i, j := 0, 0; i < len(out); i, j = i+3, j+4 {
		p, q := out[i:i+3:i+3], in[j:j+4:j+4]
		left := 255 - int32(q[3])
		for c := range 3 {
			taken := int32(q[c])*left + 128
			taken = (taken>>8 + taken) >> 8 // divided by 255 and rounded
			p[c] = uint8(max(left-taken, 0))
		}
	}
}
