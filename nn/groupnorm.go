package nn

import (
	"math"

	"github.com/bigtransfer/bit/internal/kernels"
)

// moments holds, for each piece of a map (see blocks) and each channel, the sums that give mean and variance
// without cancellation: they are of the distances from the piece's first value.
type moments struct {
	blocks            blocks
	channels          int
	pivot, sum, sumSq []float32 // [pieces, channels]
}

// reserve makes the sums. The layer that will take them asks for it when it is planned: most maps, gradients among
// them, never have any.
func (m *moments) reserve() {
	n := m.blocks.pieces() * m.channels
	m.pivot, m.sum, m.sumSq = make([]float32, n), make([]float32, n), make([]float32, n)
}

// take fills in the pieces of rows [m0,m1), which are one block, for channels [n0,n1).
func (m *moments) take(x []float32, m0, m1, n0, n1 int) {
	c := m.channels
	m.blocks.eachPiece(m0, m1, func(piece, _, lo, hi int) {
		at := piece*c + n0
		copy(m.pivot[at:at+n1-n0], x[lo*c+n0:])
		kernels.ColumnMoments(x[lo*c+n0:], c, hi-lo, n1-n0, m.sum[at:], m.sumSq[at:])
	})
}

// GroupNorm normalises each image's groups of adjacent channels to mean 0 and variance 1 over (H, W, C/groups), then
// scales and shifts each channel; ReLU follows. It never writes its result: Prepare folds statistics and parameters
// into one scale and shift for each image and channel, which the next convolution applies while it packs its input.
type GroupNorm struct {
	gamma, beta   []float32
	dgamma, dbeta []float32 // nil for inference
	groups        int
	channels      int
	epsilon       float64

	x            *Map
	scale, shift []float32 // [N,C]: y = max(0, x·scale + shift)
	mean         []float32 // [N,C]: the group's mean, repeated for each of its channels
	rstd         []float64 // [N,groups]: 1/sqrt(variance + epsilon)

	dsum, dsumX []float32 // [pieces,C]: sums of the gradient and of gradient times (x - mean)
	isum, isumX []float32 // [N,C]: the same for each image
	a, b, c     []float32 // [N,C]: coefficients of the gradient, see Backward
	dy, skip    *Map

	e                              *Engine
	prepare, reduce, params, apply func(thread, i int)
	channelSplit                   int
}

// NewGroupNorm returns the normalisation of x. gamma and beta are [C]; dgamma and dbeta are their gradients, or nil
// for inference.
func NewGroupNorm(e *Engine, x *Map, gamma, beta, dgamma, dbeta []float32, groups int, epsilon float64) *GroupNorm {
	n := x.N * x.C
	g := &GroupNorm{gamma: gamma, beta: beta, dgamma: dgamma, dbeta: dbeta, groups: groups, channels: x.C, epsilon: epsilon,
		x: x, scale: make([]float32, n), shift: make([]float32, n), mean: make([]float32, n), rstd: make([]float64, x.N*groups), e: e}
	g.prepare = g.prepareTask
	if dgamma != nil {
		pieces := x.moments.blocks.pieces() * x.C
		g.dsum, g.dsumX = make([]float32, pieces), make([]float32, pieces)
		g.isum, g.isumX = make([]float32, n), make([]float32, n)
		g.a, g.b, g.c = make([]float32, n), make([]float32, n), make([]float32, n)
		g.reduce, g.params, g.apply = g.reduceTask, g.paramsTask, g.applyTask
	}
	return g
}

// groupParts cuts the groups of an image into tasks.
const groupParts = 4

func (g *GroupNorm) part(i int) (image, g0, g1 int) {
	size := ceilDiv(g.groups, groupParts)
	g0 = min(i%groupParts*size, g.groups)
	return i / groupParts, g0, min(g0+size, g.groups)
}

// Prepare computes scale and shift from the moments that x's producer took.
func (g *GroupNorm) Prepare() { g.e.Pool.For(g.x.N*groupParts, g.prepare) }

func (g *GroupNorm) prepareTask(_, i int) {
	image, g0, g1 := g.part(i)
	m, per := &g.x.moments, g.channels/g.groups
	count := float64(m.blocks.pixels * per)
	for group := g0; group < g1; group++ {
		// Two passes over the pieces, in double precision: the mean, then squared distances from it.
		total := 0.0
		for part := range m.blocks.parts {
			rows, at := float64(m.blocks.pieceRows(part)), (image*m.blocks.parts+part)*g.channels+group*per
			pivots, sums := m.pivot[at:][:per], m.sum[at:][:per]
			for c, pivot := range pivots {
				total += rows*float64(pivot) + float64(sums[c])
			}
		}
		mean := total / count
		squares := 0.0
		for part := range m.blocks.parts {
			rows, at := float64(m.blocks.pieceRows(part)), (image*m.blocks.parts+part)*g.channels+group*per
			pivots, sums, sumsSq := m.pivot[at:][:per], m.sum[at:][:per], m.sumSq[at:][:per]
			for c, pivot := range pivots {
				d := float64(pivot) - mean
				squares += float64(sumsSq[c]) + d*(2*float64(sums[c])+rows*d)
			}
		}
		rstd := 1 / math.Sqrt(max(squares/count, 0)+g.epsilon)
		g.rstd[image*g.groups+group] = rstd
		gamma, beta := g.gamma[group*per:][:per], g.beta[group*per:][:per]
		at, mean32 := image*g.channels+group*per, float32(mean)
		scales, shifts, means := g.scale[at:][:per], g.shift[at:][:per], g.mean[at:][:per]
		for c := range scales {
			scale := float64(gamma[c]) * rstd
			scales[c], shifts[c], means[c] = float32(scale), float32(float64(beta[c])-mean*scale), mean32
		}
	}
}

