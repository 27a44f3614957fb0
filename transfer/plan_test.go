package transfer

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/bigtransfer/bit/data"
	"github.com/bigtransfer/bit/eval"
	"github.com/bigtransfer/bit/imaging"
	"github.com/bigtransfer/bit/resnet"
	"github.com/bigtransfer/bit/train"
)

// Lite is the README's 128 and 0.001, at the resolution that the network knows where the rule's is larger.
func TestLite(t *testing.T) {
	ds := cifar(t)
	for _, c := range []struct {
		cfg                 Config
		resize, crop, batch int
		rate                float64
	}{
		{Config{Preset: Lite}, 160, 128, 128, 0.001},                                   // the rule's, smaller than 224
		{Config{Preset: Lite, PretrainedSide: 64}, 80, 64, 128, 0.001},                 // 64·5/4
		{Config{Preset: Lite, PretrainedSide: 448}, 160, 128, 128, 0.001},              //
		{Config{Preset: Lite, PretrainedSide: 64, Batch: 32}, 80, 64, 32, 0.00025},     // flags win, and rates are in proportion
		{Config{Preset: Lite, Crop: 96, LearningRate: 0.01}, 120, 96, 128, 0.01},       //
		{Config{Preset: Rule, PretrainedSide: 64, Batch: 128}, 160, 128, 128, 0.00075}, // 0.003·128/512
	} {
		p, err := NewPlan(tinyConfig, ds, c.cfg)
		if err != nil || p.Resize != c.resize || p.Crop != c.crop || p.Batch != c.batch || math.Abs(p.LearningRate-c.rate) > 1e-15 || p.Schedule.Total != 500 {
			t.Errorf("%+v: %+v, %v; want %d/%d, batch %d, rate %v, 500 steps", c.cfg, p, err, c.resize, c.crop, c.batch, c.rate)
		}
	}
	// Large images: 480 becomes 224, or what the network knows.
	for side, want := range map[int][2]int{0: {256, 224}, 64: {80, 64}, 128: {160, 128}, 448: {256, 224}} {
		if resize, crop := Lite.resolution(300, 400, side); resize != want[0] || crop != want[1] {
			t.Errorf("a network of %d px: %d/%d, want %v", side, resize, crop, want)
		}
	}
	for crop, want := range map[int]int{128: 160, 480: 512, 224: 256, 64: 80, 384: 439} {
		if got := ResizeFor(crop); got != want {
			t.Errorf("resize for %d: %d, want %d", crop, got, want)
		}
	}
}

func TestFramings(t *testing.T) {
	ds := cifar(t)
	for f, want := range map[Framing]string{
		Squash: "resize(160)|random_crop(128)|flip_lr", Crop: "resize_small(160)|random_crop(128)|flip_lr", Pad: "resize_with_pad(160)|random_crop(128)|flip_lr",
	} {
		p, err := NewPlan(tinyConfig, ds, Config{Framing: f})
		if err != nil || p.Augmentation.String() != want {
			t.Errorf("%v: %s, %v; want %s", f, p.Augmentation, err, want)
		}
		want := map[Framing]imaging.Size{Squash: {Height: 128, Width: 128}, Crop: {ShortestEdge: 160}, Pad: {LongestEdge: 128}}[f]
		processor := p.processor(Config{})
		if w, h := processor.OutputSize(300, 40); processor.Size != want || w != 128 || h != 128 {
			t.Errorf("%v: prepared by %+v to %dx%d, want %+v and 128x128", f, processor.Size, w, h, want)
		}
	}
}

// By hand: 6, 2 and 1 of 9 images in 3 classes weigh 9/18, 9/6 and 9/3; their mean over the images is (3+3+3)/9 = 1.
func TestBalancedWeights(t *testing.T) {
	ds := &data.Dataset{Classes: []string{"a", "b", "c", "none"}}
	for label, n := range []int{6, 2, 1} {
		for range n {
			ds.Train = append(ds.Train, data.Example{Label: label})
		}
	}
	got := BalancedWeights(ds)
	if want := []float64{0.5, 1.5, 3, 1}; !slices.Equal(got, want) {
		t.Errorf("weights %v, want %v", got, want)
	}
	scaled, err := normalised([]float64{5, 15, 30, 1}, ds) // ten times too large
	if want := []float32{0.5, 1.5, 3, 0.1}; err != nil || !slices.Equal(scaled, want) {
		t.Errorf("weights %v, %v; want %v", scaled, err, want)
	}
	// Pictures of several labels count for each: 3 of a, 1 of b.
	ds = &data.Dataset{Classes: []string{"a", "b"}, MultiLabel: true, Train: []data.Example{
		{Labels: []int32{0}}, {Labels: []int32{0, 1}}, {Labels: []int32{0}}, {Label: data.NoLabel},
	}}
	if got, want := BalancedWeights(ds), []float64{4.0 / 6, 2}; !slices.Equal(got, want) {
		t.Errorf("weights %v, want %v", got, want)
	}
	bias := priorBias(ds) // odds of 3.5 to 1.5 and 1.5 to 3.5
	if want := math.Log(3.5 / 1.5); math.Abs(float64(bias[0])-want) > 1e-7 || math.Abs(float64(bias[1])+want) > 1e-7 {
		t.Errorf("bias %v, want ±%v", bias, want)
	}
}

func untrained(t *testing.T) *resnet.Network {
	t.Helper()
	net, err := resnet.NewNetwork(tinyConfig)
	if err != nil {
		t.Fatal(err)
	}
	net.Init(rand.New(rand.NewPCG(1, 2)))
	return net
}

