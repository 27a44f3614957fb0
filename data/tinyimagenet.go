package data

import (
	"bufio"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
)

// Files of the Tiny-ImageNet-200 layout, relative to its root.
const (
	tinyIDs         = "wnids.txt"               // one WordNet id a line
	tinyWords       = "words.txt"               // id, tab, label text; all of WordNet
	tinyAnnotations = "val/val_annotations.txt" // file, tab, id, tab, bounding box
	tinyValImages   = "val/images"
)

// isTinyImageNet reports whether the root has the two lists by which Tiny-ImageNet-200 is known.
func (l *lister) isTinyImageNet() bool {
	for _, name := range []string{tinyIDs, tinyWords} {
		if info, err := fs.Stat(l.fsys, name); err != nil || !info.Mode().IsRegular() {
			return false
		}
	}
	return true
}

// tinyImageNet lists the layout: classes in the order of their sorted WordNet ids, with their words as label names.
// The published test pictures have no labels and are left out.
func (l *lister) tinyImageNet() (*Dataset, error) {
	ids, err := l.tinyIDs()
	if err != nil {
		return nil, err
	}
	d := &Dataset{}
	if d.Classes, err = l.tinyWords(ids); err != nil {
		return nil, err
	}
	for label, id := range ids {
		dir := path.Join("train", id, "images")
		paths, err := l.images(nil, dir, 0)
		if err != nil {
			return nil, err
		}
		if len(paths) == 0 {
			return nil, &EmptyClassError{Dir: dir}
		}
		for _, p := range paths {
			d.Train = append(d.Train, Example{Path: p, Label: label})
		}
	}
	d.Val, err = l.tinyVal(ids)
	return d, err
}

func (l *lister) tinyIDs() ([]string, error) {
	var ids []string
	err := l.lines(tinyIDs, func(line string) error {
		if !fs.ValidPath(line) || strings.Contains(line, "/") {
			return fmt.Errorf("expected a WordNet id, found %q", line)
		}
		ids = append(ids, line)
		return nil
	})
	if err != nil {
		return nil, err
	}
	slices.Sort(ids)
	for i := 1; i < len(ids); i++ {
		if ids[i] == ids[i-1] {
			return nil, fmt.Errorf("%s names %s twice", tinyIDs, ids[i])
		}
	}
	if len(ids) == 0 {
		return nil, fmt.Errorf("%s: expected WordNet ids, found none", tinyIDs)
	}
	return ids, nil
}

// tinyWords returns the label text of every id. Where two of the ids share a text (a crane is a bird and a machine),
// the id is added, because labels are told apart by their text.
func (l *lister) tinyWords(ids []string) ([]string, error) {
	names := make([]string, len(ids))
	err := l.lines(tinyWords, func(line string) error {
		id, words, ok := strings.Cut(line, "\t")
		if !ok {
			return fmt.Errorf("expected an id, a tab and its label, found %q", line)
		}
		if i, wanted := slices.BinarySearch(ids, id); wanted {
			names[i] = strings.TrimSpace(words)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	count := map[string]int{}
	for i, name := range names {
		if name == "" {
			return nil, fmt.Errorf("%s has no label for %s", tinyWords, ids[i])
		}
		count[name]++
	}
	for i, name := range names {
		if count[name] > 1 {
			names[i] = fmt.Sprintf("%s (%s)", name, ids[i])
		}
	}
	return names, nil
}

func (l *lister) tinyVal(ids []string) ([]Example, error) {
	if _, err := fs.Stat(l.fsys, "val"); err != nil {
		return nil, nil // a copy without its validation split
	}
	paths, err := l.images(nil, tinyValImages, 0)
	if err != nil {
		return nil, err
	}
	const none = -1
	labels := make(map[string]int, len(paths))
	for _, p := range paths {
		labels[p] = none
	}
	err = l.lines(tinyAnnotations, func(line string) error {
		file, rest, ok := strings.Cut(line, "\t")
		id, _, _ := strings.Cut(rest, "\t")
		if !ok {
			return fmt.Errorf("expected a file name, a tab and an id, found %q", line)
		}
		label, known := slices.BinarySearch(ids, id)
		if !known {
			return fmt.Errorf("%s has the id %q, which %s lacks", file, id, tinyIDs)
		}
		p := path.Join(tinyValImages, file)
		if was, exists := labels[p]; !exists {
			return fmt.Errorf("the image %s is missing", p)
		} else if was != none {
			return fmt.Errorf("%s is named twice", file)
		}
		labels[p] = label
		return nil
	})
	if err != nil {
		return nil, err
	}
	examples := make([]Example, 0, len(paths))
	for _, p := range paths {
		if labels[p] == none {
			l.skip(p, "not named in "+tinyAnnotations)
			continue
		}
		examples = append(examples, Example{Path: p, Label: labels[p]})
	}
	if len(examples) == 0 {
		return nil, fmt.Errorf("split %q: %w", "val", ErrNoImages)
	}
	return examples, nil
}

// lines calls use for every line of a text file that is not empty, without its line end, and names the file and line
// in the error that stops it.
func (l *lister) lines(name string, use func(line string) error) error {
	f, err := l.fsys.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	s := bufio.NewScanner(f)
	n := 0
	for s.Scan() {
		n++
		line := strings.TrimRight(s.Text(), "\r")
		if line == "" {
			continue
		}
		if err := use(line); err != nil {
			return fmt.Errorf("%s, line %d: %w", name, n, err)
		}
	}
	if err := s.Err(); err != nil {
		return fmt.Errorf("%s, line %d: %w", name, n+1, err)
	}
	return nil
}
