package nn

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

type lossFunc func(dlogits, logits []float32, classes int, t Targets, scale float64) float64

// softLabels writes the targets out as dense rows, independently of how the losses use them.
func softLabels(t Targets, classes int) [][]float64 {
	rows := make([][]float64, len(t.A)+len(t.Y)/classes)
	for i := range rows {
		rows[i] = make([]float64, classes)
		if t.Y != nil {
			for k, y := range t.Y[i*classes:][:classes] {
				rows[i][k] = float64(y)
			}
		} else if t.B == nil {
			rows[i][t.A[i]] = 1
		} else {
			rows[i][t.A[i]] += t.Lambda
			rows[i][t.B[i]] += 1 - t.Lambda
		}
		for k := range rows[i] {
			rows[i][k] = rows[i][k]*(1-t.Smoothing) + t.Smoothing/float64(classes)
		}
	}
	return rows
}

// The losses as their definitions read, in float64, without care for overflow.
func softmaxReference(z, y, w []float64) float64 {
	sum := 0.0
	for _, v := range z {
		sum += math.Exp(v)
	}
	loss := 0.0
	for k, v := range z {
		loss -= w[k] * y[k] * math.Log(math.Exp(v)/sum)
	}
	return loss
}

func sigmoidReference(z, y, w []float64) float64 {
	loss := 0.0
	for k, v := range z {
		p := 1 / (1 + math.Exp(-v))
		loss -= w[k] * (y[k]*math.Log(p) + (1-y[k])*math.Log(1-p))
	}
	return loss
}

var losses = []struct {
	name string
	f    lossFunc
	ref  func(z, y, w []float64) float64
}{{"softmax", SoftmaxCrossEntropy, softmaxReference}, {"sigmoid", SigmoidCrossEntropy, sigmoidReference}}

// Values against the definition, gradients against its central differences in float64.
func TestLossAgainstDefinition(t *testing.T) {
	const n, classes = 5, 7
	r := rand.New(rand.NewPCG(1, 1))
	logits := make([]float32, n*classes)
	for i := range logits {
		logits[i] = float32(r.NormFloat64() * 2)
	}
	a, b := []int32{0, 6, 3, 3, 2}, []int32{1, 6, 0, 5, 4}
	several := make([]float32, n*classes) // none, all, one, two, and mixed labels
	for i := range classes {
		several[classes+i], several[4*classes+i] = 1, float32(i)/10
	}
	several[2*classes+3], several[3*classes], several[3*classes+6] = 1, 1, 1
	uneven := []float32{0.5, 1, 3, 0, 1.25, 0.75, 0.1}
	for _, l := range losses {
		for _, targets := range []Targets{
			{A: a}, {A: a, Smoothing: 0.1}, {A: a, B: b, Lambda: 0.3}, {A: a, B: b, Lambda: 0.9, Smoothing: 0.2}, {A: a, B: b, Lambda: 1},
			{A: a, Weights: uneven}, {A: a, B: b, Lambda: 0.3, Smoothing: 0.1, Weights: uneven},
			{Y: several}, {Y: several, Weights: uneven}, {Y: several, Smoothing: 0.1},
		} {
			if targets.Y != nil && l.name == "softmax" {
				continue
			}
			name := fmt.Sprintf("%s/lambda=%v,mix=%v,smoothing=%v,several=%v,weights=%v", l.name, targets.Lambda, targets.B != nil, targets.Smoothing, targets.Y != nil, targets.Weights != nil)
			t.Run(name, func(t *testing.T) {
				labels, weights := softLabels(targets, classes), make([]float64, classes)
				for k := range weights {
					weights[k] = 1
					if targets.Weights != nil {
						weights[k] = float64(targets.Weights[k])
					}
				}
				mean := func(z []float64) float64 {
					sum := 0.0
					for i, y := range labels {
						sum += l.ref(z[i*classes:(i+1)*classes], y, weights)
					}
					return sum / n
				}
				z := make([]float64, len(logits))
				for i, v := range logits {
					z[i] = float64(v)
				}
				dlogits := make([]float32, len(logits))
				got, want := l.f(dlogits, logits, classes, targets, 1.0/n), mean(z)
				if math.Abs(got-want) > 1e-12*want {
					t.Errorf("loss %.17g, want %.17g", got, want)
				}
				for i := range z {
					const h = 1e-5
					keep := z[i]
					z[i] = keep + h
					up := mean(z)
					z[i] = keep - h
					down := mean(z)
					z[i] = keep
					// The difference quotient is good to about h² and 1e-16/h; the result is rounded to float32.
					if want := (up - down) / (2 * h); math.Abs(float64(dlogits[i])-want) > 1e-9+1e-7*math.Abs(want) {
						t.Errorf("dlogits[%d] = %v, want %v", i, dlogits[i], want)
					}
				}
			})
		}
	}
}

