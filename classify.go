package bit

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"image"
	"math"
	"slices"

	"github.com/bigtransfer/bit/imaging"
	"github.com/bigtransfer/bit/resnet"
)

// Prediction is one class and how likely the model thinks it.
type Prediction struct {
	Label string  `json:"label"` // readable name, "class 17" if the model has none
	Index int     `json:"index"` // of the class among the outputs
	Score float32 `json:"score"` // in [0, 1], calibrated if the model is: softmax, so that those of all classes sum to 1; of a MultiLabel model each class's own sigmoid
}

// ErrNotFinite means that a network's outputs for a picture are not all numbers: its weights are broken.
var ErrNotFinite = errors.New("the network's outputs are not finite numbers")

// ErrNoHead means that a model was read from a checkpoint without classifier, such as transformers' BitModel. It has
// features, and can be fine-tuned to have classes.
var ErrNoHead = errors.New("the checkpoint has no classifier: fine-tune it, or use its features")

// Classify returns the k most likely classes of a picture, the best first; among equals the lower index comes first.
// k <= 0, or more than there are classes, means all of them. A picture that shows none of the classes has a best one too:
// whether it is [Result.Unknown] by the model's calibration, [Classifier.ClassifyPictures] says of many pictures, and
// [Classifier.Explain] of one.
func (m *Classifier) Classify(img image.Image, k int) ([]Prediction, error) {
	in, err := m.prepare(img)
	if err != nil {
		return nil, err
	}
	logits, err := m.Logits(in.x, 1, in.h, in.w)
	if err != nil {
		return nil, err
	}
	return m.top(logits, k)
}

// ClassifyFile is [Classifier.Classify] for a picture file: JPEG, PNG, GIF, BMP, TIFF or WebP. Its errors are those of
// [imaging.DecodeFile] and name the file.
func (m *Classifier) ClassifyFile(path string, k int) ([]Prediction, error) {
	img, err := imaging.DecodeFile(path)
	if err != nil {
		return nil, err
	}
	p, err := m.Classify(img, k)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return p, nil
}

// Logits returns the outputs [n, classes] of the network for prepared input x [n, h, w, channels], which need not be
// of the size that Processor makes.
func (m *Classifier) Logits(x []float32, n, h, w int) ([]float32, error) {
	logits := make([]float32, max(0, n)*m.net.Classes)
	err := m.pass(func(p *resnet.Predictor) error { return p.Logits(logits, x, n, h, w) })
	if err != nil {
		return nil, err
	}
	return logits, nil
}

// Judge turns the logits of one picture into its k most likely classes, as Classify does, and says whether it is unknown: by
// the threshold that was fitted for the model, it shows none of its classes. A model without one knows everything.
func (m *Classifier) Judge(logits []float32, k int) (predictions []Prediction, unknown bool, err error) {
	if len(logits) != m.net.Classes {
		return nil, false, fmt.Errorf("%d logits, want those of one picture, %d", len(logits), m.net.Classes)
	}
	predictions, err = m.top(logits, k)
	return predictions, err == nil && m.calibration.IsUnknown(logits), err
}

// Features returns the pooled features of each picture, the input of the network's last layer: a vector of
// Config().FeatureWidth() numbers that describes the picture and serves well for tasks the model was not made for.
func (m *Classifier) Features(ctx context.Context, imgs ...image.Image) ([][]float32, error) {
	features := make([][]float32, len(imgs))
	for i, img := range imgs {
		if err := context.Cause(ctx); err != nil {
			return nil, err
		}
		in, err := m.prepare(img)
		if err != nil {
			return nil, fmt.Errorf("picture %d: %w", i, err)
		}
		features[i] = make([]float32, m.net.FeatureWidth())
		err = m.pass(func(p *resnet.Predictor) error { return p.Features(features[i], in.x, 1, in.h, in.w) })
		if err != nil {
			return nil, fmt.Errorf("picture %d: %w", i, err)
		}
	}
	return features, nil
}

// input is a prepared picture, [h, w, 3].
type input struct {
	x    []float32
	h, w int
}

// prepare makes a picture the network's input.
func (m *Classifier) prepare(img image.Image) (input, error) {
	if m.net.Channels != 3 {
		return input{}, fmt.Errorf("the network takes %d channels, a picture has 3", m.net.Channels)
	}
	im, ok := img.(*imaging.Image)
	if !ok {
		im = imaging.FromImage(img)
	}
	if im.W < 1 || im.H < 1 {
		return input{}, fmt.Errorf("a picture of %d x %d pixels: %w", im.W, im.H, imaging.ErrNotImage)
	}
	w, h := m.processor.OutputSize(im.W, im.H)
	in := input{x: make([]float32, w*h*3)}
	var err error
	in.h, in.w, err = m.processor.Process(im, in.x)
	return in, err
}

// top returns the k best classes of one picture's logits.
func (m *Classifier) top(logits []float32, k int) ([]Prediction, error) {
	if m.headless {
		return nil, ErrNoHead
	}
	order, scores := make([]int, len(logits)), make([]float64, len(logits))
	for i, v := range logits {
		if v-v != 0 {
			return nil, ErrNotFinite
		}
		order[i] = i
	}
	if m.multiLabel {
		temperature := cmp.Or(m.calibration.Temperature, 1)
		for i, v := range logits {
			scores[i] = 1 / (1 + math.Exp(-float64(v)/temperature))
		}
	} else {
		m.calibration.Softmax(scores, logits)
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(logits[b], logits[a]) })
	if k > 0 && k < len(order) {
		order = order[:k]
	}
	predictions := make([]Prediction, len(order))
	for i, class := range order {
		predictions[i] = Prediction{m.Label(class), class, float32(scores[class])}
	}
	return predictions, nil
}
