package bit

import (
	"context"
	"errors"
	"image/color"
	"math"
	"path/filepath"
	"slices"
	"strconv"
	"testing"

	"github.com/bigtransfer/bit/data"
	"github.com/bigtransfer/bit/imaging"
	"github.com/bigtransfer/bit/train"
	"github.com/bigtransfer/bit/transfer"
	"github.com/bigtransfer/bit/weights"
)

// colours writes a data set that is easy to learn: dark and bright pictures, 8 to train on and 4 to test on of each.
func colours(t testing.TB) string {
	dir := t.TempDir()
	for i := range 12 {
		split := "train"
		if i >= 8 {
			split = "test"
		}
		level := uint8(4 * i)
		name := strconv.Itoa(i) + ".png"
		writePicture(t, filepath.Join(dir, split, "dark", name), 40, 40, color.NRGBA{level, level / 2, 10, 255})
		writePicture(t, filepath.Join(dir, split, "bright", name), 40, 40, color.NRGBA{255 - level, 250, 255 - level/2, 255})
	}
	return dir
}

// quick is the rule in small.
var quick = transfer.Config{Steps: 10, Batch: 8, LearningRate: 0.01, Resize: 36, Crop: 32}

func TestFineTune(t *testing.T) {
	m, dir := tiny(t), colours(t)
	before := values(m)
	tuned, r, err := FineTune(t.Context(), m, dir, quick)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(values(m), before) || m.Config().Classes != 10 {
		t.Error("fine-tuning changed the model that it began with")
	}
	if want := []string{"bright", "dark"}; !slices.Equal(tuned.Labels(), want) {
		t.Errorf("labels %v, want %v", tuned.Labels(), want)
	}
	if r.Split != "test" || r.Eval.Images != 8 || r.Eval.Top1 != 1 {
		t.Errorf("%s: top-1 %v on %d images, want 1 on 8 of test", r.Split, r.Eval.Top1, r.Eval.Images)
	}
	p, err := tuned.ClassifyFile(filepath.Join(dir, "test", "dark", "9.png"), 1)
	if err != nil || p[0].Label != "dark" {
		t.Errorf("a dark picture is %v, error %v", p, err)
	}
	// The reference's tiny model has the pixel range of CLIP, which its offspring must keep.
	if got := tuned.Processor(); got.Mean != m.Processor().Mean || got.Std != m.Processor().Std || got.CropWidth != 32 {
		t.Errorf("prepared with %+v", got)
	}

	saved := filepath.Join(t.TempDir(), "tuned")
	if err := tuned.Save(saved, weights.Card{}); err != nil {
		t.Fatal(err)
	}
	again, err := Open(t.Context(), saved)
	if err != nil {
		t.Fatal(err)
	}
	ds, err := data.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	result, skipped, err := again.Evaluate(t.Context(), ds, ds.Test, EvaluateOptions{OnProgress: func(n int) { seen = n }})
	if err != nil || len(skipped) > 0 || result.Result != r.Eval || seen != 8 {
		t.Errorf("evaluated again: %+v, skipped %v, error %v, %d seen; want %+v", result, skipped, err, seen, r.Eval)
	}
}

// A run that is cancelled and called again ends with the bits of one that was not.
// What a run decides about a model is saved with it and read back: several labels a picture, and how pictures become
// squares. Its scores are each class's own.
func TestFineTunedSeveralLabels(t *testing.T) {
	m, dir := tiny(t), colours(t)
	ds, err := data.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	ds.MultiLabel = true
	for _, split := range [][]data.Example{ds.Train, ds.Test} {
		for i := range split {
			split[i].Labels = []int32{int32(split[i].Label)}
		}
	}
	cfg := quick
	cfg.Framing, cfg.Resize = transfer.Pad, 40
	tuned, r, err := FineTuneOn(t.Context(), m, ds, cfg)
	if err != nil {
		t.Fatal(err)
	}
	if r.MultiLabel == nil || r.MultiLabel.MAP != 1 {
		t.Errorf("%+v, want dark and bright told apart", r.MultiLabel)
	}
	saved := filepath.Join(t.TempDir(), "tuned")
	if err := tuned.Save(saved, weights.Card{}); err != nil {
		t.Fatal(err)
	}
	again, err := Open(t.Context(), saved)
	if err != nil {
		t.Fatal(err)
	}
	if size := again.Processor().Size; !again.MultiLabel() || size != (imaging.Size{LongestEdge: 32}) || !tuned.MultiLabel() || m.MultiLabel() {
		t.Errorf("several labels %v, prepared to %+v", again.MultiLabel(), size)
	}
	// By hand: the logits' sigmoids.
	img, err := imaging.DecodeFile(filepath.Join(dir, "test", "dark", "9.png"))
	if err != nil {
		t.Fatal(err)
	}
	predictions, err := again.Classify(img, 0)
	if err != nil {
		t.Fatal(err)
	}
	in, err := again.prepare(img)
	if err != nil {
		t.Fatal(err)
	}
	logits, err := again.Logits(in.x, 1, in.h, in.w)
	if err != nil {
		t.Fatal(err)
	}
	if predictions[0].Label != "dark" {
		t.Errorf("a dark picture is %v", predictions)
	}
	for _, p := range predictions {
		if want := 1 / (1 + math.Exp(-float64(logits[p.Index]))); math.Abs(float64(p.Score)-want) > 1e-6 {
			t.Errorf("%s scores %v, want the sigmoid of %v, %v", p.Label, p.Score, logits[p.Index], want)
		}
	}
}

