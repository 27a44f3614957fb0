package nn

import "github.com/bigtransfer/bit/internal/kernels"

// winograd computes a 3x3 convolution of stride 1 by F(4x4,3x3), see [kernels.WinogradInput]: a quarter of the
// multiplications, for transforms of the input and the output and four times the memory for the kernel. The map is cut
// into tiles of 4x4 outputs; a task takes a block of them through all three steps, so that what is between the steps
// never leaves the second-level cache:
//
//	V[36][tiles][Ci] from the padded input; for each panel of filters M[36][tiles][panel] = V·U, and y from M
//
// Blocks may hold the tiles of several images and be cut in any way, by the number of threads too: an element's bits do
// not depend on it. Only the finish is done in y's own blocks, in a second loop.
type winograd struct {
	e      *Engine
	k      *Kernel
	padded *padded
	y      *Map
	finish finish // nil: nothing

	th, tw        int // tiles of an image
	tiles         int // of the batch
	size, blocks  int // tiles of a block
	chunk, chunks int // columns of one task, whole panels
	kc            int // depth of one product
	ld, pos, mpos int // strides of V: between tiles, between positions; of M between positions

	held             []int // for each thread, the block whose V its scratch memory holds
	body, finishBody func(thread, i int)
}

// maxTransformed bounds the values of V (1.1 MiB), which all of U passes by once a block: larger blocks, fewer passes.
// Half of a second-level cache of 2 MiB was fastest where U comes from farther; in a smaller cache part of V is read from
// the third level, by estimate no more than what smaller blocks would read of U.
const maxTransformed = 288 << 10

// maxResident is the size of a kernel (1 MiB) up to which the second-level cache keeps it from block to block.
const maxResident = 256 << 10

// maxKernel bounds the values of one transformed kernel (96 MiB). R152x4 has 35 of 1024 channels, which would take 5.3 GB
// where the network takes 3.7; those of 768 channels make R50x3 faster by an eighth at 480 pixels.
const maxKernel = 24 << 20

// winogradPays decides from the shapes of one image and of the kernel alone, so that an image's bits do not depend on
// its batch. The costs are cycles of one thread at AVX-512.
func (k *Kernel) winogradPays(h, w int) bool {
	if k.Kh != 3 || k.Kw != 3 || k.Stride != 1 || k.Pad != 1 || k.winogradLen() > maxKernel {
		return false
	}
	tiles := float64(ceilDiv(h, kernels.WinogradTile) * ceilDiv(w, kernels.WinogradTile))
	products := float64(k.Ci) * float64(k.Co)
	direct := 9 * float64(h*w) * products / 32
	// The transforms take about 110 and 70 cycles for a tile and vector of channels.
	transformed := tiles * (kernels.WinogradPos*products/32 + 7*float64(k.Ci) + 4.5*float64(k.Co))
	// What the kernel's 36 matrices exceed its 9 weights by must be read for each image of a small batch: bytes a cycle
	// from the second-level cache, the third, and memory.
	rate := 3.0
	if n := k.winogradLen(); n <= maxResident {
		rate = 32
	} else if n <= 16*maxResident {
		rate = 8
	}
	return 1.2*(transformed+4*(kernels.WinogradPos-9)*products/rate) < direct
}

// winogradLen returns the values that the kernel takes transformed.
func (k *Kernel) winogradLen() int { return kernels.WinogradPos * panelLen(k.Ci, k.Co) }

// wantWinograd sees to it that the kernel is transformed, now if it is folded already.
func (k *Kernel) wantWinograd() {
	if k.winograd != nil {
		return
	}
	k.winograd = make([]float32, k.winogradLen())
	k.winogradT = k.winogradTask
	if k.folded {
		k.transformWinograd()
	}
}

func (k *Kernel) transformWinograd() {
	_, panel := kernels.Tile()
	k.e.Pool.For(ceilDiv(k.Co, panel), k.winogradT)
}

// winogradTask computes U = G g Gᵀ of a panel of filters in double precision: panels of [36][Ci][panel], in the order
// in which the products read them. It starts from the packed kernel, which is what Fold saw.
func (k *Kernel) winogradTask(_, i int) {
	_, panel := kernels.Tile()
	from, to := k.forward[i*panel*k.depth():], k.winograd[i*panel*kernels.WinogradPos*k.Ci:]
	g := &kernels.WinogradKernel
	for c := range k.Ci {
		for j := range panel {
			var half [kernels.WinogradSide][3]float64 // G g
			for kw := range 3 {
				var w [3]float64
				for kh := range w {
					w[kh] = float64(from[((3*kh+kw)*k.Ci+c)*panel+j])
				}
				for r := range half {
					half[r][kw] = g[r][0]*w[0] + g[r][1]*w[1] + g[r][2]*w[2]
				}
			}
			for r, h := range half {
				for s := range g {
					to[((kernels.WinogradSide*r+s)*k.Ci+c)*panel+j] = float32(h[0]*g[s][0] + h[1]*g[s][1] + h[2]*g[s][2])
				}
			}
		}
	}
}

