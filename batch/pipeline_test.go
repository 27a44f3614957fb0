package batch

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/bigtransfer/bit/imaging"
	"github.com/bigtransfer/bit/internal/counter"
)

func TestPipelineString(t *testing.T) {
	for _, test := range []struct {
		pipeline Pipeline
		want     string
		side     int
	}{
		{Pipeline{Resize{Size: 160}, RandomCrop{128}, FlipLR{}}, "resize(160)|random_crop(128)|flip_lr", 128},
		{Pipeline{InceptionCrop{Size: 224}, FlipLR{}}, "inception_crop(224)|flip_lr", 224},
		{Pipeline{InceptionCrop{Size: 64, MinArea: 0.25, Filter: imaging.Bicubic}}, "inception_crop(64,min_area=0.25,bicubic)", 64},
		{Pipeline{Resize{Size: 72, Filter: imaging.Bicubic}, CenterCrop{64}}, "resize(72,bicubic)|central_crop(64)", 64},
		{Pipeline{ResizeSmall{Size: 160}, RandomCrop{128}, FlipLR{}}, "resize_small(160)|random_crop(128)|flip_lr", 128},
		{Pipeline{ResizePad{Size: 160}, FlipLR{}}, "resize_with_pad(160)|flip_lr", 160},
	} {
		if got := test.pipeline.String(); got != test.want {
			t.Errorf("got %s, want %s", got, test.want)
		}
		if side, err := test.pipeline.Side(); side != test.side || err != nil {
			t.Errorf("%s: side %d (%v), want %d", test.want, side, err, test.side)
		}
	}
}

func TestPipelineErrors(t *testing.T) {
	for _, test := range []struct {
		pipeline Pipeline
		want     string
	}{
		{nil, "no step that fixes the size"},
		{Pipeline{FlipLR{}}, "no step that fixes the size"},
		{Pipeline{ResizeSmall{Size: 160}, FlipLR{}}, "no step that fixes the size"},
		{Pipeline{ResizeSmall{Size: 100}, RandomCrop{128}}, "at most 100 pixels"},
		{Pipeline{ResizeSmall{Size: 5000}, RandomCrop{128}}, "image too large"},
		{Pipeline{Resize{}}, "positive size, found 0"},
		{Pipeline{Resize{Size: 100}, RandomCrop{128}}, "at most 100 pixels"},
		{Pipeline{Resize{Size: 1_000_000}}, "image too large"},
		{Pipeline{InceptionCrop{Size: 64, MinArea: 1.5}}, "found 1.5"},
		{Pipeline{InceptionCrop{Size: 64, MinArea: math.NaN()}}, "found NaN"},
	} {
		if _, err := test.pipeline.Side(); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got %v, want an error with %q", test.pipeline, err, test.want)
		}
	}
	small := Pipeline{RandomCrop{20}}
	_, err := small.apply(wholeOf(gradient(30, 19)), newWorker())
	if err == nil || !strings.Contains(err.Error(), "found 30 by 19") {
		t.Errorf("got %v, want an error about a picture of 30 by 19", err)
	}
}

// gradient returns a picture whose pixel (x, y) is (x, y, x+y).
func gradient(w, h int) *imaging.Image {
	img := &imaging.Image{W: w, H: h}
	for y := range h {
		for x := range w {
			img.Pix = append(img.Pix, byte(x), byte(y), byte(x+y))
		}
	}
	return img
}

// values returns what normalize writes, turned back into 8-bit values.
func values(v view) []byte {
	dst := make([]float32, v.w*v.h*3)
	newWorker().normalize(dst, v, imaging.SymmetricNormalizer())
	out := make([]byte, len(dst))
	for i, x := range dst {
		out[i] = byte(math.Round((float64(x) + 1) * 127.5))
	}
	return out
}

