package bit

import (
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/bigtransfer/bit/data"
	"github.com/bigtransfer/bit/internal/fixture"
	"github.com/bigtransfer/bit/probe"
	"github.com/bigtransfer/bit/resnet"
	"github.com/bigtransfer/bit/weights"
)

func cifarMini(t testing.TB) *data.Dataset {
	t.Helper()
	return must(data.Open(fixture.Data(t, "cifar10-mini")))
}

// relativeError returns the largest difference of two heads as a fraction of the largest value.
func relativeError(t testing.TB, a, b *Model) float64 {
	t.Helper()
	worst := 0.0
	for _, name := range []string{resnet.HeadKernel, resnet.HeadBias} {
		x, y := a.net.Param(name).Value, b.net.Param(name).Value
		if len(x) != len(y) {
			t.Fatalf("%s has %d values and %d", name, len(x), len(y))
		}
		size := 0.0
		for _, v := range y {
			size = max(size, math.Abs(float64(v)))
		}
		for i := range x {
			worst = max(worst, math.Abs(float64(x[i]-y[i]))/size)
		}
	}
	return worst
}

// The embedded model learns real pictures: far better than the 10 % of chance, and as leaving one out foretells.
func TestProbe(t *testing.T) {
	m := must(Open(t.Context(), ""))
	ds := cifarMini(t)
	o := ProbeOptions{Neighbours: 5, Embed: EmbedOptions{Cache: t.TempDir()}}
	before := values(m)
	tuned, r, err := m.Probe(t.Context(), ds, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%+v", r)
	if !slices.Equal(values(m), before) || m.Config().Classes != 200 {
		t.Error("probing changed the model")
	}
	if !slices.Equal(tuned.Labels(), ds.Classes) || r.Examples != 400 || r.LeftOut != 400 || r.Split != "test" || r.Eval.Images != 300 {
		t.Errorf("labels %v, %+v", tuned.Labels(), r)
	}
	if r.Eval.Top1 < 0.5 || r.Neighbours < 0.4 || math.Abs(r.Eval.Top1-r.LeaveOneOut) > 0.1 {
		t.Errorf("top-1 %.3f, by neighbours %.3f, leave-one-out %.3f", r.Eval.Top1, r.Neighbours, r.LeaveOneOut)
	}
	// The scale of the logits is chosen by what was left out, so the loss is below that of chance by much.
	if r.Eval.Loss > 1.4 {
		t.Errorf("loss %.3f, want far less than that of chance, 2.303", r.Eval.Loss)
	}
	// The result is what package eval finds for the model itself.
	e, _, err := tuned.Evaluate(t.Context(), ds, ds.Test, EvaluateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if math.Abs(e.Top1-r.Eval.Top1) > 0.004 || math.Abs(e.Loss-r.Eval.Loss) > 1e-4 {
		t.Errorf("evaluated as %+v, the probe says %+v", e, r.Eval)
	}
}

// A class that is added without the old pictures: the model of all pictures at once, to 1e-5, whether they are fewer than
// features (the embedded model's 1,024) or more, and with a save in between.
func TestAddExamplesIsTheUnion(t *testing.T) {
	cache := t.TempDir()
	for _, ref := range []string{"", fixture.Case(t, "hf-tiny")} {
		for _, lambda := range []float64{0, 1024} {
			m := must(Open(t.Context(), ref))
			ds := cifarMini(t)
			ds.Test = nil
			o := ProbeOptions{Lambda: lambda, Embed: EmbedOptions{Cache: cache}}
			union, want, err := m.Probe(t.Context(), ds, o)
			if err != nil {
				t.Fatal(err)
			}
			last := len(ds.Classes) - 1
			var old, added []data.Example
			for _, e := range ds.Train {
				if e.Label == last {
					added = append(added, e)
				} else {
					old = append(old, e)
				}
			}
			less := &data.Dataset{Source: ds.Source, Classes: ds.Classes[:last], Train: old}
			before, _, err := m.Probe(t.Context(), less, o)
			if err != nil {
				t.Fatal(err)
			}
			dir := filepath.Join(t.TempDir(), "model")
			if err := before.Save(dir, weights.Card{}); err != nil {
				t.Fatal(err)
			}
			for what, start := range map[string]*Model{"in memory": before, "saved": must(Open(t.Context(), dir))} {
				got, r, err := start.AddExamples(t.Context(), ds.Classes[last], ds.Source, added[:10], ProbeOptions{Embed: o.Embed})
				if err == nil { // the rest of the class
					got, r, err = got.AddExamples(t.Context(), ds.Classes[last], ds.Source, added[10:], ProbeOptions{Embed: o.Embed})
				}
				if err != nil {
					t.Fatal(err)
				}
				worst := relativeError(t, got, union)
				t.Logf("%s, %d features, %s: the heads differ by %.2g", m.Name(), m.Config().FeatureWidth(), what, worst)
				if worst > 1e-5 || r.Lambda != want.Lambda || r.LeaveOneOut != want.LeaveOneOut || r.Examples != want.Examples {
					t.Errorf("%s: difference %.2g, %+v, want %+v", what, worst, r, want)
				}
				if !slices.Equal(got.Labels(), ds.Classes) || !slices.Equal(start.Labels(), ds.Classes[:last]) {
					t.Errorf("labels %v, before %v", got.Labels(), start.Labels())
				}
			}
		}
	}
}

// The head is the one of package probe for the model's own features, and saving keeps it.
func TestProbeHead(t *testing.T) {
	m, ds := tiny(t), must(data.Open(colours(t)))
	tuned, r, err := m.Probe(t.Context(), ds, ProbeOptions{Lambda: 16, Embed: EmbedOptions{NoCache: true}})
	if err != nil {
		t.Fatal(err)
	}
	var x []float32
	var labels []int
	for _, e := range ds.Train {
		f, err := m.Features(t.Context(), must(ds.Image(e)))
		if err != nil {
			t.Fatal(err)
		}
		x, labels = append(x, f[0]...), append(labels, e.Label)
	}
	h, err := probe.Fit(x, labels, 2, probe.Config{Lambda: 16})
	if err != nil {
		t.Fatal(err)
	}
	for i, v := range tuned.net.Param(resnet.HeadKernel).Value {
		if math.Abs(float64(v)-h.Kernel[i]) > 1e-5*math.Abs(h.Kernel[i])+1e-7 {
			t.Fatalf("weight %d of the head is %v, want %v", i, v, h.Kernel[i])
		}
	}
	if r.Eval.Top1 != 1 || r.LeaveOneOut != 1 || r.Lambda != 16 {
		t.Errorf("%+v of dark and bright pictures", r)
	}
	dir := filepath.Join(t.TempDir(), "model")
	if err := tuned.Save(dir, weights.Card{}); err != nil {
		t.Fatal(err)
	}
	back := must(Open(t.Context(), dir))
	if !slices.Equal(values(back), values(tuned)) {
		t.Error("saving changed the weights")
	}
	// A model of another kind in its place takes the statistics away.
	if err := m.Save(dir, weights.Card{}); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, weights.StatisticsFile)); err == nil {
		t.Error("the statistics of the model before stay")
	}
}

