package report

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/bigtransfer/bit/calibrate"
	"github.com/bigtransfer/bit/eval"
	"github.com/bigtransfer/bit/train"
)

// Charts are drawn in units of the view box: the plot is a rectangle at (left, top) within width x height.
const (
	left, top            = 44.0, 10.0
	plotWide, plotHigh   = 330.0, 220.0
	chartWide, chartTall = left + plotWide + 22, top + plotHigh + 40
)

// rect is a bar.
type rect struct {
	X, Y, W, H float64
	Title      string
}

// tick is a number on an axis.
type tick struct {
	At   float64
	Text string
}

// frame is what all charts have.
type frame struct {
	Width, Height          float64
	Left, Top, Right, Base float64
	XTicks, YTicks         []tick
	XName, YName           string
}

func newFrame(x, y string) frame {
	return frame{Width: chartWide, Height: chartTall, Left: left, Top: top, Right: left + plotWide, Base: top + plotHigh, XName: x, YName: y}
}

// reliabilityChart shows accuracy against confidence.
type reliabilityChart struct {
	frame
	Title    string
	Scores   eval.Scores
	Accuracy []rect // bars
	Expected []rect // lines at the mean confidence of each bin
}

func newReliabilityChart(title string, s eval.Scores) reliabilityChart {
	c := reliabilityChart{frame: newFrame("confidence", "accuracy"), Title: title, Scores: s}
	for _, v := range []float64{0, 0.2, 0.4, 0.6, 0.8, 1} {
		text := fmt.Sprintf("%.0f %%", 100*v)
		c.XTicks = append(c.XTicks, tick{left + v*plotWide, text})
		c.YTicks = append(c.YTicks, tick{top + (1-v)*plotHigh, text})
	}
	const gap = 2
	for i, b := range s.Reliability {
		if b.Images == 0 {
			continue
		}
		x, w := left+float64(i)*plotWide/calibrate.Bins+gap/2, plotWide/calibrate.Bins-gap
		title := fmt.Sprintf("%d images of confidence %.1f %%: %.1f %% are right", b.Images, 100*b.Confidence, 100*b.Accuracy)
		c.Accuracy = append(c.Accuracy, rect{x, top + (1-b.Accuracy)*plotHigh, w, b.Accuracy * plotHigh, title})
		c.Expected = append(c.Expected, rect{x, top + (1-b.Confidence)*plotHigh, w, 0, title})
	}
	return c
}

// curveChart shows the course of training.
type curveChart struct {
	frame
	Title    string
	One, Two string // points of polylines: of steps, and of evaluations
	Dots     []rect // at the evaluations
	Split    string // that was evaluated
	Last     string // in words
}

// mostPoints bounds the points of a line: each is the mean of the steps it stands for.
const mostPoints = 200

// curves draws loss and accuracy of a run, nil if there is no history.
func curves(h train.History) []curveChart {
	if len(h.Steps)+len(h.Evaluations) < 2 {
		return nil
	}
	split := ""
	if n := len(h.Evaluations); n > 0 {
		split = h.Evaluations[n-1].Split
	}
	type point struct{ step, value float64 }
	draw := func(title, unit string, steps, evaluations []point, scale float64, most float64) curveChart {
		c := curveChart{frame: newFrame("step", unit), Title: title, Split: split}
		last := 1.0
		for _, p := range slices.Concat(steps, evaluations) {
			last = max(last, p.step)
			if most == 0 || scale == 1 {
				most = max(most, p.value)
			}
		}
		x := func(v float64) float64 { return left + v/last*plotWide }
		y := func(v float64) float64 { return top + (1-min(v/most, 1))*plotHigh }
		for i := range 5 {
			v := float64(i) / 4
			c.XTicks = append(c.XTicks, tick{x(v * last), fmt.Sprintf("%.0f", v*last)})
			text := fmt.Sprintf("%.3g", v*most)
			if scale != 1 {
				text = fmt.Sprintf("%.0f %%", 100*v*most)
			}
			c.YTicks = append(c.YTicks, tick{y(v * most), text})
		}
		var one, two strings.Builder
		each := max(1, int(math.Ceil(float64(len(steps))/mostPoints)))
		for part := range slices.Chunk(steps, each) {
			var p point
			for _, s := range part {
				p.step += s.step / float64(len(part))
				p.value += s.value / float64(len(part))
			}
			fmt.Fprintf(&one, "%.1f,%.1f ", x(p.step), y(p.value))
		}
		for _, p := range evaluations {
			fmt.Fprintf(&two, "%.1f,%.1f ", x(p.step), y(p.value))
			c.Dots = append(c.Dots, rect{X: x(p.step), Y: y(p.value), Title: fmt.Sprintf("%s after step %.0f: %.4g", split, p.step, p.value)})
		}
		c.One, c.Two = strings.TrimSpace(one.String()), strings.TrimSpace(two.String())
		return c
	}
	var loss, accuracy, evalLoss, top1 []point
	for _, s := range h.Steps {
		loss = append(loss, point{float64(s.Step), s.Loss})
		accuracy = append(accuracy, point{float64(s.Step), s.Accuracy})
	}
	for _, e := range h.Evaluations {
		if e.Split != split {
			continue
		}
		evalLoss = append(evalLoss, point{float64(e.Step), e.Loss})
		top1 = append(top1, point{float64(e.Step), e.Top1})
	}
	return []curveChart{draw("Loss", "nats", loss, evalLoss, 1, 0), draw("Accuracy", "top-1", accuracy, top1, 100, 1)}
}
