package imaging

import (
	"bytes"
	"fmt"
	"image"
	"image/gif"
)

// decodeGIF returns the first frame on the canvas of the whole animation. Where the frame does not cover the canvas
// stands the transparent colour if there is one, else the palette's first, as in Pillow.
func decodeGIF(data []byte) (*Image, error) {
	config, err := gif.DecodeConfig(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	m, err := gif.Decode(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	canvas := image.Rect(0, 0, config.Width, config.Height)
	frame, ok := m.(*image.Paletted)
	if !ok || frame.Rect == canvas {
		return FromImage(m), nil
	}
	whole := image.NewPaletted(canvas, frame.Palette)
	background := uint8(0)
	for i, c := range frame.Palette {
		if _, _, _, a := c.RGBA(); a == 0 {
			background = uint8(i)
			break
		}
	}
	for i := range whole.Pix {
		whole.Pix[i] = background
	}
	for y := range frame.Rect.Dy() {
		to := whole.PixOffset(frame.Rect.Min.X, frame.Rect.Min.Y+y)
		copy(whole.Pix[to:], frame.Pix[y*frame.Stride:][:frame.Rect.Dx()])
	}
	return FromImage(whole), nil
}

// checkGIFBlocks walks all blocks up to the trailer. image/gif stops reading after the first frame and would not notice
// that a file is cut short.
func checkGIFBlocks(data []byte) error {
	errGIFEnds := fmt.Errorf("%w: after %d bytes", ErrTruncated, len(data))
	skipTable := func(i int, flags byte) int {
		if flags&0x80 != 0 {
			i += 3 << (flags&7 + 1)
		}
		return i
	}
	if len(data) < 13 {
		return errGIFEnds
	}
	i := skipTable(13, data[10])
	for i < len(data) {
		switch data[i] {
		case 0x3b: // trailer
			return nil
		case 0x21: // extension: label, sub-blocks
			i += 2
		case 0x2c: // frame: position, size, flags, colour table, code size, sub-blocks
			if i+10 > len(data) {
				return errGIFEnds
			}
			i = skipTable(i+10, data[i+9]) + 1
		default: // image/gif will say what it makes of it
			return nil
		}
		for {
			if i >= len(data) {
				return errGIFEnds
			}
			n := int(data[i])
			i += n + 1
			if n == 0 {
				break
			}
		}
	}
	return errGIFEnds
}
