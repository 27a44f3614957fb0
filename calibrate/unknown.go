package calibrate

import (
	"fmt"
	"math"
	"slices"
	"sort"
)

// Score is a number that tells how much a picture looks like one of the classes: larger is more.
type Score string

// The scores. Their order by how well they tell unknown classes apart was measured: see docs/JUDGEMENT.md.
const (
	MaxLogit   Score = "max_logit"   // the largest logit (Hendrycks et al. 2022, arXiv:1911.11132)
	MaxSoftmax Score = "max_softmax" // the largest softmax score (Hendrycks & Gimpel 2017, arXiv:1610.02136)
	Energy     Score = "energy"      // log Σ exp(z), the negative energy (Liu et al. 2020, arXiv:2010.03759)
)

// Scores lists them all.
var Scores = []Score{MaxLogit, MaxSoftmax, Energy}

func (s Score) valid() bool { return slices.Contains(Scores, s) }

// Of returns the score of one picture's logits. A score that is not among Scores is a programming error.
func (s Score) Of(logits []float32) float64 {
	switch s {
	case MaxLogit:
		return float64(logits[argmax(logits)])
	case MaxSoftmax:
		return math.Exp(float64(logits[argmax(logits)]) - logSum(logits, 1))
	case Energy:
		return logSum(logits, 1)
	}
	panic(fmt.Sprintf("calibrate: score %q", string(s)))
}

// Unknown is the rule by which a picture counts as showing none of the classes: its score is below the threshold.
type Unknown struct {
	Score       Score   `json:"score"`
	Threshold   float64 `json:"threshold"`
	FalseReject float64 `json:"false_reject_rate"` // fraction of pictures of the classes that it may lose, as asked for
}

// FitUnknown finds the threshold below which at most a fraction rate of pictures of the model's classes are expected to
// fall, from the logits of such pictures that the model was not trained on.
//
// The threshold is the k-th smallest score of the n given with k = ⌊rate·(n+1)⌋: a new picture of the same kind falls
// below it with probability k/(n+1) at most, whatever the scores' distribution (as in conformal prediction). Fewer than
// 1/rate − 1 pictures cannot promise that, which is an error.
func FitUnknown(logits []float32, classes int, score Score, rate float64) (Unknown, error) {
	n, err := checkSplit(logits, nil, classes)
	if err != nil {
		return Unknown{}, err
	}
	if !score.valid() {
		return Unknown{}, fmt.Errorf("calibrate: score %q, want one of %q", score, Scores)
	}
	if !(rate > 0 && rate < 1) {
		return Unknown{}, fmt.Errorf("calibrate: false-reject rate %v, want one between 0 and 1", rate)
	}
	k := min(int(rate*float64(n+1)+1e-9), n) // 0.05·20 is to be 1
	if k < 1 {
		return Unknown{}, fmt.Errorf("calibrate: %d pictures, want at least %.0f to reject %v of them", n, math.Ceil(1/rate-1e-9)-1, rate)
	}
	scores := ScoresOf(logits, classes, score)
	slices.Sort(scores)
	return Unknown{score, scores[k-1], rate}, nil
}

// ScoresOf returns the score of every picture.
func ScoresOf(logits []float32, classes int, score Score) []float64 {
	scores := make([]float64, len(logits)/classes)
	for i := range scores {
		scores[i] = score.Of(logits[i*classes:][:classes])
	}
	return scores
}

// Rejected returns the fraction of pictures that count as unknown: of pictures of the classes the false-reject rate, of
// others 1 minus the false-accept rate.
func (u Unknown) Rejected(logits []float32, classes int) float64 {
	rejected, scores := 0, ScoresOf(logits, classes, u.Score)
	for _, s := range scores {
		if s < u.Threshold {
			rejected++
		}
	}
	return float64(rejected) / float64(len(scores))
}

// AUROC returns the probability that a picture of the classes has a higher score than one of others, an equal score
// counting half: 1 if the score tells them apart, 0.5 if it is blind.
func AUROC(known, others []float64) float64 {
	sorted := slices.Sorted(slices.Values(others))
	wins := 0.0
	for _, s := range known {
		below := sort.SearchFloat64s(sorted, s)
		equal := sort.Search(len(sorted), func(i int) bool { return sorted[i] > s }) - below
		wins += float64(below) + float64(equal)/2
	}
	return wins / (float64(len(known)) * float64(len(others)))
}
