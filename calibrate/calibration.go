// Package calibrate makes a classifier's scores mean what they say. A temperature, fitted on pictures the model was not
// trained on, brings its confidence down to how often it is right (Guo et al. 2017, arXiv:1706.04599); a threshold tells
// pictures of none of its classes from the others (Hendrycks & Gimpel 2017, arXiv:1610.02136).
//
// Logits are float32 [N, classes], row by row; labels are class indices.
package calibrate

import (
	"errors"
	"fmt"
	"math"
)

// Calibration is what has been fitted for a model. The zero value changes nothing.
type Calibration struct {
	Temperature float64  // logits are divided by it before softmax; 0 means 1
	Unknown     *Unknown // when a picture counts as showing none of the classes; nil for never
}

// ErrInvalid is wrapped by the errors of Validate.
var ErrInvalid = errors.New("invalid calibration")

// Validate reports a number that no fit gives.
func (c Calibration) Validate() error {
	if c.Temperature < 0 || math.IsNaN(c.Temperature) || math.IsInf(c.Temperature, 0) {
		return fmt.Errorf("%w: temperature %v, want a positive number", ErrInvalid, c.Temperature)
	}
	if u := c.Unknown; u != nil {
		switch {
		case !u.Score.valid():
			return fmt.Errorf("%w: score %q, want one of %q", ErrInvalid, u.Score, Scores)
		case math.IsNaN(u.Threshold) || math.IsInf(u.Threshold, 0):
			return fmt.Errorf("%w: threshold %v, want a finite number", ErrInvalid, u.Threshold)
		case !(u.FalseReject > 0 && u.FalseReject < 1):
			return fmt.Errorf("%w: false-reject rate %v, want one between 0 and 1", ErrInvalid, u.FalseReject)
		}
	}
	return nil
}

// Softmax writes the scores of one picture's logits to dst [classes]: softmax(z / Temperature). A NaN among the logits
// makes all scores NaN.
func (c Calibration) Softmax(dst []float64, logits []float32) {
	t := c.temperature()
	top := math.Inf(-1)
	for _, z := range logits {
		top = max(top, float64(z)) // the builtin keeps NaN
	}
	sum := 0.0
	for i, z := range logits {
		dst[i] = math.Exp((float64(z) - top) / t)
		sum += dst[i]
	}
	for i := range logits {
		dst[i] /= sum
	}
}

// IsUnknown reports whether a picture of these logits counts as showing none of the classes.
func (c Calibration) IsUnknown(logits []float32) bool {
	return c.Unknown != nil && c.Unknown.Score.Of(logits) < c.Unknown.Threshold
}

func (c Calibration) temperature() float64 {
	if c.Temperature == 0 {
		return 1
	}
	return c.Temperature
}

// checkSplit reports logits and labels that do not fit each other. labels may be nil.
func checkSplit(logits []float32, labels []int32, classes int) (n int, err error) {
	if classes < 2 {
		return 0, fmt.Errorf("calibrate: %d classes, want at least 2", classes)
	}
	n = len(logits) / classes
	if len(logits) != n*classes || labels != nil && len(labels) != n {
		return 0, fmt.Errorf("calibrate: %d logits and %d labels for %d classes", len(logits), len(labels), classes)
	}
	for i, z := range logits {
		if z := float64(z); math.IsNaN(z) || math.IsInf(z, 0) {
			return 0, fmt.Errorf("calibrate: logit %v of picture %d, class %d", z, i/classes, i%classes)
		}
	}
	for i, label := range labels {
		if label < 0 || int(label) >= classes {
			return 0, fmt.Errorf("calibrate: label %d of picture %d, want one below %d", label, i, classes)
		}
	}
	return n, nil
}
