package kernels

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/bigtransfer/bit/internal/cpu"
)

// product is one call of Gemm and what it works on.
type product struct {
	rows, depth, cols int
	transposed        bool // A lies with its rows along the depth: aRow 1
	accumulate        bool
	a, b, c           *operand
}

func newProduct(arenas []arena, p place, rows, depth, cols, gap int, transposed, accumulate bool, next func() float32) *product {
	_, panel := Tile()
	m := &product{rows: rows, depth: depth, cols: cols, transposed: transposed, accumulate: accumulate}
	if transposed {
		m.a = arenas[0].matrix(p, depth, rows, rows+gap, next)
	} else {
		m.a = arenas[0].matrix(p, rows, depth, depth+gap, next)
	}
	column := 0
	m.b = arenas[1].matrix(p, depth, panel, panel, func() float32 {
		column++
		if (column-1)%panel >= cols {
			return canary // what fills up a panel enters no result
		}
		return next()
	})
	m.c = arenas[2].matrix(p, rows, cols, cols+gap, next)
	return m
}

// strides returns the distance of A's rows and of its steps along the depth.
func (m *product) strides() (aRow, aStep int) {
	if m.transposed {
		return 1, m.a.stride
	}
	return m.a.stride, 1
}

func (m *product) run() {
	aRow, aStep := m.strides()
	Gemm(m.rows, m.depth, m.a.data, aRow, aStep, m.b.data, m.c.data, m.c.stride, m.cols, m.accumulate)
}

// check compares C with the plain loop.
func (m *product) check(t *testing.T, fill fill) {
	t.Helper()
	m.a.unchanged(t, "a")
	m.b.unchanged(t, "b")
	m.c.equals(t, "c", func(r, j int) (float64, float64) {
		var sum, size float64
		if m.accumulate {
			sum = m.c.was(r, j)
			size = math.Abs(sum)
		}
		for k := range m.depth {
			i, l := r, k
			if m.transposed {
				i, l = k, r
			}
			term := m.a.was(i, l) * m.b.was(k, j)
			sum += term
			size += math.Abs(term)
		}
		// A term is rounded when it is made, except by FMA, and by each of at most depth additions.
		return sum, fill.tolerance(float64(m.depth+1) * unit * size)
	})
}

func TestGemm(t *testing.T) {
	arenas := newArenas(t, 3)
	eachLevel(t, func(t *testing.T, _ cpu.Level) {
		tileRows, panel := Tile()
		for _, fill := range fills {
			t.Run(fill.name, func(t *testing.T) {
				var count int
				for _, rows := range []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, tileRows * 2, tileRows*3 - 1, 37} {
					for _, depth := range []int{0, 1, 2, 3, 8, 31} {
						for _, cols := range slices.Compact([]int{0, 1, 3, panel/2 - 1, panel / 2, panel/2 + 1, panel - 1, panel}) {
							for variant := range 8 {
								transposed, accumulate, gap := variant&1 == 1, variant&2 == 2, variant&4
								p := place(count % int(places)) // each place meets each of the rest, in turn
								count++
								m := newProduct(arenas, p, rows, depth, cols, gap, transposed, accumulate, fill.source(rows, depth, cols, variant))
								what := fmt.Sprintf("%d rows, depth %d, %d columns, transposed %v, accumulate %v, %v", rows, depth, cols, transposed, accumulate, p)
								guarded(t, what, m.run)
								m.check(t, fill)
							}
						}
					}
				}
			})
		}
	})
}

// Convolutions of R50x1: the pixels of a tile or stage, and kernel height · width · input channels.
func TestGemmOfResNet(t *testing.T) {
	arenas := newArenas(t, 3)
	eachLevel(t, func(t *testing.T, _ cpu.Level) {
		_, panel := Tile()
		for _, s := range []struct{ rows, depth int }{
			{112, 7 * 7 * 3}, {56, 64}, {98, 256}, {56, 9 * 64}, {28, 9 * 128}, {49, 2048}, {49, 9 * 512},
		} {
			for _, fill := range []fill{integers, normals} {
				t.Run(fmt.Sprintf("%s/%dx%d", fill.name, s.rows, s.depth), func(t *testing.T) {
					m := newProduct(arenas, end, s.rows, s.depth, panel, 0, false, true, fill.source(s.rows, s.depth))
					guarded(t, "Gemm", m.run)
					m.check(t, fill)
				})
			}
		}
	})
}

