package kernels

import (
	"fmt"
	"math"
	"math/rand/v2"
	"runtime/debug"
	"slices"
	"testing"

	"github.com/bigtransfer/bit/internal/cpu"
)

// Every kernel is tested in the same way, at each level this machine has:
//
//   - against a plain loop in float64 that lives in its test, on small integers, on which float32 arithmetic is exact
//     in any order, so that each value must be equal; on integers among which NaN, infinities and -0 are strewn, with
//     the same demand; and on normally distributed numbers, with a bound that follows from the rounding of float32,
//     2^-24 of every intermediate result, and holds in the worst case, so that no input can break it by chance;
//   - at every size round the vector widths and at those of R50x1, with gaps between the rows;
//   - in memory where the byte before or after the operand cannot be touched, starting 0 to 3 values behind a page,
//     with canaries in every gap.

// unit is the largest relative error of one rounding to float32.
const unit = 1.0 / (1 << 24)

// eachLevel runs a test once at every level of this machine.
func eachLevel(t *testing.T, f func(t *testing.T, l cpu.Level)) {
	for _, l := range cpu.Available() {
		t.Run("impl="+string(l), func(t *testing.T) {
			defer cpu.SetForTest(l)()
			f(t, l)
		})
	}
}

// place says where in an arena an operand lies.
type place int

const (
	start0 place = iota // its first value follows the forbidden page
	start1              // one value behind the page, so not aligned to anything wider than a value, and so on
	start2
	start3
	end // its last value touches the forbidden page
	places
)

func (p place) String() string {
	return [places]string{"start0", "start1", "start2", "start3", "end"}[p]
}

// canary fills what a kernel must neither write nor let into a result: a NaN that no arithmetic makes.
var canary = math.Float32frombits(0x7fedca11)

func isCanary(v float32) bool { return math.Float32bits(v) == math.Float32bits(canary) }

// margin is the number of canaries kept on either side of an operand: more than the widest vector.
const margin = 67

// arena is the memory of one operand, between two pages that cannot be touched where the system allows that.
type arena []float32

// operand is a matrix in an arena: data holds exactly (rows-1)·stride+cols values.
type operand struct {
	data               []float32
	rows, cols, stride int
	window             []float32 // data and the canaries round it
	before             int       // canaries before data
	want               []float32 // window when it was filled; the values a kernel may not change
}

// matrix lays a matrix into the arena and fills it with next, gaps and surroundings with canaries.
func (a arena) matrix(p place, rows, cols, stride int, next func() float32) *operand {
	m := &operand{rows: rows, cols: cols, stride: stride}
	n := 0
	if rows > 0 && cols > 0 {
		n = (rows-1)*stride + cols
	}
	from := int(p)
	if p == end {
		from = len(a) - n
	}
	if from < 0 || from+n > len(a) {
		panic(fmt.Sprintf("an arena of %d values is too small for %d", len(a), n))
	}
	lo, hi := max(0, from-margin), min(len(a), from+n+margin)
	m.data, m.window, m.before = a[from:from+n:from+n], a[lo:hi], from-lo
	for i := range m.window {
		m.window[i] = canary
	}
	for r := range rows {
		for c := range cols {
			m.data[r*stride+c] = next()
		}
	}
	m.want = slices.Clone(m.window)
	return m
}

// vector lays a vector into the arena.
func (a arena) vector(p place, n int, next func() float32) *operand {
	return a.matrix(p, 1, n, n, next)
}

// was is an element as it was before the kernel ran.
func (m *operand) was(r, c int) float64 { return float64(m.want[m.before+r*m.stride+c]) }

// unchanged fails if the kernel wrote to an operand it only reads.
func (m *operand) unchanged(t *testing.T, name string) {
	t.Helper()
	m.intact(t, name, func(int, int) bool { return false })
}

// intact fails if the kernel wrote anywhere but to the elements of which written is true.
func (m *operand) intact(t *testing.T, name string, written func(r, c int) bool) {
	t.Helper()
	for i, v := range m.window {
		if math.Float32bits(v) == math.Float32bits(m.want[i]) {
			continue
		}
		i -= m.before
		switch stride := max(1, m.stride); {
		case i < 0 || i >= len(m.data) || i%stride >= m.cols:
			t.Fatalf("%s: a canary at %d of %d values (rows of %d, stride %d) became %v", name, i, len(m.data), m.cols, m.stride, v)
		case !written(i/stride, i%stride):
			t.Fatalf("%s[%d][%d] changed from %v to %v", name, i/stride, i%stride, m.want[i+m.before], v)
		}
	}
}

