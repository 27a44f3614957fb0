package imaging

import (
	"bytes"
	"image"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// grayRow is a picture of one row.
func grayRow(values ...uint8) *Image {
	im := NewImage(len(values), 1)
	fromGrayRow(im.Pix, values)
	return im
}

// TestResizeByHand has values worked out with pencil and paper.
func TestResizeByHand(t *testing.T) {
	for _, c := range []struct {
		name     string
		in, want []uint8
		f        Filter
	}{
		// Centres of the halves are 1 and 3; weights of pixels at 0.5, 1.5 and 2.5 about 1 are 3, 3 and 1 sevenths.
		{"bilinear, half", []uint8{0, 70, 140, 210}, []uint8{50, 160}, Bilinear},
		// Centres 0.25, 0.75, 1.25, 1.75 lie a quarter and three quarters of the way between pixels at 0.5 and 1.5.
		{"bilinear, double", []uint8{0, 200}, []uint8{0, 50, 150, 200}, Bilinear},
		{"box, half", []uint8{0, 70, 140, 211}, []uint8{35, 176}, Box},
		{"box, third", []uint8{10, 20, 60}, []uint8{30}, Box},
		{"nearest, double", []uint8{5, 6}, []uint8{5, 5, 6, 6}, Nearest},
		{"nearest, half", []uint8{1, 2, 3, 4}, []uint8{2, 4}, Nearest},
		// At 1.25 the cubic weighs pixels at 0.5, 1.5 with f(0.75) = 0.2265625, f(0.25) = 0.8671875 of 1.09375; 255 times
		// their shares are 52.8 and 202.2. The mirror image at 0.75. At 0.25 and 1.75 pixels lie 0.25 and 1.25 away:
		// f(1.25) = -0.0703125 makes -0.0703125/0.796875 = -0.088, which is clamped, and 1.088 likewise.
		{"bicubic, double", []uint8{0, 255}, []uint8{0, 53, 202, 255}, Bicubic},
		{"one pixel", []uint8{9}, []uint8{9, 9, 9}, Lanczos},
	} {
		got := grayRow(c.in...).Resize(len(c.want), 1, c.f)
		if want := grayRow(c.want...); !bytes.Equal(got.Pix, want.Pix) {
			t.Errorf("%s: %v to %v, expected %v", c.name, c.in, got.Pix, want.Pix)
		}
		column := (&Image{W: 1, H: len(c.in), Pix: grayRow(c.in...).Pix}).Resize(1, len(c.want), c.f)
		if !bytes.Equal(column.Pix, got.Pix) {
			t.Errorf("%s: as a column %v, as a row %v", c.name, column.Pix, got.Pix)
		}
	}
}

// noise draws an image with sides up to 40.
func noise(t *rapid.T) *Image {
	im := NewImage(rapid.IntRange(1, 40).Draw(t, "w"), rapid.IntRange(1, 40).Draw(t, "h"))
	r := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
	for i := range im.Pix {
		im.Pix[i] = uint8(r.Uint32())
	}
	return im
}

func drawFilter(t *rapid.T) Filter { return Filter(rapid.IntRange(0, 5).Draw(t, "filter")) }

// drawRect draws a rectangle of at least one pixel within w x h.
func drawRect(t *rapid.T, w, h int) image.Rectangle {
	x, y := rapid.IntRange(0, w-1).Draw(t, "x"), rapid.IntRange(0, h-1).Draw(t, "y")
	return image.Rect(x, y, rapid.IntRange(x+1, w).Draw(t, "x1"), rapid.IntRange(y+1, h).Draw(t, "y1"))
}

// TestResizeProperties: one Resizer, used for everything, gives what fresh ones do; a part of the result computed alone
// is that part of the whole; cropping by rectangle is cropping first; the same size changes nothing; a uniform picture
// stays what it is.
func TestResizeProperties(t *testing.T) {
	var r Resizer
	out := new(Image)
	rapid.Check(t, func(t *rapid.T) {
		im := noise(t)
		f := drawFilter(t)
		w, h := rapid.IntRange(1, 60).Draw(t, "to w"), rapid.IntRange(1, 60).Draw(t, "to h")
		whole := image.Rect(0, 0, im.W, im.H)
		if rapid.Bool().Draw(t, "keep w") {
			w = im.W
		}
		want := im.Resize(w, h, f)
		if want.W != w || want.H != h || len(want.Pix) != w*h*3 {
			t.Fatalf("%d x %d with %d values, expected %d x %d", want.W, want.H, len(want.Pix), w, h)
		}
		r.Resize(out, im, whole, w, h, f)
		if !bytes.Equal(out.Pix, want.Pix) {
			t.Fatal("a used resizer gives something else")
		}
		window := drawRect(t, w, h)
		r.resizeWindow(out, im, whole, w, h, f, window)
		if part := want.Crop(window.Min.X, window.Min.Y, window.Dx(), window.Dy()); out.W != part.W || !bytes.Equal(out.Pix, part.Pix) {
			t.Fatalf("window %v differs", window)
		}
		crop := drawRect(t, im.W, im.H)
		cropped := im.Crop(crop.Min.X, crop.Min.Y, crop.Dx(), crop.Dy())
		if got := im.ResizeCrop(crop, w, h, f); !bytes.Equal(got.Pix, cropped.Resize(w, h, f).Pix) {
			t.Fatalf("crop %v differs", crop)
		}
		if got := im.Resize(im.W, im.H, f); !bytes.Equal(got.Pix, im.Pix) {
			t.Fatal("the same size changes the picture")
		}
		uniform := &Image{W: im.W, H: im.H, Pix: bytes.Repeat(im.Pix[:3], im.W*im.H)}
		if got := uniform.Resize(w, h, f); !bytes.Equal(got.Pix, bytes.Repeat(im.Pix[:3], w*h)) {
			t.Fatal("a uniform picture changes")
		}
	})
}

func TestResizeAllocatesNothing(t *testing.T) {
	im, out := NewImage(50, 40), new(Image)
	var r Resizer
	allocs := testing.AllocsPerRun(10, func() { r.Resize(out, im, image.Rect(5, 5, 45, 35), 30, 30, Bicubic) })
	if allocs != 0 {
		t.Errorf("%v allocations for the same sizes again", allocs)
	}
}

func TestFilterNames(t *testing.T) {
	var names []string
	for f := Filter(-1); f <= 6; f++ {
		names = append(names, f.String())
	}
	// The order of the codes in PIL/Image.py.
	want := []string{"Filter(-1)", "nearest", "lanczos", "bilinear", "bicubic", "box", "hamming", "Filter(6)"}
	if !slices.Equal(names, want) {
		t.Errorf("%q, expected %q", names, want)
	}
}
