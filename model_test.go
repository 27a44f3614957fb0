package bit

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"image"
	"image/color"
	"image/png"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/bigtransfer/bit/imaging"
	"github.com/bigtransfer/bit/internal/fixture"
	"github.com/bigtransfer/bit/resnet"
	"github.com/bigtransfer/bit/weights"
)

// tolerance is float32 against the reference's float64, relative to the largest value.
const tolerance = 1e-4

// tiny opens the reference's Hugging Face model: 10 classes, 64 pixels.
func tiny(t testing.TB) *Model {
	t.Helper()
	m, err := Opener{Threads: 2}.Open(t.Context(), fixture.Case(t, "hf-tiny"))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// losslessImages are the reference's pictures whose pixels every decoder agrees on, and which the reference reads as
// this package does.
var losslessImages = []string{"astronaut-alpha.png", "camera-gray.png", "cat.png", "coffee-palette.png", "coffee.bmp", "coffee.png", "coffee.tif", "thin-3x200.png"}

func picture(t testing.TB, name string) string { return fixture.Case(t, "images", name) }

// From file to label, against transformers: same features, same order of classes, same scores.
func TestClassifyReference(t *testing.T) {
	m := tiny(t)
	arrays, err := weights.ReadNpz(fixture.Case(t, "hf-tiny", "arrays.npz"))
	if err != nil {
		t.Fatal(err)
	}
	worst := 0.0
	for _, name := range losslessImages {
		logits := arrays[name+"/logits"].Float64s()
		predictions, err := m.ClassifyFile(picture(t, name), 0)
		if err != nil {
			t.Fatal(err)
		}
		if len(logits) != 10 || len(predictions) != 10 {
			t.Fatalf("%s: %d reference logits, %d predictions, want 10", name, len(logits), len(predictions))
		}
		sum := 0.0
		for _, z := range logits {
			sum += math.Exp(z)
		}
		for i, p := range predictions {
			want := math.Exp(logits[p.Index]) / sum
			worst = max(worst, math.Abs(float64(p.Score)-want)/want)
			if i > 0 && p.Score > predictions[i-1].Score {
				t.Errorf("%s: prediction %d has a higher score than the one before", name, i)
			}
			if p.Label != m.Labels()[p.Index] {
				t.Errorf("%s: class %d is called %q, want %q", name, p.Index, p.Label, m.Labels()[p.Index])
			}
		}
		img, err := imaging.DecodeFile(picture(t, name))
		if err != nil {
			t.Fatal(err)
		}
		features, err := m.Features(t.Context(), img)
		if err != nil {
			t.Fatal(err)
		}
		want := arrays[name+"/features"].Float64s()
		if len(features) != 1 || len(features[0]) != len(want) {
			t.Fatalf("%s: features of shape %d x %d, want 1 x %d", name, len(features), len(features[0]), len(want))
		}
		diff, largest := 0.0, 0.0
		for i, w := range want {
			diff, largest = max(diff, math.Abs(float64(features[0][i])-w)), max(largest, math.Abs(w))
		}
		worst = max(worst, diff/largest)
	}
	t.Logf("largest relative error %.2g", worst)
	if !(worst <= tolerance) {
		t.Errorf("relative error %.3g, want at most %g", worst, tolerance)
	}
}

func TestClassifyCounts(t *testing.T) {
	m := tiny(t)
	img := image.NewNRGBA(image.Rect(5, 5, 40, 30))
	for k, want := range map[int]int{-1: 10, 0: 10, 1: 1, 5: 5, 10: 10, 11: 10} {
		p, err := m.Classify(img, k)
		if err != nil {
			t.Fatal(err)
		}
		if len(p) != want {
			t.Errorf("k = %d: %d predictions, want %d", k, len(p), want)
		}
	}
	for _, empty := range []image.Image{image.NewNRGBA(image.Rectangle{}), &imaging.Image{}} {
		if _, err := m.Classify(empty, 1); !errors.Is(err, imaging.ErrNotImage) {
			t.Errorf("an empty %T: error %v, want ErrNotImage", empty, err)
		}
	}
}

// Equal logits keep the order of the classes, and a softmax of large logits does not overflow.
func TestTop(t *testing.T) {
	m := &Classifier{}
	p, err := m.top([]float32{1000, 1002, 1000, 1002 + float32(math.Ln2)}, 0)
	if err != nil {
		t.Fatal(err)
	}
	e := math.Exp(-2)
	sum := 2 + 1 + 2*e
	want := []Prediction{{"class 3", 3, float32(2 / sum)}, {"class 1", 1, float32(1 / sum)}, {"class 0", 0, float32(e / sum)}, {"class 2", 2, float32(e / sum)}}
	for i := range want {
		if p[i].Index != want[i].Index || p[i].Label != want[i].Label || math.Abs(float64(p[i].Score-want[i].Score)) > 1e-4 {
			t.Errorf("prediction %d: %v, want %v", i, p[i], want[i])
		}
	}
	for _, bad := range []float32{float32(math.NaN()), float32(math.Inf(1)), float32(math.Inf(-1))} {
		if _, err := m.top([]float32{0, bad, 1}, 1); !errors.Is(err, ErrNotFinite) {
			t.Errorf("logit %v: error %v, want ErrNotFinite", bad, err)
		}
	}
}

func TestOpenErrors(t *testing.T) {
	dir := t.TempDir()
	_, err := Open(t.Context(), filepath.Join(dir, "nothing"))
	notFound, ok := errors.AsType[*ModelNotFoundError](err)
	if !ok || notFound.Ref != filepath.Join(dir, "nothing") || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a path that does not exist: %v, want a ModelNotFoundError", err)
	}
	if _, err := Open(t.Context(), dir); !errors.Is(err, weights.ErrFormat) {
		t.Errorf("an empty folder: %v, want ErrFormat", err)
	}
	text := filepath.Join(dir, "text")
	if err := os.WriteFile(text, []byte("not a model"), 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), text); !errors.Is(err, weights.ErrFormat) || !strings.Contains(err.Error(), text) {
		t.Errorf("a text file: %v, want ErrFormat and the file's name", err)
	}
	cause := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(cause)
	if _, err := Open(ctx, ""); !errors.Is(err, cause) {
		t.Errorf("cancelled: %v, want the cause", err)
	}
}

