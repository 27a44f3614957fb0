package imaging

import (
	"image"
	"image/color"
)

// ColorModel, Bounds and At make an Image an [image.Image], so that it goes wherever the standard library's pictures do.
func (im *Image) ColorModel() color.Model { return color.RGBAModel }

// Bounds returns the rectangle from (0, 0) to (W, H).
func (im *Image) Bounds() image.Rectangle { return image.Rect(0, 0, im.W, im.H) }

// At returns the pixel at column x and row y, and transparent black outside of the picture.
func (im *Image) At(x, y int) color.Color {
	if !(image.Point{X: x, Y: y}).In(im.Bounds()) {
		return color.RGBA{}
	}
	p := im.row(y)[3*x:][:3]
	return color.RGBA{R: p[0], G: p[1], B: p[2], A: 255}
}