// What training resizes to is what evaluation resizes to, where there is nothing random: the processors of package imaging
// and their counterparts here give the same pixels, of every shape.
func TestResizesAreThoseOfEvaluation(t *testing.T) {
	for _, side := range [][2]int{{50, 30}, {30, 50}, {31, 20}, {20, 31}, {40, 40}, {200, 3}, {3, 170}} {
		img := gradient(side[0], side[1])
		for _, c := range []struct {
			pipeline  Pipeline
			processor *imaging.Processor
		}{
			{Pipeline{Resize{Size: 24}}, imaging.Squash(24, imaging.Bilinear)},
			{Pipeline{ResizePad{Size: 24}}, imaging.Pad(24, imaging.Bilinear)},
			{Pipeline{ResizeSmall{Size: 24}, CenterCrop{20}}, imaging.Crop(24, 20, imaging.Bilinear)},
		} {
			long, short := max(side[0], side[1]), min(side[0], side[1])
			if _, small := c.pipeline[0].(ResizeSmall); small && long > maxAspect*short {
				continue // training takes the middle of such a picture
			}
			v, err := c.pipeline.apply(wholeOf(img), newWorker())
			if err != nil {
				t.Fatal(err)
			}
			want, err := c.processor.Transform(new(imaging.Resizer), img)
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(values(v), want.Pix) {
				t.Errorf("%v: %s differs from %+v", side, c.pipeline, c.processor.Size)
			}
		}
	}
}

// However long a picture is, resize_small makes it 16 times as long as wide at most.
func TestResizeSmallOfLongPictures(t *testing.T) {
	for _, c := range []struct{ w, h, wantW, wantH int }{{1000, 2, 64, 4}, {2, 1000, 4, 64}, {32, 2, 64, 4}, {30, 2, 60, 4}} {
		v, err := ResizeSmall{Size: 4}.apply(wholeOf(gradient(c.w, c.h)), newWorker())
		if err != nil || v.w != c.wantW || v.h != c.wantH {
			t.Errorf("%d x %d becomes %d x %d (%v), want %d x %d", c.w, c.h, v.w, v.h, err, c.wantW, c.wantH)
		}
	}
}

// Crops and flips of views give the pixels that they name, in any order of steps.
func TestViewCropAndMirror(t *testing.T) {
	v := wholeOf(gradient(10, 8)).crop(2, 3, 6, 4) // x 2..7, y 3..6
	if got, want := values(v)[:6], []byte{2, 3, 5, 3, 3, 6}; !slices.Equal(got, want) {
		t.Errorf("cropped: starts %v, want %v", got, want)
	}
	v.mirrored = true
	if got, want := values(v)[:6], []byte{7, 3, 10, 6, 3, 9}; !slices.Equal(got, want) {
		t.Errorf("mirrored: starts %v, want %v", got, want)
	}
	v = v.crop(1, 2, 2, 2) // of x 7..2: 6, 5; of y 3..6: 5, 6
	want := []byte{6, 5, 11, 5, 5, 10, 6, 6, 12, 5, 6, 11}
	if got := values(v); !slices.Equal(got, want) {
		t.Errorf("cropped after mirroring: %v, want %v", got, want)
	}
}

func TestCenterCrop(t *testing.T) {
	v, err := CenterCrop{4}.apply(wholeOf(gradient(9, 4)), nil)
	if err != nil {
		t.Fatal(err)
	}
	if v.x != 2 || v.y != 0 || v.w != 4 || v.h != 4 { // floor(5/2)
		t.Errorf("got %+v, want 4 by 4 at (2, 0)", v)
	}
}

// Every offset 0..P-C is equally likely in both axes.
func TestRandomCropUniform(t *testing.T) {
	img := gradient(14, 12)
	w := newWorker()
	const draws = 20000
	var xs [5]int
	var ys [3]int
	for i := range int64(draws) {
		w.rng.At(7, counter.Augment, i)
		v, err := RandomCrop{10}.apply(wholeOf(img), w)
		if err != nil {
			t.Fatal(err)
		}
		xs[v.x]++
		ys[v.y]++
	}
	checkUniform(t, "x offset", xs[:])
	checkUniform(t, "y offset", ys[:])
}

