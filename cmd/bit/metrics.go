package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/mattn/go-runewidth"

	"github.com/bigtransfer/bit/eval"
)

// mostClasses is how many lines the table of classes has at most.
const mostClasses = 30

// printMetrics prints what a split says about a model, for a person: the sums, then the classes, the worst first where
// there are too many to show.
func (a *app) printMetrics(split string, m eval.Metrics) error {
	var b strings.Builder
	if m.MultiLabel != nil {
		fmt.Fprintf(&b, "%s: mean average precision %.2f %%  loss %.4f  on %d images\n", split, 100*m.MAP, m.Loss, m.Images)
		fmt.Fprintf(&b, "micro precision %.2f %%  recall %.2f %%  F1 %.2f %%\n", 100*m.MicroPrecision, 100*m.MicroRecall, 100*m.MicroF1)
		fmt.Fprintf(&b, "macro precision %.2f %%  recall %.2f %%  F1 %.2f %%\n", 100*m.MacroPrecision, 100*m.MacroRecall, 100*m.MacroF1)
	} else {
		fmt.Fprintf(&b, "%s: %s\n", split, scores(m.Result))
		fmt.Fprintf(&b, "balanced accuracy %.2f %%  macro precision %.2f %%  recall %.2f %%  F1 %.2f %%\n",
			100*m.BalancedAccuracy, 100*m.MacroPrecision, 100*m.MacroRecall, 100*m.MacroF1)
		fmt.Fprintf(&b, "calibration error %.2f %%  Brier score %.4f\n", 100*m.ECE, m.Brier)
		if c := m.Calibrated; c != nil {
			fmt.Fprintf(&b, "at temperature %.4g: calibration error %.2f %%  Brier score %.4f  loss %.4f\n", m.Temperature, 100*c.ECE, c.Brier, c.Loss)
		}
		if m.UnknownRate > 0 {
			fmt.Fprintf(&b, "unknown %.2f %%\n", 100*m.UnknownRate)
		}
	}
	b.WriteString("\n" + classTable(m))
	_, err := fmt.Fprint(a.stdout, b.String())
	return err
}

func classTable(m eval.Metrics) string {
	classes := slices.Clone(m.Classes)
	if len(classes) > mostClasses {
		slices.SortStableFunc(classes, func(a, b eval.Class) int { return cmp.Compare(a.F1, b.F1) })
		classes = classes[:mostClasses]
	}
	const widest = 32
	width := len("class")
	for _, c := range classes {
		width = max(width, min(widest, runewidth.StringWidth(c.Label)))
	}
	last := "most often taken for"
	if m.MultiLabel != nil {
		last = "average precision"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s  images  precision   recall       F1  %s\n", runewidth.FillRight("class", width), last)
	for _, c := range classes {
		text := ""
		if c.AveragePrecision != nil {
			text = fmt.Sprintf("%.2f %%", 100**c.AveragePrecision)
		} else if m.SingleLabel != nil {
			text = takenFor(m, c.Index)
		}
		line := fmt.Sprintf("%s  %6d  %7.2f %% %7.2f %% %7.2f %%  %s",
			runewidth.FillRight(runewidth.Truncate(c.Label, width, "…"), width), c.Images, 100*c.Precision, 100*c.Recall, 100*c.F1, text)
		b.WriteString(strings.TrimRight(line, " ") + "\n")
	}
	if n := len(m.Classes); n > len(classes) {
		fmt.Fprintf(&b, "the %d classes of the lowest F1, of %d; --json lists all\n", len(classes), n)
	}
	return b.String()
}

// takenFor says for which classes the images of one are taken most often, and how many are.
func takenFor(m eval.Metrics, class int) string {
	const show = 2
	var cells []eval.Cell
	for _, c := range m.Confusion {
		if c.True == class && c.Predicted != class {
			cells = append(cells, c)
		}
	}
	slices.SortStableFunc(cells, func(a, b eval.Cell) int { return cmp.Compare(b.Images, a.Images) })
	var words []string
	for _, cell := range cells[:min(show, len(cells))] {
		for _, c := range m.Classes {
			if c.Index == cell.Predicted {
				words = append(words, fmt.Sprintf("%s (%d)", runewidth.Truncate(c.Label, 32, "…"), cell.Images))
			}
		}
	}
	return strings.Join(words, ", ")
}
