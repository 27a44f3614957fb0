package nn

import "github.com/bigtransfer/bit/internal/kernels"

// maxDepth bounds how much of the reduced axis is packed at a time: a panel of B of that depth (32 KiB at 32 columns)
// stays in the first-level cache while the tiles of a block pass over it.
const maxDepth = 256

// pad keeps the rows of a packed block off the same cache sets: a row stride of a power of two would put them all
// into a few of the 64.
const pad = 16

// finish is what happens to a block of a product right after it is computed, while it is in cache.
type finish interface {
	// block handles rows [m0,m1), a whole block of the output, and columns [n0,n1).
	block(m0, m1, n0, n1 int)
}

// product computes out[rows, cols] (+)= gather(src) · B and hands each finished block on.
type product struct {
	*gather
	src        []float32
	norm       *GroupNorm // applied to src while packing; nil: src as it is
	b          []float32  // panels of B, see packPanels
	cols       int
	out        []float32 // row stride cols
	accumulate bool      // add to out
	finish     finish    // nil: nothing

	// Where grid points are not consecutive pixels of out: point (i,j) is pixel (i·outStep+outH, j·outStep+outW) of a
	// map of sides outSideH x outSideW. outStep 0 means consecutive.
	outStep, outH, outW, outSideH, outSideW int

	e      *Engine
	body   func(thread, i int)
	blocks blocks
	chunk  int // columns of one task, whole panels
	chunks int
	kc     int
}

func newProduct(e *Engine, g *gather, cols int) *product {
	p := &product{gather: g, cols: cols, e: e, blocks: newBlocks(g.n, g.gh*g.gw)}
	_, panel := kernels.Tile()
	// Enough tasks to keep the threads busy to the end; more would pack the same rows more often.
	p.chunks = min(ceilDiv(cols, panel), ceilDiv(4*e.Pool.Threads(), p.blocks.count))
	if e.Pool.Threads() == 1 {
		p.chunks = 1
	}
	p.chunk = ceilDiv(ceilDiv(cols, panel), p.chunks) * panel
	p.chunks = ceilDiv(cols, p.chunk)
	p.kc = blockDepth(g.depth())
	p.body = p.task
	e.reserve(p.blocks.size*(p.kc+pad), 0, 0)
	return p
}

// blockDepth cuts a reduced axis into equal parts of at most maxDepth and returns the size of one.
func blockDepth(depth int) int {
	parts := max(1, ceilDiv(depth, maxDepth))
	return min(max(1, depth), ceilDiv(ceilDiv(depth, parts), 16)*16)
}

func (p *product) run() { p.e.Pool.For(p.blocks.count*p.chunks, p.body) }

func (p *product) task(thread, i int) {
	_, panel := kernels.Tile()
	m0, m1 := p.blocks.span(i / p.chunks)
	n0 := i % p.chunks * p.chunk
	n1 := min(n0+p.chunk, p.cols)
	s := &p.e.scratch[thread]
	ld := p.kc + pad
	a := s.a

	out, outRow := p.out, p.cols
	if p.outStep == 0 {
		out = out[m0*p.cols+n0:]
	} else {
		outRow = n1 - n0
		out = s.c
		if p.accumulate {
			p.scatter(out, outRow, m0, m1, n0, n1, false)
		}
	}
	depth := p.depth()
	for k0 := 0; k0 < depth; k0 += p.kc {
		k1 := min(k0+p.kc, depth)
		p.pack(a, ld, p.src, p.norm, m0, m1, k0, k1)
		for n := n0; n < n1; n += panel {
			b := p.b[n/panel*panel*depth+k0*panel:]
			kernels.Gemm(m1-m0, k1-k0, a, ld, 1, b, out[n-n0:], outRow, min(panel, n1-n), p.accumulate || k0 > 0)
		}
	}
	if p.outStep != 0 {
		p.scatter(out, outRow, m0, m1, n0, n1, true)
	}
	if p.finish != nil {
		p.finish.block(m0, m1, n0, n1)
	}
}

// scatter copies columns [n0,n1) of the rows of a block to their pixels of out, or, to gather what is already there,
// back from them.
func (p *product) scatter(block []float32, ld, m0, m1, n0, n1 int, toOut bool) {
	grid := p.gh * p.gw
	for m := m0; m < m1; {
		image, i, j := m/grid, m%grid/p.gw, m%grid%p.gw
		hi := min(m+p.gw-j, m1)
		at := ((image*p.outSideH+i*p.outStep+p.outH)*p.outSideW+j*p.outStep+p.outW)*p.cols + n0
		if toOut {
			kernels.CopyRows(p.out[at:], p.outStep*p.cols, block[(m-m0)*ld:], ld, hi-m, n1-n0)
		} else {
			kernels.CopyRows(block[(m-m0)*ld:], ld, p.out[at:], p.outStep*p.cols, hi-m, n1-n0)
		}
		m = hi
	}
}

