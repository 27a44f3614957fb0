package nn

import "github.com/bigtransfer/bit/internal/kernels"

// winograd computes a 3x3 convolution of stride 1 by F(4x4,3x3), see [kernels.WinogradInput]: a quarter of the
// multiplications, for transforms of the input and the output and four times the memory for the kernel. The map is cut
// into tiles of 4x4 outputs; a task takes a block of them through all three steps, so that what is between the steps
// never leaves the second-level cache:
//
//	V[36][tiles][Ci] from the padded input; for each panel of filters M[36][tiles][panel] = V·U, and y from M
//
// The gradient of an input is such a convolution too, of the gradient of the output.
//
// Blocks may hold the tiles of several images and be cut in any way, by the number of threads too: an element's bits do
// not depend on it. Only the finish is done in y's own blocks, in a second loop.
type winograd struct {
	e      *Engine
	kernel *transformed
	padded *padded
	y      *Map
	finish finish // nil: nothing

	grid          tiling
	size, blocks  int // tiles of a block
	chunk, chunks int // columns of one task, whole panels
	kc            int // depth of one product
	ld, pos, mpos int // strides of V: between tiles, between positions; of M between positions

	held             []int // for each thread, the block whose V its scratch memory holds
	body, finishBody func(thread, i int)
}

const winogradName = "F(4x4,3x3)"

// maxTransformed bounds the values of V (1.1 MiB), which all of U passes by once a block: larger blocks, fewer passes.
// Half of a second-level cache of 2 MiB was fastest where U comes from farther; in a smaller cache part of V is read from
// the third level, by estimate no more than what smaller blocks would read of U.
const maxTransformed = 288 << 10

// maxResident is the size of a kernel (1 MiB) up to which the second-level cache keeps it from block to block.
const maxResident = 256 << 10

// maxKernel bounds the values of one transformed kernel (96 MiB). R152x4 has 35 of 1024 channels, which would take 5.3 GB
// where the network takes 3.7; those of 768 channels make R50x3 faster by an eighth at 480 pixels.
const maxKernel = 24 << 20

// usesWinograd decides how k is applied to maps [images,h,w,Ci].
func (k *Kernel) usesWinograd(images, h, w int) bool {
	use := k.e.Winograd
	return k.winogradFits() && (use == WinogradAlways || use == WinogradWhereItPays && k.winogradPays(images, h, w))
}

// winogradPays decides from shapes alone; for inference from those of a single image, so that an image's bits do not
// depend on its batch. The costs are cycles of one thread at AVX-512.
func (k *Kernel) winogradPays(images, h, w int) bool {
	values := kernels.WinogradPos * panelLen(k.Ci, k.Co)
	if values > maxKernel {
		return false
	}
	n := float64(images)
	tiles := n * float64(ceilDiv(h, kernels.WinogradTile)*ceilDiv(w, kernels.WinogradTile))
	products := float64(k.Ci) * float64(k.Co)
	direct := n * 9 * float64(h*w) * products / 32
	// The transforms take about 110 and 70 cycles for a tile and vector of channels.
	fast := tiles * (kernels.WinogradPos*products/32 + 7*float64(k.Ci) + 4.5*float64(k.Co))
	// What the kernel's 36 matrices exceed its 9 weights by must be read for each image of a small batch: bytes a cycle
	// from the second-level cache, the third, and memory.
	rate := 3.0
	if values <= maxResident {
		rate = 32
	} else if values <= 16*maxResident {
		rate = 8
	}
	memory := 4 * (kernels.WinogradPos - 9) * products / rate
	if k.dw != nil { // and written, in every step
		memory *= 2
	}
	return 1.2*(fast+memory) < direct
}

// winogradFits reports whether the kernel is of the kind that F(4x4,3x3) computes.
func (k *Kernel) winogradFits() bool { return k.Kh == 3 && k.Kw == 3 && k.Stride == 1 && k.Pad == 1 }