// Output returns relu(norm(x)), a new map [N,H,W,C], by the kernel that the next convolution applies while it packs.
// No pass needs it; it shows what went through ReLU.
func (g *GroupNorm) Output() *Map {
	y := NewMap(g.x.N, g.x.H, g.x.W, g.x.C)
	size := g.x.Pixels() * g.channels
	for n := range g.x.N {
		per := n * g.channels
		kernels.Affine(y.Data[n*size:], g.channels, g.x.Data[n*size:], g.channels, g.x.Pixels(), g.channels, g.scale[per:], g.shift[per:], 0)
	}
	return y
}

// block is the finish of the product that computes the gradient of this layer's output: it passes the gradient back
// through ReLU and takes its sums.
func (g *GroupNorm) block(m0, m1, n0, n1 int) {
	c, b := g.channels, g.x.moments.blocks
	b.eachPiece(m0, m1, func(piece, image, lo, hi int) {
		at, per := piece*c+n0, image*c+n0
		kernels.ColumnGrads(g.dy.Data[lo*c+n0:], c, g.x.Data[lo*c+n0:], c, hi-lo, n1-n0,
			g.scale[per:], g.shift[per:], g.mean[per:], g.dsum[at:], g.dsumX[at:])
	})
}

// Backward turns dy, whose blocks have passed through this layer as their product's finish, from the gradient of the
// output into the gradient of x, in place, plus skip where x also feeds an identity shortcut. It adds to dgamma and
// dbeta. With p = dy after ReLU, x̂ = (x-mean)·rstd and means over the image's group of M values,
//
//	dx = rstd·(γ·p − mean(γ·p) − x̂·mean(γ·p·x̂)) = a·p + b·x + c
func (g *GroupNorm) Backward(skip *Map) {
	g.BackwardParams()
	g.skip = skip
	g.e.Pool.For(g.x.moments.blocks.count, g.apply)
}

// BackwardParams is Backward where nothing needs the gradient of x: it only adds to dgamma and dbeta.
func (g *GroupNorm) BackwardParams() {
	g.e.Pool.For(g.x.N*groupParts, g.reduce)
	g.channelSplit = ceilDiv(g.channels, 64)
	g.e.Pool.For(g.channelSplit, g.params)
}

func (g *GroupNorm) reduceTask(_, i int) {
	image, g0, g1 := g.part(i)
	per := g.channels / g.groups
	count := float64(g.x.Pixels() * per)
	parts := g.x.moments.blocks.parts
	for group := g0; group < g1; group++ {
		rstd := g.rstd[image*g.groups+group]
		var sum, sumX float64
		for c := group * per; c < (group+1)*per; c++ {
			var s, sx float64
			for piece := image * parts; piece < (image+1)*parts; piece++ {
				s += float64(g.dsum[piece*g.channels+c])
				sx += float64(g.dsumX[piece*g.channels+c])
			}
			g.isum[image*g.channels+c], g.isumX[image*g.channels+c] = float32(s), float32(sx*rstd)
			sum += float64(g.gamma[c]) * s
			sumX += float64(g.gamma[c]) * sx * rstd
		}
		b := -rstd * rstd * sumX / count
		for c := group * per; c < (group+1)*per; c++ {
			at := image*g.channels + c
			g.a[at] = float32(rstd * float64(g.gamma[c]))
			g.b[at] = float32(b)
			g.c[at] = float32(-rstd*sum/count - b*float64(g.mean[at]))
		}
	}
}

func (g *GroupNorm) paramsTask(_, i int) {
	lo := i * 64
	hi := min(lo+64, g.channels)
	for image := range g.x.N {
		at := image * g.channels
		for c := lo; c < hi; c++ {
			g.dbeta[c] += g.isum[at+c]
			g.dgamma[c] += g.isumX[at+c]
		}
	}
}

func (g *GroupNorm) applyTask(_, i int) {
	c, b := g.channels, g.x.moments.blocks
	m0, m1 := b.span(i)
	b.eachPiece(m0, m1, func(_, image, lo, hi int) {
		var skip []float32
		if g.skip != nil {
			skip = g.skip.Data[lo*c:]
		}
		per := image * c
		kernels.GradRows(g.dy.Data[lo*c:], c, g.x.Data[lo*c:], c, skip, c, hi-lo, c, g.a[per:], g.b[per:], g.c[per:])
	})
}
