package audit

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/bigtransfer/bit/probe"
)

// LabelFit says by what the labels were judged.
type LabelFit struct {
	Folds    int     `json:"folds"`
	Accuracy float64 `json:"accuracy"`          // of the out-of-sample predictions against the labels as they are
	Skipped  string  `json:"skipped,omitempty"` // why labels were not judged
}

// OutOfSample returns for each of N pictures the probabilities [N, classes] of a linear head on features [N, D] that was
// fitted to other pictures: in folds, each judged by the head of the others, the mean of so many repeats with other folds.
// Pictures of one group, such as duplicates, are in one fold, or else each would vouch for the other's label. Every class is
// spread over the folds, at random by the seed.
func OutOfSample(ctx context.Context, features []float32, labels, groups []int, classes, folds, repeats int, seed uint64) ([]float64, error) {
	n := len(labels)
	if n == 0 || len(features)%n != 0 || len(groups) != n {
		return nil, fmt.Errorf("audit: %d feature values and %d groups for %d pictures", len(features), len(groups), n)
	}
	d := len(features) / n
	p, one := make([]float64, n*classes), make([]float64, classes)
	folded := make([]int, n)
	for turn := range folds * repeats {
		fold := turn % folds
		if fold == 0 {
			folded = assignFolds(labels, groups, folds, seed+uint64(turn/folds))
		}
		if err := context.Cause(ctx); err != nil {
			return nil, err
		}
		var x []float32
		var y, held []int
		for i, f := range folded {
			if f == fold {
				held = append(held, i)
			} else {
				x, y = append(x, features[i*d:][:d]...), append(y, labels[i])
			}
		}
		if len(held) == 0 {
			continue
		}
		present := number(y) // a class may have all its pictures in the fold that is held out
		head, err := probe.Fit(x, y, len(present), probe.Config{MaxExamples: tuneExamples})
		if err != nil {
			return nil, err
		}
		for _, i := range held {
			softmax(one[:len(present)], head.Logits(features[i*d:][:d]))
			for k, v := range one[:len(present)] {
				p[i*classes+present[k]] += v / float64(repeats)
			}
		}
	}
	return p, nil
}

// tuneExamples is how many pictures each head chooses its penalty by; more change the choice little, and cost much.
const tuneExamples = 1000

// number replaces labels by their places in the list of those that occur, which it returns in order.
func number(labels []int) []int {
	present := slices.Clone(labels)
	slices.Sort(present)
	present = slices.Compact(present)
	for i, y := range labels {
		labels[i], _ = slices.BinarySearch(present, y)
	}
	return present
}

func softmax(dst, z []float64) {
	top, sum := slices.Max(z), 0.0
	for k, v := range z {
		dst[k] = math.Exp(v - top)
		sum += dst[k]
	}
	for k := range dst {
		dst[k] /= sum
	}
}

// assignFolds deals the groups of each class to the folds in turn, in random order. A group's class is that of its first
// picture.
func assignFolds(labels, groups []int, folds int, seed uint64) []int {
	order := rand.New(rand.NewPCG(seed, 0x6175646974)).Perm(len(labels)) // "audit"
	slices.SortStableFunc(order, func(i, j int) int { return cmp.Compare(labels[i], labels[j]) })
	folded, of, next := make([]int, len(labels)), map[int]int{}, 0
	for _, i := range order {
		fold, dealt := of[groups[i]]
		if !dealt {
			fold = next % folds
			of[groups[i]] = fold
			next++
		}
		folded[i] = fold
	}
	return folded
}

// LabelIssue is a label that looks wrong.
type LabelIssue struct {
	Row        int     // of the picture
	Suggest    int     // the class that it looks like
	Confidence float64 // out-of-sample probability of its label; the lower, the more surely wrong
}

// LabelIssues finds labels that out-of-sample probabilities p [N, classes] contradict, the worst first, by confident
// learning (Northcutt et al. 2021, arXiv:1911.00068): a picture is confidently of a class if its probability of it is at
// least the mean one of the pictures that are labelled so, and an issue if the most probable of such classes is not its
// label. A class's own threshold keeps classes that are hard in general, or that the head favours, from filling the list.
//
// They are ranked by self-confidence, the probability of the label. The paper's other choice, the margin between it and the
// most probable class, found 5 to 8 of 20 planted errors among the first 20 of CIFAR-10-mini, where self-confidence found
// 8 to 12.
func LabelIssues(p []float64, labels []int, classes int) []LabelIssue {
	threshold, count := make([]float64, classes), make([]float64, classes)
	for i, y := range labels {
		threshold[y] += p[i*classes+y]
		count[y]++
	}
	for k := range threshold {
		if threshold[k] /= count[k]; threshold[k] == 0 { // no head has known it: all its pictures were held out at once
			threshold[k] = math.NaN() // as of a class without pictures: nothing is confidently of it
		}
	}
	var issues []LabelIssue
	for i, y := range labels {
		row := p[i*classes:][:classes]
		best := -1
		for k, v := range row {
			if v >= threshold[k] && (best < 0 || v > row[best]) {
				best = k
			}
		}
		if best >= 0 && best != y {
			issues = append(issues, LabelIssue{i, best, row[y]})
		}
	}
	slices.SortStableFunc(issues, func(a, b LabelIssue) int { return cmp.Compare(a.Confidence, b.Confidence) })
	return issues
}
