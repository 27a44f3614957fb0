package imaging

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/bigtransfer/bit/internal/fixture"
)

// oneOfEach are files of every format, small enough to be cut at every byte.
func oneOfEach(t testing.TB) map[string][]byte {
	files := map[string][]byte{}
	for _, name := range []string{
		"coffee.bmp", "coffee.gif", "coffee.tif", "coffee.webp", "camera-gray.jpg", "cat-exif-rotate6.jpg", "thin-3x200.png", "one-pixel.png",
	} {
		files[name] = fixture.Picture(t, name)
	}
	for _, name := range []string{"h2v2-progressive.jpg", "cmyk.jpg", "lossless.webp", "animated.webp", "animated.gif", "lzw.tif"} {
		data, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		files[name] = data
	}
	return files
}

// TestTruncated cuts every format at many places: each time an error, and one that says so where the format tells.
func TestTruncated(t *testing.T) {
	for name, data := range oneOfEach(t) {
		t.Run(name, func(t *testing.T) {
			if _, err := Decode(data); err != nil {
				t.Fatal(err)
			}
			step := max(len(data)/150, 1)
			for n := 0; n < len(data); n++ {
				if n%step != 0 && n > 40 && n < len(data)-40 {
					continue
				}
				im, err := Decode(data[:n:n])
				if err == nil {
					t.Errorf("cut to %d of %d bytes: an image of %d x %d and no error", n, len(data), im.W, im.H)
					continue
				}
				if n > 0 && !errors.Is(err, ErrTruncated) {
					t.Errorf("cut to %d of %d bytes: error does not say so: %v", n, len(data), err)
				}
			}
		})
	}
}

// claim returns the start of a file of each format that says it has w x h pixels.
func claim(t testing.TB, w, h uint32) map[string][]byte {
	be, le := binary.BigEndian, binary.LittleEndian
	ihdr := append([]byte("IHDR"), be.AppendUint32(be.AppendUint32(nil, w), h)...)
	ihdr = append(ihdr, 8, 2, 0, 0, 0)
	files := map[string][]byte{
		"png": append(append([]byte("\x89PNG\r\n\x1a\n\x00\x00\x00\x0d"), ihdr...), be.AppendUint32(nil, crc32.ChecksumIEEE(ihdr))...),
		"gif": append(le.AppendUint16(le.AppendUint16([]byte("GIF89a"), uint16(w)), uint16(h)), 0, 0, 0),
	}
	bmp := append([]byte("BM"), make([]byte, 52)...)
	le.PutUint32(bmp[10:], 54)
	le.PutUint32(bmp[14:], 40)
	le.PutUint32(bmp[18:], w)
	le.PutUint32(bmp[22:], h)
	bmp[26], bmp[28] = 1, 24
	files["bmp"] = bmp
	jpg := be.AppendUint16(be.AppendUint16([]byte("\xff\xd8\xff\xc0\x00\x11\x08"), uint16(h)), uint16(w))
	files["jpeg"] = append(jpg, "\x03\x01\x22\x00\x02\x11\x01\x03\x11\x01\xff\xda\x00\x0c\x03\x01\x00\x02\x11\x03\x11\x00\x3f\x00"...)
	tif := []byte("II*\x00\x08\x00\x00\x00\x05\x00")
	for _, e := range [][2]uint32{{256, w}, {257, h}, {258, 8}, {259, 1}, {262, 1}} {
		tif = le.AppendUint16(tif, uint16(e[0]))
		tif = le.AppendUint16(tif, 4)
		tif = le.AppendUint32(le.AppendUint32(tif, 1), e[1])
	}
	files["tiff"] = append(tif, 0, 0, 0, 0)
	vp8x := append([]byte("RIFF\x1e\x00\x00\x00WEBPVP8X\x0a\x00\x00\x00\x00\x00\x00\x00"),
		byte(w-1), byte((w-1)>>8), byte((w-1)>>16), byte(h-1), byte((h-1)>>8), byte((h-1)>>16))
	files["webp"] = append(vp8x, make([]byte, 8)...)
	return files
}

