package nn

import (
	"math"

	"github.com/bigtransfer/bit/internal/kernels"
)

// Kernel is a convolution's parameters, [Kh,Kw,Ci,Co], and what is derived from them once for all uses: the kernel
// that is really applied, packed for the products of the forward and the backward pass.
type Kernel struct {
	Kh, Kw, Ci, Co int
	Stride, Pad    int // Pad zeros on all four sides
	w, dw          []float32
	epsilon        float64 // added to a filter's variance; 0: the kernel is applied as it is

	mean, rstd   []float32 // [Co]: a filter's mean and 1/sqrt(variance + epsilon)
	scale, shift []float32 // [Co]: the standardised kernel is ŵ = w·scale + shift
	forward      []float32 // panels of ŵ as [Kh·Kw·Ci, Co]
	backward     []float32 // panels of ŵ as [taps·Co, Ci] for each phase, see phases

	// The gradient through standardisation.
	sum, sumW, a, b, c []float32 // [Co]
	dhat               []float32 // ∂L/∂ŵ, [Kh·Kw·Ci, Co]

	e                                      *Engine
	standardiseT, packT, transposeT, gradT func(thread, i int)
	transposes                             []transpose
}

// NewKernel returns the kernel over parameters w [Kh,Kw,Ci,Co]. dw is their gradient, or nil for inference. A positive
// epsilon asks for weight standardisation: each filter is brought to mean 0 and variance 1 over its Kh·Kw·Ci values,
// with epsilon added to the variance, not the deviation (big_transfer bit_pytorch/models.py).
func NewKernel(e *Engine, kh, kw, ci, co, stride, pad int, w, dw []float32, epsilon float64) *Kernel {
	k := &Kernel{Kh: kh, Kw: kw, Ci: ci, Co: co, Stride: stride, Pad: pad, w: w, dw: dw, epsilon: epsilon, e: e,
		mean: make([]float32, co), rstd: make([]float32, co), scale: make([]float32, co), shift: make([]float32, co)}
	e.reserve(0, 0, 4*columnChunk) // for the sums of standardiseTask and gradTask
	k.standardiseT, k.packT, k.transposeT, k.gradT = k.standardiseTask, k.packTask, k.transposeTask, k.gradTask
	if dw != nil {
		for _, v := range []*[]float32{&k.sum, &k.sumW, &k.a, &k.b, &k.c} {
			*v = make([]float32, co)
		}
		k.transposes = k.planTransposes()
		if n := len(k.transposes); n > 0 {
			_, panel := kernels.Tile()
			k.backward = make([]float32, k.transposes[n-1].to+co*panel)
		}
	}
	return k
}

// Trains reports whether the kernel has a gradient.
func (k *Kernel) Trains() bool { return k.dw != nil }

func (k *Kernel) depth() int { return k.Kh * k.Kw * k.Ci }

// OutSide returns the output side of a convolution over an input side of n.
func (k *Kernel) OutSide(n int) int { return outSide(n, k.Kh, k.Stride, k.Pad) }

func outSide(n, kernel, stride, pad int) int { return (n+2*pad-kernel)/stride + 1 }

// columnChunk is the number of filters that one task standardises.
const columnChunk = 64

// Fold derives the applied kernel from the parameters. Call it after they change and before Forward.
func (k *Kernel) Fold() {
	if k.w == nil {
		panic("nn: Fold of a frozen kernel")
	}
	if k.forward == nil {
		k.forward = make([]float32, panelLen(k.depth(), k.Co))
	}
	k.e.Pool.For(ceilDiv(k.Co, columnChunk), k.standardiseT)
	_, panel := kernels.Tile()
	k.e.Pool.For(ceilDiv(k.Co, panel), k.packT)
	if len(k.transposes) > 0 {
		k.e.Pool.For(len(k.transposes), k.transposeT)
	}
}

func (k *Kernel) standardiseTask(thread, i int) {
	lo := i * columnChunk
	hi := min(lo+columnChunk, k.Co)
	if k.epsilon == 0 {
		for c := lo; c < hi; c++ {
			k.scale[c], k.shift[c] = 1, 0
		}
		return
	}
	// The rows are taken in short pieces, each with its own pivot and summed in double precision. An error of the mean
	// is one of every weight of the filter alike, and inputs after ReLU do not cancel it: with float32 sums over 512
	// rows the activations were four times as far from float64.
	const piece = 16
	var total, squares [columnChunk]float64 // of w - pivot, with the filter's first weight as the common pivot
	sum := k.e.scratch[thread].c
	depth := k.depth()
	for r := 0; r < depth; r += piece {
		rows := min(piece, depth-r)
		kernels.ColumnMoments(k.w[r*k.Co+lo:], k.Co, rows, hi-lo, sum, sum[columnChunk:])
		for c := lo; c < hi; c++ {
			d := float64(k.w[r*k.Co+c]) - float64(k.w[c])
			s, q := float64(sum[c-lo]), float64(sum[columnChunk+c-lo])
			total[c-lo] += s + float64(rows)*d
			squares[c-lo] += q + 2*d*s + float64(rows)*d*d
		}
	}
	n := float64(depth)
	for c := lo; c < hi; c++ {
		distance := total[c-lo] / n // of the mean from the pivot
		variance := max(squares[c-lo]/n-distance*distance, 0)
		if s := squares[c-lo]; s != s {
			variance = s
		}
		mean, rstd := float64(k.w[c])+distance, 1/math.Sqrt(variance+k.epsilon)
		k.mean[c], k.rstd[c] = float32(mean), float32(rstd)
		k.scale[c], k.shift[c] = float32(rstd), float32(-mean*rstd)
		if variance == 0 { // a constant filter: exactly zero, where w·scale + shift would leave the rounding of shift
			k.scale[c], k.shift[c] = 0, 0
		}
	}
}

