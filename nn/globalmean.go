package nn

import "github.com/bigtransfer/bit/internal/kernels"

// GlobalMean is the end of the body: GroupNorm, ReLU and the mean over all pixels. y is [N,1,1,C].
type GlobalMean struct {
	norm         *GroupNorm
	x, y         *Map
	dfeatures    []float32 // [N,C], divided by the number of pixels
	e            *Engine
	meanT, backT func(thread, i int)
}

// NewGlobalMean plans the mean of relu(norm(x)) into y.
func NewGlobalMean(e *Engine, x *Map, norm *GroupNorm, y *Map) *GlobalMean {
	g := &GlobalMean{norm: norm, x: x, y: y, e: e}
	g.meanT, g.backT = g.meanTask, g.backTask
	e.reserve(meanChunk, 0, 0)
	return g
}

const meanChunk = 256 // channels of one task

// Forward computes y. The norm must be prepared.
func (g *GlobalMean) Forward() { g.e.Pool.For(g.x.N*ceilDiv(g.x.C, meanChunk), g.meanT) }

func (g *GlobalMean) meanTask(thread, task int) {
	c := g.x.C
	chunks := ceilDiv(c, meanChunk)
	image, c0 := task/chunks, task%chunks*meanChunk
	cols := min(meanChunk, c-c0)
	per := image*c + c0
	y := g.y.Data[per:][:cols]
	row := g.e.scratch[thread].a
	clear(y)
	for r := range g.x.Pixels() {
		kernels.Affine(row, 0, g.x.Data[(image*g.x.Pixels()+r)*c+c0:], 0, 1, cols, g.norm.scale[per:], g.norm.shift[per:], 0)
		kernels.AddRows(y, 0, row, 0, 1, cols)
	}
	for i := range y {
		y[i] /= float32(g.x.Pixels())
	}
}

// Backward computes dx, the gradient of x, from dy, that of y. It adds to the norm's parameter gradients and
// overwrites dy.
func (g *GlobalMean) Backward(dy, dx *Map) {
	for i := range dy.Data {
		dy.Data[i] /= float32(g.x.Pixels())
	}
	g.dfeatures = dy.Data
	g.norm.dy = dx
	g.e.Pool.For(g.x.moments.blocks.count, g.backT)
	g.norm.Backward(nil)
}

func (g *GlobalMean) backTask(_, i int) {
	c := g.x.C
	m0, m1 := g.x.moments.blocks.span(i)
	g.x.moments.blocks.eachPiece(m0, m1, func(_, image, lo, hi int) {
		kernels.CopyRows(g.norm.dy.Data[lo*c:], c, g.dfeatures[image*c:], 0, hi-lo, c)
	})
	g.norm.block(m0, m1, 0, c)
}
