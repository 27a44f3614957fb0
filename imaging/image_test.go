package imaging

import (
	"bytes"
	"image"
	"image/color"
	"testing"
)

// letters makes an image of the rows given, one letter a pixel: its code is red, its column green, its row blue.
func letters(rows ...string) *Image {
	im := NewImage(len(rows[0]), len(rows))
	for y, row := range rows {
		for x := range len(row) {
			copy(im.Pix[(y*im.W+x)*3:], []uint8{row[x], uint8(row[x] * 2), uint8(255 - row[x])})
		}
	}
	return im
}

// spell is the inverse of letters; black is a dot.
func spell(im *Image) []string {
	var rows []string
	for y := range im.H {
		row := ""
		for x := range im.W {
			p := pixel(im, x, y)
			if p == [3]uint8{} {
				p[0] = '.'
			}
			row += string(rune(p[0]))
		}
		rows = append(rows, row)
	}
	return rows
}

func expectRows(t *testing.T, what string, im *Image, want ...string) {
	t.Helper()
	got := spell(im)
	if len(got) != len(want) {
		t.Errorf("%s: %q, expected %q", what, got, want)
		return
	}
	for i := range got {
		if got[i] != want[i] {
			t.Errorf("%s: %q, expected %q", what, got, want)
			return
		}
	}
}

func TestCrop(t *testing.T) {
	im := letters("abcd", "efgh", "ijkl")
	expectRows(t, "inside", im.Crop(1, 1, 2, 2), "fg", "jk")
	expectRows(t, "beyond the top left", im.Crop(-1, -2, 3, 4), "...", "...", ".ab", ".ef")
	expectRows(t, "beyond the bottom right", im.Crop(3, 1, 2, 3), "h.", "l.", "..")
	expectRows(t, "all round", im.Crop(-1, -1, 6, 5), "......", ".abcd.", ".efgh.", ".ijkl.", "......")
	expectRows(t, "elsewhere", im.Crop(10, 0, 2, 1), "..")
	expectRows(t, "elsewhere to the left", im.Crop(-10, 0, 2, 1), "..")
	whole := im.Crop(0, 0, 4, 3)
	whole.Pix[0] = 0
	if im.Pix[0] != 'a' {
		t.Error("the crop shares memory with the image")
	}
}

func TestFlipHorizontal(t *testing.T) {
	for _, c := range [][2]string{{"abc", "cba"}, {"abcd", "dcba"}, {"a", "a"}} {
		im := letters(c[0], c[0])
		im.FlipHorizontal()
		if want := letters(c[1], c[1]); !bytes.Equal(im.Pix, want.Pix) {
			t.Errorf("%q flips to %q", c[0], spell(im))
		}
	}
}

// TestOrient follows the table of the Exif standard: which edges of the stored picture are the visual top and left.
func TestOrient(t *testing.T) {
	im := letters("abc", "def")
	for orientation, want := range map[int][]string{
		0: {"abc", "def"}, // not in the standard: as stored
		1: {"abc", "def"},
		2: {"cba", "fed"},     // row 0 is the top, column 0 the right
		3: {"fed", "cba"},     // bottom, right
		4: {"def", "abc"},     // bottom, left
		5: {"ad", "be", "cf"}, // row 0 is the left side, column 0 the top
		6: {"da", "eb", "fc"}, // right, top
		7: {"fc", "eb", "da"}, // right, bottom
		8: {"cf", "be", "ad"}, // left, bottom
		9: {"abc", "def"},     // not in the standard
	} {
		expectRows(t, "orientation", im.orient(orientation), want...)
	}
}

