package calibrate

import (
	"errors"
	"math"
	"testing"
)

func near(t *testing.T, what string, got, want float64) {
	t.Helper()
	if !(math.Abs(got-want) <= 1e-12) {
		t.Errorf("%s is %v, want %v", what, got, want)
	}
}

func TestSoftmax(t *testing.T) {
	p := make([]float64, 3)
	ln := func(v float64) float32 { return float32(math.Log(v)) }
	// e^(ln 4 / 2) = 2, e^(ln 9 / 2) = 3, e^0 = 1.
	Calibration{Temperature: 2}.Softmax(p, []float32{ln(4), ln(9), 0})
	for i, want := range []float64{2. / 6, 3. / 6, 1. / 6} {
		if math.Abs(p[i]-want) > 1e-7 {
			t.Errorf("score %d is %v, want %v", i, p[i], want)
		}
	}
	Calibration{}.Softmax(p, []float32{1e30, 0, -1e30})
	if p[0] != 1 || p[1] != 0 || p[2] != 0 {
		t.Errorf("scores %v of huge logits", p)
	}
	Calibration{}.Softmax(p, []float32{0, float32(math.NaN()), 1})
	if p[0] == p[0] || p[1] == p[1] || p[2] == p[2] {
		t.Errorf("scores %v with a NaN", p)
	}
}

// TestReliability: confidences 0.95, 0.96 (right, wrong) in the last bin, 0.5 (right) in the eighth, (7/15, 8/15], and
// one on the edge of a bin, which belongs below.
func TestReliability(t *testing.T) {
	var r Reliability
	if !math.IsNaN(r.ECE()) {
		t.Error("an ECE of nothing")
	}
	r.Add(0.95, true)
	r.Add(0.96, false)
	r.Add(0.5, true)
	r.Add(2./15, false)
	near(t, "ECE", r.ECE(), (2*math.Abs(0.5-0.955)+(1-0.5)+2./15)/4)
	bins := r.Bins()
	if len(bins) != 15 || bins[14].Images != 2 || bins[7].Images != 1 || bins[1].Images != 1 {
		t.Fatalf("bins %v", bins)
	}
	near(t, "confidence", bins[14].Confidence, 0.955)
	near(t, "accuracy", bins[14].Accuracy, 0.5)
	near(t, "confidence of an empty bin", bins[0].Confidence, 0)
	r.Add(1, true)
	r.Add(0, false)
	if bins := r.Bins(); bins[14].Images != 3 || bins[0].Images != 1 {
		t.Errorf("bins %v", bins)
	}
	r.Add(math.NaN(), false)
	if !math.IsNaN(r.ECE()) {
		t.Error("a confidence of NaN does not show")
	}
}

func TestScores(t *testing.T) {
	z := []float32{1, 3, 2}
	sum := math.Exp(1) + math.Exp(2) + math.Exp(3)
	near(t, "max logit", MaxLogit.Of(z), 3)
	near(t, "max softmax", MaxSoftmax.Of(z), math.Exp(3)/sum)
	near(t, "energy", Energy.Of(z), math.Log(sum))
}

// TestUnknown: of 19 scores 1 to 19, a rate of 0.1 allows ⌊0.1·20⌋ = 2 below or at the threshold, the second smallest.
func TestUnknown(t *testing.T) {
	logits := make([]float32, 2*19)
	for i := range 19 {
		logits[2*((i*7)%19)] = float32(i + 1)
	}
	u, err := FitUnknown(logits, 2, MaxLogit, 0.1)
	if err != nil {
		t.Fatal(err)
	}
	if u != (Unknown{MaxLogit, 2, 0.1}) {
		t.Errorf("%+v, want threshold 2", u)
	}
	near(t, "rejected", u.Rejected(logits, 2), 1./19) // only the smallest is below it
	c := Calibration{Unknown: &u}
	for top, want := range map[float32]bool{1.9: true, 2: false, 3: false} {
		if got := c.IsUnknown([]float32{top, 0}); got != want {
			t.Errorf("a score of %v counts as unknown: %v", top, got)
		}
	}
	if (Calibration{}).IsUnknown([]float32{-9, -9}) {
		t.Error("unknown without a threshold")
	}
	// 19 pictures are just enough for 5 %, 18 are not.
	if u, err := FitUnknown(logits, 2, MaxLogit, 0.05); err != nil || u.Threshold != 1 {
		t.Errorf("%+v, error %v, want threshold 1", u, err)
	}
	if _, err := FitUnknown(logits[:36], 2, MaxLogit, 0.05); err == nil {
		t.Error("18 pictures are enough for 5 %")
	}
	// Just below 1 it is all but the largest.
	if u, err := FitUnknown(logits, 2, MaxLogit, 1-1e-12); err != nil || u.Threshold != 19 {
		t.Errorf("%+v, error %v, want threshold 19", u, err)
	}
	for _, rate := range []float64{0, 1, -1, math.NaN()} {
		if _, err := FitUnknown(logits, 2, MaxLogit, rate); err == nil {
			t.Errorf("a rate of %v is no error", rate)
		}
	}
	if _, err := FitUnknown(logits, 2, "entropy", 0.1); err == nil {
		t.Error("an unknown score is no error")
	}
}

// TestUnknownPromise: over many fits, the fraction of new pictures that is rejected is what was asked for.
func TestUnknownPromise(t *testing.T) {
	const rate = 0.1
	total := 0.0
	for seed := range uint64(200) {
		val, _ := sampled(50, 5, 1, 2*seed)
		test, _ := sampled(500, 5, 1, 2*seed+1)
		u, err := FitUnknown(val, 5, Energy, rate)
		if err != nil {
			t.Fatal(err)
		}
		total += u.Rejected(test, 5) / 200
	}
	// k/(n+1) = 5/51 = 0.098; one fit's rate deviates by 0.042, the mean of 200 by 0.003.
	t.Logf("rejected %.4f", total)
	if math.Abs(total-5./51) > 0.01 {
		t.Errorf("%.4f of new pictures are rejected, want %.4f", total, 5./51)
	}
}

func TestAUROC(t *testing.T) {
	// Pairs: 3>1, 3>2, 1=1, 1<2, 5>1, 5>2: 4.5 of 6.
	near(t, "AUROC", AUROC([]float64{3, 1, 5}, []float64{2, 1}), 4.5/6)
}

func TestValidate(t *testing.T) {
	good := Unknown{MaxLogit, 2, 0.1}
	for _, c := range []Calibration{{}, {Temperature: 1.5}, {Unknown: &good}} {
		if err := c.Validate(); err != nil {
			t.Error(err)
		}
	}
	nan := math.NaN()
	for _, c := range []Calibration{
		{Temperature: -1}, {Temperature: nan}, {Temperature: math.Inf(1)},
		{Unknown: &Unknown{"entropy", 2, 0.1}}, {Unknown: &Unknown{MaxLogit, nan, 0.1}}, {Unknown: &Unknown{MaxLogit, 1, 0}}, {Unknown: &Unknown{MaxLogit, 1, 1}},
	} {
		if err := c.Validate(); !errors.Is(err, ErrInvalid) {
			t.Errorf("%+v: error %v", c, err)
		}
	}
}
