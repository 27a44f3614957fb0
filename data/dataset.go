package data

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
)

// Example is one labelled picture.
type Example struct {
	Path  string // slash-separated, relative to the root of Dataset.FS
	Label int    // index into Dataset.Classes
}

// Skipped is a file or directory that is not part of a data set, and why.
type Skipped struct {
	Path   string // slash-separated, relative to the root
	Reason string
}

// Dataset is a listed data set. Listing reads directories, not pictures: a file that has a picture's name and is none
// is found by the [Loader] when it decodes it.
type Dataset struct {
	FS      fs.FS    // holds the files
	Classes []string // label names by class index
	Train   []Example
	Val     []Example
	Test    []Example
	Skipped []Skipped
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

// Open lists the data set in the directory dir. Three layouts are told apart by their directories:
//
//   - class/file: every directory is a class, and all pictures are Train;
//   - split/class/file: with splits train (or training), val (valid, validation, dev) and test (testing, eval), in any
//     case;
//   - Tiny-ImageNet-200: wnids.txt, words.txt, train/<wnid>/images and val/val_annotations.txt.
//
// Classes are sorted by directory name. Val and Test may lack classes of Train, not add any; without a training split
// the classes are those of the other two. Class directories may be nested deeper. Pictures are recognised by extension;
// other files, hidden ones and files outside a class directory are listed in Skipped.
func Open(dir string) (*Dataset, error) {
	info, err := os.Stat(dir)
	if err != nil {
		return nil, fmt.Errorf("data set: %w", err)
	}
	if !info.IsDir() {
		return nil, fmt.Errorf("data set %s: expected a directory, found a file", dir)
	}
	d, err := OpenFS(os.DirFS(dir))
	if err != nil {
		return nil, fmt.Errorf("data set %s: %w", dir, err)
	}
	return d, nil
}

// OpenFS is [Open] for the root of a file system, for instance an opened zip file.
func OpenFS(fsys fs.FS) (*Dataset, error) {
	l := &lister{fsys: fsys}
	d, err := l.open()
	if err != nil {
		return nil, err
	}
	d.FS, d.Skipped = fsys, l.skipped
	return d, nil
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
			split[i].Label = to[split[i].Label]
		}
	}
	d.Classes = append([]string(nil), classes...)
	return nil
}
