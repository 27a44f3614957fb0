package eval

import (
	"encoding/json"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/bigtransfer/bit/calibrate"
)

func near(t *testing.T, what string, got, want float64) {
	t.Helper()
	if !(math.Abs(got-want) <= 1e-6) { // logits are float32
		t.Errorf("%s is %v, want %v", what, got, want)
	}
}

// logs returns logits whose softmax are these probabilities.
func logs(p ...float64) []float32 {
	z := make([]float32, len(p))
	for i, v := range p {
		z[i] = float32(math.Log(v)) + 3 // softmax does not see what is added to all
	}
	return z
}

// Five images of three classes, worked out by hand. Class 2 is never predicted, class 3 neither occurs nor is predicted.
func TestLedger(t *testing.T) {
	const none = 1e-12
	unknown := calibrate.Unknown{Score: calibrate.MaxSoftmax, Threshold: 0.52, FalseReject: 0.1}
	l := NewLedger(4, calibrate.Calibration{Temperature: 0.5, Unknown: &unknown})
	for i, image := range []struct {
		logits []float32
		label  int32
	}{
		{logs(0.7, 0.2, 0.1, none), 0},     // right
		{logs(0.35, 0.55, 0.1, none), 0},   // taken for 1
		{logs(0.08, 0.82, 0.1, none), 1},   // right
		{logs(0.5, 0.3, 0.2, none), 2},     // taken for 0; unknown
		{logs(0.2, 0.505, 0.295, none), 1}, // right; unknown
	} {
		if err := l.Add(image.logits, []int32{image.label}, []int32{int32(10 * i)}); err != nil {
			t.Fatal(err)
		}
	}
	m := l.Metrics()
	near(t, "top-1", m.Top1, 3./5)
	near(t, "top-5", m.Top5, 1)
	near(t, "loss", m.Loss, -(math.Log(0.7)+math.Log(0.35)+math.Log(0.82)+math.Log(0.2)+math.Log(0.505))/5)
	near(t, "balanced accuracy", m.BalancedAccuracy, (1./2+2./2+0)/3)
	// Precision 1/2, 2/3 and none; recall 1/2, 2/2, 0/1; F1 2·1/(2+2), 2·2/(3+2), 0.
	near(t, "macro precision", m.MacroPrecision, (1./2+2./3)/3)
	near(t, "macro recall", m.MacroRecall, (1./2+1)/3)
	near(t, "macro F1", m.MacroF1, (1./2+4./5)/3)
	near(t, "Brier", m.Brier, ((0.09+0.04+0.01)+(0.4225+0.3025+0.01)+(0.0064+0.0324+0.01)+(0.25+0.09+0.64)+(0.04+0.245025+0.087025))/5)
	// The last two share the bin (7/15, 8/15]: one of two is right at a mean confidence of 0.5025.
	near(t, "ECE", m.ECE, (0.3+0.55+0.18+2*0.0025)/5)
	near(t, "unknown", m.UnknownRate, 2./5)

	// T = 1/2 squares the probabilities.
	squared := func(p ...float64) float64 { return p[0] * p[0] / (p[0]*p[0] + p[1]*p[1] + p[2]*p[2]) }
	own := []float64{squared(0.7, 0.2, 0.1), squared(0.35, 0.55, 0.1), squared(0.82, 0.08, 0.1), squared(0.2, 0.5, 0.3), squared(0.505, 0.2, 0.295)}
	loss := 0.0
	for _, p := range own {
		loss -= math.Log(p) / 5
	}
	near(t, "calibrated loss", m.Calibrated.Loss, loss)
	near(t, "temperature", m.Temperature, 0.5)

	type class struct{ index, images, predicted int }
	var classes []class
	for _, c := range m.Classes {
		classes = append(classes, class{c.Index, c.Images, c.Predicted})
	}
	if want := []class{{0, 2, 2}, {1, 2, 3}, {2, 1, 0}}; !slices.Equal(classes, want) {
		t.Errorf("classes %v, want %v", classes, want)
	}
	near(t, "precision of class 1", m.Classes[1].Precision, 2./3)
	near(t, "recall of class 0", m.Classes[0].Recall, 1./2)
	near(t, "F1 of class 2", m.Classes[2].F1, 0)
	if want := []Cell{{0, 0, 1}, {0, 1, 1}, {1, 1, 2}, {2, 0, 1}}; !slices.Equal(m.Confusion, want) {
		t.Errorf("confusion %v, want %v", m.Confusion, want)
	}
	for i, o := range m.Outcomes {
		near(t, "score of the label", float64(o.Own), own[i])
		if o.Index != int32(10*i) || o.Unknown != (i > 2) {
			t.Errorf("outcome %d: %+v", i, o)
		}
	}
	near(t, "confidence of a mistake", float64(m.Outcomes[1].Confidence), squared(0.55, 0.35, 0.1))

	text, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{`{"top1":0.6,"top5":1,"loss":`, `"balanced_accuracy":0.5,`, `"reliability":[{"images":0,`, `"calibrated":{"loss":`, `"confusion":[{"true":0,"predicted":0,"images":1},`} {
		if !strings.Contains(string(text), key) {
			t.Errorf("no %s in %s", key, text)
		}
	}
	if strings.Contains(string(text), "micro") || strings.Count(string(text), `"top1"`) != 1 {
		t.Errorf("%s", text)
	}
}