// panelLen returns the values that a matrix of depth rows and cols columns takes as panels.
func panelLen(depth, cols int) int {
	_, panel := kernels.Tile()
	return ceilDiv(cols, panel) * panel * depth
}

// gradProduct computes dw[depth, cols] = gather(src)ᵀ · dy: the sum over all pixels. The rows are cut into slices whose
// sums are kept apart until the end, so that many threads can work on a small kernel; the cut depends on shapes alone.
type gradProduct struct {
	*gather
	src  []float32
	norm *GroupNorm
	dy   []float32 // [rows, cols]
	cols int
	dw   []float32 // slices x [depth, cols]; after run the first slice is the sum of all
	sum  *sliceSum

	e                            *Engine
	body                         func(thread, i int)
	slices, slice, mc            int // slices of rows, rows of one, and rows packed at a time
	kParts, kPart, nParts, nPart int
}

const (
	maxGradDepth = 512 // rows of dw in one task
	maxGradCols  = 256 // columns of dw in one task
)

func newGradProduct(e *Engine, g *gather, cols int) *gradProduct {
	p := &gradProduct{gather: g, cols: cols, e: e}
	tile, panel := kernels.Tile()
	depth, rows := g.depth(), g.rows()
	p.kParts = ceilDiv(depth, maxGradDepth)
	p.kPart = ceilDiv(ceilDiv(depth, p.kParts), tile) * tile
	p.kParts = ceilDiv(depth, p.kPart)
	p.nParts = ceilDiv(cols, maxGradCols)
	p.nPart = ceilDiv(ceilDiv(cols, p.nParts), panel) * panel
	p.nParts = ceilDiv(cols, p.nPart)
	const tasks = 16 // enough for the threads of a small machine to end together
	p.slices = max(1, min(ceilDiv(tasks, p.kParts*p.nParts), rows/(2*maxDepth)))
	p.slice = ceilDiv(rows, p.slices)
	p.slices = ceilDiv(rows, p.slice)
	p.mc = blockDepth(p.slice)
	p.body, p.sum = p.task, newSliceSum(e, p.slices, depth*cols)
	e.reserve(p.mc*(p.kPart+pad), panel*p.mc, 0)
	return p
}

// dwLen returns the values that dw must hold.
func (p *gradProduct) dwLen() int { return p.slices * p.depth() * p.cols }

func (p *gradProduct) run() {
	p.e.Pool.For(p.slices*p.kParts*p.nParts, p.body)
	p.sum.run(p.dw)
}

func (p *gradProduct) task(thread, i int) {
	_, panel := kernels.Tile()
	part := i % (p.kParts * p.nParts)
	slice := i / (p.kParts * p.nParts)
	k0 := part / p.nParts * p.kPart
	k1 := min(k0+p.kPart, p.depth())
	n0 := part % p.nParts * p.nPart
	n1 := min(n0+p.nPart, p.cols)
	first, last := slice*p.slice, min((slice+1)*p.slice, p.rows())
	s := &p.e.scratch[thread]
	ld := p.kPart + pad
	a := s.a
	b := s.b
	dw := p.dw[slice*p.depth()*p.cols:]
	for m0 := first; m0 < last; m0 += p.mc {
		m1 := min(m0+p.mc, last)
		p.pack(a, ld, p.src, p.norm, m0, m1, k0, k1)
		for n := n0; n < n1; n += panel {
			cols := min(panel, n1-n)
			kernels.CopyRows(b, panel, p.dy[m0*p.cols+n:], p.cols, m1-m0, cols)
			kernels.Gemm(k1-k0, m1-m0, a, 1, ld, b, dw[k0*p.cols+n:], p.cols, cols, m0 > first)
		}
	}
}

// sliceSum adds up slices of a kernel's gradient, in order, into the first one.
type sliceSum struct {
	e         *Engine
	slices, n int // of n values each
	dw        []float32
	body      func(thread, i int)
}

func newSliceSum(e *Engine, slices, n int) *sliceSum {
	s := &sliceSum{e: e, slices: slices, n: n}
	s.body = s.task
	return s
}

const sumChunk = 1 << 14

func (s *sliceSum) run(dw []float32) {
	if s.slices > 1 {
		s.dw = dw
		s.e.Pool.For(ceilDiv(s.n, sumChunk), s.body)
	}
}

func (s *sliceSum) task(_, i int) {
	lo := i * sumChunk
	hi := min(lo+sumChunk, s.n)
	for k := 1; k < s.slices; k++ {
		kernels.AddRows(s.dw[lo:hi], 0, s.dw[k*s.n+lo:k*s.n+hi], 0, 1, hi-lo)
	}
}
