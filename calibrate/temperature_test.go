package calibrate

import (
	"errors"
	"math"
	"math/rand/v2"
	"testing"
)

// twoClass returns n pictures of logits (a, 0), of which so many are of class 0, which is right, and the others of class 1.
func twoClass(a float32, n, right int) ([]float32, []int32) {
	logits, labels := make([]float32, 2*n), make([]int32, n)
	for i := range n {
		logits[2*i] = a
		if i >= right {
			labels[i] = 1
		}
	}
	return logits, labels
}

// TestTemperatureByHand: with logits (a, 0) the softmax of class 0 is 1/(1+exp(-a/T)), and the loss is smallest where
// that is the fraction of class 0 among the labels, each believed with probability (N+1)/(N+2).
func TestTemperatureByHand(t *testing.T) {
	for _, c := range []struct {
		a        float32
		n, right int
		want     float64
	}{
		{4, 100, 80, 4 / math.Log((80*101+20)/(20*101+80.))}, // 2.963: the model said 98 % and is right in 80 %
		{1, 100, 90, 1 / math.Log((90*101+10)/(10*101+90.))}, // 0.473: it was too modest
		{3, 20, 20, 3 / math.Log(21)},                        // all right: 21 to 1, not infinity
	} {
		logits, labels := twoClass(c.a, c.n, c.right)
		f, err := FitTemperature(logits, labels, 2)
		if err != nil {
			t.Fatal(err)
		}
		if math.Abs(f.Temperature-c.want) > 1e-8*c.want || f.Images != c.n {
			t.Errorf("%+v: temperature %v, want %v", c, f.Temperature, c.want)
		}
	}
	// All right, 20 pictures: before, the confidence is 1/(1+e^-3). Every temperature is that of the 16 pictures of the
	// other folds, which makes the confidence 17/18.
	logits, labels := twoClass(3, 20, 20)
	f, err := FitTemperature(logits, labels, 2)
	if err != nil {
		t.Fatal(err)
	}
	sure, p := 1/(1+math.Exp(-3)), 17/18.
	for name, v := range map[string][2]float64{
		"ECE before":  {f.ECEBefore, 1 - sure},
		"ECE after":   {f.ECEAfter, 1 - p},
		"loss before": {f.LossBefore, -math.Log(sure)},
		"loss after":  {f.LossAfter, -math.Log(p)},
		"gain error":  {f.GainError, 0},
	} {
		if math.Abs(v[0]-v[1]) > 1e-8 {
			t.Errorf("%s %v, want %v", name, v[0], v[1])
		}
	}
	if f.Pays() {
		t.Errorf("%+v pays, although the loss rises", f)
	}
}

// sampled draws logits, and labels from softmax(z/temperature).
func sampled(n, classes int, temperature float64, seed uint64) ([]float32, []int32) {
	r := rand.New(rand.NewPCG(seed, 7))
	logits, labels := make([]float32, n*classes), make([]int32, n)
	p := make([]float64, classes)
	for i := range labels {
		z := logits[i*classes:][:classes]
		for k := range z {
			z[k] = float32(3 * r.NormFloat64())
		}
		Calibration{Temperature: temperature}.Softmax(p, z)
		u := r.Float64()
		for k, v := range p {
			if labels[i] = int32(k); u < v {
				break
			}
			u -= v
		}
	}
	return logits, labels
}

// TestTemperatureRecovered: labels that follow softmax(z/T) give T back, and the loss on others is smaller by it.
func TestTemperatureRecovered(t *testing.T) {
	for _, want := range []float64{0.5, 1, 2.5} {
		logits, labels := sampled(20_000, 10, want, 1)
		f, err := FitTemperature(logits, labels, 10)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%+v", f)
		if math.Abs(f.Temperature-want) > 0.03*want {
			t.Errorf("temperature %v, want %v", f.Temperature, want)
		}
		if f.Pays() != (want != 1) {
			t.Errorf("temperature %v: pays is %v", want, f.Pays())
		}
		if f.ECEAfter > 0.012 || want != 1 && f.ECEAfter > f.ECEBefore/4 {
			t.Errorf("ECE %v before, %v after", f.ECEBefore, f.ECEAfter)
		}
	}
}

// TestTemperatureIsMinimum compares with the loss on a grid around it. The doubt of labels is too small here to matter.
func TestTemperatureIsMinimum(t *testing.T) {
	logits, labels := sampled(5_000, 4, 1.7, 2)
	f, err := FitTemperature(logits, labels, 4)
	if err != nil {
		t.Fatal(err)
	}
	loss := func(temperature float64) float64 {
		sum := 0.0
		for i, label := range labels {
			p := make([]float64, 4)
			Calibration{Temperature: temperature}.Softmax(p, logits[i*4:][:4])
			doubt := 1 / float64(len(labels)+2)
			for k, v := range p {
				if int32(k) == label {
					sum -= (1 - doubt) * math.Log(v)
				} else {
					sum -= doubt / 3 * math.Log(v)
				}
			}
		}
		return sum / float64(len(labels))
	}
	best := loss(f.Temperature)
	for _, factor := range []float64{0.8, 0.99, 0.999, 1.001, 1.01, 1.25} {
		if l := loss(f.Temperature * factor); l < best {
			t.Errorf("loss %v at %v times the temperature, %v at it", l, factor, best)
		}
	}
}

// TestFewImages: where there is little to learn, that is what is said.
func TestFewImages(t *testing.T) {
	pays := 0
	for seed := range uint64(40) {
		logits, labels := sampled(15, 10, 1, seed)
		f, err := FitTemperature(logits, labels, 10)
		if err != nil {
			t.Fatal(err)
		}
		if f.Pays() {
			pays++
		}
	}
	t.Logf("a temperature for a calibrated model pays for %d of 40 samples of 15 pictures", pays)
	if pays > 10 {
		t.Errorf("for %d of 40 samples", pays)
	}
}

func TestTemperatureErrors(t *testing.T) {
	logits, labels := twoClass(1, 9, 9)
	if _, err := FitTemperature(logits, labels, 2); err == nil {
		t.Error("9 pictures are enough")
	}
	logits, labels = twoClass(1, 40, 10) // worse than chance
	if _, err := FitTemperature(logits, labels, 2); !errors.Is(err, ErrNoBetterThanChance) {
		t.Errorf("error %v, want ErrNoBetterThanChance", err)
	}
	logits, labels = twoClass(0, 40, 30) // all logits are equal
	if _, err := FitTemperature(logits, labels, 2); !errors.Is(err, ErrNoBetterThanChance) {
		t.Errorf("error %v, want ErrNoBetterThanChance", err)
	}
	logits, labels = twoClass(1, 40, 30)
	labels[3] = 2
	if _, err := FitTemperature(logits, labels, 2); err == nil {
		t.Error("label 2 of 2 classes is no error")
	}
	labels[3], logits[5] = 0, float32(math.NaN())
	if _, err := FitTemperature(logits, labels, 2); err == nil {
		t.Error("a logit of NaN is no error")
	}
	if _, err := FitTemperature(logits[:7], labels, 2); err == nil {
		t.Error("7 logits for 40 pictures are no error")
	}
}