// TestClaimsTooManyPixels: a header of 10^9 pixels is refused before any memory is spent on them.
func TestClaimsTooManyPixels(t *testing.T) {
	for name, data := range claim(t, 40000, 25000) {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := Decode(data)
		runtime.ReadMemStats(&after)
		var tooLarge *TooLargeError
		switch {
		case !errors.Is(err, ErrTooLarge) || !errors.As(err, &tooLarge):
			t.Errorf("%s: error %v, expected ErrTooLarge", name, err)
		case tooLarge.Width != 40000 || tooLarge.Height != 25000 || tooLarge.MaxPixels != DefaultMaxPixels:
			t.Errorf("%s: %+v", name, tooLarge)
		case !strings.Contains(err.Error(), "40000 x 25000"):
			t.Errorf("%s: the sizes are not named: %v", name, err)
		}
		if spent := after.TotalAlloc - before.TotalAlloc; spent > 1<<20 {
			t.Errorf("%s: %d bytes spent", name, spent)
		}
	}
	// The same headers with an honest size fail for want of data instead: they are well formed.
	for name, data := range claim(t, 40, 25) {
		if _, err := Decode(data); err == nil || errors.Is(err, ErrTooLarge) || errors.Is(err, ErrNotImage) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, data := range claim(t, 0, 25) {
		if _, err := Decode(data); err == nil || name != "webp" && errors.Is(err, ErrTooLarge) {
			t.Errorf("%s without width: %v", name, err)
		}
	}
}

func TestMaxPixels(t *testing.T) {
	data := fixture.Picture(t, "thin-3x200.png")
	if _, err := (Decoder{MaxPixels: 600}).Decode(data); err != nil {
		t.Error(err)
	}
	if _, err := (Decoder{MaxPixels: 599}).Decode(data); !errors.Is(err, ErrTooLarge) {
		t.Errorf("error %v, expected ErrTooLarge", err)
	}
}

func TestNotAnImage(t *testing.T) {
	dir := t.TempDir()
	for name, data := range map[string]string{"empty.jpg": "", "text.jpg": "This is not a picture.", "zeros.png": "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"} {
		if _, err := Decode([]byte(data)); !errors.Is(err, ErrNotImage) {
			t.Errorf("%s: error %v, expected ErrNotImage", name, err)
		}
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(data), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := DecodeFile(path); !errors.Is(err, ErrNotImage) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: error %v, expected ErrNotImage with the path", name, err)
		}
	}
	if _, err := DecodeFile(dir); !errors.Is(err, ErrNotImage) || !strings.Contains(err.Error(), "folder") {
		t.Errorf("folder: %v", err)
	}
	if _, err := DecodeFile(filepath.Join(dir, "absent.jpg")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("absent file: %v", err)
	}
	cut := filepath.Join(dir, "cut.png")
	if err := os.WriteFile(cut, fixture.Picture(t, "cat.png")[:5000], 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := DecodeFile(cut); !errors.Is(err, ErrTruncated) || !strings.Contains(err.Error(), cut) {
		t.Errorf("cut file: %v", err)
	}
}

// TestUnsupportedJPEG: a file that says it is coded arithmetically, or has 12 bits a sample, is not called corrupt.
func TestUnsupportedJPEG(t *testing.T) {
	plain := encodeJPEG(t, photo(t, 24, 16))
	const baseline = "\xff\xc0\x00\x11\x08" // marker, length, bits a sample
	for what, header := range map[string]string{"arithmetic": "\xff\xc9\x00\x11\x08", "12 bits": "\xff\xc1\x00\x11\x0c"} {
		data := bytes.Replace(plain, []byte(baseline), []byte(header), 1)
		if _, err := Decode(data); bytes.Equal(data, plain) || !errors.Is(err, ErrUnsupported) || !strings.Contains(err.Error(), what) {
			t.Errorf("%s: error %v, expected ErrUnsupported that names it", what, err)
		}
	}
}

// TestDamaged flips bytes: any outcome is fine but a panic or an image whose sizes are inconsistent.
func TestDamaged(t *testing.T) {
	for name, data := range oneOfEach(t) {
		for i := range 200 {
			damaged := bytes.Clone(data)
			at := i * len(data) / 200
			if i < 60 && i < len(data) {
				at = i
			}
			damaged[at] ^= byte(1 + i*37%255)
			checkDecoded(t, name, damaged)
		}
	}
}

func checkDecoded(t *testing.T, name string, data []byte) {
	const limit = 1 << 18
	im, err := Decoder{MaxPixels: limit}.Decode(data)
	if err != nil {
		if im != nil {
			t.Errorf("%s: both an image and the error %v", name, err)
		}
		return
	}
	if im.W < 1 || im.H < 1 || im.W*im.H > limit || len(im.Pix) != im.W*im.H*3 {
		t.Errorf("%s: image of %d x %d with %d values", name, im.W, im.H, len(im.Pix))
	}
}

func FuzzDecode(f *testing.F) {
	for _, data := range oneOfEach(f) {
		f.Add(data)
	}
	for _, data := range claim(f, 9, 7) {
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) { checkDecoded(t, "input", data) })
}

