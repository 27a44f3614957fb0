package imaging

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/bigtransfer/bit/internal/fuzztest"
)

// TestResizedSize has the examples of the reference processor, width x height to width x height.
func TestResizedSize(t *testing.T) {
	p := DefaultProcessor()
	p.Size, p.DoCenterCrop = Size{ShortestEdge: 448}, false
	for _, c := range [][4]int{
		{640, 480, 597, 448}, {480, 640, 448, 597}, {500, 375, 597, 448}, {500, 333, 672, 448}, {333, 500, 448, 672},
		{1, 1, 448, 448}, {3, 200, 448, 29866}, {448, 448, 448, 448},
	} {
		if w, h := p.OutputSize(c[0], c[1]); w != c[2] || h != c[3] {
			t.Errorf("%d x %d becomes %d x %d, expected %d x %d", c[0], c[1], w, h, c[2], c[3])
		}
	}
	p.DoCenterCrop = true
	if w, h := p.OutputSize(640, 480); w != 224 || h != 224 {
		t.Errorf("cropped to %d x %d", w, h)
	}
	p.Size, p.DoCenterCrop = Size{LongestEdge: 100}, false // 100·375/500 = 75, 100·333/500 = 66.6, 100/300 = 0.3
	for _, c := range [][4]int{{500, 375, 100, 75}, {500, 333, 100, 67}, {333, 500, 67, 100}, {20, 10, 100, 50}, {300, 1, 100, 1}, {7, 7, 100, 100}} {
		if w, h := p.OutputSize(c[0], c[1]); w != c[2] || h != c[3] {
			t.Errorf("%d x %d becomes %d x %d, expected %d x %d", c[0], c[1], w, h, c[2], c[3])
		}
	}
	if w, h := Squash(128, Bilinear).OutputSize(640, 480); w != 128 || h != 128 {
		t.Errorf("squashed to %d x %d", w, h)
	}
}

// geometry is a processor that only crops.
func geometry(w, h int) *Processor {
	p := DefaultProcessor()
	p.DoResize, p.CropWidth, p.CropHeight = false, w, h
	return p
}

// A letterbox of a picture that needs no resizing, by hand: the picture in the middle, black around.
func TestPad(t *testing.T) {
	im := letters("abcde", "fghij")
	got, err := Pad(5, Bilinear).Transform(new(Resizer), im)
	if err != nil {
		t.Fatal(err)
	}
	expectRows(t, "letterbox", got, ".....", ".....", "abcde", "fghij", ".....")
	cropped, err := Crop(2, 2, Bilinear).Transform(new(Resizer), im)
	if err != nil {
		t.Fatal(err)
	}
	expectRows(t, "crop", cropped, "bc", "gh")
}

// TestCentreCrop: offsets are halves rounded down, also where the picture is smaller and is padded with black.
func TestCentreCrop(t *testing.T) {
	im := letters("abcde", "fghij", "klmno")
	for _, c := range []struct {
		w, h int
		want []string
	}{
		{3, 1, []string{"ghi"}},
		{2, 2, []string{"bc", "gh"}}, // (5-2)/2 = 1.5 becomes 1, (3-2)/2 = 0.5 becomes 0
		{5, 3, []string{"abcde", "fghij", "klmno"}},
		{5, 6, []string{".....", ".....", "abcde", "fghij", "klmno", "....."}}, // (3-6)/2 = -1.5 becomes -2
		{8, 1, []string{"..fghij."}},
		{2, 5, []string{"..", "bc", "gh", "lm", ".."}},
	} {
		got, err := geometry(c.w, c.h).Transform(new(Resizer), im)
		if err != nil {
			t.Fatal(err)
		}
		expectRows(t, "crop", got, c.want...)
	}
}