// The bits of an element do not depend on how rows, columns or the depth are cut into calls, nor on how A lies.
func TestGemmCuts(t *testing.T) {
	arenas := newArenas(t, 3)
	eachLevel(t, func(t *testing.T, _ cpu.Level) {
		_, panel := Tile()
		const rows, depth = 61, 97
		for _, accumulate := range []bool{false, true} {
			for _, cols := range []int{panel, panel - 1, panel/2 + 1, 1} {
				whole := newProduct(arenas, end, rows, depth, cols, 0, false, accumulate, normals.source(cols))
				a, b, c := slices.Clone(whole.a.data), slices.Clone(whole.b.data), slices.Clone(whole.c.data)
				whole.run()
				want := slices.Clone(whole.c.data)

				compare := func(cut string, stride int, got []float32) {
					t.Helper()
					for r := range rows {
						for j := range cols {
							if g, w := got[r*stride+j], want[r*cols+j]; math.Float32bits(g) != math.Float32bits(w) {
								t.Fatalf("%d columns, accumulate %v: %s changes c[%d][%d] from %v to %v", cols, accumulate, cut, r, j, w, g)
							}
						}
					}
				}
				for height := 1; height <= 30; height++ {
					got := slices.Clone(c)
					for r := 0; r < rows; r += height {
						Gemm(min(height, rows-r), depth, a[r*depth:], depth, 1, b, got[r*cols:], cols, cols, accumulate)
					}
					compare(fmt.Sprintf("cutting into %d rows", height), cols, got)
				}
				for _, first := range []int{1, 2, 16, 48, depth - 1} {
					got := slices.Clone(c)
					Gemm(rows, first, a, depth, 1, b, got, cols, cols, accumulate)
					Gemm(rows, depth-first, a[first:], depth, 1, b[first*panel:], got, cols, cols, true)
					compare(fmt.Sprintf("cutting the depth at %d", first), cols, got)
				}
				turned := make([]float32, rows*depth)
				for r := range rows {
					for k := range depth {
						turned[k*rows+r] = a[r*depth+k]
					}
				}
				got := slices.Clone(c)
				Gemm(rows, depth, turned, 1, rows, b, got, cols, cols, accumulate)
				compare("transposing A", cols, got)

				// Each column alone, in another place of a panel that is else empty.
				for j := range cols {
					to := (j*5 + 3) % panel
					moved := make([]float32, depth*panel)
					for k := range depth {
						moved[k*panel+to] = b[k*panel+j]
					}
					wide := make([]float32, rows*panel)
					for r := range rows {
						wide[r*panel+to] = c[r*cols+j]
					}
					Gemm(rows, depth, a, depth, 1, moved, wide, panel, to+1, accumulate)
					for r := range rows {
						if g, w := wide[r*panel+to], want[r*cols+j]; math.Float32bits(g) != math.Float32bits(w) {
							t.Fatalf("%d columns, accumulate %v: column %d as %d changes row %d from %v to %v", cols, accumulate, j, to, r, w, g)
						}
					}
				}
			}
		}
	})
}

// No product is left out because a factor is zero.
func TestGemmKeepsNaNBehindZeros(t *testing.T) {
	eachLevel(t, func(t *testing.T, _ cpu.Level) {
		rows, panel := Tile()
		for _, v := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
			a := make([]float32, rows)
			b := slices.Repeat([]float32{float32(v)}, panel)
			c := make([]float32, rows*panel)
			Gemm(rows, 1, a, 1, 1, b, c, panel, panel, false)
			Gemm(rows, 1, a, 1, 1, make([]float32, panel), c, panel, panel, true)
			for i, got := range c {
				if got == got {
					t.Fatalf("0·%v is %v in element %d", v, got, i)
				}
			}
		}
	})
}

func TestGemmRefusesShortOperands(t *testing.T) {
	eachLevel(t, func(t *testing.T, _ cpu.Level) {
		_, panel := Tile()
		for name, call := range map[string]func(a, b, c []float32){
			"a one short": func(a, b, c []float32) { Gemm(2, 3, a[:5], 3, 1, b, c, panel, panel, false) },
			"b one short": func(a, b, c []float32) { Gemm(2, 3, a, 3, 1, b[:3*panel-1], c, panel, panel, false) },
			"c one short": func(a, b, c []float32) { Gemm(2, 3, a, 3, 1, b, c[:2*panel-1], panel, panel, false) },
			"a wide row":  func(a, b, c []float32) { Gemm(2, 3, a, 3, 1, b, c, panel+1, panel+1, false) },
		} {
			t.Run(name, func(t *testing.T) {
				defer func() {
					if recover() == nil {
						t.Error("no panic")
					}
				}()
				call(make([]float32, 6), make([]float32, 3*panel), make([]float32, 2*panel+2))
			})
		}
	})
}