// TestUprightByEXIF: the photograph is stored on its side with orientation 6, to be turned clockwise.
func TestUprightByEXIF(t *testing.T) {
	data := fixture.Picture(t, "cat-exif-rotate6.jpg")
	stored, err := Decoder{KeepOrientation: true}.Decode(data)
	if err != nil {
		t.Fatal(err)
	}
	upright, err := Decode(data)
	if err != nil {
		t.Fatal(err)
	}
	if stored.W != 226 || stored.H != 150 || upright.W != 150 || upright.H != 226 {
		t.Fatalf("stored %d x %d, upright %d x %d; expected 226 x 150, 150 x 226", stored.W, stored.H, upright.W, upright.H)
	}
	for y := range upright.H {
		for x := range upright.W {
			// Turned clockwise, the stored left column becomes the top row, its lowest pixel first.
			if got, want := pixel(upright, x, y), pixel(stored, y, stored.H-1-x); got != want {
				t.Fatalf("pixel (%d, %d) is %v, expected %v", x, y, got, want)
			}
		}
	}
}

func pixel(im *Image, x, y int) [3]uint8 {
	return [3]uint8(im.Pix[(y*im.W+x)*3:])
}

// exifOrientation is a TIFF block of one tag: Orientation (0x0112), of type SHORT.
func exifOrientation(v byte) []byte {
	return append([]byte("MM\x00*\x00\x00\x00\x08\x00\x01\x01\x12\x00\x03\x00\x00\x00\x01\x00"), v, 0, 0, 0, 0, 0, 0)
}

// TestOrientationInEveryContainer hides all orientations in JPEG, PNG and WebP files, and a nonsensical one.
func TestOrientationInEveryContainer(t *testing.T) {
	plainJPEG := encodeJPEG(t, photo(t, 24, 16))
	plainPNG := encodePNG(t, photo(t, 24, 16))
	plainWebP, err := os.ReadFile("testdata/lossless.webp")
	if err != nil {
		t.Fatal(err)
	}
	for v := byte(0); v <= 9; v++ {
		exif := exifOrientation(v)
		segment := append([]byte("Exif\x00\x00"), exif...)
		jpg := append([]byte("\xff\xd8\xff\xe1\x00"), byte(len(segment)+2))
		jpg = append(append(jpg, segment...), plainJPEG[2:]...)

		chunk := append([]byte("eXIf"), exif...)
		const afterIHDR = 8 + 25
		pngFile := append(bytes.Clone(plainPNG[:afterIHDR]), 0, 0, 0, byte(len(exif)))
		pngFile = append(pngFile, chunk...)
		pngFile = binary.BigEndian.AppendUint32(pngFile, crc32.ChecksumIEEE(chunk))
		pngFile = append(pngFile, plainPNG[afterIHDR:]...)

		const exifFlag = 1 << 3
		riff := append([]byte("WEBPVP8X\x0a\x00\x00\x00"), exifFlag, 0, 0, 0, 50, 0, 0, 34, 0, 0) // 51 x 35 pixels
		riff = append(riff, plainWebP[12:]...)
		riff = append(append(riff, "EXIF\x1a\x00\x00\x00"...), exif...)
		webpFile := append(binary.LittleEndian.AppendUint32([]byte("RIFF"), uint32(len(riff))), riff...)

		for name, data := range map[string][]byte{"jpeg": jpg, "png": pngFile, "webp": webpFile} {
			stored, err := Decoder{KeepOrientation: true}.Decode(data)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			got, err := Decode(data)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if want := stored.orient(int(v)); got.W != want.W || !bytes.Equal(got.Pix, want.Pix) {
				t.Errorf("%s, orientation %d: not turned as it should be", name, v)
			}
		}
	}
}

// TestLargePhotograph decodes 12,000 x 9,000 pixels, as JPEG and PNG, and brings them to network size.
func TestLargePhotograph(t *testing.T) {
	gray := image.NewGray(image.Rect(0, 0, 12000, 9000))
	for y := range 9000 {
		row := gray.Pix[y*gray.Stride:][:12000]
		for x := 6000; x < 12000; x++ { // the right half is white
			row[x] = 255
		}
	}
	var file bytes.Buffer
	for name, encode := range map[string]func() error{
		"jpeg": func() error { return jpeg.Encode(&file, gray, nil) },
		"png": func() error {
			twoColours := image.NewPaletted(gray.Rect, color.Palette{color.Black, color.White})
			for i, v := range gray.Pix {
				twoColours.Pix[i] = v >> 7
			}
			return (&png.Encoder{CompressionLevel: png.BestSpeed}).Encode(&file, twoColours)
		},
	} {
		file.Reset()
		if err := encode(); err != nil {
			t.Fatal(err)
		}
		im, err := Decode(file.Bytes())
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		small := im.Resize(224, 224, Bilinear)
		if im.W != 12000 || im.H != 9000 || pixel(small, 0, 0) != [3]uint8{} || pixel(small, 223, 223) != [3]uint8{255, 255, 255} {
			t.Errorf("%s: %d x %d pixels, corners %v and %v", name, im.W, im.H, pixel(small, 0, 0), pixel(small, 223, 223))
		}
		im = nil
		runtime.GC()
	}
}