func newWinograd(k *Kernel, x *Map, norm *GroupNorm, y *Map) *winograd {
	th, tw := ceilDiv(y.H, kernels.WinogradTile), ceilDiv(y.W, kernels.WinogradTile)
	w := &winograd{e: k.e, k: k, y: y, th: th, tw: tw, tiles: y.N * th * tw, kc: blockDepth(k.Ci), ld: k.Ci + pad}
	// The zeros at the end fill up the last tiles.
	w.padded = newPadded(k.e, x, norm, 1, 1, 4*th+1-x.H, 4*tw+1-x.W)
	tile, panel := kernels.Tile()
	threads := k.e.Pool.Threads()

	// Blocks as large as the cache allows, in whole tiles of the kernel, since each takes all of U past it; smaller ones
	// where U is in the cache too, so that there are enough to keep the threads busy. Else a block's filters are shared
	// out, and each thread transforms its input.
	panels := ceilDiv(k.Co, panel)
	fit := maxTransformed
	if k.winogradLen() <= maxResident {
		fit = maxTransformed / 3
	}
	fit /= kernels.WinogradPos * w.ld
	if threads > 1 && k.winogradLen() <= maxResident {
		fit = min(fit, w.tiles/(4*threads))
	}
	if fit < w.tiles {
		fit = max(1, fit/tile) * tile
	}
	w.blocks = ceilDiv(w.tiles, fit)
	w.size = min(w.tiles, ceilDiv(ceilDiv(w.tiles, w.blocks), tile)*tile)
	w.blocks = ceilDiv(w.tiles, w.size)
	w.chunks = 1
	if threads > 1 {
		w.chunks = min(panels, ceilDiv(4*threads, w.blocks))
	}
	w.chunk = ceilDiv(panels, w.chunks) * panel
	w.chunks = ceilDiv(k.Co, w.chunk)
	w.pos, w.mpos = w.size*w.ld+pad, w.size*panel+pad

	w.held = make([]int, threads)
	w.body, w.finishBody = w.task, w.finishTask
	k.e.reserve(kernels.WinogradPos*w.pos, kernels.WinogradPos*w.mpos, kernels.WinogradTile*kernels.WinogradTile*panel)
	k.wantWinograd()
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
	t1 := min(t0+w.size, w.tiles)
	s := &w.e.scratch[thread]
	if w.held[thread] != block {
		w.input(s.a, t0, t1)
		w.held[thread] = block
	}
	ci, co := w.k.Ci, w.k.Co
	n0 := i % w.chunks * w.chunk
	for n := n0; n < min(n0+w.chunk, co); n += panel {
		cols := min(panel, co-n)
		u := w.k.winograd[n*kernels.WinogradPos*ci:]
		for p := range kernels.WinogradPos {
			for k0 := 0; k0 < ci; k0 += w.kc {
				k1 := min(k0+w.kc, ci)
				kernels.Gemm(t1-t0, k1-k0, s.a[p*w.pos+k0:], w.ld, 1, u[(p*ci+k0)*panel:], s.b[p*w.mpos:], panel, cols, k0 > 0)
			}
		}
		w.output(s.b, s.c, t0, t1, n, cols)
	}
}

// eachRun calls f for each run of tiles [t0,t1) that lie in one row of an image: the first one's place and their number.
func (w *winograd) eachRun(t0, t1 int, f func(t, image, ti, tj, n int)) {
	for t := t0; t < t1; {
		image, ti, tj := t/(w.th*w.tw), t/w.tw%w.th, t%w.tw
		n := min(w.tw-tj, t1-t)
		f(t-t0, image, ti, tj, n)
		t += n
	}
}

// input transforms tiles [t0,t1) of the padded copy into V.
func (w *winograd) input(v []float32, t0, t1 int) {
	p, ci := w.padded, w.k.Ci
	h, width := p.h(), p.w()*ci
	w.eachRun(t0, t1, func(t, image, ti, tj, n int) {
		src := w.e.padded[(image*h+4*ti)*width+4*tj*ci:]
		kernels.WinogradInput(v[t*w.ld:], w.pos, w.ld, src, width, ci, n, ci)
	})
}

// output transforms a panel of products into y's columns [n0,n0+cols). Tiles that reach beyond the map go through tmp.
func (w *winograd) output(m, tmp []float32, t0, t1, n0, cols int) {
	_, panel := kernels.Tile()
	y, co := w.y, w.k.Co
	w.eachRun(t0, t1, func(t, image, ti, tj, n int) {
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
