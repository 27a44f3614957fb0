package calibrate

import "math"

// Bins is the number of bins of a reliability diagram, as in Guo et al. 2017.
const Bins = 15

// Bin is the pictures whose confidence, the score of the class predicted, lies in one of Bins equal parts of (0, 1].
type Bin struct {
	Images     int     `json:"images"`
	Confidence float64 `json:"confidence"` // mean; 0 without images
	Accuracy   float64 `json:"accuracy"`   // fraction of them predicted right; 0 without images
}

// Reliability holds confidence against accuracy: a picture with the confidence c belongs to bin m, counted from 0, if
// m/Bins < c <= (m+1)/Bins.
type Reliability struct {
	bins [Bins]Bin // of sums, not means
}

// Add counts a picture.
func (r *Reliability) Add(confidence float64, right bool) {
	m := int(math.Ceil(confidence*Bins)) - 1
	b := &r.bins[min(max(m, 0), Bins-1)]
	b.Images++
	b.Confidence += confidence // a NaN stays one
	if right {
		b.Accuracy++
	}
}

// Bins returns the bins in order of confidence.
func (r *Reliability) Bins() []Bin {
	bins := make([]Bin, Bins)
	for m, b := range r.bins {
		if n := float64(b.Images); n > 0 {
			bins[m] = Bin{b.Images, b.Confidence / n, b.Accuracy / n}
		}
	}
	return bins
}

// ECE returns the expected calibration error: the mean over pictures of |accuracy − confidence| of their bins. It is NaN
// if there are none.
func (r *Reliability) ECE() float64 {
	images, sum := 0, 0.0
	for _, b := range r.bins {
		images += b.Images
		sum += math.Abs(b.Accuracy - b.Confidence)
	}
	return sum / float64(images)
}
