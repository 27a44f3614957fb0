package imaging_test

import (
	"bytes"
	"encoding/json"
	"image"
	"image/png"
	"math"
	"os"
	"slices"
	"testing"

	"github.com/bigtransfer/bit/imaging"
	"github.com/bigtransfer/bit/internal/fixture"
	"github.com/bigtransfer/bit/weights"
)

func goldenProcessor(t testing.TB) *imaging.Processor {
	data, err := os.ReadFile(fixture.Case(t, "hf-tiny", "preprocessor_config.json"))
	if err != nil {
		t.Fatal(err)
	}
	p := new(imaging.Processor)
	if err := json.Unmarshal(data, p); err != nil {
		t.Fatal(err)
	}
	return p
}

// toHWC turns three planes of h x w values into pixels of three.
func toHWC(chw []float32, h, w int) []float32 {
	hwc := make([]float32, len(chw))
	for c := range 3 {
		for i := range h * w {
			hwc[i*3+c] = chw[c*h*w+i]
		}
	}
	return hwc
}

// deviation compares processed pixels with the reference's in 8-bit steps.
type deviation struct {
	values, differing, largest int
	// largestFloat is the largest difference of normalised values whose 8-bit values agree.
	largestFloat float64
}

func compareGolden(p *imaging.Processor, got, want []float32) deviation {
	d := deviation{values: len(want)}
	for i := range want {
		c := i % 3
		steps := func(v float32) int {
			return int(math.Round((float64(v)*p.Std[c] + p.Mean[c]) / p.RescaleFactor))
		}
		diff := steps(got[i]) - steps(want[i])
		if diff < 0 {
			diff = -diff
		}
		if diff == 0 {
			d.largestFloat = max(d.largestFloat, math.Abs(float64(got[i])-float64(want[i])))
		} else {
			d.differing++
		}
		d.largest = max(d.largest, diff)
	}
	return d
}

// TestGoldenPixelValues compares every file that the reference could read with what it made of it.
func TestGoldenPixelValues(t *testing.T) {
	raw, err := os.ReadFile(fixture.Case(t, "hf-tiny", "case.json"))
	if err != nil {
		t.Fatal(err)
	}
	var cases map[string]struct {
		Size   []int  `json:"size"`
		Raises string `json:"reference_raises"`
	}
	if err := json.Unmarshal(raw, &cases); err != nil {
		t.Fatal(err)
	}
	if len(cases) == 0 {
		t.Fatal("no cases")
	}
	arrays, err := weights.ReadNpz(fixture.Case(t, "hf-tiny", "arrays.npz"))
	if err != nil {
		t.Fatal(err)
	}
	p := goldenProcessor(t)
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			data := fixture.Picture(t, name)
			var im *imaging.Image
			var err error
			if name == "camera-gray16.png" {
				im = clippedGray16(t, data)
			} else {
				im, err = imaging.Decoder{KeepOrientation: true}.Decode(data)
			}
			if err != nil {
				t.Fatal(err)
			}
			if im.W != c.Size[0] || im.H != c.Size[1] {
				t.Fatalf("size %d x %d, expected %v", im.W, im.H, c.Size)
			}
			got := make([]float32, 64*64*3)
			h, w, err := p.Process(im, got)
			if err != nil || h != 64 || w != 64 {
				t.Fatalf("Process returned %d, %d, %v", h, w, err)
			}
			if c.Raises != "" {
				return // one-pixel.png: nothing to compare with, but it must work
			}
			want := arrays[name+"/pixel_values"]
			if !slices.Equal(want.Shape, []int{1, 3, h, w}) || len(want.Float32) != len(got) {
				t.Fatalf("pixel_values of shape %v", want.Shape)
			}
			d := compareGolden(p, got, toHWC(want.Float32, h, w))
			t.Logf("%d of %d 8-bit values differ, by at most %d; floats of equal values differ by at most %.2g",
				d.differing, d.values, d.largest, d.largestFloat)
			if d.largestFloat != 0 {
				t.Errorf("normalised floats differ by %g, expected the same bits", d.largestFloat)
			}
			if d.differing != 0 {
				t.Errorf("%d values differ, expected none", d.differing)
			}
		})
	}
}

// clippedGray16 reads a 16-bit gray PNG as the reference does: values above 255 become 255. That is a quirk of one Pillow
// release which Decode does not share; all later steps are held against it.
func clippedGray16(t *testing.T, data []byte) *imaging.Image {
	m, err := png.Decode(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	gray := m.(*image.Gray16)
	im := imaging.NewImage(gray.Rect.Dx(), gray.Rect.Dy())
	for i := range im.Pix {
		x, y := i/3%im.W, i/3/im.W
		im.Pix[i] = uint8(min(gray.Gray16At(x, y).Y, 255))
	}
	return im
}