// TestTransformIsResizeThenCrop: computing only what survives the crop changes nothing.
func TestTransformIsResizeThenCrop(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		im := noise(t)
		p := DefaultProcessor()
		p.Resample = drawFilter(t)
		p.CropWidth, p.CropHeight = rapid.IntRange(1, 50).Draw(t, "crop w"), rapid.IntRange(1, 50).Draw(t, "crop h")
		p.Size = Size{ShortestEdge: rapid.IntRange(1, 50).Draw(t, "edge")}
		if rapid.Bool().Draw(t, "both sides") {
			p.Size = Size{Width: rapid.IntRange(1, 50).Draw(t, "w"), Height: rapid.IntRange(1, 50).Draw(t, "h")}
		} else if rapid.Bool().Draw(t, "longest") {
			p.Size = Size{LongestEdge: p.Size.ShortestEdge}
		}
		got, err := p.Transform(new(Resizer), im)
		if err != nil {
			t.Fatal(err)
		}
		w, h := p.resized(im.W, im.H)
		floorHalf := func(v int) int { return int(math.Floor(float64(v) / 2)) }
		want := im.Resize(w, h, p.Resample).Crop(floorHalf(w-p.CropWidth), floorHalf(h-p.CropHeight), p.CropWidth, p.CropHeight)
		if got.W != want.W || got.H != want.H || !bytes.Equal(got.Pix, want.Pix) {
			t.Fatal("not the same pixels")
		}
	})
}

// TestExtremeShapes: a line of a million pixels costs no more than its crop, unless it is not cropped.
func TestExtremeShapes(t *testing.T) {
	line := NewImage(1, 1_000_000)
	for i := range line.Pix {
		line.Pix[i] = 200
	}
	for f := Nearest; f <= Hamming; f++ {
		p := DefaultProcessor()
		p.Resample = f
		dst := make([]float32, 224*224*3)
		if h, w, err := p.Process(line, dst); err != nil || h != 224 || w != 224 {
			t.Errorf("%v: %d x %d, %v", f, w, h, err)
		}
		if want := (float32(200.0/255) - float32(p.Mean[0])) / float32(p.Std[0]); dst[0] != want || dst[223*224*3] != want {
			t.Errorf("%v: values %v and %v, expected %v", f, dst[0], dst[223*224*3], want)
		}
		p.DoCenterCrop = false
		if _, _, err := p.Process(line, dst); !errors.Is(err, ErrTooLarge) {
			t.Errorf("%v: error %v, expected ErrTooLarge", f, err)
		}
	}
}

func TestProcessErrors(t *testing.T) {
	p := Squash(8, Bilinear)
	if _, _, err := p.Process(NewImage(9, 9), make([]float32, 8*8*3-1)); err == nil || !strings.Contains(err.Error(), "192") {
		t.Errorf("short destination: %v", err)
	}
	for name, im := range map[string]*Image{"empty": {}, "inconsistent": {W: 2, H: 2, Pix: make([]uint8, 11)}} {
		if _, _, err := p.Process(im, make([]float32, 192)); err == nil {
			t.Errorf("%s image: no error", name)
		}
	}
	p.Std[1] = 0
	if _, _, err := p.Process(NewImage(9, 9), make([]float32, 192)); err == nil {
		t.Error("deviation of zero: no error")
	}
}

// TestSquash: all of the picture, aspect ratio lost, 0 to -1 and 255 to 1.
func TestSquash(t *testing.T) {
	im := grayRow(0, 70, 140, 210)
	dst := make([]float32, 2*2*3)
	h, w, err := Squash(2, Bilinear).Process(im, dst)
	if err != nil || h != 2 || w != 2 {
		t.Fatal(h, w, err)
	}
	for i, got := range dst {
		want := float64([]int{50, 160}[i/3%2])/127.5 - 1 // see TestResizeByHand
		if math.Abs(float64(got)-want) > 1e-6 {
			t.Errorf("value %d is %v, expected %v", i, got, want)
		}
	}
	n := SymmetricNormalizer()
	n.Normalize(dst, &Image{W: 1, H: 1, Pix: []uint8{0, 255, 51}})
	if dst[0] != -1 || dst[1] != 1 || math.Abs(float64(dst[2])+0.6) > 1e-7 {
		t.Errorf("%v, expected -1, 1, -0.6", dst[:3])
	}
}

func TestProcessorSwitches(t *testing.T) {
	im := grayRow(10, 20)
	p := Processor{CropHeight: 1, CropWidth: 1, Size: Size{ShortestEdge: 1}, RescaleFactor: 2, Std: [3]float64{4, 4, 4}, Mean: [3]float64{1, 2, 3}}
	for _, c := range []struct {
		rescale, normalize bool
		want               [3]float32
	}{
		{false, false, [3]float32{10, 10, 10}},
		{true, false, [3]float32{20, 20, 20}},
		{false, true, [3]float32{2.25, 2, 1.75}},
		{true, true, [3]float32{4.75, 4.5, 4.25}},
	} {
		p.DoRescale, p.DoNormalize = c.rescale, c.normalize
		dst := make([]float32, 6)
		if h, w, err := p.Process(im, dst); err != nil || h != 1 || w != 2 || [3]float32(dst) != c.want {
			t.Errorf("%+v: %d x %d, %v, %v", c, w, h, dst, err)
		}
	}
}

