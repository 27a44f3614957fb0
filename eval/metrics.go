package eval

import (
	"cmp"
	"slices"

	"github.com/bigtransfer/bit/calibrate"
)

// Metrics is everything that a split says about a model. Fractions are in [0, 1]; one with nothing to divide by, such as
// the precision of a class that was never predicted, is 0, as in scikit-learn.
type Metrics struct {
	Result

	// Means over classes. A class that neither occurs nor is predicted is left out.
	MacroPrecision float64 `json:"macro_precision"`
	MacroRecall    float64 `json:"macro_recall"`
	MacroF1        float64 `json:"macro_f1"`

	*SingleLabel
	*MultiLabel

	Classes  []Class   `json:"classes"` // that occur or are predicted, in order of their index
	Outcomes []Outcome `json:"-"`       // of each image; nil for multi-label data
}

// SingleLabel is what can be said if every image has one label.
type SingleLabel struct {
	BalancedAccuracy float64 `json:"balanced_accuracy"` // mean recall of the classes that occur
	Scores                   // of the softmax of the logits as they are
	Calibrated       *Scores `json:"calibrated,omitempty"`   // of softmax(z/T); nil for a model without temperature
	Temperature      float64 `json:"temperature,omitempty"`  // T
	UnknownRate      float64 `json:"unknown_rate,omitempty"` // fraction of images called unknown
	Confusion        []Cell  `json:"confusion"`              // those that are not empty, by true class, then predicted class
}

// Scores say how good the probabilities are, not only the order of the classes.
type Scores struct {
	Loss        float64         `json:"loss"`        // mean negative log likelihood of the labels, in nats
	Brier       float64         `json:"brier"`       // mean over images of the sum over classes of (p − y)², in [0, 2] (Brier 1950)
	ECE         float64         `json:"ece"`         // expected calibration error in calibrate.Bins bins (Guo et al. 2017)
	Reliability []calibrate.Bin `json:"reliability"` // the bins
}

// Class is what is said about one class.
type Class struct {
	Index            int      `json:"index"`
	Label            string   `json:"label,omitempty"` // if the caller knows it
	Images           int      `json:"images"`          // that are of the class
	Predicted        int      `json:"predicted"`       // that are said to be
	Precision        float64  `json:"precision"`
	Recall           float64  `json:"recall"`
	F1               float64  `json:"f1"`
	AveragePrecision *float64 `json:"average_precision,omitempty"` // of multi-label data, if images have the label
	right            int
}

// Cell is one of a confusion matrix.
type Cell struct {
	True      int `json:"true"`
	Predicted int `json:"predicted"`
	Images    int `json:"images"`
}

// Outcome is what became of one image.
type Outcome struct {
	Index            int32 // in the list of examples
	Label, Predicted int32
	Confidence       float32 // of the class predicted, calibrated if the model is
	Own              float32 // the same, of the label
	Unknown          bool
}

// score fills in what follows from the counts.
func (c *Class) score() {
	c.Precision, c.Recall = ratio(c.right, c.Predicted), ratio(c.right, c.Images)
	c.F1 = ratio(2*c.right, c.Predicted+c.Images) // 2·P·R/(P+R)
}

func ratio(a, b int) float64 {
	if b == 0 {
		return 0
	}
	return float64(a) / float64(b)
}

// setClasses scores the classes that occur or are predicted, and takes their means.
func (m *Metrics) setClasses(all []Class) {
	for i := range all {
		c := &all[i]
		c.Index = i
		if c.Images == 0 && c.Predicted == 0 {
			continue
		}
		c.score()
		m.Classes = append(m.Classes, *c)
		m.MacroPrecision += c.Precision
		m.MacroRecall += c.Recall
		m.MacroF1 += c.F1
	}
	if len(m.Classes) == 0 { // several labels, of which no image has any and none is predicted
		return
	}
	n := float64(len(m.Classes))
	m.MacroPrecision, m.MacroRecall, m.MacroF1 = m.MacroPrecision/n, m.MacroRecall/n, m.MacroF1/n
}

// confusion counts the outcomes and returns the cells that are not empty.
func confusion(outcomes []Outcome) []Cell {
	counts := map[[2]int32]int{}
	for _, o := range outcomes {
		counts[[2]int32{o.Label, o.Predicted}]++
	}
	cells := make([]Cell, 0, len(counts))
	for at, n := range counts {
		cells = append(cells, Cell{int(at[0]), int(at[1]), n})
	}
	slices.SortFunc(cells, func(a, b Cell) int { return cmp.Or(cmp.Compare(a.True, b.True), cmp.Compare(a.Predicted, b.Predicted)) })
	return cells
}
