package bit

import (
	"math"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"

	"github.com/bigtransfer/bit/calibrate"
	"github.com/bigtransfer/bit/imaging"
	"github.com/bigtransfer/bit/internal/fixture"
	"github.com/bigtransfer/bit/weights"
)

// TestExplainReference: bias and contributions sum to the logits that transformers computed.
func TestExplainReference(t *testing.T) {
	m := tiny(t)
	arrays, err := weights.ReadNpz(fixture.Case(t, "hf-tiny", "arrays.npz"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range losslessImages {
		img, err := imaging.DecodeFile(picture(t, name))
		if err != nil {
			t.Fatal(err)
		}
		logits := arrays[name+"/logits"].Float64s()
		largest, top := 0.0, 0
		for i, z := range logits {
			if largest = max(largest, math.Abs(z)); z > logits[top] {
				top = i
			}
		}
		for class := -1; class < 10; class++ {
			e, err := m.Explain(img, class)
			if err != nil {
				t.Fatal(err)
			}
			if want := max(class, 0); class >= 0 && e.Class != want || class < 0 && e.Class != top {
				t.Fatalf("%s: class %d explained for %d, of which %d is the most likely", name, e.Class, class, top)
			}
			sum, size := 0.0, largest
			for _, v := range e.Map {
				sum += float64(v)
				size += math.Abs(float64(v))
			}
			if want := logits[e.Class]; math.Abs(sum+float64(e.Bias)-want) > 1e-5*size || math.Abs(float64(e.Logit)-want) > tolerance*largest {
				t.Errorf("%s, class %d: bias %v and contributions %v sum to %v, the logit is %v, the reference's %v", name, e.Class, e.Bias, sum, float64(e.Bias)+sum, e.Logit, want)
			}
			if len(e.Map) != e.H*e.W || e.Width != img.W || e.Height != img.H || e.Label != m.Label(e.Class) {
				t.Errorf("%s: %d contributions of %d x %d positions, %d x %d pixels, label %q", name, len(e.Map), e.W, e.H, e.Width, e.Height, e.Label)
			}
			same, err := m.Classify(img, 0)
			if err != nil {
				t.Fatal(err)
			}
			for i, p := range same {
				if e.Predictions[i] != p {
					t.Errorf("%s: prediction %d is %v, want %v", name, i, e.Predictions[i], p)
				}
			}
		}
	}
	if _, err := m.Explain(imaging.NewImage(9, 9), 10); err == nil {
		t.Error("class 10 of 10 is no error")
	}
}

// TestExplainPlace: what is changed in one corner of a picture shows up there, in the picture's own pixels, although the
// processor cuts the picture down to its middle.
func TestExplainPlace(t *testing.T) {
	m := tiny(t)
	// 200 x 100 pixels become 192 x 96, of which the middle 96 x 96 are seen: x from 50 to 150 of the picture.
	p := imaging.DefaultProcessor()
	p.Size, p.CropWidth, p.CropHeight = imaging.Size{ShortestEdge: 96}, 96, 96
	m.processor = p
	img := imaging.NewImage(200, 100)
	r := rand.New(rand.NewPCG(1, 1)) // in a plain picture a spot would change the normalisation, and so everything
	for i := range img.Pix {
		img.Pix[i] = uint8(r.Uint32())
	}
	before, err := m.Explain(img, 0)
	if err != nil {
		t.Fatal(err)
	}
	if want := (imaging.Region{X0: 50, Y0: 0, X1: 150, Y1: 100}); before.View != want {
		t.Fatalf("view %v, want %v", before.View, want)
	}
	stride := float64(m.net.OutputStride()) * 100 / 96
	if math.Abs(before.Step[0]-stride) > 1e-9 || math.Abs(before.Step[1]-stride) > 1e-9 || math.Abs(before.Origin[0]-(50+50./96)) > 1e-9 {
		t.Errorf("positions from %v in steps of %v, want from 50.52 in steps of %.2f", before.Origin, before.Step, stride)
	}
	spot := func(x, y int) (px, py float64) {
		after := img.Clone()
		for dy := range 12 {
			for dx := range 12 {
				copy(after.Pix[((y+dy-6)*200+x+dx-6)*3:], []uint8{255, 0, uint8(20 * dx)})
			}
		}
		e, err := m.Explain(after, 0)
		if err != nil {
			t.Fatal(err)
		}
		most := 0.0
		for i := range e.Map {
			if d := math.Abs(float64(e.Map[i] - before.Map[i])); d > most {
				most = d
				px, py = e.Origin[0]+float64(i%e.W)*e.Step[0], e.Origin[1]+float64(i/e.W)*e.Step[1]
			}
		}
		return px, py
	}
	for _, at := range [][2]int{{60, 20}, {140, 10}, {80, 60}, {118, 64}} {
		px, py := spot(at[0], at[1])
		if math.Abs(px-float64(at[0])) > stride || math.Abs(py-float64(at[1])) > stride {
			t.Errorf("a spot around %v changes most what surrounds (%.0f, %.0f)", at, px, py)
		}
	}
}

// TestCalibratedScores: scores are softmax(z/T), their order stays, and the threshold decides what is unknown.
func TestCalibratedScores(t *testing.T) {
	m := tiny(t)
	plain, err := m.ClassifyFile(picture(t, "cat.png"), 0)
	if err != nil {
		t.Fatal(err)
	}
	unknown := calibrate.Unknown{Score: calibrate.MaxLogit, FalseReject: 0.1}
	img, err := imaging.DecodeFile(picture(t, "cat.png"))
	if err != nil {
		t.Fatal(err)
	}
	e, err := m.Explain(img, -1)
	if err != nil {
		t.Fatal(err)
	}
	for _, above := range []bool{true, false} {
		unknown.Threshold = float64(e.Logit) - 0.01
		if above {
			unknown.Threshold += 0.02
		}
		if err := m.SetCalibration(calibrate.Calibration{Temperature: 2, Unknown: &unknown}); err != nil {
			t.Fatal(err)
		}
		for r := range m.ClassifyPictures(t.Context(), filePictures([]string{picture(t, "cat.png")}), ClassifyOptions{}) {
			if r.Err != nil || r.Unknown != above {
				t.Errorf("threshold above the score is %v: unknown is %v, error %v", above, r.Unknown, r.Err)
			}
			// softmax(z/2) is the root of softmax(z), to a common factor.
			for i, p := range r.Predictions {
				want := math.Sqrt(float64(plain[i].Score)) / math.Sqrt(float64(plain[0].Score))
				if p.Index != plain[i].Index || math.Abs(float64(p.Score/r.Predictions[0].Score)-want) > 1e-5 {
					t.Errorf("prediction %d is %+v, without temperature %+v", i, p, plain[i])
				}
			}
		}
	}
	// It is saved with the model.
	dir := filepath.Join(t.TempDir(), "model")
	if err := m.Save(dir, weights.Card{}); err != nil {
		t.Fatal(err)
	}
	again, err := OpenClassifier(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	if got := again.Calibration(); got.Temperature != 2 || got.Unknown == nil || *got.Unknown != unknown {
		t.Errorf("read back %+v", got)
	}
	if err := m.SetCalibration(calibrate.Calibration{Temperature: -1}); err == nil {
		t.Error("a temperature of -1 is no error")
	}
	if _, _, err := m.Judge(make([]float32, 11), 1); err == nil {
		t.Error("11 logits of 10 classes are no error")
	}
}

func TestClassNames(t *testing.T) {
	c, err := OpenClassifier(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]int{"goldfish, Carassius auratus": 0, "goldfish": 0, "GOLDFISH": 0, "carassius auratus": 0} {
		if got, err := c.Class(name); err != nil || got != want {
			t.Errorf("%q is class %d, error %v; want %d", name, got, err, want)
		}
	}
	for _, name := range []string{"", "gold", "17", "class 17"} {
		if got, err := c.Class(name); err == nil || !strings.Contains(err.Error(), "200 in all") {
			t.Errorf("%q is class %d, error %v; want an error that names the classes", name, got, err)
		}
	}
	m := tiny(t)
	m.labels = []string{"crane", "Crane", "heron, crane", "x", "heron", "y", "z", "u", "v", "w"}
	for name, want := range map[string]int{"crane": 0, "Crane": 1, "heron": 4} {
		if got, err := m.Class(name); err != nil || got != want {
			t.Errorf("%q is class %d, error %v; want %d", name, got, err, want)
		}
	}
	if got, err := m.Class("CRANE"); err == nil {
		t.Errorf(`"CRANE" is class %d, although two are called so`, got)
	}
	m.labels = nil
	for _, name := range []string{"7", "class 7"} {
		if got, err := m.Class(name); err != nil || got != 7 {
			t.Errorf("%q is class %d, error %v", name, got, err)
		}
	}
	m.ids = []string{"n0", "n1"}
	if got, err := m.Class("n1"); err != nil || got != 1 {
		t.Errorf("WordNet id n1 is class %d, error %v", got, err)
	}
}