// transformed is a kernel as Winograd's products read it: U = G g Gᵀ for each pair of channels.
type transformed struct {
	e      *Engine
	ci, co int
	taps   *[]float32 // the packed kernel, once there is one: panels of [9][ci][panel]
	pos    int        // values from a position to the next, not a power of two: see pad
	u      []float32  // panels of [36][ci][panel]
	body   func(thread, i int)
}

func newTransformed(e *Engine, ci, co int, taps *[]float32) *transformed {
	_, panel := kernels.Tile()
	t := &transformed{e: e, ci: ci, co: co, taps: taps, pos: ci * panel}
	t.u = make([]float32, ceilDiv(co, panel)*kernels.WinogradPos*t.pos)
	t.body = t.task
	return t
}

func (t *transformed) run() {
	_, panel := kernels.Tile()
	t.e.Pool.For(ceilDiv(t.co, panel), t.body)
}

func (t *transformed) task(_, i int) {
	_, panel := kernels.Tile()
	n := t.ci * panel
	kernels.WinogradKernel(t.panel(i), t.pos, 0, (*t.taps)[i*9*n:], n, 0, 1, n)
}

// panel returns U for the i-th panel of filters.
func (t *transformed) panel(i int) []float32 { return t.u[i*kernels.WinogradPos*t.pos:] }

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

// newWinograd plans the convolution of x, through norm and ReLU if norm is not nil, into y.
func newWinograd(kernel *transformed, x *Map, norm *GroupNorm, y *Map) *winograd {
	e := kernel.e
	w := &winograd{e: e, kernel: kernel, y: y, grid: newTiling(y), kc: blockDepth(kernel.ci), ld: kernel.ci + pad}
	w.padded = w.grid.pad(e, x, norm)
	tile, panel := kernels.Tile()
	threads := e.Pool.Threads()

	// Blocks as large as the cache allows, in whole tiles of the kernel, since each takes all of U past it; smaller ones
	// where U is in the cache too, so that there are enough to keep the threads busy. Else a block's filters are shared
	// out, and each thread transforms its input.
	panels, tiles := ceilDiv(kernel.co, panel), w.grid.count
	resident := len(kernel.u) <= maxResident
	fit := maxTransformed
	if resident {
		fit = maxTransformed / 3
	}
	fit /= kernels.WinogradPos * w.ld
	if threads > 1 && resident {
		fit = min(fit, tiles/(4*threads))
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
	w.chunks = ceilDiv(kernel.co, w.chunk)
	w.pos, w.mpos = w.size*w.ld+pad, w.size*panel+pad

	w.held = make([]int, threads)
	w.body, w.finishBody = w.task, w.finishTask
	e.reserve(kernels.WinogradPos*w.pos, kernels.WinogradPos*w.mpos, kernels.WinogradTile*kernels.WinogradTile*panel)
	return w
}

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
	ci, co := w.kernel.ci, w.kernel.co
	if w.held[thread] != block {
		w.grid.input(s.a, w.pos, w.ld, w.padded, t0, t1, 0, ci)
		w.held[thread] = block
	}
	n0 := i % w.chunks * w.chunk
	for n := n0; n < min(n0+w.chunk, co); n += panel {
		cols := min(panel, co-n)
		u := w.kernel.panel(n / panel)
		for p := range kernels.WinogradPos {
			for k0 := 0; k0 < ci; k0 += w.kc {
				k1 := min(k0+w.kc, ci)
				kernels.Gemm(t1-t0, k1-k0, s.a[p*w.pos+k0:], w.ld, 1, u[p*w.kernel.pos+k0*panel:], s.b[p*w.mpos:], panel, cols, k0 > 0)
			}
		}
		w.output(s.b, s.c, t0, t1, n, cols)
	}
}

// output transforms a panel of products into y's columns [n0,n0+cols). Tiles that reach beyond the map go through tmp.
func (w *winograd) output(m, tmp []float32, t0, t1, n0, cols int) {
	_, panel := kernels.Tile()
	y, co := w.y, w.kernel.co
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
