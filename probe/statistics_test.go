package probe

import (
	"bytes"
	"errors"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/bigtransfer/bit/internal/safetensors"
)

func gathered(t interface{ Fatal(...any) }, x []float32, labels []int, d, classes int) *Statistics {
	s := NewStatistics(d, classes)
	if err := s.Add(x, labels); err != nil {
		t.Fatal(err)
	}
	return s
}

func fit(t interface{ Fatal(...any) }, s *Statistics) *Head {
	h, err := s.Fit(Config{})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// saved is what is read of what is written.
func saved(t interface{ Fatal(...any) }, s *Statistics) *Statistics {
	var file bytes.Buffer
	if err := s.Write(&file, map[string]string{"model": "m"}); err != nil {
		t.Fatal(err)
	}
	back, meta, err := Read(bytes.NewReader(file.Bytes()), int64(file.Len()))
	if err != nil {
		t.Fatal(err)
	}
	if meta["model"] != "m" {
		t.Fatal("metadata", meta)
	}
	return back
}

// However the examples came, in whatever order, in parts that were merged or saved in between, with the last class added
// later: the head is the one of all examples at once, with its penalty, scale and leave-one-out outputs.
func TestStatisticsOfAnyOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		classes := rapid.IntRange(2, 5).Draw(t, "classes")
		d := rapid.IntRange(2, 24).Draw(t, "features")
		n := rapid.IntRange(2*classes, 60).Draw(t, "examples")
		seed := rapid.Uint64().Draw(t, "seed")
		x, labels := examples(seed, n, d, classes)
		want := fit(t, gathered(t, x, labels, d, classes))

		s := NewStatistics(d, classes-1)
		var late []int
		for _, i := range rand.New(rand.NewPCG(seed, 2)).Perm(n) {
			if labels[i] == classes-1 {
				late = append(late, i)
				continue
			}
			part := gathered(t, x[i*d:][:d], labels[i:i+1], d, classes-1)
			if err := s.Merge(part); err != nil {
				t.Fatal(err)
			}
			if i%7 == 0 {
				s = saved(t, s)
			}
		}
		if label := s.AddClass(); label != classes-1 {
			t.Fatalf("the new class has the label %d", label)
		}
		added := NewStatistics(d, classes)
		for _, i := range late {
			if err := added.Add(x[i*d:][:d], labels[i:i+1]); err != nil {
				t.Fatal(err)
			}
		}
		if rapid.Bool().Draw(t, "into the new") {
			s, added = added, s
		}
		if err := s.Merge(added); err != nil {
			t.Fatal(err)
		}
		got := fit(t, s)
		if got.Lambda != want.Lambda || s.Examples() != n {
			t.Errorf("penalty %v of %d examples, want %v of %d", got.Lambda, s.Examples(), want.Lambda, n)
		}
		near(t, "logits", got.Logits(x), want.Logits(x), 1e-7)
		near(t, "left out", got.LeftOut.Outputs, want.LeftOut.Outputs, 1e-7)
	})
}

// The head of statistics is that of the examples, below and above as many examples as features.
func TestStatisticsAgainstExamples(t *testing.T) {
	for _, n := range []int{29, 30, 31, 400, 1500} {
		x, labels := examples(5, n, 30, 4)
		s := gathered(t, x, labels, 30, 4)
		if want := min(n, 29); s.Kept() != want {
			t.Errorf("%d examples: %d are kept, want %d", n, s.Kept(), want)
		}
		got, err := s.Fit(Config{Lambda: 64, NoScale: true})
		if err != nil {
			t.Fatal(err)
		}
		z, w := ridge(x, labels, 4, 64, func(int) bool { return true })
		var want []float64
		for _, row := range z {
			want = append(want, times(row, w)...)
		}
		near(t, "outputs", got.Logits(x), want, 1e-9)
	}
}

// Features far from zero: sums of squares less the square of a sum would lose all digits of a deviation of 1e-4 about 1e4.
func TestMomentsDoNotCancel(t *testing.T) {
	const d, n = 3, 700
	rng := rand.New(rand.NewPCG(1, 2))
	var x []float32
	var labels []int
	for i := range n {
		labels = append(labels, i%2)
		for range d {
			x = append(x, float32(4096+float64(i%2)/1024+float64(rng.IntN(4))/2048))
		}
	}
	got, want := gathered(t, x, labels, d, 2).moments.standardisation(), standardise(x, d)
	near(t, "mean", got.mean, want.mean, 1e-15)
	near(t, "deviation", got.std, want.std, 1e-9)
}

func TestStatisticsErrors(t *testing.T) {
	s := NewStatistics(2, 2)
	for _, c := range []struct {
		x      []float32
		labels []int
		want   string
	}{{[]float32{1, 2, 3}, []int{0}, "3 feature values for 1 examples of 2"}, {[]float32{1, 2}, []int{2}, "label 2"}, {[]float32{1, 2}, []int{-1}, "label -1"}} {
		if err := s.Add(c.x, c.labels); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("error %v, want %q", err, c.want)
		}
	}
	if _, err := s.Fit(Config{}); !errors.Is(err, ErrNoExamples) {
		t.Errorf("error %v, want ErrNoExamples", err)
	}
	if err := s.Merge(NewStatistics(3, 2)); err == nil {
		t.Error("statistics of other features are merged")
	}
}

