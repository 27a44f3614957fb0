package train

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/bigtransfer/bit/batch"
	"github.com/bigtransfer/bit/data"
	"github.com/bigtransfer/bit/eval"
	"github.com/bigtransfer/bit/imaging"
	"github.com/bigtransfer/bit/resnet"
)

// overfitting is a run whose evaluations rise and fall: a few pictures, a high rate, an evaluation after every step.
func overfitting(ds *data.Dataset, dir string) Config {
	c := everything(ds, 14, dir)
	c.EMA, c.Rate, c.EvaluateEvery = 0, 0.5, 1
	c.Data.Examples = ds.Train[:60]
	return c
}

// evaluations runs cfg and returns the evaluation after each step, and the weights at that moment.
func evaluations(t *testing.T, cfg Config) (results []eval.Result, weights [][]float32, final []float32, r Result) {
	t.Helper()
	net := tiny(t, 10)
	cfg.OnEvaluate = func(_ int, r eval.Result) {
		results, weights = append(results, r), append(weights, values(net))
	}
	r, err := Run(t.Context(), net, cfg)
	if err != nil {
		t.Fatal(err)
	}
	return results, weights, values(net), r
}

// best is the choice as Config.KeepBest describes it, over a whole list.
func best(results []eval.Result) int {
	at := 0
	for i, r := range results {
		if r.Top1 > results[at].Top1 || r.Top1 == results[at].Top1 && r.Loss < results[at].Loss {
			at = i
		}
	}
	return at
}

// The final weights are those of the best evaluation, with and without a directory, and of the averages where these are
// evaluated; patience ends the run when the best is so many evaluations ago, and not before.
func TestKeepBestAndPatience(t *testing.T) {
	ds := cifar(t)
	all, weights, last, plain := evaluations(t, overfitting(ds, ""))
	at := best(all)
	if at == len(all)-1 || at == 0 {
		t.Fatalf("the best of %v is at the end: the test says nothing", all)
	}
	if !slices.Equal(last, weights[len(weights)-1]) || plain.Eval != all[len(all)-1] || plain.Best != all[at] || plain.BestStep != at+1 {
		t.Errorf("without a choice: %+v, want the last evaluation of %v", plain, all)
	}
	for _, dir := range []string{"", t.TempDir()} {
		cfg := overfitting(ds, dir)
		cfg.KeepBest = true
		_, _, got, r := evaluations(t, cfg)
		if !slices.Equal(got, weights[at]) || r.Eval != all[at] || r.BestStep != at+1 || r.Steps != len(all) || r.Stopped {
			t.Errorf("directory %q: %+v, want the weights after step %d", dir, r, at+1)
		}
		if dir != "" { // once more, which only loads the outcome
			if _, _, again, r2 := evaluations(t, cfg); !slices.Equal(again, got) || fmt.Sprint(r2) != fmt.Sprint(r) {
				t.Errorf("again: %+v, want %+v", r2, r)
			}
		}
	}
	for patience := 1; patience <= len(all); patience++ {
		want := len(all) // steps
		for step := 1; step < want; step++ {
			if step-1-best(all[:step]) >= patience {
				want = step
			}
		}
		cfg := overfitting(ds, t.TempDir())
		cfg.Patience, cfg.KeepBest = patience, true
		_, _, got, r := evaluations(t, cfg)
		if at := best(all[:want]); r.Steps != want || r.Stopped != (want < len(all)) || r.BestStep != at+1 || !slices.Equal(got, weights[at]) {
			t.Errorf("patience %d: %+v, want a stop after step %d and the weights of step %d", patience, r, want, at+1)
		}
		if _, _, again, r2 := evaluations(t, cfg); !slices.Equal(again, got) || fmt.Sprint(r2) != fmt.Sprint(r) {
			t.Errorf("patience %d, again: %+v, want %+v", patience, r2, r)
		}
	}
	cfg := overfitting(ds, t.TempDir())
	cfg.EMA, cfg.KeepBest = 0.5, true
	averaged, _, _, r := evaluations(t, cfg)
	if r.Eval != averaged[best(averaged)] {
		t.Errorf("averaged weights: %+v, want the best of %v", r, averaged)
	}
}

// The best weights are lost: the error names the file.
func TestBestFileLost(t *testing.T) {
	cfg := overfitting(cifar(t), t.TempDir())
	cfg.KeepBest = true
	cfg.OnStep = func(p Progress) {
		if p.Step == p.Total {
			if err := os.Remove(filepath.Join(cfg.Dir, BestFile)); err != nil {
				t.Error(err)
			}
		}
	}
	if _, err := Run(t.Context(), tiny(t, 10), cfg); !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), BestFile) {
		t.Errorf("error %v, want one that names %s", err, BestFile)
	}
}