func TestProbeErrors(t *testing.T) {
	m, dir := tiny(t), colours(t)
	o := ProbeOptions{Embed: EmbedOptions{NoCache: true}}
	ds := must(data.Opener{MaxSkipped: 1}.Open(dir)) // a class of it will be broken
	if _, _, err := m.AddExamples(t.Context(), "new", ds.Source, ds.Train, o); !errors.Is(err, ErrNoStatistics) {
		t.Errorf("error %v, want ErrNoStatistics", err)
	}
	several := *ds
	several.MultiLabel = true
	if _, _, err := m.Probe(t.Context(), &several, o); err == nil {
		t.Error("no error for several labels")
	}
	tuned, _, err := m.Probe(t.Context(), ds, o)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := tuned.AddExamples(t.Context(), "new", ds.Source, nil, o); !errors.Is(err, data.ErrNoImages) {
		t.Errorf("error %v of a class without pictures, want ErrNoImages", err)
	}
	for _, e := range ds.Train {
		if ds.Classes[e.Label] == "dark" {
			if err := os.WriteFile(filepath.Join(dir, filepath.FromSlash(e.Path)), []byte("broken"), 0o666); err != nil {
				t.Fatal(err)
			}
		}
	}
	if _, r, err := m.Probe(t.Context(), ds, o); err == nil || !strings.Contains(err.Error(), `"dark"`) || len(r.Skipped) != 8 {
		t.Errorf("error %v, %d skipped, want one that names the class, and 8", err, len(r.Skipped))
	}

	// Statistics belong to a head and a body.
	saved := filepath.Join(t.TempDir(), "model")
	if err := tuned.Save(saved, weights.Card{}); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(saved, weights.StatisticsFile)
	text := must(os.ReadFile(path))
	changed := must(Open(t.Context(), saved))
	changed.net.Param(resnet.HeadBias).Value[0]++
	if _, _, err := changed.AddExamples(t.Context(), "new", ds.Source, ds.Test, o); err == nil || !strings.Contains(err.Error(), "another model") {
		t.Errorf("another head: error %v", err)
	}
	text[len(text)-1] ^= 1
	if err := os.WriteFile(path, text, 0o666); err != nil {
		t.Fatal(err)
	}
	if _, _, err := must(Open(t.Context(), saved)).AddExamples(t.Context(), "new", ds.Source, ds.Test, o); !errors.Is(err, probe.ErrFormat) || !strings.Contains(err.Error(), path) {
		t.Errorf("damaged statistics: error %v", err)
	}
}

// From cached features: the whole of a probe on 400 pictures and its evaluation on 300.
func BenchmarkProbe(b *testing.B) {
	m := must(Open(b.Context(), ""))
	ds := cifarMini(b)
	o := ProbeOptions{Embed: EmbedOptions{Cache: b.TempDir()}}
	if _, _, err := m.Probe(b.Context(), ds, o); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, _, err := m.Probe(b.Context(), ds, o); err != nil {
			b.Fatal(err)
		}
	}
}