func TestFlipRate(t *testing.T) {
	w := newWorker()
	img := gradient(2, 2)
	const draws = 20000
	flips, changes, was := 0, 0, false
	for i := range int64(draws) {
		w.rng.At(1, counter.Augment, i)
		v, _ := FlipLR{}.apply(wholeOf(img), w)
		if v.mirrored {
			flips++
		}
		if v.mirrored != was {
			changes++
		}
		was = v.mirrored
	}
	// Binomial, deviation 71; neighbouring positions must be independent, too.
	if math.Abs(float64(flips)-draws/2) > 354 || math.Abs(float64(changes)-draws/2) > 354 {
		t.Errorf("%d flips and %d changes of %d, want about half each", flips, changes, draws)
	}
}

// Area and aspect ratio of the boxes stay in their limits (up to the rounding of sides) and are uniform where no box
// sticks out of a square picture: areas up to 3/4.
func TestInceptionCropBoxes(t *testing.T) {
	const side, draws = 1000, 40000
	op := InceptionCrop{Size: 64}
	rng := counter.New()
	var areas, aspects, places [20]int
	for i := range int64(draws) {
		x, y, w, h := op.box(side, side, rng.At(3, counter.Augment, i).Rand)
		area := float64(w) * float64(h) / (side * side)
		aspect := float64(w) / float64(h)
		if x < 0 || y < 0 || x+w > side || y+h > side || area < 0.0495 || aspect < 0.746 || aspect > 1.339 {
			t.Fatalf("box %d by %d at (%d, %d): area %.4f, aspect ratio %.4f", w, h, x, y, area, aspect)
		}
		if area < 0.75 {
			areas[min(19, max(0, int((area-0.05)/0.70*20)))]++
			aspects[min(19, max(0, int((aspect-0.75)/(4.0/3-0.75)*20)))]++
		}
		if w < 500 {
			places[int(float64(x)/float64(side-w+1)*20)]++
		}
	}
	checkUniform(t, "area", areas[:])
	checkUniform(t, "aspect ratio", aspects[:])
	checkUniform(t, "place", places[:])
}

// Boxes of a thin picture never fit the limits, and the whole of it is taken.
func TestInceptionCropThin(t *testing.T) {
	op := InceptionCrop{Size: 8, MinArea: 0.5}
	rng := counter.New()
	for i := range int64(100) {
		x, y, w, h := op.box(200, 3, rng.At(3, counter.Augment, i).Rand)
		if x != 0 || y != 0 || w != 200 || h != 3 {
			t.Fatalf("got %d by %d at (%d, %d), want all of 200 by 3", w, h, x, y)
		}
	}
	for i := range int64(100) {
		if _, _, w, h := (InceptionCrop{Size: 8}).box(1, 1, rng.At(3, counter.Augment, i).Rand); w != 1 || h != 1 {
			t.Fatalf("got %d by %d of one pixel", w, h)
		}
	}
}

func FuzzInceptionCropBox(f *testing.F) {
	f.Add(64, 64, 0.05, int64(0))
	f.Add(1, 1, 1.0, int64(1))
	f.Add(1<<15, 3, 0.001, int64(2))
	f.Fuzz(func(t *testing.T, W, H int, minArea float64, position int64) {
		op := InceptionCrop{Size: 1, MinArea: minArea}
		if W < 1 || H < 1 || W > 1<<16 || H > 1<<16 || op.check() != nil {
			return
		}
		x, y, w, h := op.box(W, H, counter.New().At(1, counter.Augment, position).Rand)
		if x < 0 || y < 0 || w < 1 || h < 1 || x+w > W || y+h > H {
			t.Errorf("box %d by %d at (%d, %d) of %d by %d", w, h, x, y, W, H)
		}
	})
}
