package bit

import (
	"fmt"
	"image"
	"slices"
	"strconv"
	"strings"

	"github.com/bigtransfer/bit/imaging"
	"github.com/bigtransfer/bit/resnet"
)

// Explanation says which parts of a picture speak for a class, and which against it. A BiT network ends in a mean over
// positions and a linear head, so that a logit is exactly the bias plus a contribution of each position: the class
// activation map, with nothing left out.
type Explanation struct {
	Predictions []Prediction // of the same pass, for all classes, the best first: what Classify says
	Unknown     bool         // see Judge
	Class       int          // that is explained
	Label       string       // its name
	Logit, Bias float32      // of the class
	Map         []float32    // [H, W]: each position's contribution; they sum to Logit − Bias, up to rounding
	H, W        int          // positions: about one for 32 x 32 pixels of the network's input

	Width, Height int            // of the picture, in pixels
	View          imaging.Region // the part of it that the network saw, stretched to its input
	Origin, Step  [2]float64     // x and y, in the picture's pixels: position (x, y) looks at what surrounds Origin + (x, y)·Step
}

// Explain says what in a picture makes the model think of a class; a negative class means the most likely one. It takes
// one pass of the network, as Classify does.
func (m *Classifier) Explain(img image.Image, class int) (*Explanation, error) {
	if class >= m.net.Classes {
		return nil, fmt.Errorf("class %d, want one below the model's %d classes", class, m.net.Classes)
	}
	in, err := m.prepare(img)
	if err != nil {
		return nil, err
	}
	e := &Explanation{Class: class, Width: img.Bounds().Dx(), Height: img.Bounds().Dy()}
	e.View = m.processor.View(e.Width, e.Height)
	// Positions are centred on every OutputStride-th pixel of the input, from the first one on.
	dx, dy := (e.View.X1-e.View.X0)/float64(in.w), (e.View.Y1-e.View.Y0)/float64(in.h)
	e.Origin = [2]float64{e.View.X0 + dx/2, e.View.Y0 + dy/2}
	e.Step = [2]float64{float64(m.net.OutputStride()) * dx, float64(m.net.OutputStride()) * dy}
	err = m.pass(func(p *resnet.Predictor) error {
		evidence, err := p.Evidence(in.x, 1, in.h, in.w)
		if err != nil {
			return err
		}
		if e.Predictions, e.Unknown, err = m.Judge(evidence.Logits, 0); err != nil {
			return err
		}
		if e.Class < 0 {
			e.Class = e.Predictions[0].Index
		}
		e.Label = m.Label(e.Class)
		e.Logit, e.Bias = evidence.Logits[e.Class], evidence.Bias(e.Class)
		e.Map, e.H, e.W = evidence.ClassMap(0, e.Class), evidence.H, evidence.W
		return nil
	})
	if err != nil {
		return nil, err
	}
	return e, nil
}

// Class returns the index of the class of that name: a label, in any case; one of the synonyms of a label that separates
// them by commas, as ImageNet's do; a WordNet id; or, of a model without labels, "class 17" or "17". A name that two
// classes share is an error.
func (m *Classifier) Class(name string) (int, error) {
	matches := func(same func(label string) bool) []int {
		var found []int
		for class := range m.net.Classes {
			if same(m.Label(class)) {
				found = append(found, class)
			}
		}
		return found
	}
	ways := []func(label string) bool{
		func(label string) bool { return label == name },
		func(label string) bool { return strings.EqualFold(label, name) },
		func(label string) bool {
			return slices.ContainsFunc(strings.Split(label, ","), func(word string) bool { return strings.EqualFold(strings.TrimSpace(word), name) })
		},
	}
	for _, same := range ways {
		switch found := matches(same); len(found) {
		case 0:
		case 1:
			return found[0], nil
		default:
			return 0, fmt.Errorf("%q is the name of %d classes: %q and %q among them", name, len(found), m.Label(found[0]), m.Label(found[1]))
		}
	}
	if i := slices.Index(m.ids, name); i >= 0 {
		return i, nil
	}
	if i, err := strconv.Atoi(name); err == nil && m.labels == nil && i >= 0 && i < m.net.Classes {
		return i, nil
	}
	const show = 8
	var known strings.Builder
	for class := range min(show, m.net.Classes) {
		fmt.Fprintf(&known, "%q, ", m.Label(class))
	}
	return 0, fmt.Errorf("no class %q, expected one of %s… (%d in all)", name, &known, m.net.Classes)
}