// A checkpoint without a word on preparation gets BiT's own: squashed to 480 pixels, [-1, 1]. Classes without names
// are numbered.
func TestOpenOfficial(t *testing.T) {
	file := fixture.Case(t, "official-tiny", "weights.npz")
	for resolution, want := range map[int]int{0: 480, 128: 128} {
		m, err := Opener{Resolution: resolution}.Open(t.Context(), file)
		if err != nil {
			t.Fatal(err)
		}
		if m.Format() != weights.FormatNpz || m.Labels() != nil || m.Label(7) != "class 7" || m.Config().WSEpsilon != resnet.WSEpsilonOfficial {
			t.Errorf("format %q, labels %v, class 7 %q, epsilon %v", m.Format(), m.Labels(), m.Label(7), m.Config().WSEpsilon)
		}
		p := m.Processor()
		if w, h := p.OutputSize(33, 17); w != want || h != want || p.Resample != imaging.Bilinear {
			t.Errorf("resolution %d: %dx%d, %v, want %dx%d, bilinear", resolution, w, h, p.Resample, want, want)
		}
		ends := make([]float32, 6)
		p.Normalizer().Normalize(ends, &imaging.Image{W: 2, H: 1, Pix: []uint8{0, 0, 0, 255, 255, 255}})
		if !slices.Equal(ends, []float32{-1, -1, -1, 1, 1, 1}) {
			t.Errorf("black and white become %v, want -1 and 1", ends)
		}
	}
	if _, err := (Opener{Resolution: -5}).Open(t.Context(), file); err == nil {
		t.Error("a negative resolution is accepted")
	}
}

