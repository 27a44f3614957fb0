package imaging

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"image"

	"golang.org/x/image/webp"
)

// checkRIFFSize tells whether the file is as long as its container says.
func checkRIFFSize(data []byte) error {
	const shortest = 12 + 8 + 10 // RIFF header, chunk header, the header of a picture
	n := max(int64(binary.LittleEndian.Uint32(data[4:]))+8, shortest)
	if n > int64(len(data)) {
		return fmt.Errorf("%w: %d of %d bytes", ErrTruncated, len(data), n)
	}
	return nil
}

// decodeWebP decodes a still picture, or an animation's first frame on a black canvas.
func decodeWebP(data []byte) (*Image, error) {
	const animated = 1 << 1
	if string(data[12:16]) != "VP8X" || data[20]&animated == 0 {
		return decodeWebPStill(data)
	}
	frame, err := firstWebPFrame(data)
	if err != nil {
		return nil, err
	}
	// The frame's size has to fit the canvas before memory is spent on it.
	canvasW, canvasH := uint24(data[24:])+1, uint24(data[27:])+1
	if frame.x+frame.w > canvasW || frame.y+frame.h > canvasH {
		return nil, fmt.Errorf("%w: frame of %d x %d pixels at (%d, %d) on a canvas of %d x %d",
			ErrCorrupt, frame.w, frame.h, frame.x, frame.y, canvasW, canvasH)
	}
	c, err := webp.DecodeConfig(bytes.NewReader(frame.file))
	if err != nil {
		return nil, err
	}
	if c.Width != frame.w || c.Height != frame.h {
		return nil, fmt.Errorf("%w: frame of %d x %d pixels announced as %d x %d", ErrCorrupt, c.Width, c.Height, frame.w, frame.h)
	}
	im, err := decodeWebPStill(frame.file)
	if err != nil {
		return nil, err
	}
	return im.Crop(-frame.x, -frame.y, canvasW, canvasH), nil
}

// decodeWebPStill reads planes with x/image/webp; upsampling and colour conversion of lossy images are ours, because
// x/image hands VP8's limited-range planes out as if they were JPEG's.
func decodeWebPStill(data []byte) (*Image, error) {
	m, err := webp.Decode(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	switch m := m.(type) {
	case *image.YCbCr:
		return fromVP8(m), nil
	case *image.NYCbCrA:
		return fromVP8(&m.YCbCr), nil
	}
	return FromImage(m), nil
}

// fromVP8 converts 4:2:0 planes as libwebp does by default: "fancy" upsampling (src/dsp/upsampling.c) and the
// limited-range BT.601 conversion (src/dsp/yuv.h).
func fromVP8(m *image.YCbCr) *Image {
	im := NewImage(m.Rect.Dx(), m.Rect.Dy())
	cw, ch := (im.W+1)/2, (im.H+1)/2
	buf := make([]uint8, 4*cw)
	u, v := buf[:2*cw], buf[2*cw:]
	for y := range im.H {
		near := y / 2
		far := min(max(near-1+2*(y&1), 0), ch-1)
		upsampleVP8(u, m.Cb[near*m.CStride:][:cw], m.Cb[far*m.CStride:][:cw])
		upsampleVP8(v, m.Cr[near*m.CStride:][:cw], m.Cr[far*m.CStride:][:cw])
		convertVP8Row(im.row(y), m.Y[y*m.YStride:], u, v)
	}
	return im
}

// upsampleVP8 computes one row of twice the width with weights 9, 3, 3, 1 sixteenths, rounded in libwebp's two steps:
// the diagonal mean first, then its mean with the nearest sample.
func upsampleVP8(out, near, far []uint8) {
	n := len(near)
	out, far = out[:2*n], far[:n]
	out[0] = uint8((3*uint32(near[0]) + uint32(far[0]) + 2) >> 2)
	for i := 0; i < n-1; i++ {
		a, b := uint32(near[i]), uint32(near[i+1])
		c, d := uint32(far[i]), uint32(far[i+1])
		sum := a + b + c + d + 8
		out[2*i+1] = uint8(((sum+2*(b+c))>>3 + a) >> 1)
		out[2*i+2] = uint8(((sum+2*(a+d))>>3 + b) >> 1)
	}
	out[2*n-1] = uint8((3*uint32(near[n-1]) + uint32(far[n-1]) + 2) >> 2)
}

// convertVP8Row converts len(rgb)/3 pixels: 1.164 (Y-16) + 1.596 V and so on in 14 fraction bits, of which 8 are dropped
// from each product and 6 from the sum.
func convertVP8Row(rgb, y, u, v []uint8) {
	n := len(rgb) / 3
	y, u, v = y[:n], u[:n], v[:n]
	for x := range y {
		luma, cb, cr := int32(y[x])*19077>>8, int32(u[x]), int32(v[x])
		r := (luma + cr*26149>>8 - 14234) >> 6
		g := (luma - cb*6419>>8 - cr*13320>>8 + 8708) >> 6
		b := (luma + cb*33050>>8 - 17685) >> 6
		p := rgb[x*3 : x*3+3 : x*3+3]
		p[0], p[1], p[2] = uint8(min(max(r, 0), 255)), uint8(min(max(g, 0), 255)), uint8(min(max(b, 0), 255))
	}
}
