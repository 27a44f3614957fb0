package calibrate

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
)

// TemperatureFit is a temperature and what it is worth, measured on pictures that it was not fitted on: each fifth of
// them is judged by the temperature of the other four.
type TemperatureFit struct {
	Temperature float64 `json:"temperature"` // of all pictures
	Images      int     `json:"images"`
	LossBefore  float64 `json:"loss_before"` // mean negative log likelihood, in nats
	LossAfter   float64 `json:"loss_after"`
	ECEBefore   float64 `json:"ece_before"`
	ECEAfter    float64 `json:"ece_after"`
	// GainError is the standard error of LossBefore − LossAfter.
	GainError float64 `json:"gain_error"`
}

// Pays reports whether the loss falls by more than its standard error. With few pictures it may not: the temperature is
// then as likely to do harm.
func (f TemperatureFit) Pays() bool { return f.LossBefore-f.LossAfter > f.GainError }

const folds = 5

// MinImages is the least number of pictures to fit a temperature on.
const MinImages = 2 * folds

// ErrNoBetterThanChance means that no temperature improves a model: its logits say nothing about the labels.
var ErrNoBetterThanChance = errors.New("the logits tell the labels no better than chance")

// FitTemperature finds the temperature that minimises the negative log likelihood of the labels.
//
// The loss is convex in 1/T. If all pictures are predicted right it would fall for ever as T goes to 0; as in Platt's
// scaling (1999) each label is therefore believed to be right with probability (N+1)/(N+2) only, which matters for few
// pictures and vanishes for many.
func FitTemperature(logits []float32, labels []int32, classes int) (TemperatureFit, error) {
	n, err := checkSplit(logits, labels, classes)
	if err != nil {
		return TemperatureFit{}, err
	}
	if n < MinImages {
		return TemperatureFit{}, fmt.Errorf("calibrate: %d pictures, want at least %d to fit a temperature", n, MinImages)
	}
	s, folded := split{logits, labels, classes}, assignFolds(labels)
	f := TemperatureFit{Images: n}
	if f.Temperature, err = s.fit(func(int) bool { return true }); err != nil {
		return TemperatureFit{}, err
	}
	var before, after Reliability
	var gain, gainSquares float64
	p := make([]float64, classes)
	for fold := range folds {
		t, err := s.fit(func(i int) bool { return folded[i] != fold })
		if err != nil {
			return TemperatureFit{}, err
		}
		for i := range n {
			if folded[i] != fold {
				continue
			}
			was := s.judge(i, 1, &before, p)
			is := s.judge(i, t, &after, p)
			f.LossBefore += was / float64(n)
			f.LossAfter += is / float64(n)
			gain += was - is
			gainSquares += (was - is) * (was - is)
		}
	}
	f.ECEBefore, f.ECEAfter = before.ECE(), after.ECE()
	mean := gain / float64(n)
	f.GainError = math.Sqrt(max(0, gainSquares/float64(n)-mean*mean) / float64(n-1))
	return f, nil
}

// assignFolds returns the fold of each picture, drawn with a fixed seed. Each class is spread over all of them.
func assignFolds(labels []int32) []int {
	order := rand.New(rand.NewPCG(folds, 0)).Perm(len(labels))
	slices.SortStableFunc(order, func(i, j int) int { return cmp.Compare(labels[i], labels[j]) })
	folded := make([]int, len(labels))
	for at, i := range order {
		folded[i] = at % folds
	}
	return folded
}

// split is pictures with known labels.
type split struct {
	logits  []float32
	labels  []int32
	classes int
}

func (s split) row(i int) []float32 { return s.logits[i*s.classes:][:s.classes] }

// judge returns the loss of picture i at temperature t and adds it to r. p is scratch.
func (s split) judge(i int, t float64, r *Reliability, p []float64) float64 {
	z, label := s.row(i), int(s.labels[i])
	Calibration{Temperature: t}.Softmax(p, z)
	top := argmax(z)
	r.Add(p[top], top == label)
	return logSum(z, 1/t) - float64(z[label])/t
}

// argmax returns the index of the largest value, the first of several.
func argmax(z []float32) int {
	top := 0
	for k, v := range z {
		if v > z[top] {
			top = k
		}
	}
	return top
}

// logSum returns log Σ exp(b·z).
func logSum(z []float32, b float64) float64 {
	top := float64(z[argmax(z)])
	sum := 0.0
	for _, v := range z {
		sum += math.Exp(b * (float64(v) - top))
	}
	return math.Log(sum) + b*top
}

// fit returns the temperature of the pictures that use accepts: the root of the loss's derivative by b = 1/T, found by
// Newton's method within a bracket.
func (s split) fit(use func(i int) bool) (float64, error) {
	n := 0
	for i := range s.labels {
		if use(i) {
			n++
		}
	}
	wrong := 1 / float64(n+2) // Platt's doubt of each label
	// derivative returns the first and second derivative by b of the mean loss.
	derivative := func(b float64) (first, second float64) {
		for i, label := range s.labels {
			if !use(i) {
				continue
			}
			z := s.row(i)
			top := float64(z[argmax(z)])
			var sum, mean, square, total float64
			for _, v := range z {
				d := float64(v) - top
				e := math.Exp(b * d)
				sum += e
				mean += e * d
				square += e * d * d
				total += d
			}
			mean /= sum
			own := float64(z[label]) - top
			others := (total - own) / float64(s.classes-1)
			first += mean - (1-wrong)*own - wrong*others
			second += square/sum - mean*mean
		}
		return first / float64(n), second / float64(n)
	}
	if at0, _ := derivative(0); !(at0 < 0) {
		return 0, ErrNoBetterThanChance
	}
	lo, hi := 0.0, 1.0
	for {
		first, _ := derivative(hi)
		if first >= 0 {
			break
		}
		lo, hi = hi, 2*hi
		if hi > 1e9 { // logits that differ by less than float32 resolves
			return 0, ErrNoBetterThanChance
		}
	}
	b := hi
	for range 200 {
		first, second := derivative(b)
		if first < 0 {
			lo = b
		} else {
			hi = b
		}
		next := b - first/second
		if !(next > lo && next < hi) {
			next = (lo + hi) / 2
		}
		if math.Abs(next-b) <= 1e-10*b {
			return 1 / next, nil
		}
		b = next
	}
	return 1 / b, nil
}