// equals checks an operand that the kernel wrote: every element against want, which returns the expected value and how
// far from it the kernel may be, and that nothing else was touched.
func (m *operand) equals(t *testing.T, name string, want func(r, c int) (value, tolerance float64)) {
	t.Helper()
	m.intact(t, name, func(int, int) bool { return true })
	for r := range m.rows {
		for c := range m.cols {
			got := m.data[r*m.stride+c]
			w, tolerance := want(r, c)
			if isCanary(got) || !agree(float64(got), w, tolerance) {
				t.Fatalf("%s[%d][%d] of %dx%d (stride %d) is %v, want %v within %.3g", name, r, c, m.rows, m.cols, m.stride, got, w, tolerance)
			}
		}
	}
}

// agree compares, NaN being equal to NaN. With tolerance 0 zeros must also have the same sign.
func agree(got, want, tolerance float64) bool {
	switch {
	case math.IsNaN(want) || math.IsNaN(got):
		return math.IsNaN(want) && math.IsNaN(got)
	case math.IsInf(want, 0) || math.IsInf(got, 0) || tolerance == 0:
		return got == want && (got != 0 || math.Signbit(got) == math.Signbit(want))
	}
	return math.Abs(got-want) <= tolerance
}

// fill is a kind of input.
type fill struct {
	name string
	// exact says that float32 arithmetic on these values rounds nothing, so that results must be equal.
	exact bool
	next  func(r *rand.Rand) float32
}

var integers = fill{"integers", true, func(r *rand.Rand) float32 { return float32(r.IntN(17) - 8) }}

var normals = fill{"normals", false, func(r *rand.Rand) float32 { return float32(r.NormFloat64()) }}

// specials are integers among which every value that has rules of its own is frequent, but not so frequent that all
// results are NaN.
var specials = fill{"specials", true, func(r *rand.Rand) float32 {
	values := []float32{float32(math.NaN()), float32(math.Inf(1)), float32(math.Inf(-1)), float32(math.Copysign(0, -1)), 0}
	if r.IntN(8) == 0 {
		return values[r.IntN(len(values))]
	}
	return integers.next(r)
}}

var fills = []fill{integers, normals, specials}

func (f fill) source(seed ...int) func() float32 {
	h := uint64(1)
	for _, s := range seed {
		h = h*1_000_003 + uint64(s)
	}
	r := rand.New(rand.NewPCG(h, 7))
	return func() float32 { return f.next(r) }
}

// tolerance returns the bound unless the arithmetic is exact.
func (f fill) tolerance(bound float64) float64 {
	if f.exact {
		return 0
	}
	return bound
}

// shape is the size of a matrix.
type shape struct{ rows, cols int }

// shapes are the sizes that every kernel over a matrix is tested at: nothing, one, a vector of either level and its
// neighbours, four vectors (the longest unrolled loop) and theirs, primes, square, and channel counts of R50x1.
func shapes() []shape {
	var s []shape
	for _, cols := range []int{0, 1, 2, 3, 7, 8, 9, 13, 15, 16, 17, 23, 31, 32, 33, 47, 63, 64, 65, 67, 97, 127, 128, 129, 131} {
		for _, rows := range []int{0, 1, 2, 3, 7, 16} {
			s = append(s, shape{rows, cols})
		}
	}
	return append(s, shape{64, 64}, shape{14, 256}, shape{7, 512}, shape{7, 2048}, shape{3, 2053})
}

// eachCase runs f on all fills, shapes, gaps between rows and places in memory.
func eachCase(t *testing.T, f func(t *testing.T, fill fill, s shape, gap int, p place, next func() float32)) {
	for _, fill := range fills {
		t.Run(fill.name, func(t *testing.T) {
			for _, s := range shapes() {
				for p := range places {
					if t.Failed() {
						return
					}
					gap := (s.rows + s.cols + int(p)) % 2 * 3 // every place with a gap and without one
					f(t, fill, s, gap, p, fill.source(s.rows, s.cols, int(p)))
				}
			}
		})
	}
}

// guarded runs a kernel and reports a touch of a forbidden page as a failure of the test instead of the end of the
// program.
func guarded(t *testing.T, what string, kernel func()) {
	t.Helper()
	if err := touch(kernel); err != nil {
		t.Fatalf("%s: %v", what, err)
	}
}

func touch(f func()) (fault error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if e := recover(); e != nil {
			fault = fmt.Errorf("%v", e)
		}
	}()
	f()
	return nil
}

// arenaSize is enough for the largest operand of any test.
const arenaSize = 1 << 18

func newArenas(t testing.TB, n int) []arena {
	a := make([]arena, n)
	for i := range a {
		a[i] = newArena(t, arenaSize)
	}
	return a
}
