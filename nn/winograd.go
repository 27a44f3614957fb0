package nn

import (
	"math"

	"github.com/bigtransfer/bit/internal/kernels"
)

// winograd computes a 3x3 convolution of stride 1 by F(4x4,3x3), see [kernels.WinogradInput]: a quarter of the
// multiplications, for transforms of the input, of the kernel and of the output. The map is cut into tiles of 4x4 outputs;
// a task takes a block of them through all steps, so that what is between the steps mostly stays in the second-level cache:
//
//	V[36][tiles][Ci] from the padded input; for each panel of filters, U[36][Ci][panel] from the packed kernel,
//	M[36][tiles][panel] = V·U, and y from M
//
// U is four times the kernel. It is made anew for each block, a part of Ci at a time: reading it from memory would take
// longer. The gradient of an input is such a convolution too, of the gradient of the output.
//
// Blocks may hold the tiles of several images and be cut in any way, by the number of threads too: an element's bits do
// not depend on it. Only the finish is done in y's own blocks, in a second loop.
type winograd struct {
	e      *Engine
	ci, co int
	taps   *[]float32 // the packed kernel, once there is one: panels of [9][ci][panel]
	padded *padded
	y      *Map
	finish finish // nil: nothing

	grid          tiling
	size, blocks  int // tiles of a block
	chunk, chunks int // columns of one task, whole panels
	kc            int // input channels of U at a time
	ld, pos, mpos int // strides of V: between tiles, between positions; of M between positions

	held             []int // for each thread, the block whose V its scratch memory holds
	body, finishBody func(thread, i int)
}

const winogradName = "F(4x4,3x3)"

// maxTransformed bounds the values of V (1.1 MiB) unless that left fewer than minTiles: larger blocks, fewer times U is
// made. Half of a second-level cache of 2 MiB was fastest; what does not fit is read from the third level.
const maxTransformed = 288 << 10

// partTransformed is the number of values of one of the 36 matrices of U that are made at a time (288 KiB in all).
const partTransformed = 2 << 10

// usesWinograd decides how k is applied to maps [images,h,w,Ci].
func (k *Kernel) usesWinograd(images, h, w int) bool {
	use := k.e.Winograd
	return k.winogradFits() && (use == WinogradAlways || use == WinogradWhereItPays && k.winogradPays(images, h, w))
}

// winogradPays decides from shapes alone. Inference asks for smallBatch images whatever their number, so that an image's
// bits do not depend on its batch. The costs are cycles of one thread at AVX-512.
func (k *Kernel) winogradPays(images, h, w int) bool {
	tiles := float64(images * ceilDiv(h, kernels.WinogradTile) * ceilDiv(w, kernels.WinogradTile))
	ci, co := float64(k.Ci), float64(k.Co)
	direct := 9 * float64(images*h*w) * ci * co / 32
	// The transforms take about 110, 70 and 80 cycles for a vector of channels: of a tile's input and output, and of the
	// kernel for each block.
	blocks := math.Ceil(tiles / max(minTiles, maxTransformed/(kernels.WinogradPos*ci)))
	fast := kernels.WinogradPos*tiles*ci*co/32 + tiles*(7*ci+4.5*co) + blocks*5*ci*co
	return 1.2*fast < direct
}

// winogradFits reports whether the kernel is of the kind that F(4x4,3x3) computes.
func (k *Kernel) winogradFits() bool { return k.Kh == 3 && k.Kw == 3 && k.Stride == 1 && k.Pad == 1 }

// tiling is a batch of maps cut into tiles of 4x4 pixels.
type tiling struct {
	h, w  int // tiles of an image
	count int // of the batch
}

func newTiling(m *Map) tiling {
	t := tiling{h: ceilDiv(m.H, kernels.WinogradTile), w: ceilDiv(m.W, kernels.WinogradTile)}
	t.count = m.N * t.h * t.w
	return t
}

// pad returns a copy of the map with the zeros around it that its tiles of outputs read; those at the end fill up the
// last tiles.
func (t tiling) pad(e *Engine, x *Map, norm *GroupNorm) *padded {
	return newPadded(e, x, norm, 1, 1, 4*t.h+1-x.H, 4*t.w+1-x.W)
}

// eachRun calls f for each run of tiles [t0,t1) that lie in one row of an image: the first one's place and their number.
func (t tiling) eachRun(t0, t1 int, f func(at, image, ti, tj, n int)) {
	for i := t0; i < t1; {
		image, ti, tj := i/(t.h*t.w), i/t.w%t.h, i%t.w
		n := min(t.w-tj, t1-i)
		f(i-t0, image, ti, tj, n)
		i += n
	}
}

// input transforms channels [c0,c1) of the padded copy's tiles [t0,t1) into v, with strides pos and ld.
func (t tiling) input(v []float32, pos, ld int, p *padded, t0, t1, c0, c1 int) {
	ci := p.x.C
	h, width := p.h(), p.w()*ci
	t.eachRun(t0, t1, func(at, image, ti, tj, n int) {
		src := p.e.padded[(image*h+4*ti)*width+4*tj*ci+c0:]
		kernels.WinogradInput(v[at*ld:], pos, ld, src, width, ci, n, c1-c0)
	})
}