// Frozen parameters keep their values, have no momentum and no average in the checkpoint, and a resumed run has the bits
// of one that was left alone.
func TestFrozen(t *testing.T) {
	ds := cifar(t)
	start := tiny(t, 10)
	frozen := func(dir string) Config {
		c := everything(ds, 5, dir)
		c.Frozen = resnet.FrozenStem + 1
		return c
	}
	net := tiny(t, 10)
	if _, err := Run(t.Context(), net, frozen("")); err != nil {
		t.Fatal(err)
	}
	for i, p := range net.Params() {
		same := slices.Equal(p.Value, start.Params()[i].Value)
		if same != frozen("").Frozen.Freezes(p.Name) {
			t.Errorf("%s unchanged: %v", p.Name, same)
		}
	}
	dir := t.TempDir()
	interrupted := frozen(dir)
	interrupted.OnStep = func(p Progress) {
		if p.Step == 3 {
			panic("gone")
		}
	}
	func() {
		defer func() { recover() }()
		Run(t.Context(), tiny(t, 10), interrupted)
	}()
	got, _ := train(t, frozen(dir))
	if !slices.Equal(got, values(net)) {
		t.Error("the resumed run has other weights")
	}
	content, err := os.ReadFile(filepath.Join(dir, LastFile))
	if err != nil {
		t.Fatal(err)
	}
	file, err := openTensors(bytes.NewReader(content), int64(len(content)))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range file.Tensors {
		group, name, _ := strings.Cut(e.Name, "/")
		if group != "param" && frozen("").Frozen.Freezes(name) {
			t.Errorf("the checkpoint has %s of a frozen parameter", e.Name)
		}
	}
}

// A weight of 2 for every class doubles the gradient, so that half the rate gives the same weights to the bit; a weight of 0
// takes a class out of the run: what its pictures show does not matter.
func TestClassWeights(t *testing.T) {
	ds := cifar(t)
	weighted := func(rate float64, w ...float32) []float32 {
		cfg := everything(ds, 4, "")
		cfg.WeightDecay, cfg.ClipNorm, cfg.Rate, cfg.ClassWeights = 0, 0, rate, w
		v, _ := train(t, cfg)
		return v
	}
	want := weighted(0.25)
	if !slices.Equal(weighted(0.25, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1), want) {
		// One is added term by term, which rounds elsewhere.
		worst := 0.0
		for i, v := range weighted(0.25, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1) {
			worst = max(worst, math.Abs(float64(v-want[i])))
		}
		if worst > 1e-6 {
			t.Errorf("weights of 1 change the outcome by %v", worst)
		}
	}
	ones, twos := weighted(0.25, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1), weighted(0.125, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2)
	if !slices.Equal(ones, twos) {
		t.Error("weights of 2 at half the rate give other weights")
	}
	cfg := everything(ds, 4, "")
	cfg.Data.MixupAlpha, cfg.Smoothing = 0, 0
	cfg.ClassWeights = []float32{1, 1, 1, 1, 1, 1, 1, 1, 1, 0}
	a, _ := train(t, cfg)
	cfg.Data.Examples = slices.Clone(ds.Train)
	for i := range cfg.Data.Examples {
		if e := &cfg.Data.Examples[i]; e.Label == 9 {
			e.Path = ds.Train[0].Path // another picture
		}
	}
	if b, _ := train(t, cfg); !slices.Equal(a, b) {
		t.Error("pictures of a class of weight 0 have changed the weights")
	}
}

// Pictures of one label, given as sets of labels, are trained as the sigmoid loss trains them; sets of two and none have
// the gradient of their definition.
func TestSeveralLabels(t *testing.T) {
	ds := cifar(t)
	single := everything(ds, 4, "")
	single.Loss, single.Smoothing = Sigmoid, 0
	single.Eval.Examples = nil
	want, _ := train(t, single)

	several := single
	several.Data.Classes = 10
	several.Data.Examples = slices.Clone(ds.Train)
	for i := range several.Data.Examples {
		e := &several.Data.Examples[i]
		e.Labels = []int32{int32(e.Label)}
	}
	got, _ := train(t, several)
	worst := 0.0
	for i, v := range got {
		worst = max(worst, math.Abs(float64(v-want[i])))
	}
	if worst > 1e-6 { // 1-Lambda is taken in float32 here and in float64 there
		t.Errorf("sets of one label give weights that differ by %v", worst)
	}
	several.Data.MixupAlpha = 0
	want, _ = train(t, several)
	single.Data.MixupAlpha = 0
	if got, _ := train(t, single); !slices.Equal(got, want) {
		t.Error("without mixup, sets of one label give other bits than labels")
	}

	for name, change := range map[string]func(*Config){
		"softmax":     func(c *Config) { c.Loss = Softmax },
		"10 classes":  func(c *Config) { c.Data.Classes = 9 },
		"the label":   func(c *Config) { c.Data.Examples[0].Labels = []int32{10} },
		"3 class":     func(c *Config) { c.ClassWeights = []float32{1, 2, 3} },
		"-1":          func(c *Config) { c.ClassWeights = []float32{1, 1, 1, -1, 1, 1, 1, 1, 1, 1} },
		"nothing to":  func(c *Config) { c.KeepBest = true },
		"patience of": func(c *Config) { c.Patience = -1 },
	} {
		cfg := several
		cfg.Data.Examples = slices.Clone(cfg.Data.Examples)
		change(&cfg)
		if _, err := Run(t.Context(), tiny(t, 10), cfg); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("error %v, want one with %q", err, name)
		}
	}
}

