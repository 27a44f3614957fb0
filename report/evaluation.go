package report

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"

	"github.com/bigtransfer/bit"
	"github.com/bigtransfer/bit/data"
	"github.com/bigtransfer/bit/eval"
	"github.com/bigtransfer/bit/train"
)

// Evaluation is what a split says about a model, and what it takes to show it.
type Evaluation struct {
	Model    *bit.Classifier
	Data     string // name of the data set
	Split    string // name of the split
	Metrics  eval.Metrics
	Source   data.Source    // of the pictures of mistakes
	Examples []data.Example // that the metrics' outcomes are of
	History  train.History  // of the run that trained the model; zero for none
	Mistakes int            // most mistakes to show; 0 for 24, negative for none
}

// A confusion matrix of more classes is no longer legible; the most frequent confusions are listed instead.
const (
	largestMatrix   = 40
	mostConfusions  = 50
	defaultMistakes = 24
)

type evaluationPage struct {
	Evaluation
	Name         string
	Temperature  float64
	Reliability  []reliabilityChart
	Matrix       *matrix
	Confusions   []confusion
	ShowMistakes []mistake
	Wrong        int // images predicted wrong
	Curves       []curveChart
}

type matrix struct {
	Labels []string
	Rows   []matrixRow
}

type matrixRow struct {
	Label string
	Cells []matrixCell
}

type matrixCell struct {
	Images int
	Share  float64 // of the row
	Title  string
	Right  bool
}

type confusion struct {
	True, Predicted string
	Images          int
	Share           float64
}

type mistake struct {
	Picture, Map     picture
	Path             string
	Label, Predicted string
	Confidence, Own  float64
	Unknown          bool
}

// Write writes the page.
func (e Evaluation) Write(ctx context.Context, w io.Writer) error {
	page := evaluationPage{Evaluation: e, Name: e.Model.Name(), Curves: curves(e.History)}
	if m := e.Metrics; m.SingleLabel != nil {
		page.Reliability = append(page.Reliability, newReliabilityChart("Before calibration", m.Scores))
		if m.Calibrated != nil {
			page.Temperature = m.Temperature
			page.Reliability = append(page.Reliability, newReliabilityChart(fmt.Sprintf("At temperature %.3g", m.Temperature), *m.Calibrated))
		} else {
			page.Reliability[0].Title = "Not calibrated"
		}
		if len(m.Classes) <= largestMatrix {
			page.Matrix = newMatrix(m)
		} else {
			page.Confusions = confusions(m)
		}
		var err error
		if page.ShowMistakes, page.Wrong, err = e.mistakes(ctx); err != nil {
			return err
		}
	}
	return write(w, "evaluation.html", page)
}

func newMatrix(m eval.Metrics) *matrix {
	at := map[int]int{}
	var x matrix
	for i, c := range m.Classes {
		at[c.Index] = i
		x.Labels = append(x.Labels, c.Label)
	}
	for i, c := range m.Classes {
		row := matrixRow{Label: c.Label, Cells: make([]matrixCell, len(m.Classes))}
		row.Cells[i].Right = true
		x.Rows = append(x.Rows, row)
	}
	for _, c := range m.Confusion {
		row := at[c.True]
		cell := &x.Rows[row].Cells[at[c.Predicted]]
		cell.Images, cell.Share = c.Images, float64(c.Images)/float64(m.Classes[row].Images)
		cell.Title = fmt.Sprintf("%d of %d images of %s are taken for %s", c.Images, m.Classes[row].Images, x.Labels[row], x.Labels[at[c.Predicted]])
	}
	return &x
}

func confusions(m eval.Metrics) []confusion {
	of := map[int]eval.Class{}
	for _, c := range m.Classes {
		of[c.Index] = c
	}
	var list []confusion
	for _, c := range m.Confusion {
		if c.True != c.Predicted {
			list = append(list, confusion{of[c.True].Label, of[c.Predicted].Label, c.Images, float64(c.Images) / float64(of[c.True].Images)})
		}
	}
	slices.SortStableFunc(list, func(a, b confusion) int { return cmp.Compare(b.Images, a.Images) })
	return list[:min(len(list), mostConfusions)]
}

// mistakes returns the mistakes that the model was surest of, with what in the picture made it say so.
func (e Evaluation) mistakes(ctx context.Context) ([]mistake, int, error) {
	most := cmp.Or(e.Mistakes, defaultMistakes)
	var wrong []eval.Outcome
	for _, o := range e.Metrics.Outcomes {
		if o.Label != o.Predicted {
			wrong = append(wrong, o)
		}
	}
	slices.SortStableFunc(wrong, func(a, b eval.Outcome) int { return cmp.Compare(b.Confidence, a.Confidence) })
	var shown []mistake
	for _, o := range wrong[:min(len(wrong), max(most, 0))] {
		example := e.Examples[o.Index]
		img, err := load(ctx, e.Source, example)
		if err != nil {
			return nil, 0, err
		}
		if img == nil { // it could be decoded before
			continue
		}
		why, err := e.Model.Explain(img, int(o.Predicted))
		if err != nil {
			return nil, 0, fmt.Errorf("%s: %w", example.Path, err)
		}
		small := shrink(img)
		if factor := overlaySide / max(small.W, small.H); factor > 1 { // a map is smooth, whatever the picture is
			small = small.Resize(small.W*factor, small.H*factor, 0)
		}
		s := mistake{
			Path: example.Path, Label: e.Model.Label(int(o.Label)), Predicted: e.Model.Label(int(o.Predicted)),
			Confidence: float64(o.Confidence), Own: float64(o.Own), Unknown: o.Unknown,
		}
		if s.Picture, err = inline(shrink(img), "the picture "+example.Path); err != nil {
			return nil, 0, err
		}
		if s.Map, err = inline(why.Overlay(small), "what speaks for "+s.Predicted); err != nil {
			return nil, 0, err
		}
		shown = append(shown, s)
	}
	return shown, len(wrong), nil
}

const overlaySide = 128