// newWinograd plans the convolution of x, through norm and ReLU if norm is not nil, into y. taps are the packed kernel's.
func newWinograd(e *Engine, taps *[]float32, x *Map, norm *GroupNorm, y *Map) *winograd {
	w := &winograd{e: e, ci: x.C, co: y.C, taps: taps, y: y, grid: newTiling(y), ld: x.C + pad}
	w.padded = w.grid.pad(e, x, norm)
	tile, panel := kernels.Tile()
	threads := e.Pool.Threads()
	parts := ceilDiv(w.ci*panel, partTransformed)
	w.kc = ceilDiv(w.ci, parts)

	// Blocks as large as the cache allows, in whole tiles of the kernel, but enough of them to keep the threads busy, unless
	// that made them small: then a block's filters are shared out, and each thread transforms its input.
	tiles, panels := w.grid.count, ceilDiv(w.co, panel)
	fit := max(maxTransformed/(kernels.WinogradPos*w.ld), minTiles)
	if threads > 1 {
		fit = min(fit, max(tiles/(2*threads), minTiles))
	}
	if fit < tiles {
		fit = max(1, fit/tile) * tile
	}
	w.blocks = ceilDiv(tiles, fit)
	w.size = min(tiles, ceilDiv(ceilDiv(tiles, w.blocks), tile)*tile)
	w.blocks = ceilDiv(tiles, w.size)
	w.chunks = 1
	if threads > 1 {
		w.chunks = min(panels, ceilDiv(4*threads, w.blocks))
	}
	w.chunk = ceilDiv(panels, w.chunks) * panel
	w.chunks = ceilDiv(w.co, w.chunk)
	w.pos, w.mpos = w.size*w.ld+pad, w.size*panel+pad

	w.held = make([]int, threads)
	w.body, w.finishBody = w.task, w.finishTask
	e.reserve(kernels.WinogradPos*w.pos, kernels.WinogradPos*(w.mpos+w.kc*panel+pad), kernels.WinogradTile*kernels.WinogradTile*panel)
	return w
}

// minTiles is the number of tiles of a block from which on making U is a small part of the work.
const minTiles = 56

func (w *winograd) run() {
	w.padded.fill()
	for i := range w.held {
		w.held[i] = -1
	}
	w.e.Pool.For(w.blocks*w.chunks, w.body)
	if w.finish != nil {
		w.e.Pool.For(w.y.blocks().count, w.finishBody)
	}
}

func (w *winograd) finishTask(_, i int) {
	m0, m1 := w.y.moments.blocks.span(i)
	w.finish.block(m0, m1, 0, w.y.C)
}

func (w *winograd) task(thread, i int) {
	_, panel := kernels.Tile()
	block := i / w.chunks
	t0 := block * w.size
	t1 := min(t0+w.size, w.grid.count)
	s := &w.e.scratch[thread]
	if w.held[thread] != block {
		w.grid.input(s.a, w.pos, w.ld, w.padded, t0, t1, 0, w.ci)
		w.held[thread] = block
	}
	m, u := s.b, s.b[kernels.WinogradPos*w.mpos:]
	n0 := i % w.chunks * w.chunk
	for n := n0; n < min(n0+w.chunk, w.co); n += panel {
		cols := min(panel, w.co-n)
		taps := (*w.taps)[n*9*w.ci:]
		for k0 := 0; k0 < w.ci; k0 += w.kc {
			k1 := min(k0+w.kc, w.ci)
			kernels.WinogradKernel(u, w.kc*panel+pad, 0, taps[k0*panel:], w.ci*panel, 0, 1, (k1-k0)*panel)
			for p := range kernels.WinogradPos {
				kernels.Gemm(t1-t0, k1-k0, s.a[p*w.pos+k0:], w.ld, 1, u[p*(w.kc*panel+pad):], m[p*w.mpos:], panel, cols, k0 > 0)
			}
		}
		w.output(m, s.c, t0, t1, n, cols)
	}
}

// output transforms a panel of products into y's columns [n0,n0+cols). Tiles that reach beyond the map go through tmp.
func (w *winograd) output(m, tmp []float32, t0, t1, n0, cols int) {
	_, panel := kernels.Tile()
	y, co := w.y, w.co
	w.grid.eachRun(t0, t1, func(t, image, ti, tj, n int) {
		rows := min(4, y.H-4*ti)
		whole := 0 // tiles of the run that lie inside
		if rows == 4 {
			whole = min(n, (y.W-4*tj)/4)
		}
		at := ((image*y.H+4*ti)*y.W+4*tj)*co + n0
		kernels.WinogradOutput(y.Data[at:], y.W*co, co, m[t*panel:], w.mpos, panel, whole, cols)
		for i := whole; i < n; i++ {
			kernels.WinogradOutput(tmp, 4*panel, panel, m[(t+i)*panel:], w.mpos, panel, 1, cols)
			for r := range rows {
				kernels.CopyRows(y.Data[at+(r*y.W+4*i)*co:], co, tmp[4*r*panel:], panel, min(4, y.W-4*(tj+i)), cols)
			}
		}
	})
}
