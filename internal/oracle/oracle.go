// Package oracle holds the arithmetic of a BiT network in float64 as plain loops, forward and backward: the yardstick
// for the tests of the float32 engine, and for internal/float64net. It shares no code with the engine.
//
// Its own numbers are tied to reference implementations by the network's tests, and its gradients to central
// differences by the tests of this package.
package oracle

import (
	"math"
	"runtime"
	"sync"
	"sync/atomic"
)

// Map is a batch of activations, [N,H,W,C].
type Map struct {
	N, H, W, C int
	V          []float64
}

// NewMap returns a zero map.
func NewMap(n, h, w, c int) Map { return Map{n, h, w, c, make([]float64, n*h*w*c)} }

// Like returns a zero map of x's shape.
func Like(x Map) Map { return NewMap(x.N, x.H, x.W, x.C) }

// Wide returns float32 values as float64.
func Wide(x []float32) []float64 {
	y := make([]float64, len(x))
	for i, v := range x {
		y[i] = float64(v)
	}
	return y
}

// Largest returns the largest absolute value; NaN if there is one.
func Largest(x []float64) float64 {
	m := 0.0
	for _, v := range x {
		m = max(m, math.Abs(v))
	}
	return m
}

// Error returns the largest distance of got from want, relative to the largest absolute value of want: 0 for two equal
// tensors even if they are all zero, infinite where a length or a non-finite value differs.
func Error[T float32 | float64](got []T, want []float64) float64 {
	if len(got) != len(want) {
		return math.Inf(1)
	}
	worst := 0.0
	for i, w := range want {
		d := math.Abs(float64(got[i]) - w)
		if math.IsNaN(d) {
			return math.Inf(1)
		}
		worst = max(worst, d)
	}
	if worst == 0 {
		return 0
	}
	return worst / Largest(want)
}

// each calls body(i) for every i in [0,n) on all processors.
func each(n int, body func(i int)) {
	var next atomic.Int64
	var done sync.WaitGroup
	for range min(n, runtime.GOMAXPROCS(0)) {
		done.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				body(i)
			}
		})
	}
	done.Wait()
}