// With a validation split the weights are chosen on it and judged on the test split: what the test split says plays no
// part, nor is it looked at before the end.
func TestValidationChooses(t *testing.T) {
	ds := cifar(t)
	ds.Val, ds.Test = ds.Test[:60], ds.Test[60:]
	run := func(test []data.Example) (Result, []float32, []int, train.History) {
		d := *ds
		d.Test = test
		cfg := Config{Steps: 20, Batch: 16, Crop: 32, LearningRate: 0.3}
		cfg.History = filepath.Join(t.TempDir(), train.HistoryFile)
		var images []int
		cfg.OnEvaluate = func(_ int, r eval.Result) { images = append(images, r.Images) }
		net := untrained(t)
		r, err := FineTune(t.Context(), net, &d, cfg)
		if err != nil {
			t.Fatal(err)
		}
		return r, slices.Clone(net.Param(resnet.HeadKernel).Value), images, readHistory(t, cfg.History)
	}
	r, head, images, history := run(ds.Test)
	if len(images) != 10 || slices.Max(images) != 60 {
		t.Errorf("evaluated on %v images, want ten times on the 60 of the validation split", images)
	}
	if r.Split != "test" || r.Eval.Images != 240 || r.Val.Images != 60 || r.Val != r.Best {
		t.Errorf("%+v: want Val the best evaluation and Eval of the 240 test images", r)
	}
	if n := len(history.Evaluations); n != 11 || history.Evaluations[10].Split != "test" || history.Evaluations[10].Top1 != r.Eval.Top1 {
		t.Errorf("history of %d evaluations ends with %+v, want the test split's", n, history.Evaluations[n-1])
	}
	// The same with another test split, and with none.
	other, otherHead, _, _ := run(ds.Test[:100])
	if other.Val != r.Val || !slices.Equal(otherHead, head) {
		t.Error("another test split gave another model")
	}
	none, noneHead, _, _ := run(nil)
	if none.Split != "val" || none.Eval != r.Val || !slices.Equal(noneHead, head) {
		t.Errorf("without a test split: %+v, want the same model, judged on the validation split", none)
	}
}

func readHistory(t *testing.T, path string) train.History {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	h, err := train.ReadHistory(f)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// Fine-tuning for several labels begins at the classes' frequencies: the first loss is, by hand, the entropy of the labels
// under those odds, whatever the pictures.
func TestFineTuneSeveralLabels(t *testing.T) {
	ds := cifar(t)
	ds.MultiLabel = true
	for _, split := range [][]data.Example{ds.Train, ds.Test} {
		for i := range split {
			e := &split[i]
			e.Labels = []int32{int32(e.Label)}
			if e.Label == 3 || e.Label == 5 {
				e.Labels = []int32{3, 5} // cats are dogs
			}
			if e.Label == 9 {
				e.Label, e.Labels = data.NoLabel, []int32{}
			}
		}
	}
	var first float64
	cfg := Config{Steps: 6, Batch: len(ds.Train), Crop: 32, LearningRate: 0.05}
	cfg.OnStep = func(p train.Progress) {
		if p.Step == 1 {
			first = p.StepLoss
		}
	}
	r, err := FineTune(t.Context(), untrained(t), ds, cfg)
	if err != nil {
		t.Fatal(err)
	}
	// The whole training set is one batch: of 400 images seven classes have 40, two 80, one none.
	want := 0.0
	for n, classes := range map[float64]float64{40: 7, 80: 2, 0: 1} {
		p := (n + 0.5) / 401
		want -= classes * (n*math.Log(p) + (400-n)*math.Log(1-p)) / 400
	}
	if math.Abs(first-want) > 1e-5 {
		t.Errorf("first loss %v, want %v", first, want)
	}
	if r.MultiLabel == nil || !(r.MultiLabel.MAP > 0) || r.Eval.Images != len(ds.Test) || r.Split != "test" {
		t.Errorf("%+v, want metrics of several labels on the test split", r)
	}
	if !(r.Eval.Loss < want) {
		t.Errorf("loss %v after training, want below that of the frequencies, %v", r.Eval.Loss, want)
	}
}

// An estimate adds up, of whatever is trained and evaluated, and leaves the network as it was.
func TestMeasure(t *testing.T) {
	ds := cifar(t)
	net := untrained(t)
	before := slices.Clone(net.Param(resnet.StemKernel).Value)
	for i, cfg := range []Config{{Frozen: resnet.FrozenBody, Steps: 7, Crop: 32}, {MixupAlpha: 0.1, Steps: 3, Framing: Pad}} {
		for _, val := range []int{0, 100}[:1+i] {
			d := *ds
			d.Val = ds.Test[:val]
			p, err := NewPlan(net.Config, &d, cfg)
			if err != nil {
				t.Fatal(err)
			}
			e, err := Measure(t.Context(), net, &d, p, cfg)
			if err != nil {
				t.Fatal(err)
			}
			evaluations := 1
			if val > 0 {
				evaluations = (p.Schedule.Total + p.EvaluateEvery - 1) / p.EvaluateEvery
			}
			total := e.Step.Seconds()*float64(p.Schedule.Total) + float64(evaluations)*e.Evaluation.Seconds() + e.Judgement.Seconds()
			if !(e.Step > 0 && e.Evaluation > 0) || (e.Judgement > 0) != (val > 0) || e.Evaluations != evaluations || math.Abs(e.Total.Seconds()-total) > 1e-3*total {
				t.Errorf("%+v with %d validation images: %+v, want a total of %v s", cfg, val, e, total)
			}
		}
	}
	if !slices.Equal(net.Param(resnet.StemKernel).Value, before) || net.Param(resnet.StemKernel).Grad != nil {
		t.Error("measuring changed the network")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Measure(ctx, net, ds, Plan{Crop: 32, Memory: train.MemoryPlan{MicroBatch: 1}}, Config{}); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want the cancellation", err)
	}
}
