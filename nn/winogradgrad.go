package nn

import "github.com/bigtransfer/bit/internal/kernels"

// winogradGrad computes the gradient of a 3x3 kernel of stride 1 by the transposes of F(4x4,3x3)'s transforms, a quarter
// of the multiplications of the direct product:
//
//	V[36][tiles][Ci] from the padded input, W[36][tiles][Co] = A ∂y Aᵀ, ∂U[36][Ci][Co] = Vᵀ·W, ∂w = Gᵀ ∂U G
//
// A task makes the gradient of some input and some output channels from a slice of the tiles, and all that is between
// its steps stays in the second-level cache. Slices are summed in the end; the cut depends on shapes alone.
type winogradGrad struct {
	e      *Engine
	k      *Kernel
	padded *padded
	y      *Map
	dy     []float32
	dw     []float32 // slices x [9,Ci,Co]; after run the first slice is the sum of all
	sum    *sliceSum

	grid           tiling
	slices, slice  int // of tiles
	kParts, nParts int // parts of the input channels, of the output channels
	vpos, wpos     int // strides of V and W between positions; of W's panels: wpos·36
	upos           int // of ∂U between positions
	body           func(thread, i int)
}

// gradPart is the number of input channels, and of output channels, of a task: ∂U then takes 590 KB.
const gradPart = 64

// gradTiles is the number of tiles that are transformed at a time: V and W then take 220 KB each, and ∂U is read and
// written once for so many multiply-adds of each of its elements.
const gradTiles = 24

// usesWinogradGrad decides how the gradient of k is computed from that of y.
func (k *Kernel) usesWinogradGrad(y *Map) bool {
	use := k.e.Winograd
	return k.winogradFits() && (use == WinogradAlways || use == WinogradWhereItPays && k.winogradGradPays(y))
}

// winogradGradPays decides from the shape of the batch alone. The costs are cycles of one thread at AVX-512.
func (k *Kernel) winogradGradPays(y *Map) bool {
	tiles := float64(newTiling(y).count)
	ci, co := float64(k.Ci), float64(k.Co)
	kParts, nParts := ceilDiv(k.Ci, gradPart), ceilDiv(k.Co, gradPart)
	direct := 9 * float64(y.Rows()) * ci * co / 32
	fast := tiles*(kernels.WinogradPos*ci*co/32+7*ci*float64(nParts)+5*co*float64(kParts)) +
		12.5*ci*co*float64(gradSlices(newTiling(y).count, kParts*nParts))
	return 1.2*fast < direct
}

// gradSlices returns the number of slices for so many tiles and parts: enough for some threads to end together.
func gradSlices(tiles, parts int) int { return max(1, min(ceilDiv(16, parts), tiles/(4*gradTiles))) }

func newWinogradGrad(k *Kernel, x *Map, norm *GroupNorm, y *Map) *winogradGrad {
	w := &winogradGrad{e: k.e, k: k, y: y, grid: newTiling(y), kParts: ceilDiv(k.Ci, gradPart), nParts: ceilDiv(k.Co, gradPart)}
	w.padded = w.grid.pad(k.e, x, norm)
	w.slices = gradSlices(w.grid.count, w.kParts*w.nParts)
	w.slice = ceilDiv(w.grid.count, w.slices)
	w.slices = ceilDiv(w.grid.count, w.slice)
	_, panel := kernels.Tile()
	tiles := min(gradTiles, w.slice)
	w.vpos, w.wpos, w.upos = tiles*gradPart+pad, tiles*panel+pad, gradPart*gradPart+pad
	w.sum, w.body = newSliceSum(k.e, w.slices, k.depth()*k.Co), w.task
	k.e.reserve(kernels.WinogradPos*w.vpos, kernels.WinogradPos*w.wpos*ceilDiv(gradPart, panel),
		kernels.WinogradPos*w.upos+kernels.WinogradTile*kernels.WinogradTile*panel)
	return w
}

// dwLen returns the values that dw must hold.
func (w *winogradGrad) dwLen() int { return w.slices * w.k.depth() * w.k.Co }

func (w *winogradGrad) run(dy *Map, dw []float32) {
	w.dy, w.dw = dy.Data, dw
	w.padded.fill()
	w.e.Pool.For(w.slices*w.kParts*w.nParts, w.body)
	w.sum.run(dw)
}

func (w *winogradGrad) task(thread, i int) {
	_, panel := kernels.Tile()
	k, s := w.k, &w.e.scratch[thread]
	slice, part := i/(w.kParts*w.nParts), i%(w.kParts*w.nParts)
	c0, n0 := part/w.nParts*gradPart, part%w.nParts*gradPart
	c1, n1 := min(c0+gradPart, k.Ci), min(n0+gradPart, k.Co)
	first, last := slice*w.slice, min((slice+1)*w.slice, w.grid.count)
	u, tmp := s.c[:kernels.WinogradPos*w.upos], s.c[kernels.WinogradPos*w.upos:]
	for t0 := first; t0 < last; t0 += gradTiles {
		t1 := min(t0+gradTiles, last)
		w.grid.input(s.a, w.vpos, gradPart, w.padded, t0, t1, c0, c1)
		for n := n0; n < n1; n += panel {
			cols := min(panel, n1-n)
			b := s.b[(n-n0)/panel*kernels.WinogradPos*w.wpos:]
			w.outputGrad(b, tmp, t0, t1, n, cols)
			for p := range kernels.WinogradPos {
				kernels.Gemm(c1-c0, t1-t0, s.a[p*w.vpos:], 1, gradPart, b[p*w.wpos:], u[p*w.upos+n-n0:], gradPart, cols, t0 > first)
			}
		}
	}
	size := k.Ci * k.Co
	kernels.WinogradKernelGrad(w.dw[slice*9*size+c0*k.Co+n0:], size, k.Co, u, w.upos, gradPart, c1-c0, n1-n0)
}

// outputGrad transforms a panel of columns of tiles [t0,t1) of dy. Tiles that reach beyond the map go through tmp, which
// has zeros there.
func (w *winogradGrad) outputGrad(dst, tmp []float32, t0, t1, n0, cols int) {
	_, panel := kernels.Tile()
	y := w.y
	w.grid.eachRun(t0, t1, func(t, image, ti, tj, n int) {
		rows := min(4, y.H-4*ti)
		whole := 0 // tiles of the run that lie inside
		if rows == 4 {
			whole = min(n, (y.W-4*tj)/4)
		}
		at := ((image*y.H+4*ti)*y.W+4*tj)*y.C + n0
		kernels.WinogradOutputGrad(dst[t*panel:], w.wpos, panel, w.dy[at:], y.W*y.C, y.C, whole, cols)
		for i := whole; i < n; i++ {
			clear(tmp[:kernels.WinogradTile*kernels.WinogradTile*panel])
			for r := range rows {
				kernels.CopyRows(tmp[4*r*panel:], panel, w.dy[at+(r*y.W+4*i)*y.C:], y.C, min(4, y.W-4*(tj+i)), cols)
			}
			kernels.WinogradOutputGrad(dst[(t+i)*panel:], w.wpos, panel, tmp, 4*panel, panel, 1, cols)
		}
	})
}