// Of several labels the best evaluation is that of the lowest loss.
func TestKeepBestOfSeveralLabels(t *testing.T) {
	ds := cifar(t)
	cfg := overfitting(ds, "")
	cfg.Loss, cfg.Data.Classes, cfg.KeepBest = Sigmoid, 10, true
	for _, list := range []*[]data.Example{&cfg.Data.Examples, &cfg.Eval.Examples} {
		*list = slices.Clone(*list)
		for i := range *list {
			e := &(*list)[i]
			e.Labels = []int32{int32(e.Label)}
		}
	}
	all, weights, got, r := evaluations(t, cfg)
	at := 0
	for i := range all {
		if all[i].Loss < all[at].Loss {
			at = i
		}
	}
	if at == len(all)-1 {
		t.Fatalf("the best of %v is the last: the test says nothing", all)
	}
	if r.BestStep != at+1 || r.Eval != all[at] || !slices.Equal(got, weights[at]) {
		t.Errorf("%+v, want the weights after step %d of %v", r, at+1, all)
	}
}

// One step by hand: at logits of zero the sigmoid loss has the gradient p − y = ½ − y at the head's bias, mean over
// the batch, whatever the pictures: with labels {0}, {0, 1} and {} of two images a class's bias moves by that.
func TestSeveralLabelsByHand(t *testing.T) {
	ds := cifar(t)
	examples := []data.Example{
		{Path: ds.Train[0].Path, Label: 0, Labels: []int32{0}},
		{Path: ds.Train[1].Path, Label: 0, Labels: []int32{0, 1}},
		{Path: ds.Train[2].Path, Label: data.NoLabel},
		{Path: ds.Train[3].Path, Label: 2, Labels: []int32{2}},
	}
	net := tiny(t, 3)
	cfg := Config{
		Schedule: Staircase{Total: 1}, Rate: 1, Loss: Sigmoid, Frozen: resnet.FrozenBody, ClassWeights: []float32{1, 1, 4},
		Data: batch.TrainConfig{Source: ds.Source, Examples: examples, Classes: 3, Batch: 4,
			Pipeline: batch.Pipeline{batch.Resize{Size: 32, Filter: imaging.Bilinear}}},
	}
	if _, err := Run(t.Context(), net, cfg); err != nil {
		t.Fatal(err)
	}
	// Of four images two have label 0, one label 1, one label 2: means of ½−y are 0, ¼, ¼, the last with a weight of 4.
	if got, want := net.Param(resnet.HeadBias).Value, []float32{0, -0.25, -1}; !slices.Equal(got, want) {
		t.Errorf("bias %v, want %v", got, want)
	}
}

// What an early stop, frozen parts, weights and sampling add to a run's identity is compared too.
func TestMismatchOfChoices(t *testing.T) {
	ds := cifar(t)
	dir := t.TempDir()
	base := func() Config {
		c := everything(ds, 2, dir)
		c.ClassWeights = []float32{1, 1, 1, 1, 1, 1, 1, 1, 1, 2}
		c.Data.Sampling, c.Frozen, c.KeepBest, c.Patience = batch.Balanced, resnet.FrozenStem, true, 3
		return c
	}
	train(t, base())
	for field, change := range map[string]func(*Config){
		"class weights": func(c *Config) { c.ClassWeights = nil },
		"sampling":      func(c *Config) { c.Data.Sampling = batch.Natural },
		"frozen":        func(c *Config) { c.Frozen = resnet.FrozenNothing },
		"choice":        func(c *Config) { c.Patience = 2 },
	} {
		cfg := base()
		change(&cfg)
		_, err := Run(t.Context(), tiny(t, 10), cfg)
		var mismatch *MismatchError
		if !errors.As(err, &mismatch) || len(mismatch.Differences) != 1 || mismatch.Differences[0].Field != field {
			t.Errorf("%s: error %v, want a difference in that only", field, err)
		}
	}
}
