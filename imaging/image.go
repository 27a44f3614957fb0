package imaging

import "fmt"

// Image is a picture of 8-bit RGB values: Pix[(y*W+x)*3+c], len(Pix) == H*W*3. The zero value is an empty image.
type Image struct {
	W, H int
	Pix  []uint8
}

// NewImage returns a black image of w x h pixels.
func NewImage(w, h int) *Image {
	im := new(Image)
	im.reset(w, h)
	return im
}

// reset makes im a w x h image, of the memory it has where that suffices. The pixels are then whatever was there.
func (im *Image) reset(w, h int) {
	if w < 0 || h < 0 {
		panic(fmt.Sprintf("imaging: image size %d x %d", w, h))
	}
	im.W, im.H = w, h
	if n := w * h * 3; cap(im.Pix) >= n {
		im.Pix = im.Pix[:n]
	} else {
		im.Pix = make([]uint8, n)
	}
}

// row returns the values of row y: W*3 of them.
func (im *Image) row(y int) []uint8 {
	return im.Pix[y*im.W*3:][:im.W*3]
}

// Clone returns a copy that shares no memory with im.
func (im *Image) Clone() *Image {
	c := NewImage(im.W, im.H)
	copy(c.Pix, im.Pix)
	return c
}

// Crop returns a copy of the w x h pixels whose top left corner is (x0, y0). What lies outside im is black.
func (im *Image) Crop(x0, y0, w, h int) *Image {
	out := NewImage(w, h)
	left, right := max(x0, 0), min(x0+w, im.W)
	if left >= right {
		return out
	}
	for y := max(y0, 0); y < min(y0+h, im.H); y++ {
		copy(out.row(y - y0)[(left-x0)*3:], im.row(y)[left*3:right*3])
	}
	return out
}

// FlipHorizontal mirrors im in place: left becomes right.
func (im *Image) FlipHorizontal() {
	for y := range im.H {
		row := im.row(y)
		for i, j := 0, len(row)-3; i < j; i, j = i+3, j-3 {
			row[i], row[j] = row[j], row[i]
			row[i+1], row[j+1] = row[j+1], row[i+1]
			row[i+2], row[j+2] = row[j+2], row[i+2]
		}
	}
}

// orient returns the upright picture of pixels stored with the given EXIF orientation (1 to 8; Exif 2.32, tag 0x0112).
// Orientation 1 returns im itself.
func (im *Image) orient(orientation int) *Image {
	w, h := im.W, im.H
	// Walking the upright picture right and down moves through the stored one by these steps, from this pixel on.
	var start, right, down int
	switch orientation {
	case 2: // mirrored left to right
		start, right, down = w-1, -1, w
	case 3: // rotated by 180 degrees
		start, right, down = w*h-1, -1, -w
	case 4: // mirrored top to bottom
		start, right, down = w*(h-1), 1, -w
	case 5: // mirrored about the main diagonal
		start, right, down = 0, w, 1
	case 6: // to be turned clockwise by 90 degrees
		start, right, down = w*(h-1), -w, 1
	case 7: // mirrored about the other diagonal
		start, right, down = w*h-1, -w, -1
	case 8: // to be turned counter-clockwise by 90 degrees
		start, right, down = w-1, w, -1
	default:
		return im
	}
	if orientation >= 5 {
		w, h = h, w
	}
	out := NewImage(w, h)
	i := 0
	for y := range h {
		from := (start + y*down) * 3
		for range w {
			p := im.Pix[from : from+3 : from+3]
			q := out.Pix[i : i+3 : i+3]
			q[0], q[1], q[2] = p[0], p[1], p[2]
			from += right * 3
			i += 3
		}
	}
	return out
}
