package fewshot

import (
	"fmt"
	"image/color"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"github.com/bigtransfer/bit/internal/atomicfile"
)

// colours are told apart by people who do not tell red from green (Okabe and Ito 2008).
var colours = map[Method]color.NRGBA{
	Probe:    {0x00, 0x72, 0xb2, 0xff},
	FineTune: {0xd5, 0x5e, 0x00, 0xff},
	Scratch:  {0x77, 0x77, 0x77, 0xff},
}

// shapes tell the methods apart without colour.
var shapes = map[Method]draw.GlyphDrawer{Probe: draw.CircleGlyph{}, FineTune: draw.BoxGlyph{}, Scratch: draw.TriangleGlyph{}}

// PlotFormats are the file name extensions that WritePlot knows.
func PlotFormats() []string { return []string{".png", ".svg", ".pdf"} }

// WritePlot draws the medians of each method over the number of examples, on a logarithmic axis, with bars from the
// lowest to the highest run, to a file whose extension says the format.
func WritePlot(path, title string, list []Summary) error {
	format := strings.ToLower(filepath.Ext(path))
	if !slices.Contains(PlotFormats(), format) {
		return fmt.Errorf("plot %s: expected a name that ends in one of %q", path, PlotFormats())
	}
	p, err := drawing(title, list)
	if err != nil {
		return fmt.Errorf("plot %s: %w", path, err)
	}
	to, err := p.WriterTo(16*vg.Centimeter, 11*vg.Centimeter, format[1:])
	if err != nil {
		return fmt.Errorf("plot %s: %w", path, err)
	}
	return atomicfile.Replace(path, func(w io.Writer) error {
		_, err := to.WriteTo(w)
		return err
	})
}

func drawing(title string, list []Summary) (*plot.Plot, error) {
	p := plot.New()
	p.Title.Text = title
	p.Title.Padding = vg.Points(6)
	p.X.Label.Text, p.Y.Label.Text = "training pictures of each class", "top-1 accuracy in %"
	p.X.Scale = plot.LogScale{}
	p.Y.Min, p.Y.Max = 0, 100
	p.Legend.Top, p.Legend.Left = true, true
	p.Legend.Padding, p.Legend.XOffs = vg.Points(2), vg.Points(6)
	grid := plotter.NewGrid()
	grid.Vertical.Color, grid.Horizontal.Color = color.Gray{225}, color.Gray{225}
	p.Add(grid)
	var ticks plot.ConstantTicks
	for _, method := range Methods() {
		var points ranges
		for _, s := range list {
			if s.Method != method {
				continue
			}
			points.XYs = append(points.XYs, plotter.XY{X: float64(s.Shots), Y: 100 * s.Median})
			points.YErrors = append(points.YErrors, struct{ Low, High float64 }{100 * (s.Median - s.Min), 100 * (s.Max - s.Median)})
			if !slices.ContainsFunc(ticks, func(t plot.Tick) bool { return t.Value == float64(s.Shots) }) {
				ticks = append(ticks, plot.Tick{Value: float64(s.Shots), Label: fmt.Sprint(s.Shots)})
			}
		}
		if len(points.XYs) == 0 {
			continue
		}
		line, dots, err := plotter.NewLinePoints(points.XYs)
		if err != nil {
			return nil, err
		}
		bars, err := plotter.NewYErrorBars(points)
		if err != nil {
			return nil, err
		}
		line.Color, dots.Color, bars.Color = colours[method], colours[method], colours[method]
		line.Width, bars.Width = vg.Points(1.5), vg.Points(1)
		dots.Shape, dots.Radius = shapes[method], vg.Points(3)
		p.Add(bars, line, dots)
		p.Legend.Add(string(method), line, dots)
	}
	if len(ticks) == 0 {
		return nil, fmt.Errorf("no runs to draw")
	}
	p.X.Tick.Marker = ticks
	// A little air, and an axis of some width for a single number of shots.
	least, most := ticks[0].Value, ticks[0].Value
	for _, t := range ticks {
		least, most = min(least, t.Value), max(most, t.Value)
	}
	p.X.Min, p.X.Max = least/1.15, most*1.15
	return p, nil
}

// ranges are points with bars.
type ranges struct {
	plotter.XYs
	plotter.YErrors
}
