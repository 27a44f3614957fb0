package bit

import (
	"image/color"
	"math"
	"testing"

	"github.com/lucasb-eyer/go-colorful"

	"github.com/bigtransfer/bit/imaging"
)

// TestOverlay draws a map of two positions over a picture twice as wide as what the network saw of it, at half the size.
func TestOverlay(t *testing.T) {
	e := &Explanation{
		Map: []float32{2, -1}, W: 2, H: 1, Width: 80, Height: 20,
		View: imaging.Region{X0: 20, Y0: 0, X1: 60, Y1: 20}, Origin: [2]float64{21, 1}, Step: [2]float64{20, 20},
	}
	im := imaging.NewImage(40, 10)
	for i := range im.Pix {
		im.Pix[i] = 100
	}
	out := e.Overlay(im)
	if out.Bounds() != im.Bounds() {
		t.Fatalf("overlay of %v, want %v", out.Bounds(), im.Bounds())
	}
	blend := func(c [3]uint8, opacity float64) color.NRGBA {
		mix := func(v uint8) uint8 { return uint8(100*(1-opacity) + float64(v)*opacity + 0.5) }
		return color.NRGBA{mix(c[0]), mix(c[1]), mix(c[2]), 255}
	}
	for _, c := range []struct {
		x, y int
		want color.NRGBA
	}{
		{9, 5, color.NRGBA{35, 35, 35, 255}}, // not seen: 0.35 of 100
		{30, 0, color.NRGBA{35, 35, 35, 255}},
		{10, 0, blend(forClass[255], 0.8)},     // the centre of the first position, (21, 1) in the picture
		{20, 9, blend(againstClass[128], 0.4)}, // of the second, which is half as strong
		{29, 5, blend(againstClass[128], 0.4)}, // and beyond it
		{15, 5, blend(forClass[64], 0.2)},      // half way between: (2 − 1)/2 is a quarter of the largest
	} {
		if got := out.NRGBAAt(c.x, c.y); got != c.want {
			t.Errorf("pixel (%d, %d) is %v, want %v", c.x, c.y, got, c.want)
		}
	}

	// Nothing contributes: the picture in grey. A pure green of 200 has the luma 117.4.
	e.Map = []float32{0, 0}
	for i := range im.Pix {
		im.Pix[i] = []uint8{0, 200, 0}[i%3]
	}
	if got := e.Overlay(im).NRGBAAt(15, 5); got != (color.NRGBA{117, 117, 117, 255}) {
		t.Errorf("pixel %v without contributions, want grey of 117", got)
	}
}

// TestRamp: equal steps to the eye, and two sides that look equally strong.
func TestRamp(t *testing.T) {
	lab := func(c [3]uint8) [3]float64 {
		l, a, b := colorful.Color{R: float64(c[0]) / 255, G: float64(c[1]) / 255, B: float64(c[2]) / 255}.OkLab()
		return [3]float64{l, a, b}
	}
	distance := func(a, b [3]float64) float64 {
		return math.Sqrt((a[0]-b[0])*(a[0]-b[0]) + (a[1]-b[1])*(a[1]-b[1]) + (a[2]-b[2])*(a[2]-b[2]))
	}
	lengths := map[string]float64{}
	for name, r := range map[string][shades][3]uint8{"for": forClass, "against": againstClass} {
		length := distance(lab(r[0]), lab(r[shades-1]))
		lengths[name] = length
		const parts = 15
		for i := range parts {
			step := distance(lab(r[i*(shades-1)/parts]), lab(r[(i+1)*(shades-1)/parts]))
			if math.Abs(step*parts/length-1) > 0.15 { // 8-bit values
				t.Errorf("%s: step %d is %.2f times the mean", name, i, step*parts/length)
			}
		}
	}
	l, m := lab(forClass[shades-1])[0], lab(againstClass[shades-1])[0]
	t.Logf("lightness %.3f and %.3f, lengths %.3f and %.3f", l, m, lengths["for"], lengths["against"])
	if math.Abs(l-m) > 0.01 {
		t.Errorf("ends of lightness %.3f and %.3f, want the same", l, m)
	}
}