// A checkpoint without head classifies nothing, but its features are those of the whole one. What is odd about its name
// is said.
func TestOpenHeadless(t *testing.T) {
	whole := tiny(t)
	dir := filepath.Join(t.TempDir(), "R50x3")
	if err := os.Mkdir(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"config.json", "preprocessor_config.json", "model.safetensors"} {
		text, err := os.ReadFile(fixture.Case(t, "hf-tiny", name))
		if err != nil {
			t.Fatal(err)
		}
		if name == "model.safetensors" {
			text = withoutHead(t, text)
		}
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	m, err := Opener{Threads: 2}.Open(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(m.Warnings()) != 1 || !strings.Contains(m.Warnings()[0], "R50x3") {
		t.Errorf("warnings %q, want one of the name R50x3", m.Warnings())
	}
	if _, err := m.ClassifyFile(picture(t, "cat.png"), 1); !errors.Is(err, ErrNoHead) {
		t.Errorf("classify: error %v, want %v", err, ErrNoHead)
	}
	if err := m.Save(filepath.Join(t.TempDir(), "saved"), weights.Card{}); !errors.Is(err, ErrNoHead) {
		t.Errorf("save: error %v, want %v", err, ErrNoHead)
	}
	img, err := imaging.DecodeFile(picture(t, "cat.png"))
	if err != nil {
		t.Fatal(err)
	}
	got, err := m.Features(t.Context(), img)
	if err != nil {
		t.Fatal(err)
	}
	want, err := whole.Features(t.Context(), img)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(got[0], want[0]) {
		t.Error("the features differ from those of the whole model")
	}
}

// withoutHead makes a safetensors file of BitForImageClassification, whose head comes last, one of BitModel.
func withoutHead(t testing.TB, file []byte) []byte {
	t.Helper()
	n := binary.LittleEndian.Uint64(file)
	var header map[string]struct {
		DType  string   `json:"dtype"`
		Shape  []int    `json:"shape"`
		Places [2]int64 `json:"data_offsets"`
	}
	text, data := bytes.Replace(file[8:8+n], []byte(`"__metadata__": {"format": "pt"},`), nil, 1), file[8+n:]
	if err := json.Unmarshal(text, &header); err != nil {
		t.Fatal(err)
	}
	data = data[:header["classifier.1.weight"].Places[0]]
	bare := map[string]any{}
	for name, v := range header {
		if name, ok := strings.CutPrefix(name, "bit."); ok {
			bare[name] = v
		}
	}
	text, err := json.Marshal(bare)
	if err != nil {
		t.Fatal(err)
	}
	return slices.Concat(binary.LittleEndian.AppendUint64(nil, uint64(len(text))), text, data)
}

// The model inside the package, as users get it.
func TestDefaultModel(t *testing.T) {
	m, err := Open(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	if m.Name() != DefaultModel || len(m.Labels()) != 200 || m.Config().Classes != 200 {
		t.Errorf("%s has %d labels for %d classes, want %s with 200", m.Name(), len(m.Labels()), m.Config().Classes, DefaultModel)
	}
	if !slices.ContainsFunc(m.Labels(), func(l string) bool { return strings.Contains(l, "tabby") }) {
		t.Error("no label is readable: none speaks of a tabby")
	}
	// 3.7 million parameters, and a binary that carries them as float16.
	if n := m.Config().NumParams(); n < 3_600_000 || n > 3_800_000 {
		t.Errorf("%d parameters, want 3.7 million", n)
	}
}

func TestSaveAndOpen(t *testing.T) {
	m := tiny(t)
	dir := filepath.Join(t.TempDir(), "saved")
	if err := m.Save(dir, weights.Card{Name: "saved"}); err != nil {
		t.Fatal(err)
	}
	again, err := Open(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	for i, p := range m.net.Params() {
		if !slices.Equal(p.Value, again.net.Params()[i].Value) {
			t.Errorf("%s changed", p.Name)
		}
	}
	want, err := m.ClassifyFile(picture(t, "cat.png"), 0)
	if err != nil {
		t.Fatal(err)
	}
	got, err := again.ClassifyFile(picture(t, "cat.png"), 0)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(got, want) {
		t.Errorf("the saved model says %v, want %v", got, want)
	}
}

func TestUntrained(t *testing.T) {
	m := tiny(t)
	a, err := m.Untrained(1)
	if err != nil {
		t.Fatal(err)
	}
	b, _ := m.Untrained(1)
	c, _ := m.Untrained(2)
	stem := func(m *Model) []float32 { return m.net.Param(resnet.StemKernel).Value }
	if !slices.Equal(stem(a), stem(b)) || slices.Equal(stem(a), stem(c)) || slices.Equal(stem(a), stem(m)) {
		t.Error("weights must follow from the seed alone")
	}
	if a.Config().NumParams() != m.Config().NumParams() || !slices.Equal(a.Labels(), m.Labels()) {
		t.Error("the architecture or the labels changed")
	}
}

// Any number of goroutines get the same bits as one.
func TestConcurrentUse(t *testing.T) {
	m := tiny(t)
	var files []string
	for _, name := range losslessImages {
		files = append(files, picture(t, name))
	}
	const workers = 4
	alone := map[string][]Prediction{}
	together := make([][]Result, workers) // with batches of 1, 2, …
	features := map[string][]float32{}
	for _, f := range files {
		img, err := imaging.DecodeFile(f)
		if err != nil {
			t.Fatal(err)
		}
		if alone[f], err = tiny(t).Classify(img, 3); err != nil {
			t.Fatal(err)
		}
		one, err := tiny(t).Features(t.Context(), img)
		if err != nil {
			t.Fatal(err)
		}
		features[f] = one[0]
	}
	for worker := range workers {
		together[worker] = slices.Collect(tiny(t).ClassifyPictures(t.Context(), filePictures(files), ClassifyOptions{Top: 3, Batch: 1 + worker}))
	}
	check := func(r Result, want []Prediction) {
		if r.Err != nil {
			t.Error(r.Err)
		} else if !slices.Equal(r.Predictions, want) {
			t.Errorf("%s in company: %v, alone: %v", r.Name, r.Predictions, want)
		}
	}
	var wg sync.WaitGroup
	for worker := range workers {
		wg.Go(func() {
			for i := range files {
				f := files[(i+worker)%len(files)]
				p, err := m.ClassifyFile(f, 3)
				check(Result{Name: f, Predictions: p, Err: err}, alone[f])
				img, err := imaging.DecodeFile(f)
				if err != nil {
					t.Error(err)
					return
				}
				got, err := m.Features(t.Context(), img)
				if err != nil || !slices.Equal(got[0], features[f]) {
					t.Errorf("%s: features differ in company, error %v", f, err)
				}
			}
		})
		wg.Go(func() {
			i := 0
			for r := range m.ClassifyPictures(t.Context(), filePictures(files), ClassifyOptions{Top: 3, Batch: 1 + worker}) {
				check(r, together[worker][i].Predictions)
				i++
			}
		})
	}
	wg.Wait()
}

// writePicture writes a picture of one colour.
func writePicture(t testing.TB, path string, w, h int, c color.Color) {
	t.Helper()
	img := image.NewNRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			img.Set(x, y, c)
		}
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := png.Encode(f, img); err != nil {
		t.Fatal(err)
	}
}
