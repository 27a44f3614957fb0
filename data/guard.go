package data

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"sync"

	"github.com/bigtransfer/bit/imaging"
)

// DefaultMinSide is the least width and height in pixels of a picture. What is smaller is an icon or a tracking pixel.
const DefaultMinSide = 8

// TooManyBrokenError says that more of a data set's pictures cannot be used than may be: something is wrong with the
// whole.
type TooManyBrokenError struct {
	Broken, Of int
	Limit      float64 // share that may be broken
	First      Skipped // one of them
}

func (e *TooManyBrokenError) Error() string {
	return fmt.Sprintf("%d of %d pictures cannot be used, more than %v %%; one of them is %s: %s",
		e.Broken, e.Of, 100*e.Limit, e.First.Path, e.First.Reason)
}

// guard is the source of every data set that is opened: it refuses pictures that are too small, and counts those that
// are broken.
type guard struct {
	Source
	of      int // pictures in all
	limit   float64
	minSide int

	mu     sync.Mutex
	broken map[string]bool // by path
}

// digestGuard is the guard of a source that is a Digester.
type digestGuard struct {
	*guard
	Digester
}

// newGuard returns the guard of a data set's source.
func newGuard(d *Dataset, o Opener) Source {
	g := &guard{
		Source: d.Source, of: len(d.Train) + len(d.Val) + len(d.Test), limit: max(0, cmp.Or(o.MaxSkipped, DefaultMaxSkipped)),
		minSide: cmp.Or(o.MinSide, DefaultMinSide), broken: map[string]bool{},
	}
	if digester, ok := d.Source.(Digester); ok {
		return digestGuard{g, digester}
	}
	return g
}

// guardOf returns the guard that a source is, or nil.
func guardOf(src Source) *guard {
	switch g := src.(type) {
	case *guard:
		return g
	case digestGuard:
		return g.guard
	}
	return nil
}

// Image is that of [Source].
func (g *guard) Image(e Example) (*imaging.Image, error) {
	im, err := g.Source.Image(e)
	if err == nil && min(im.W, im.H) < g.minSide {
		err = &BrokenError{fmt.Errorf("%d x %d pixels, expected at least %d a side", im.W, im.H, g.minSide)}
	}
	if err == nil {
		return im, nil
	}
	if _, broken := errors.AsType[*BrokenError](err); broken {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.broken[e.Path] = true
		if n := len(g.broken); float64(n) > g.limit*float64(g.of) {
			return nil, &TooManyBrokenError{n, g.of, g.limit, Skipped{e.Path, err.Error()}}
		}
	}
	return nil, err
}

// Uncounted returns a data set, or its source, without the limit on broken pictures, for what lists them.
func Uncounted(src Source) Source {
	if d, ok := src.(*Dataset); ok {
		src = d.Source
	}
	g := guardOf(src)
	if g == nil {
		return src
	}
	uncounted := &guard{Source: g.Source, limit: math.Inf(1), minSide: g.minSide, broken: map[string]bool{}}
	if d, ok := src.(digestGuard); ok {
		return digestGuard{uncounted, d.Digester}
	}
	return uncounted
}
