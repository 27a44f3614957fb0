package bit

import (
	"image"
	"math"

	"github.com/lucasb-eyer/go-colorful"

	"github.com/bigtransfer/bit/imaging"
)

// Overlay draws the explanation over the picture, or over a copy of it in another size: the picture in grey, coloured from
// pale to orange where it speaks for the class and from pale to blue where it speaks against it. The more a place
// contributes, the less of the picture shows through. What the network did not see is dark.
//
// Between positions the contributions are interpolated. Equal steps of contribution are equal steps of colour, to the
// eye (in OKLab), and all maps use their full range: colours of two pictures cannot be compared, the numbers can.
func (e *Explanation) Overlay(img image.Image) *image.NRGBA {
	im, ok := img.(*imaging.Image)
	if !ok {
		im = imaging.FromImage(img)
	}
	out := image.NewNRGBA(image.Rect(0, 0, im.W, im.H))
	largest := 0.0
	for _, v := range e.Map {
		largest = max(largest, math.Abs(float64(v)))
	}
	if largest == 0 {
		largest = 1
	}
	// From a pixel of im to the picture.
	sx, sy := float64(e.Width)/float64(im.W), float64(e.Height)/float64(im.H)
	for y := range im.H {
		py := (float64(y) + 0.5) * sy
		for x := range im.W {
			px := (float64(x) + 0.5) * sx
			p, q := im.Pix[(y*im.W+x)*3:], out.Pix[(y*im.W+x)*4:]
			// Rec. 601 luma, as in JPEG.
			grey := 0.299*float64(p[0]) + 0.587*float64(p[1]) + 0.114*float64(p[2])
			q[3] = 255
			if px < e.View.X0 || px >= e.View.X1 || py < e.View.Y0 || py >= e.View.Y1 {
				q[0], q[1], q[2] = uint8(grey*outside), uint8(grey*outside), uint8(grey*outside)
				continue
			}
			share := e.at(px, py) / largest
			colours := &forClass
			if share < 0 {
				colours = &againstClass
			}
			c := colours[int(math.Abs(share)*(shades-1)+0.5)]
			opacity := math.Abs(share) * mostOpaque
			for i := range 3 {
				q[i] = uint8(grey*(1-opacity) + float64(c[i])*opacity + 0.5)
			}
		}
	}
	return out
}

const (
	outside    = 0.35 // brightness of what the network did not see
	mostOpaque = 0.8  // of the colour of the largest contribution
	shades     = 256
)

// at interpolates the map at a point of the picture, bilinearly. Beyond the outermost positions it stays as it is there.
func (e *Explanation) at(px, py float64) float64 {
	x0, x1, fx := between((px-e.Origin[0])/e.Step[0], e.W)
	y0, y1, fy := between((py-e.Origin[1])/e.Step[1], e.H)
	row := func(y int) float64 {
		return float64(e.Map[y*e.W+x0])*(1-fx) + float64(e.Map[y*e.W+x1])*fx
	}
	return row(y0)*(1-fy) + row(y1)*fy
}

// between returns the two of n positions around v, and how far v is on the way to the second.
func between(v float64, n int) (lo, hi int, fraction float64) {
	v = min(max(v, 0), float64(n-1))
	lo = int(v)
	return lo, min(lo+1, n-1), v - float64(lo)
}

// The two halves of a diverging colour map, from no contribution to the largest. Both ends differ from the common pale
// start by about the same in lightness, so that neither side looks stronger; orange and blue are also told apart by
// people who cannot tell red from green.
var (
	forClass     = ramp("#f4f1ea", "#d95f02")
	againstClass = ramp("#f4f1ea", "#3f8ad8")
)

func ramp(from, to string) (colours [shades][3]uint8) {
	parse := func(s string) colorful.Color {
		c, err := colorful.Hex(s)
		if err != nil {
			panic(err)
		}
		return c
	}
	a, b := parse(from), parse(to)
	for i := range colours {
		r, g, b := a.BlendOkLab(b, float64(i)/(shades-1)).Clamped().RGB255()
		colours[i] = [3]uint8{r, g, b}
	}
	return colours
}