// bit50 is the file of the first released model in the Hugging Face format, BiT-M R50x1.
const bit50 = `{
  "crop_size": {"height": 448, "width": 448}, "do_center_crop": true, "do_convert_rgb": true, "do_normalize": true,
  "do_rescale": true, "do_resize": true, "image_mean": [0.5, 0.5, 0.5], "image_processor_type": "BitImageProcessor",
  "image_std": [0.5, 0.5, 0.5], "resample": 2, "rescale_factor": 0.00392156862745098, "size": {"shortest_edge": 448}
}`

func TestProcessorJSON(t *testing.T) {
	half := [3]float64{0.5, 0.5, 0.5}
	want := Processor{
		DoResize: true, Size: Size{ShortestEdge: 448}, Resample: Bilinear, DoCenterCrop: true, CropHeight: 448, CropWidth: 448,
		DoRescale: true, RescaleFactor: 1.0 / 255, DoNormalize: true, Mean: half, Std: half,
	}
	old := want
	old.Size, old.CropHeight, old.CropWidth = Size{ShortestEdge: 300}, 280, 280
	bare := *DefaultProcessor()
	bare.Size = Size{Height: 20, Width: 10}
	for text, want := range map[string]Processor{
		bit50: want,
		`{}`:  *DefaultProcessor(),
		`{"size": {"longest_edge": 300}, "crop_size": 300, "resample": 2, "image_mean": [0.5,0.5,0.5], "image_std": [0.5,0.5,0.5]}`: *Pad(300, Bilinear),
		`{"size": {"height": 20, "width": 10}, "resample": null, "some_other_key": [1]}`:                                            bare,
		`{"size": 300, "crop_size": 280, "resample": 2, "image_mean": [0.5,0.5,0.5], "image_std": [0.5,0.5,0.5]}`:                   old,
	} {
		var got Processor
		if err := json.Unmarshal([]byte(text), &got); err != nil || got != want {
			t.Errorf("%s:\ngot  %+v, %v\nwant %+v", text, got, err, want)
		}
	}
	written, err := json.MarshalIndent(want, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	var a, b any
	if json.Unmarshal(written, &a) != nil || json.Unmarshal([]byte(bit50), &b) != nil {
		t.Fatal("not JSON")
	}
	var compactA, compactB bytes.Buffer
	_, _ = json.NewEncoder(&compactA).Encode(a), json.NewEncoder(&compactB).Encode(b)
	if compactA.String() != compactB.String() {
		t.Errorf("written as\n%s\nexpected\n%s", &compactA, &compactB)
	}
}

func TestProcessorJSONErrors(t *testing.T) {
	for text, named := range map[string]string{
		`{"resample": 6}`:                                         "resample",
		`{"resample": -1}`:                                        "resample",
		`{"resample": "bilinear"}`:                                "resample",
		`{"image_std": [0.5, 0, 0.5]}`:                            "image_std[1]",
		`{"image_std": [0.5, -0.5, 0.5]}`:                         "image_std[1]",
		`{"image_std": [0.5, 0.5]}`:                               "image_std",
		`{"image_mean": [0.5, 0.5, 0.5, 0.5]}`:                    "image_mean",
		`{"image_mean": 0.5}`:                                     "image_mean",
		`{"rescale_factor": 0}`:                                   "rescale_factor",
		`{"size": 0}`:                                             "size",
		`{"size": {"shortest_edge": -4}}`:                         "shortest_edge",
		`{"size": {"shortest_edge": 1000000}}`:                    "shortest_edge",
		`{"size": {"height": 4}}`:                                 "size",
		`{"size": {"height": 4, "width": 0}}`:                     "width",
		`{"size": {"height": 4, "width": 4, "shortest_edge": 4}}`: "size",
		`{"size": {"shortest_edge": 4, "longest_edge": 8}}`:       "longest_edge",
		`{"size": [4, 4]}`:                                        "size",
		`{"size": "4"}`:                                           "size",
		`{"size": 4.5}`:                                           "size",
		`{"crop_size": {"shortest_edge": 4}}`:                     "crop_size",
		`{"crop_size": {"height": 4, "width": 99999}}`:            "crop_size.width",
		`{"image_processor_type": "ViTImageProcessor"}`:           "ViTImageProcessor",
		`{"do_resize": 1}`:                                        "do_resize",
		`{"do_resize": tr`:                                        "",
		`[]`:                                                      "",
	} {
		p := Processor{Resample: Hamming}
		err := p.UnmarshalJSON([]byte(text))
		if err == nil || !strings.Contains(err.Error(), named) {
			t.Errorf("%s: error %v, expected one naming %q", text, err, named)
		}
		if p != (Processor{Resample: Hamming}) {
			t.Errorf("%s: changed the processor in spite of the error", text)
		}
	}
	if _, err := json.Marshal(Processor{}); err == nil {
		t.Error("an invalid processor was written")
	}
	bad := *DefaultProcessor()
	bad.Mean[2] = math.NaN()
	if bad.Validate() == nil {
		t.Error("a mean of NaN is valid")
	}
	bad = *DefaultProcessor()
	bad.RescaleFactor = math.Inf(1)
	if bad.Validate() == nil {
		t.Error("an infinite factor is valid")
	}
}

func TestProcessorRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		side := rapid.IntRange(1, maxSide)
		real3 := func(name string, lo, hi float64) (v [3]float64) {
			for c := range v {
				v[c] = rapid.Float64Range(lo, hi).Draw(t, name)
			}
			return v
		}
		p := Processor{
			DoResize: rapid.Bool().Draw(t, "resize"), DoCenterCrop: rapid.Bool().Draw(t, "crop"),
			DoRescale: rapid.Bool().Draw(t, "rescale"), DoNormalize: rapid.Bool().Draw(t, "normalize"),
			Resample: drawFilter(t), Size: Size{ShortestEdge: side.Draw(t, "edge")},
			CropHeight: side.Draw(t, "crop height"), CropWidth: side.Draw(t, "crop width"),
			RescaleFactor: rapid.Float64Range(1e-6, 10).Draw(t, "factor"),
			Mean:          real3("mean", -300, 300), Std: real3("std", 1e-6, 300),
		}
		if rapid.Bool().Draw(t, "both sides") {
			p.Size = Size{Height: side.Draw(t, "height"), Width: side.Draw(t, "width")}
		} else if rapid.Bool().Draw(t, "longest") {
			p.Size = Size{LongestEdge: p.Size.ShortestEdge}
		}
		data, err := json.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		var q Processor
		if err := json.Unmarshal(data, &q); err != nil || q != p {
			t.Fatalf("%+v reads back as %+v, %v", p, q, err)
		}
	})
}

