package imaging

import (
	"math"
	"testing"
)

// TestView compares with numbers worked out by hand, and with what Transform does to a picture whose pixels say where
// they are: red is x, green is y.
func TestView(t *testing.T) {
	edge := func(s, crop int) *Processor {
		p := DefaultProcessor()
		p.Size, p.CropWidth, p.CropHeight, p.Resample = Size{ShortestEdge: s}, crop, crop, Bilinear
		return p
	}
	uncropped := edge(64, 1)
	uncropped.DoCenterCrop = false
	letterbox := edge(0, 50)
	letterbox.Size = Size{LongestEdge: 50}
	for _, c := range []struct {
		name string
		p    *Processor
		w, h int
		want Region
	}{
		{"squash", Squash(64, Bilinear), 200, 100, Region{0, 0, 200, 100}},
		// 200 x 100 becomes 100 x 50, of which x 30 to 70 and y 5 to 45 stay.
		{"edge and crop", edge(50, 40), 200, 100, Region{60, 10, 140, 90}},
		{"upright", edge(50, 40), 100, 200, Region{10, 60, 90, 140}},
		{"enlarged", edge(160, 120), 120, 80, Region{30, 10, 90, 70}},
		{"edge alone", uncropped, 128, 96, Region{0, 0, 128, 96}},
		{"crop alone", geometry(60, 40), 101, 81, Region{20, 20, 80, 60}}, // 20.5 is rounded down
		// 200 x 100 becomes 50 x 25, above which 13 rows are black and below which 12 are: 13·4 and 12·4 of the original's.
		{"letterbox", letterbox, 200, 100, Region{0, -52, 200, 148}},
		{"padded", geometry(100, 100), 60, 40, Region{-20, -30, 80, 70}},
	} {
		got := c.p.View(c.w, c.h)
		if got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
		im := NewImage(c.w, c.h)
		for y := range c.h {
			for x := range c.w {
				im.Pix[(y*c.w+x)*3], im.Pix[(y*c.w+x)*3+1] = uint8(x), uint8(y)
			}
		}
		out, err := c.p.Transform(new(Resizer), im)
		if err != nil {
			t.Fatal(err)
		}
		for y := range out.H {
			for x := range out.W {
				wantX := got.X0 + (float64(x)+0.5)*(got.X1-got.X0)/float64(out.W) - 0.5
				wantY := got.Y0 + (float64(y)+0.5)*(got.Y1-got.Y0)/float64(out.H) - 0.5
				if wantX < 2 || wantY < 2 || wantX > float64(c.w-3) || wantY > float64(c.h-3) {
					continue // the filter is cut off at the edges
				}
				p := out.Pix[(y*out.W+x)*3:]
				if math.Abs(float64(p[0])-wantX) > 1 || math.Abs(float64(p[1])-wantY) > 1 {
					t.Fatalf("%s: pixel (%d, %d) shows (%d, %d), want (%.1f, %.1f)", c.name, x, y, p[0], p[1], wantX, wantY)
				}
			}
		}
	}
}