// A model without calibration has none to show.
func TestLedgerPlain(t *testing.T) {
	l := NewLedger(2, calibrate.Calibration{})
	if err := l.Add([]float32{0, 1, 1, 0}, []int32{1, 1}, []int32{0, 1}); err != nil {
		t.Fatal(err)
	}
	m := l.Metrics()
	if m.Calibrated != nil || m.Temperature != 0 || m.UnknownRate != 0 {
		t.Errorf("%+v", m.SingleLabel)
	}
	// Both are sure to 1/(1+1/e), and one is right.
	near(t, "ECE", m.ECE, 1/(1+math.Exp(-1))-0.5)
	if err := l.Add([]float32{0, 1}, []int32{2}, []int32{2}); err == nil {
		t.Error("label 2 of 2 classes is no error")
	}
}

// TestMultiLabel: class 0 is the example of scikit-learn's average_precision_score, 0.8333; class 1 has ties; class 2 never
// occurs.
func TestMultiLabel(t *testing.T) {
	logits := []float32{
		0.1, 1, -9,
		0.4, 1, -9,
		0.35, -1, 9,
		0.8, -1, -9,
	}
	m, err := MeasureMultiLabel(logits, [][]int32{{1}, nil, {0, 1}, {0}}, 3)
	if err != nil {
		t.Fatal(err)
	}
	near(t, "average precision", *m.Classes[0].AveragePrecision, 0.5*1+0.5*2/3)
	// Two of score 1, of which one has the label; then all four, of which two have it.
	near(t, "average precision with ties", *m.Classes[1].AveragePrecision, 0.5*1/2+0.5*2/4)
	if m.Classes[2].AveragePrecision != nil {
		t.Error("an average precision of a class that no image has")
	}
	near(t, "mAP", m.MAP, (0.5+1./3+0.5)/2)
	// Predicted: class 0 four times, two right; class 1 twice, one right; class 2 once, wrong. Four labels in all.
	near(t, "micro precision", m.MicroPrecision, 3./7)
	near(t, "micro recall", m.MicroRecall, 3./4)
	near(t, "micro F1", m.MicroF1, 6./11)
	near(t, "macro F1", m.MacroF1, (2*2./6+2*1./4+0)/3)
	// Three images have a label. First: 1 beats 0.1. Third: 9 beats both. Fourth: 0.8 is first.
	near(t, "top-1", m.Top1, 2./3)
	near(t, "top-5", m.Top5, 1)
	sigmoid := func(x float64) float64 { return 1 / (1 + math.Exp(-x)) }
	loss := 0.0
	for i, own := range []bool{false, true, false, false, false, false, true, true, false, true, false, false} {
		p := sigmoid(float64(logits[i]))
		if !own {
			p = 1 - p
		}
		loss -= math.Log(p) / 4
	}
	near(t, "loss", m.Loss, loss)
	if m.SingleLabel != nil || m.Images != 4 {
		t.Errorf("%+v", m)
	}
	if _, err := json.Marshal(m); err != nil {
		t.Error(err)
	}
	// No image has a label and none is predicted: there is nothing to take a mean of, and what is said is still numbers.
	none, err := MeasureMultiLabel([]float32{-1, -2}, [][]int32{nil}, 2)
	if err != nil {
		t.Fatal(err)
	}
	near(t, "loss without labels", none.Loss, math.Log1p(math.Exp(-1))+math.Log1p(math.Exp(-2)))
	if none.Top1 != 0 || none.MAP != 0 || none.MacroF1 != 0 || len(none.Classes) != 0 {
		t.Errorf("%+v of nothing", none)
	}
	if _, err := json.Marshal(none); err != nil {
		t.Error(err)
	}
	if _, err := MeasureMultiLabel(logits, [][]int32{{3}, nil, nil, nil}, 3); err == nil {
		t.Error("label 3 of 3 classes is no error")
	}
	if _, err := MeasureMultiLabel(logits, [][]int32{nil}, 3); err == nil {
		t.Error("12 logits of one image are no error")
	}
}
