package data

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
)

// labeler numbers the classes of a data set whose labels are texts: those it is given or, sorted at the end, those it
// finds.
type labeler struct {
	given bool
	index map[string]int32
	names []string
}

func newLabeler(classes []string) (*labeler, error) {
	l := &labeler{given: classes != nil, index: map[string]int32{}, names: classes}
	for i, name := range classes {
		if first, twice := l.index[name]; twice {
			return nil, fmt.Errorf("the class %q is given twice, as numbers %d and %d", name, first, i)
		}
		l.index[name] = int32(i)
	}
	return l, nil
}

// number returns the class that a text means: the one of that name, or else the one of that number.
func (l *labeler) number(text string) (int32, error) {
	if i, ok := l.index[text]; ok {
		return i, nil
	}
	if l.given {
		if i, err := strconv.Atoi(text); err == nil && i >= 0 && i < len(l.names) {
			return int32(i), nil
		}
		return 0, &UnknownClassError{Class: text, Where: "the data set", Known: l.names}
	}
	text = string([]byte(text)) // not a part of a long line
	i := int32(len(l.names))
	l.index[text] = i
	l.names = append(l.names, text)
	return i, nil
}

// finish sorts the classes that were found, by value if all are integers, and numbers the labels of d anew.
func (l *labeler) finish(d *Dataset) {
	d.Classes = l.names
	if l.given {
		return
	}
	values := make([]int64, len(l.names))
	integers := true
	for i, name := range l.names {
		var err error
		values[i], err = strconv.ParseInt(name, 10, 64)
		integers = integers && err == nil
	}
	order := make([]int, len(l.names))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int {
		if integers && values[a] != values[b] {
			return cmp.Compare(values[a], values[b])
		}
		return cmp.Compare(l.names[a], l.names[b])
	})
	to := make([]int32, len(order))
	d.Classes = make([]string, len(order))
	for place, was := range order {
		to[was] = int32(place)
		d.Classes[place] = l.names[was]
	}
	for _, split := range [][]Example{d.Train, d.Val, d.Test} {
		for i := range split {
			e := &split[i]
			for j, label := range e.Labels {
				e.Labels[j] = to[label]
			}
			switch slices.Sort(e.Labels); {
			case len(e.Labels) > 0:
				e.Label = int(e.Labels[0])
			case e.Label != NoLabel:
				e.Label = int(to[e.Label])
			}
		}
	}
}

// finishLabels orders the labels of pictures that have several, or makes the only one of each its label.
func (d *Dataset) finishLabels() {
	for _, split := range [][]Example{d.Train, d.Val, d.Test} {
		for i := range split {
			e := &split[i]
			slices.Sort(e.Labels)
			if e.Labels = slices.Compact(e.Labels); len(e.Labels) > 0 {
				e.Label = int(e.Labels[0])
			}
			switch {
			case !d.MultiLabel:
				e.Labels = nil
			case e.Labels == nil && e.Label != NoLabel: // one of a file without lists beside others
				e.Labels = []int32{int32(e.Label)}
			}
		}
	}
}
