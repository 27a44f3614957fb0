package nn

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/bigtransfer/bit/internal/cpu"
	"github.com/bigtransfer/bit/internal/oracle"
	"github.com/bigtransfer/bit/internal/par"
)

// layerTolerance bounds a layer's error relative to the largest value of a tensor: float32 sums of up to a few
// thousand products, √K·2^-24 ≈ 4e-6 for K = 4096.
const layerTolerance = 1e-5

// everyLevel runs a test with an engine of two threads at every level.
func everyLevel(t *testing.T, f func(t *testing.T, e *Engine)) {
	for _, level := range cpu.Available() {
		t.Run(string(level), func(t *testing.T) {
			defer cpu.SetForTest(level)()
			pool := par.New(2)
			defer pool.Close()
			f(t, NewEngine(pool))
		})
	}
}

func random(r *rand.Rand, n int) []float32 {
	v := make([]float32, n)
	for i := range v {
		v[i] = float32(r.NormFloat64())
	}
	return v
}

func randomMap(r *rand.Rand, n, h, w, c int) *Map {
	m := NewMap(n, h, w, c)
	copy(m.Data, random(r, len(m.Data)))
	m.takeMoments()
	return m
}

// takeMoments does what the producer of a map would have done for the GroupNorm that reads it.
func (m *Map) takeMoments() {
	m.moments.reserve()
	for i := range m.moments.blocks.count {
		m0, m1 := m.moments.blocks.span(i)
		m.moments.take(m.Data, m0, m1, 0, m.C)
	}
}

func wide(m *Map) oracle.Map {
	return oracle.Map{N: m.N, H: m.H, W: m.W, C: m.C, V: oracle.Wide(m.Data)}
}

// near fails unless got is want to the tolerance.
func near(t *testing.T, name string, got []float32, want []float64, tolerance float64) {
	t.Helper()
	if e := oracle.Error(got, want); !(e <= tolerance) {
		t.Errorf("%s is off by %.1e of the largest value, want at most %.0e", name, e, tolerance)
	}
}

// differences compares a gradient with central differences of f, the loss in float64 as a function of x, at some of
// x's values.
func differences(t *testing.T, r *rand.Rand, name string, got []float32, x []float64, f func() float64) {
	t.Helper()
	const (
		step    = 1e-4
		samples = 6
	)
	largest := 0.0
	for _, v := range got {
		largest = max(largest, math.Abs(float64(v)))
	}
	for range samples {
		i := r.IntN(len(x))
		v := x[i]
		x[i] = v + step
		up := f()
		x[i] = v - step
		numeric := (up - f()) / (2 * step)
		x[i] = v
		// The tolerance leaves room for the third derivative, step² of a gradient.
		if d := math.Abs(float64(got[i]) - numeric); !(d <= 2*layerTolerance*largest) {
			t.Errorf("%s: value %d is %v, central difference %v, largest %v", name, i, got[i], numeric, largest)
		}
	}
}

func dot(a, b []float64) float64 {
	sum := 0.0
	for i := range a {
		sum += a[i] * b[i]
	}
	return sum
}

// normed is a normalisation under test and its float64 twin, which takes over the float32 layer's decisions at ReLU.
type normed struct {
	*GroupNorm
	on   []bool
	twin oracle.GroupNorm
}

// newNormed prepares relu(norm(x)) with random parameters. It fails where a decision at ReLU differs from that of
// float64 by more than rounding.
func newNormed(t *testing.T, r *rand.Rand, e *Engine, x *Map, groups int) normed {
	t.Helper()
	gamma, beta := random(r, x.C), random(r, x.C)
	n := normed{GroupNorm: NewGroupNorm(e, x, gamma, beta, make([]float32, x.C), make([]float32, x.C), groups, 1e-5)}
	n.Prepare()
	n.twin = oracle.GroupNorm{Groups: groups, Epsilon: 1e-5, Gamma: oracle.Wide(gamma), Beta: oracle.Wide(beta)}
	y := n.twin.Forward(wide(x))
	n.on = oracle.Positive(n.Output().Data)
	for i, own := range oracle.Positive(y.V) {
		if own != n.on[i] && !(math.Abs(y.V[i]) <= layerTolerance*oracle.Largest(y.V)) {
			t.Errorf("ReLU input %d is %v, but the layer decided otherwise", i, y.V[i])
		}
	}
	near(t, "output of the normalisation", n.Output().Data, oracle.Mask(y, n.on).V, layerTolerance)
	return n
}

func (n normed) apply(x oracle.Map) oracle.Map { return oracle.Mask(n.twin.Forward(x), n.on) }

func (n normed) backward(x, dy oracle.Map) (dx oracle.Map, dgamma, dbeta []float64) {
	return n.twin.Backward(x, oracle.Mask(dy, n.on))
}

func (c convCase) String() string {
	return fmt.Sprintf("%dx%dx%dx%d-%dx%d-s%d-%d", c.n, c.h, c.w, c.ci, c.k, c.k, c.stride, c.co)
}
