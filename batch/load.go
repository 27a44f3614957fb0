package batch

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/bigtransfer/bit/data"
	"github.com/bigtransfer/bit/imaging"
)

// brokenList is the pictures that could not be decoded, by index in the list of examples.
type brokenList struct {
	some    atomic.Bool // whether there are any: spares the lock in the usual case
	mu      sync.Mutex
	byIndex map[int]*data.BrokenError
}

func (l *brokenList) add(index int, err *data.BrokenError) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.byIndex == nil {
		l.byIndex = map[int]*data.BrokenError{}
	}
	l.byIndex[index] = err
	l.some.Store(true)
}

func (l *brokenList) at(index int) *data.BrokenError {
	if !l.some.Load() {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.byIndex[index]
}

// Skipped returns the pictures that could not be decoded so far, sorted by path. It may be called at any time.
func (l *Loader) Skipped() []data.Skipped {
	l.broken.mu.Lock()
	defer l.broken.mu.Unlock()
	var list []data.Skipped
	for i, err := range l.broken.byIndex {
		list = append(list, data.Skipped{Path: l.examples[i].Path, Reason: err.Error()})
	}
	slices.SortFunc(list, func(a, b data.Skipped) int { return strings.Compare(a.Path, b.Path) })
	return list
}

// picture is a decoded picture.
type picture struct {
	*imaging.Image
	prepared bool // whether the steps of maker.prepare have been applied
}

// load returns the picture of an example, from the cache if it is there. Its error is a
// [*data.BrokenError] if it cannot be decoded.
func (l *Loader) load(w *worker, index int) (*picture, error) {
	if pic := l.cache.get(index); pic != nil {
		return pic, nil
	}
	if err := l.broken.at(index); err != nil {
		return nil, err
	}
	img, err := l.source.Image(l.examples[index])
	if broken, ok := errors.AsType[*data.BrokenError](err); ok {
		l.broken.add(index, broken)
		return nil, broken
	}
	if err != nil {
		return nil, err
	}
	pic, err := l.prepare(w, img)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", l.examples[index].Path, err)
	}
	l.cache.put(index, pic)
	return pic, nil
}

// loadOrNext is load, but for a broken picture it takes the next one of its class in the list, cyclically; of several labels
// the first is its class, and if there is no other of it any picture will do, whose labels are then the targets. It returns the
// index of the one taken.
func (l *Loader) loadOrNext(w *worker, index int) (int, *picture, error) {
	wanted := &l.examples[index]
	for _, any := range []bool{false, true} {
		if any && wanted.Labels == nil {
			break
		}
		for i := range l.examples {
			at := (index + i) % len(l.examples)
			if !any && l.examples[at].Label != wanted.Label {
				continue
			}
			pic, err := l.load(w, at)
			if _, broken := errors.AsType[*data.BrokenError](err); !broken {
				return at, pic, err
			}
		}
	}
	return 0, nil, fmt.Errorf("no image of the class of %s can be decoded: %w",
		wanted.Path, l.broken.at(index))
}