func TestFromImage(t *testing.T) {
	at := image.Rect(3, 5, 4, 6) // one pixel, not at the origin
	paletted := image.NewPaletted(at, color.Palette{color.Black, color.NRGBA{10, 20, 30, 0}})
	paletted.Pix[0] = 1
	beyond := image.NewPaletted(at, color.Palette{color.White})
	beyond.Pix[0] = 9
	set := func(m interface {
		image.Image
		Set(x, y int, c color.Color)
	}, c color.Color) image.Image {
		m.Set(3, 5, c)
		return m
	}
	cmyk := image.NewCMYK(at)
	// Full black leaves nothing; a third of it with half cyan: 255-85 = 170 are left, of which 128/255 go: 170-85 = 85.
	copy(cmyk.Pix, []uint8{128, 0, 255, 85})
	ycbcr := image.NewYCbCr(at, image.YCbCrSubsampleRatio444)
	// R = 100 + 1.402*50 = 170.1, G = 100 - 0.34414*(-20) - 0.71414*50 = 71.2, B = 100 + 1.772*(-20) = 64.56.
	ycbcr.Y[0], ycbcr.Cb[0], ycbcr.Cr[0] = 100, 108, 178
	for name, c := range map[string]struct {
		m    image.Image
		want [3]uint8
	}{
		"gray":                    {set(image.NewGray(at), color.Gray{77}), [3]uint8{77, 77, 77}},
		"16-bit gray":             {set(image.NewGray16(at), color.Gray16{0x80ff}), [3]uint8{0x80, 0x80, 0x80}},
		"straight alpha":          {set(image.NewNRGBA(at), color.NRGBA{200, 100, 50, 51}), [3]uint8{200, 100, 50}},
		"transparent":             {set(image.NewNRGBA(at), color.NRGBA{200, 100, 50, 0}), [3]uint8{200, 100, 50}},
		"16-bit straight alpha":   {set(image.NewNRGBA64(at), color.NRGBA64{0xc8ff, 0x64ff, 0x32ff, 0x3333}), [3]uint8{0xc8, 0x64, 0x32}},
		"multiplied alpha":        {set(image.NewRGBA(at), color.RGBA{40, 20, 10, 51}), [3]uint8{200, 100, 50}},
		"opaque":                  {set(image.NewRGBA(at), color.RGBA{40, 20, 10, 255}), [3]uint8{40, 20, 10}},
		"16-bit multiplied alpha": {set(image.NewRGBA64(at), color.RGBA64{0x2800, 0x1400, 0x0a00, 0x3333}), [3]uint8{0xc8, 0x64, 0x32}},
		"transparent palette":     {paletted, [3]uint8{10, 20, 30}},
		"beyond the palette":      {beyond, [3]uint8{}},
		"alpha mask":              {set(image.NewAlpha(at), color.Alpha{128}), [3]uint8{255, 255, 255}},
		"ink":                     {cmyk, [3]uint8{85, 170, 0}},
		"luma and chroma":         {ycbcr, [3]uint8{170, 71, 65}},
		"part of a larger image": {
			set(image.NewNRGBA(image.Rect(0, 0, 9, 9)), color.NRGBA{1, 2, 3, 255}).(*image.NRGBA).SubImage(at), [3]uint8{1, 2, 3},
		},
		"part of a larger palette": {
			set(image.NewPaletted(image.Rect(0, 0, 9, 9), color.Palette{color.Black, color.White}), color.White).(*image.Paletted).SubImage(at),
			[3]uint8{255, 255, 255},
		},
	} {
		im := FromImage(c.m)
		if im.W != 1 || im.H != 1 || len(im.Pix) != 3 || pixel(im, 0, 0) != c.want {
			t.Errorf("%s: %+v, expected %v", name, im, c.want)
		}
	}
	if im := FromImage(image.NewGray(image.Rect(0, 0, 0, 5))); im.W != 0 || im.H != 5 || len(im.Pix) != 0 {
		t.Errorf("no pixels: %+v", im)
	}
}

// TestFromYCbCrParts: chroma is interpolated within the part converted, wherever it lies in a larger image.
func TestFromYCbCrParts(t *testing.T) {
	for _, ratio := range []image.YCbCrSubsampleRatio{
		image.YCbCrSubsampleRatio444, image.YCbCrSubsampleRatio422, image.YCbCrSubsampleRatio420,
		image.YCbCrSubsampleRatio440, image.YCbCrSubsampleRatio411, image.YCbCrSubsampleRatio410,
	} {
		m := image.NewYCbCr(image.Rect(0, 0, 32, 24), ratio)
		for i := range m.Y {
			m.Y[i] = uint8(i * 7)
		}
		for i := range m.Cb {
			m.Cb[i], m.Cr[i] = uint8(i*13), uint8(i*29)
		}
		part := m.SubImage(image.Rect(8, 8, 8+11, 8+9)).(*image.YCbCr)
		alone := image.NewYCbCr(image.Rect(0, 0, 11, 9), ratio)
		for y := range 9 {
			for x := range 11 {
				alone.Y[alone.YOffset(x, y)] = m.Y[m.YOffset(x+8, y+8)]
				alone.Cb[alone.COffset(x, y)] = m.Cb[m.COffset(x+8, y+8)]
				alone.Cr[alone.COffset(x, y)] = m.Cr[m.COffset(x+8, y+8)]
			}
		}
		if !bytes.Equal(FromImage(part).Pix, FromImage(alone).Pix) {
			t.Errorf("%v: the part differs from the same pixels alone", ratio)
		}
	}
}

// TestUpsampling has values worked out by hand from the weights of jdsample.c.
func TestUpsampling(t *testing.T) {
	expect := func(what string, got []uint8, want ...uint8) {
		t.Helper()
		if !bytes.Equal(got, want) {
			t.Errorf("%s: %v, expected %v", what, got, want)
		}
	}
	row := make([]uint8, 6)
	upsampleH2(row, []uint8{10, 20, 41})
	// 10; (30+20+2)/4 = 13; (60+10+1)/4 = 17.75; (60+41+2)/4 = 25.75; (123+20+1)/4 = 36; 41
	expect("2:1 across", row, 10, 13, 17, 25, 36, 41)
	upsampleV2(row[:3], []uint8{10, 20, 41}, []uint8{0, 21, 255}, 0)
	// (30+0+1)/4 = 7.75; (60+21+1)/4 = 20.5; (123+255+1)/4 = 94.75
	expect("2:1 down, upper row", row[:3], 7, 20, 94)
	upsampleV2(row[:3], []uint8{10, 20, 41}, []uint8{0, 21, 255}, 1)
	expect("2:1 down, lower row", row[:3], 8, 20, 95)
}
