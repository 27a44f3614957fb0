package eval

import (
	"cmp"

	"github.com/bigtransfer/bit/calibrate"
)

// Ledger collects the outcome of every image of a split with single labels, batch by batch, for [Metrics].
type Ledger struct {
	Tally
	classes         int
	calibration     calibrate.Calibration
	outcomes        []Outcome
	raw, calibrated scoring
}

// scoring sums up the quality of probabilities.
type scoring struct {
	calibrate.Calibration
	nll, brier  float64
	reliability calibrate.Reliability
	p           []float64
}

// NewLedger returns an empty ledger of a model of so many classes. Its calibration may be zero.
func NewLedger(classes int, c calibrate.Calibration) *Ledger {
	l := &Ledger{classes: classes, calibration: c}
	l.raw.p, l.calibrated.p = make([]float64, classes), make([]float64, classes)
	l.calibrated.Calibration = c
	return l
}

// Add counts a batch: logits [N, classes], labels [N], index [N] of the images in the list of examples.
func (l *Ledger) Add(logits []float32, labels, index []int32) error {
	if err := l.Tally.Add(logits, labels, l.classes); err != nil {
		return err
	}
	for i, label := range labels {
		z := logits[i*l.classes:][:l.classes]
		top := 0
		for k, v := range z {
			if v > z[top] {
				top = k
			}
		}
		l.raw.add(z, top, int(label))
		l.calibrated.add(z, top, int(label))
		l.outcomes = append(l.outcomes, Outcome{
			Index: index[i], Label: label, Predicted: int32(top),
			Confidence: float32(l.calibrated.p[top]), Own: float32(l.calibrated.p[label]), Unknown: l.calibration.IsUnknown(z),
		})
	}
	return nil
}

func (s *scoring) add(z []float32, top, label int) {
	s.Softmax(s.p, z)
	for k, v := range s.p {
		if k == label {
			v--
		}
		s.brier += v * v
	}
	s.nll += crossEntropy(z, label, cmp.Or(s.Temperature, 1))
	s.reliability.Add(s.p[top], top == label)
}

func (s *scoring) scores(images int) Scores {
	n := float64(images)
	return Scores{Loss: s.nll / n, Brier: s.brier / n, ECE: s.reliability.ECE(), Reliability: s.reliability.Bins()}
}

// Metrics returns what the images so far say; there must be one at least.
func (l *Ledger) Metrics() Metrics {
	m := Metrics{Result: l.Result(), SingleLabel: &SingleLabel{
		Scores: l.raw.scores(l.images), Confusion: confusion(l.outcomes), Temperature: l.calibration.Temperature,
	}, Outcomes: l.outcomes}
	if m.Temperature != 0 {
		scores := l.calibrated.scores(l.images)
		m.Calibrated = &scores
	}
	classes := make([]Class, l.classes)
	unknown := 0
	for _, o := range l.outcomes {
		classes[o.Label].Images++
		classes[o.Predicted].Predicted++
		if o.Label == o.Predicted {
			classes[o.Label].right++
		}
		if o.Unknown {
			unknown++
		}
	}
	m.UnknownRate = ratio(unknown, l.images)
	m.setClasses(classes)
	occur := 0
	for _, c := range m.Classes {
		if c.Images > 0 {
			occur++
			m.BalancedAccuracy += c.Recall
		}
	}
	m.BalancedAccuracy /= float64(occur)
	return m
}