// Every bit of a file counts, and every cut.
func TestReadErrors(t *testing.T) {
	for _, n := range []int{3, 9} {
		x, labels := examples(1, n, 5, 3)
		var file bytes.Buffer
		if err := gathered(t, x, labels, 5, 3).Write(&file, nil); err != nil {
			t.Fatal(err)
		}
		good := file.Bytes()
		for at := range good {
			bad := bytes.Clone(good)
			bad[at] ^= 1 << (at % 8)
			if _, _, err := Read(bytes.NewReader(bad), int64(len(bad))); !errors.Is(err, ErrFormat) {
				t.Fatalf("byte %d changed: error %v, want ErrFormat", at, err)
			}
			if _, _, err := Read(bytes.NewReader(good[:at]), int64(at)); !errors.Is(err, ErrFormat) {
				t.Fatalf("cut to %d bytes: error %v, want ErrFormat", at, err)
			}
		}
	}
	if err := NewStatistics(1, 1).Write(new(bytes.Buffer), map[string]string{"format": "x"}); err == nil {
		t.Error("the format's key is taken without an error")
	}
}

// A sound safetensors file that says absurd things.
func TestReadAbsurd(t *testing.T) {
	f32 := func(name string, shape ...int) safetensors.Source {
		n := 1
		for _, d := range shape {
			n *= d
		}
		return safetensors.Source{Name: name, DType: safetensors.F32, Shape: shape, Values: safetensors.Whole(make([]float32, n))}
	}
	f64 := func(name string, values []float64, shape ...int) safetensors.Source {
		return safetensors.Source{Name: name, DType: safetensors.F64, Shape: shape, Doubles: safetensors.WholeDoubles(values)}
	}
	labels, count := f64("labels", []float64{0, 1}, 2), f64("count", []float64{1, 1}, 2)
	for what, tensors := range map[string][]safetensors.Source{
		"nothing":   {},
		"no labels": {f32("examples", 2, 3), count},
		"more":      {f32("examples", 2, 3), labels, count, f32("more", 1)},
		"type":      {f64("examples", make([]float64, 6), 2, 3), labels, count},
		"axes":      {f32("examples", 6), labels, count},
		"wide":      {f32("examples", 0, 1<<40), f64("labels", nil, 0), f64("count", nil, 0), f64("sum", nil, 0, 1<<40), f64("scatter", nil, 0)},
		// D(D+1) is 18 modulo 2⁶⁴.
		"overflow":         {f32("examples", 0, 2008855000502437966), f64("labels", nil, 0), f64("count", nil, 0), f64("sum", nil, 0, 2008855000502437966), f64("scatter", make([]float64, 9), 9)},
		"no features":      {f32("examples", 2, 0), labels, count},
		"too many kept":    {f32("examples", 2, 1), labels, count},
		"few labels":       {f32("examples", 2, 3), f64("labels", []float64{0}, 1), count},
		"label":            {f32("examples", 2, 3), f64("labels", []float64{0, 2}, 2), count},
		"half a label":     {f32("examples", 2, 3), f64("labels", []float64{0, 0.5}, 2), count},
		"no number":        {f32("examples", 2, 3), f64("labels", []float64{0, math.NaN()}, 2), count},
		"count":            {f32("examples", 2, 3), labels, f64("count", []float64{1, 2}, 2)},
		"negative count":   {f32("examples", 2, 3), labels, f64("count", []float64{1, -1}, 2)},
		"count below kept": {f32("examples", 2, 3), labels, f64("count", []float64{9, 0}, 2), f64("sum", make([]float64, 6), 2, 3), f64("scatter", make([]float64, 6), 6)},
		"short scatter":    {f32("examples", 2, 3), labels, count, f64("sum", make([]float64, 6), 2, 3), f64("scatter", make([]float64, 5), 5)},
	} {
		var file bytes.Buffer
		if err := safetensors.WriteDigest(&file, map[string]string{"format": "bit.statistics/1"}, tensors); err != nil {
			t.Fatal(what, err)
		}
		if _, _, err := Read(bytes.NewReader(file.Bytes()), int64(file.Len())); !errors.Is(err, ErrFormat) {
			t.Errorf("%s: error %v, want ErrFormat", what, err)
		}
	}
	var file bytes.Buffer
	if err := safetensors.WriteDigest(&file, map[string]string{"format": "other"}, []safetensors.Source{f32("examples", 2, 3), labels, count}); err != nil {
		t.Fatal(err)
	}
	if _, _, err := Read(bytes.NewReader(file.Bytes()), int64(file.Len())); !errors.Is(err, ErrFormat) || !strings.Contains(err.Error(), `"other"`) {
		t.Errorf("error %v of another format", err)
	}
}