func (k *Kernel) packTask(_, i int) {
	_, panel := kernels.Tile()
	n := i * panel
	kernels.Affine(k.forward[n*k.depth():], panel, k.w[n:], k.Co, k.depth(), min(panel, k.Co-n), k.scale[n:], k.shift[n:], kernels.NoFloor)
}

// Filter returns the applied kernel of one output channel, [Kh,Kw,Ci]. Unlike the parameters, it is there in a frozen
// kernel too.
func (k *Kernel) Filter(co int) []float32 {
	_, panel := kernels.Tile()
	packed := k.forward[co/panel*panel*k.depth():]
	filter := make([]float32, k.depth())
	for r := range filter {
		filter[r] = packed[r*panel+co%panel]
	}
	return filter
}

// phase is one class of input pixels in the gradient of a strided convolution: those at (offH + i·Stride,
// offW + j·Stride). Each class is touched by its own few taps of the kernel, so that no product with zero is done.
// Taps are ordered by the pixel of dy that they read: a row of them reads adjacent pixels.
type phase struct {
	offH, offW int
	kernelTaps []int // kh·Kw + kw of each tap
	reads      []tap // where in dy each row of taps begins to read, from grid point (i,j); may be negative
	width      int   // taps in a row
	at         int   // where the phase's panels begin in Kernel.backward
}

func (k *Kernel) phases() []phase {
	_, panel := kernels.Tile()
	var all []phase
	at := 0
	for h := range k.Stride {
		for w := range k.Stride {
			p := phase{offH: h, offW: w, at: at}
			for kh := k.Kh - 1; kh >= 0; kh-- {
				first := true
				for kw := k.Kw - 1; kw >= 0; kw-- {
					dh, dw := h+k.Pad-kh, w+k.Pad-kw
					if dh%k.Stride != 0 || dw%k.Stride != 0 {
						continue
					}
					p.kernelTaps = append(p.kernelTaps, kh*k.Kw+kw)
					if first {
						p.reads = append(p.reads, tap{dh / k.Stride, dw / k.Stride})
						first = false
					}
				}
			}
			if len(p.reads) > 0 {
				p.width = len(p.kernelTaps) / len(p.reads)
				at += len(p.kernelTaps) * k.Co * ceilDiv(k.Ci, panel) * panel
				all = append(all, p)
			}
		}
	}
	return all
}

// transpose moves one tap and one panel of input channels from w to the backward panels.
type transpose struct{ tap, ci, to int }

func (k *Kernel) planTransposes() []transpose {
	_, panel := kernels.Tile()
	var all []transpose
	for _, p := range k.phases() {
		for n := 0; n < k.Ci; n += panel {
			for t, tap := range p.kernelTaps {
				all = append(all, transpose{tap, n, p.at + (n*len(p.kernelTaps)+t*panel)*k.Co})
			}
		}
	}
	return all
}

func (k *Kernel) transposeTask(_, i int) {
	t := k.transposes[i]
	_, panel := kernels.Tile()
	cols := min(panel, k.Ci-t.ci)
	src := k.w[(t.tap*k.Ci+t.ci)*k.Co:]
	kernels.Transpose(k.backward[t.to:][:k.Co*panel], panel, src, k.Co, cols, k.Co, k.scale, k.shift)
}

// foldGrad passes dhat, the gradient of the applied kernel, back through standardisation and adds it to dw:
// dw += (g − mean(g) − ŵ·mean(g·ŵ))·scale, means over a filter's values.
func (k *Kernel) foldGrad(dhat []float32) {
	k.dhat = dhat
	k.e.Pool.For(ceilDiv(k.Co, columnChunk), k.gradT)
}

func (k *Kernel) gradTask(thread, i int) {
	lo := i * columnChunk
	hi := min(lo+columnChunk, k.Co)
	cols, depth := hi-lo, k.depth()
	if k.epsilon > 0 {
		const piece = 512
		var sum, sumW [columnChunk]float64 // Σ g and Σ g·(w − mean)
		s := k.e.scratch[thread].c
		zero, one, out, outW := s[:columnChunk], s[columnChunk:2*columnChunk], s[2*columnChunk:3*columnChunk], s[3*columnChunk:4*columnChunk]
		for c := range cols {
			zero[c], one[c] = 0, 1 // y = x·0 + 1 > 0: nothing is masked
		}
		for r := 0; r < depth; r += piece {
			at := r*k.Co + lo
			kernels.ColumnGrads(k.dhat[at:], k.Co, k.w[at:], k.Co, min(piece, depth-r), cols, zero, one, k.mean[lo:], out, outW)
			for c := range cols {
				sum[c] += float64(out[c])
				sumW[c] += float64(outW[c])
			}
		}
		for c := range cols {
			scale, n := float64(k.rstd[lo+c]), float64(depth)
			b := -scale * scale * scale * sumW[c] / n
			k.a[lo+c] = float32(scale)
			k.b[lo+c] = float32(b)
			k.c[lo+c] = float32(-scale*sum[c]/n - b*float64(k.mean[lo+c]))
		}
		kernels.GradRows(k.dhat[lo:], k.Co, k.w[lo:], k.Co, nil, 0, depth, cols, k.a[lo:], k.b[lo:], k.c[lo:])
	}
	kernels.AddRows(k.dw[lo:], k.Co, k.dhat[lo:], k.Co, depth, cols)
}