func TestFineTuneResumes(t *testing.T) {
	m, dir := tiny(t), colours(t)
	whole, _, err := FineTune(t.Context(), m, dir, quick)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	cfg := quick
	cfg.Dir = t.TempDir()
	cfg.OnStep = func(p train.Progress) {
		if p.Step == 4 {
			cancel()
		}
	}
	_, _, err = FineTune(ctx, m, dir, cfg)
	if e, ok := errors.AsType[*train.InterruptedError](err); !ok || e.Step != 4 || e.Total != 10 || !errors.Is(err, context.Canceled) {
		t.Fatalf("cancelled: %v, want an InterruptedError after 4 of 10 steps", err)
	}
	steps := 0
	cfg.OnStep = func(train.Progress) { steps++ }
	resumed, _, err := FineTune(t.Context(), m, dir, cfg)
	if err != nil {
		t.Fatal(err)
	}
	if steps != 6 || !slices.Equal(values(resumed), values(whole)) {
		t.Errorf("resumed with %d steps to other bits than the whole run", steps)
	}
}

func TestFineTuneErrors(t *testing.T) {
	m := tiny(t)
	if _, _, err := FineTune(t.Context(), m, t.TempDir(), quick); !errors.Is(err, data.ErrNoImages) {
		t.Errorf("an empty folder: %v, want ErrNoImages", err)
	}
	ds, err := data.Open(colours(t))
	if err != nil {
		t.Fatal(err)
	}
	err = ds.Relabel(m.Labels())
	if e, ok := errors.AsType[*data.UnknownClassError](err); !ok || e.Class != "bright" {
		t.Errorf("evaluating a model of other classes: %v, want an UnknownClassError", err)
	}
}

// values returns all weights of a model in a row.
func values(m *Model) []float32 {
	var v []float32
	for _, p := range m.net.Params() {
		v = append(v, p.Value...)
	}
	return v
}

// Whatever steps map pixels to numbers, what is fine-tuned maps them alike.
func TestValueRange(t *testing.T) {
	base := imaging.Squash(8, imaging.Bilinear)
	bytes, shifted, unit := *base, *base, *base
	bytes.DoRescale, bytes.Mean, bytes.Std = false, [3]float64{127.5, 127.5, 127.5}, [3]float64{127.5, 127.5, 127.5}
	shifted.RescaleFactor, shifted.Mean, shifted.Std = 1.0/127.5, [3]float64{1, 1, 1}, [3]float64{1, 1, 1}
	unit.DoNormalize = false
	for _, c := range []struct {
		p         *imaging.Processor
		mean, std float64
	}{
		{base, 0.5, 0.5},
		{&bytes, 0.5, 0.5},   // (x − 127.5)/127.5
		{&shifted, 0.5, 0.5}, // x/127.5 − 1
		{&unit, 0, 1},        // x/255
	} {
		mean, std := valueRange(c.p)
		for i := range 3 {
			if math.Abs(mean[i]-c.mean) > 1e-12 || math.Abs(std[i]-c.std) > 1e-12 {
				t.Errorf("%+v: mean %v, deviation %v, want %v, %v", c.p, mean, std, c.mean, c.std)
				break
			}
		}
	}
}
