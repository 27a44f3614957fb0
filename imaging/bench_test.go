package imaging

import (
	"bytes"
	"image"
	"image/jpeg"
	"image/png"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/image/draw"

	"github.com/bigtransfer/bit/internal/fixture"
)

// photo returns the reference photograph enlarged to w x h.
func photo(t testing.TB, w, h int) *Image {
	im, err := Decode(fixture.Picture(t, "cat.png"))
	if err != nil {
		t.Fatal(err)
	}
	return im.Resize(w, h, Bicubic)
}

// toRGBA copies im for the standard library's encoders.
func toRGBA(im *Image) *image.RGBA {
	m := image.NewRGBA(image.Rect(0, 0, im.W, im.H))
	for i := range im.W * im.H {
		copy(m.Pix[i*4:], im.Pix[i*3:i*3+3])
		m.Pix[i*4+3] = 255
	}
	return m
}

// encodeJPEG encodes im as baseline 4:2:0, image/jpeg's only choice.
func encodeJPEG(t testing.TB, im *Image) []byte {
	var buf bytes.Buffer
	if err := jpeg.Encode(&buf, toRGBA(im), &jpeg.Options{Quality: 90}); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func encodePNG(t testing.TB, im *Image) []byte {
	var buf bytes.Buffer
	if err := png.Encode(&buf, toRGBA(im)); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func BenchmarkDecode(b *testing.B) {
	small, large := photo(b, 64, 64), photo(b, 500, 375)
	for _, c := range []struct {
		name string
		data []byte
	}{
		{"format=jpeg/size=64x64", encodeJPEG(b, small)},
		{"format=jpeg/size=500x375", encodeJPEG(b, large)},
		{"format=png/size=64x64", encodePNG(b, small)},
		{"format=png/size=500x375", encodePNG(b, large)},
		{"format=webp/size=180x120", fixture.Picture(b, "coffee.webp")},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Decode(c.data); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("format=jpeg/size=500x375/decoder=image-jpeg-alone", func(b *testing.B) {
		data := encodeJPEG(b, large)
		b.ReportAllocs()
		for b.Loop() {
			if _, err := jpeg.Decode(bytes.NewReader(data)); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("format=jpeg/file=12000x9000", func(b *testing.B) {
		path := filepath.Join(b.TempDir(), "large.jpg")
		if err := os.WriteFile(path, encodeJPEG(b, photo(b, 12000, 9000)), 0o644); err != nil {
			b.Fatal(err)
		}
		for b.Loop() {
			if _, err := DecodeFile(path); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkResize(b *testing.B) {
	large, small := photo(b, 500, 375), photo(b, 64, 64)
	for _, c := range []struct {
		name string
		im   *Image
		side int
		f    Filter
	}{
		{"from=500x375/to=224/filter=bilinear", large, 224, Bilinear},
		{"from=500x375/to=224/filter=bicubic", large, 224, Bicubic},
		{"from=64x64/to=72/filter=bilinear", small, 72, Bilinear},
		{"from=64x64/to=160/filter=bilinear", small, 160, Bilinear},
	} {
		b.Run(c.name, func(b *testing.B) {
			var r Resizer
			var out Image
			whole := image.Rect(0, 0, c.im.W, c.im.H)
			b.ReportAllocs()
			for b.Loop() {
				r.Resize(&out, c.im, whole, c.side, c.side, c.f)
			}
		})
	}
}

func BenchmarkProcess(b *testing.B) {
	im := photo(b, 500, 375)
	p := Squash(224, Bilinear)
	dst := make([]float32, 224*224*3)
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := p.Process(im, dst); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkPrepare takes a photograph from its file's bytes to the floats of a network of 224 pixels: this package, and
// the standard library's decoder with x/image/draw and the plainest loop. draw's BiLinear is the filter that corresponds
// to ours, antialiased when it shrinks; ApproxBiLinear takes four pixels whatever the scale, which is less work and
// another picture.
func BenchmarkPrepare(b *testing.B) {
	const side = 224
	dst := make([]float32, side*side*3)
	for _, f := range []struct {
		name string
		data []byte
	}{
		{"500x375", encodeJPEG(b, photo(b, 500, 375))},
		{"451x300", fixture.Picture(b, "cat.jpg")},
		{"451x300-progressive", fixture.Picture(b, "cat-444-progressive.jpg")},
	} {
		b.Run("file="+f.name+"/by=imaging", func(b *testing.B) {
			p := Squash(side, Bilinear)
			n := p.Normalizer()
			var r Resizer // kept from picture to picture, as package data does
			b.ReportAllocs()
			for b.Loop() {
				im, err := Decode(f.data)
				if err != nil {
					b.Fatal(err)
				}
				small, err := p.Transform(&r, im)
				if err != nil {
					b.Fatal(err)
				}
				n.Normalize(dst, small)
			}
		})
		for _, scaler := range []struct {
			name string
			draw.Scaler
		}{{"BiLinear", draw.BiLinear}, {"ApproxBiLinear", draw.ApproxBiLinear}} {
			b.Run("file="+f.name+"/by=image-jpeg+draw."+scaler.name, func(b *testing.B) {
				small := image.NewRGBA(image.Rect(0, 0, side, side))
				b.ReportAllocs()
				for b.Loop() {
					m, err := jpeg.Decode(bytes.NewReader(f.data))
					if err != nil {
						b.Fatal(err)
					}
					scaler.Scale(small, small.Rect, m, m.Bounds(), draw.Src, nil)
					for i := range side * side {
						for c := range 3 {
							dst[3*i+c] = float32(small.Pix[4*i+c])/127.5 - 1
						}
					}
				}
			})
		}
	}
}