func FuzzProcessorJSON(f *testing.F) {
	f.Add([]byte(bit50))
	f.Add([]byte(`{"size": 300, "crop_size": 280}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		var p Processor
		var err error
		fuzztest.Within(t, len(data), func() { err = json.Unmarshal(data, &p) })
		if err != nil {
			return
		}
		if err := p.Validate(); err != nil {
			t.Errorf("accepted, but %v", err)
		}
		again, err := json.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		var q Processor
		if err := json.Unmarshal(again, &q); err != nil || p != q {
			t.Errorf("%+v reads back as %+v, %v", p, q, err)
		}
	})
}

// TestProcessorIsShared: one Processor and one Normalizer serve goroutines at once.
func TestProcessorIsShared(t *testing.T) {
	im := NewImage(60, 50)
	r := rand.New(rand.NewPCG(1, 2))
	for i := range im.Pix {
		im.Pix[i] = uint8(r.Uint32())
	}
	p := Squash(32, Bicubic)
	want := make([]float32, 32*32*3)
	if _, _, err := p.Process(im, want); err != nil {
		t.Fatal(err)
	}
	results := make(chan bool)
	for range 4 {
		go func() {
			got := make([]float32, len(want))
			_, _, err := p.Process(im, got)
			same := err == nil
			for i := range got {
				same = same && got[i] == want[i]
			}
			results <- same
		}()
	}
	for range 4 {
		if !<-results {
			t.Error("different values")
		}
	}
}
