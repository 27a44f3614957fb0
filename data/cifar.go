package data

import (
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
)

// CIFAR-10 and CIFAR-100 in their binary version (www.cs.toronto.edu/~kriz/cifar.html): records of a label, or a coarse
// and a fine one, and a picture.
const (
	cifarSide  = 32
	cifarBytes = 3 * cifarSide * cifarSide // red, then green, then blue, each by rows
)

// cifarKind is what differs between the two.
type cifarKind struct {
	name        string
	train, test []string // patterns of file names
	labels      int      // bytes before the picture; the last is the label
	names       string   // file of the classes' names, one a line
	classes     int
}

var cifarKinds = []cifarKind{
	{"CIFAR-10", []string{"data_batch_*.bin"}, []string{"test_batch.bin"}, 1, "batches.meta.txt", 10},
	{"CIFAR-100", []string{"train.bin"}, []string{"test.bin"}, 2, "fine_label_names.txt", 100},
}

// cifarKind returns which of the two lies at the root, if one does.
func (l *lister) cifarKind() *cifarKind {
	_, files, err := (&lister{fsys: l.fsys}).read(".")
	if err != nil {
		return nil
	}
	for i := range cifarKinds {
		kind := &cifarKinds[i]
		batches := len(matching(files, kind.train)) + len(matching(files, kind.test))
		// Names as plain as train.bin count only beside the names of the classes.
		if batches > 0 && (kind.labels == 1 || slices.Contains(files, kind.names)) {
			return kind
		}
	}
	return nil
}

func (l *lister) isCIFAR() bool { return l.cifarKind() != nil }

// matching returns those of the names that match one of the patterns, numbers in the order of their values.
func matching(names, patterns []string) []string {
	var found []string
	for _, name := range names {
		for _, p := range patterns {
			if ok, _ := path.Match(p, name); ok {
				found = append(found, name)
			}
		}
	}
	slices.SortFunc(found, func(a, b string) int {
		if len(a) != len(b) {
			return len(a) - len(b)
		}
		return strings.Compare(a, b)
	})
	return found
}

// cifar lists the data set.
func (l *lister) cifar() (*Dataset, error) {
	kind := l.cifarKind()
	_, files, err := l.read(".")
	if err != nil {
		return nil, err
	}
	d := &Dataset{}
	if d.Classes, err = l.cifarClasses(kind, files); err != nil {
		return nil, err
	}
	source := &packed{decode: decodePlanes(cifarSide, cifarSide)}
	d.Source = source
	for _, split := range []struct {
		patterns []string
		to       *[]Example
	}{{kind.train, &d.Train}, {kind.test, &d.Test}} {
		for _, name := range matching(files, split.patterns) {
			if *split.to, err = l.cifarBatch(kind, source, name, len(d.Classes), *split.to); err != nil {
				return nil, err
			}
		}
	}
	if len(d.Train)+len(d.Test) == 0 {
		return nil, fmt.Errorf("%s: %w", kind.name, ErrNoImages)
	}
	return d, nil
}

// cifarClasses reads the names of the classes. Without their file they are numbers.
func (l *lister) cifarClasses(kind *cifarKind, files []string) ([]string, error) {
	if l.opener.Classes != nil || !slices.Contains(files, kind.names) {
		return l.numbered(kind.classes)
	}
	var classes []string
	err := l.lines(kind.names, func(line string) error {
		classes = append(classes, strings.TrimSpace(line))
		return nil
	})
	if err == nil && len(classes) != kind.classes {
		err = fmt.Errorf("%s: expected the names of %d classes, found %d", kind.names, kind.classes, len(classes))
	}
	return classes, err
}

// cifarBatch appends the examples of a file.
func (l *lister) cifarBatch(kind *cifarKind, source *packed, name string, classes int, examples []Example) ([]Example, error) {
	f, err := openPacked(l.fsys, name, nil)
	if err != nil {
		return nil, err
	}
	record := int64(kind.labels + cifarBytes)
	if f.size == 0 || f.size%record != 0 {
		return nil, fmt.Errorf("%s: expected records of %d bytes each, as %s has them, found %d bytes: %d too many",
			name, record, kind.name, f.size, f.size%record)
	}
	n := int(f.size / record)
	file := source.addFile(f)
	examples = slices.Grow(examples, n)
	err = f.with(func(r io.ReaderAt) error {
		label := make([]byte, kind.labels)
		for i := range n {
			at := int64(i) * record
			if _, err := r.ReadAt(label, at); err != nil {
				return &fs.PathError{Op: "read", Path: name, Err: err}
			}
			last := int(label[kind.labels-1])
			if last >= classes {
				return fmt.Errorf("%s: picture %d has the label %d, expected one below %d", name, i, last, classes)
			}
			at, err := source.add(file, at+int64(kind.labels), cifarBytes)
			if err != nil {
				return err
			}
			examples = append(examples, Example{Path: name + "#" + strconv.Itoa(i), At: at, Label: last})
		}
		return nil
	})
	return examples, err
}
