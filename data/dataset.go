package data

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Example is one labelled picture.
type Example struct {
	Path   string  // names the picture: slash-separated, relative to the root, or a row as in "train.parquet#17"
	At     int64   // where its Source finds it, if a path does not say; what it counts is the source's own
	Label  int     // index into Dataset.Classes; of several the first; NoLabel if there is none
	Labels []int32 // of a multi-label data set, all of them in ascending order; else nil
}

// NoLabel is the label of a picture that has none, as pictures of a multi-label data set may.
const NoLabel = -1

// Skipped is a file or directory that is not part of a data set, and why.
type Skipped struct {
	Path   string // slash-separated, relative to the root
	Reason string
}

// Dataset is a listed data set. Listing reads directories, not pictures: a file that has a picture's name and is none
// is found by the [Loader] when it decodes it.
type Dataset struct {
	Source              // gives the pictures of its examples
	Classes    []string // label names by class index
	MultiLabel bool     // each class is a question of its own, and a picture may have any number of them
	Train      []Example
	Val        []Example
	Test       []Example
	Skipped    []Skipped

	root  string     // what was opened, or ""
	split *splitFile // where Val is what EnsureSplit held out, or nil
}

// ErrNoImages is wrapped by the error of listing a folder in which no picture was found.
var ErrNoImages = errors.New("no images found")

// EmptyClassError says that a training class has a directory and no picture in it.
type EmptyClassError struct {
	Dir string // relative to the root of the data set
}

func (e *EmptyClassError) Error() string {
	return fmt.Sprintf("class directory %q holds no images", e.Dir)
}

// UnknownClassError says that a split or data set has a class that the one it is held against lacks.
type UnknownClassError struct {
	Class string
	Where string   // the split or set that has it
	Known []string // the classes it should be one of
}

func (e *UnknownClassError) Error() string {
	const show = 8
	known := e.Known
	more := ""
	if len(known) > show {
		more = fmt.Sprintf(", … (%d in all)", len(known))
		known = known[:show]
	}
	return fmt.Sprintf("%s has the class %q, expected one of: %s%s", e.Where, e.Class, strings.Join(known, ", "), more)
}

// EvalSplit returns the examples on which a finished model is judged, and the name of their split: the test split if
// there is one, else the validation split, else all examples of a folder that has no splits.
func (d *Dataset) EvalSplit() (name string, examples []Example) {
	switch {
	case len(d.Test) > 0:
		return splitTest, d.Test
	case len(d.Val) > 0:
		return splitVal, d.Val
	}
	return splitTrain, d.Train
}

// add adds an example to a split, the training one if its name is empty.
func (d *Dataset) add(split string, e Example) {
	switch split {
	case splitVal:
		d.Val = append(d.Val, e)
	case splitTest:
		d.Test = append(d.Test, e)
	default:
		d.Train = append(d.Train, e)
	}
}

// keepSplit forgets the splits that are not wanted.
func (d *Dataset) keepSplit(wanted string) error {
	if wanted == "eval" {
		wanted, _ = d.EvalSplit()
	}
	splits := map[string]*[]Example{splitTrain: &d.Train, splitVal: &d.Val, splitTest: &d.Test}
	switch {
	case wanted == "":
		return nil
	case splits[wanted] == nil:
		return fmt.Errorf("the split %q, expected train, val or test", wanted)
	}
	for name, examples := range splits {
		if name != wanted {
			*examples = nil
		}
	}
	return nil
}

// Relabel numbers the labels as classes does, so that a model with those classes can be evaluated on the data set,
// which may use only some of them. A class that is missing there is an [*UnknownClassError], and one that is there
// twice an error; d is then unchanged.
func (d *Dataset) Relabel(classes []string) error {
	index := make(map[string]int, len(classes))
	for i, name := range classes {
		if j, twice := index[name]; twice {
			index[name] = min(j, -1) // negative: ambiguous
			continue
		}
		index[name] = i
	}
	to := make([]int, len(d.Classes))
	for i, name := range d.Classes {
		j, ok := index[name]
		if !ok {
			return &UnknownClassError{Class: name, Where: "the data set", Known: classes}
		}
		if j < 0 {
			return fmt.Errorf("the class %q stands for more than one label of the model", name)
		}
		to[i] = j
	}
	for _, split := range [][]Example{d.Train, d.Val, d.Test} {
		for i := range split {
			if e := &split[i]; e.Label != NoLabel {
				e.Label = to[e.Label]
				for j, label := range e.Labels {
					e.Labels[j] = int32(to[label])
				}
				if slices.Sort(e.Labels); len(e.Labels) > 0 {
					e.Label = int(e.Labels[0])
				}
			}
		}
	}
	d.Classes = append([]string(nil), classes...)
	return nil
}