// Hand-computed: with equal logits softmax loses ln K whatever the label, sigmoid K·ln 2.
func TestLossOfZeroLogits(t *testing.T) {
	const classes = 200
	z, dz := make([]float32, classes), make([]float32, classes)
	targets := Targets{A: []int32{17}, Smoothing: 0.1}
	if got := SoftmaxCrossEntropy(dz, z, classes, targets, 1); math.Abs(got-math.Log(classes)) > 1e-12 {
		t.Errorf("softmax: %v, want ln 200", got)
	}
	if got := SigmoidCrossEntropy(dz, z, classes, targets, 1); math.Abs(got-classes*math.Ln2) > 1e-10 {
		t.Errorf("sigmoid: %v, want 200·ln 2", got)
	}
}

// Logits whose exponentials overflow or underflow: the limits are known in closed form.
func TestLossStable(t *testing.T) {
	z := []float32{1e4, -1e4, 0}
	dz := make([]float32, 3)
	for _, c := range []struct {
		name  string
		f     lossFunc
		label int32
		loss  float64
		grad  [3]float32
	}{
		{"softmax right", SoftmaxCrossEntropy, 0, 0, [3]float32{0, 0, 0}},
		{"softmax wrong", SoftmaxCrossEntropy, 1, 2e4, [3]float32{1, -1, 0}},
		{"sigmoid right", SigmoidCrossEntropy, 0, math.Ln2, [3]float32{0, 0, 0.5}},
		{"sigmoid wrong", SigmoidCrossEntropy, 1, 2e4 + math.Ln2, [3]float32{1, -1, 0.5}},
	} {
		got := c.f(dz, z, 3, Targets{A: []int32{c.label}}, 1)
		if math.Abs(got-c.loss) > 1e-9 || [3]float32(dz) != c.grad {
			t.Errorf("%s: loss %v, gradient %v, want %v, %v", c.name, got, dz, c.loss, c.grad)
		}
	}
}

// Parts of a batch add up to the whole: the gradients are the same bits, since every row is on its own.
func TestLossInParts(t *testing.T) {
	const n, classes = 7, 5
	r := rand.New(rand.NewPCG(4, 4))
	z := make([]float32, n*classes)
	a, b := make([]int32, n), make([]int32, n)
	for i := range z {
		z[i] = float32(r.NormFloat64())
	}
	for i := range a {
		a[i], b[i] = r.Int32N(classes), r.Int32N(classes)
	}
	for _, l := range losses {
		whole, parts := make([]float32, n*classes), make([]float32, n*classes)
		want := l.f(whole, z, classes, Targets{A: a, B: b, Lambda: 0.7}, 1.0/n)
		got := 0.0
		for from := 0; from < n; from += 3 {
			to := min(from+3, n)
			got += l.f(parts[from*classes:to*classes], z[from*classes:to*classes], classes, Targets{A: a[from:to], B: b[from:to], Lambda: 0.7}, 1.0/n)
		}
		if math.Abs(got-want) > 1e-14*want {
			t.Errorf("%s: parts lose %v, the whole %v", l.name, got, want)
		}
		for i := range whole {
			if whole[i] != parts[i] {
				t.Errorf("%s: gradient %d is %v in parts, %v as a whole", l.name, i, parts[i], whole[i])
			}
		}
	}
}

func TestLossKeepsNaN(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	for _, l := range losses {
		for _, bad := range []float32{nan, inf, -inf} {
			for at := range 3 {
				z := []float32{0, 1, 2, 0, 1, 2}
				z[at] = bad
				dz := make([]float32, 6)
				got := l.f(dz, z, 3, Targets{A: []int32{0, 0}}, 1)
				harmless := l.name == "softmax" && bad == -inf && at != 0 // a class of probability 0 that nobody asked for
				if finite := !math.IsNaN(got) && !math.IsInf(got, 0); finite != harmless {
					t.Errorf("%s: loss %v with logit %d = %v", l.name, got, at, bad)
				}
				if bad == nan && dz[at] == dz[at] {
					t.Errorf("%s: gradient %v with logit %d = NaN", l.name, dz[:3], at)
				}
				for k, v := range dz[3:] {
					if v != v {
						t.Errorf("%s: NaN reached class %d of the other example", l.name, k)
					}
				}
			}
		}
	}
}

func TestLossPanics(t *testing.T) {
	for name, f := range map[string]func(){
		"label too large": func() { SoftmaxCrossEntropy(make([]float32, 3), make([]float32, 3), 3, Targets{A: []int32{3}}, 1) },
		"label negative":  func() { SigmoidCrossEntropy(make([]float32, 3), make([]float32, 3), 3, Targets{A: []int32{-1}}, 1) },
		"too few logits":  func() { SoftmaxCrossEntropy(make([]float32, 3), make([]float32, 2), 3, Targets{A: []int32{0}}, 1) },
		"mixed-in label": func() {
			SoftmaxCrossEntropy(make([]float32, 3), make([]float32, 3), 3, Targets{A: []int32{0}, B: []int32{9}}, 1)
		},
		"too few mixed-in": func() {
			SoftmaxCrossEntropy(make([]float32, 3), make([]float32, 3), 3, Targets{A: []int32{0}, B: []int32{}}, 1)
		},
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			f()
		}()
	}
}
