package imaging

import (
	"encoding/hex"
	"encoding/json"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestResizeEqualsPillow runs testdata/resize.json: noise, enlarged and shrunk, by all six filters.
func TestResizeEqualsPillow(t *testing.T) {
	raw, err := os.ReadFile("testdata/resize.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases []struct {
		W, H, Filter int
		ToW          int `json:"to_w"`
		ToH          int `json:"to_h"`
		Pix, Out     string
	}
	if err := json.Unmarshal(raw, &cases); err != nil {
		t.Fatal(err)
	}
	if len(cases) < 60 {
		t.Fatalf("%d cases", len(cases))
	}
	for _, c := range cases {
		pix, err := hex.DecodeString(c.Pix)
		if err != nil {
			t.Fatal(err)
		}
		im := &Image{W: c.W, H: c.H, Pix: pix}
		if got := hex.EncodeToString(im.Resize(c.ToW, c.ToH, Filter(c.Filter)).Pix); got != c.Out {
			t.Errorf("%d x %d to %d x %d, %v:\ngot  %s\nwant %s", c.W, c.H, c.ToW, c.ToH, Filter(c.Filter), got, c.Out)
		}
	}
}

// TestDecodeEqualsPillow decodes every testdata/NAME for which there is a NAME.png: the pixels that Pillow reads.
func TestDecodeEqualsPillow(t *testing.T) {
	files, err := filepath.Glob("testdata/*.png")
	if err != nil || len(files) < 18 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(file, ".png")
		t.Run(filepath.Base(name), func(t *testing.T) {
			got, err := DecodeFile(name)
			if err != nil {
				t.Fatal(err)
			}
			f, err := os.Open(file)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			m, err := png.Decode(f)
			if err != nil {
				t.Fatal(err)
			}
			want := NewImage(m.Bounds().Dx(), m.Bounds().Dy())
			for i := range want.W * want.H {
				r, g, b, _ := m.At(i%want.W, i/want.W).RGBA()
				want.Pix[3*i], want.Pix[3*i+1], want.Pix[3*i+2] = uint8(r>>8), uint8(g>>8), uint8(b>>8)
			}
			if got.W != want.W || got.H != want.H {
				t.Fatalf("size %d x %d, expected %d x %d", got.W, got.H, want.W, want.H)
			}
			differ := 0
			for i := range want.Pix {
				if got.Pix[i] != want.Pix[i] {
					differ++
				}
			}
			if differ != 0 {
				t.Errorf("%d of %d values differ, expected none", differ, len(want.Pix))
			}
		})
	}
}
