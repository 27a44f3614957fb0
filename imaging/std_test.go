package imaging

import (
	"image"
	"image/color"
	"slices"
	"testing"
)

func TestImageIsStandard(t *testing.T) {
	im := &Image{W: 2, H: 1, Pix: []uint8{1, 2, 3, 4, 5, 6}}
	var std image.Image = im
	if got, want := std.At(1, 0), (color.RGBA{4, 5, 6, 255}); got != want {
		t.Errorf("At(1, 0) = %v, want %v", got, want)
	}
	for _, p := range []image.Point{{-1, 0}, {2, 0}, {0, 1}, {0, -1}} {
		if got := std.At(p.X, p.Y); got != (color.RGBA{}) {
			t.Errorf("At(%d, %d) = %v outside of the picture", p.X, p.Y, got)
		}
	}
	if back := FromImage(std); back.W != 2 || back.H != 1 || !slices.Equal(back.Pix, im.Pix) {
		t.Errorf("there and back: %+v, want %+v", back, im)
	}
}
