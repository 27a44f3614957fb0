package nn

import "github.com/bigtransfer/bit/internal/kernels"

// MaxPool is the pooling of the stem: one pixel of zeros on every side, then the maximum of 3x3 windows, stride 2.
// The zeros are part of the window, unlike the −∞ that pooling with a padding of its own would see
// (big_transfer bit_pytorch/models.py: ConstantPad2d before MaxPool2d).
type MaxPool struct {
	x, y, dy, dx          *Map
	e                     *Engine
	rowT, momentsT, backT func(thread, i int)
}

// NewMaxPool plans the pooling of x [N,H,W,C] into y [N,Ho,Wo,C].
func NewMaxPool(e *Engine, x, y *Map) *MaxPool {
	p := &MaxPool{x: x, y: y, e: e}
	y.moments.reserve()
	p.rowT, p.momentsT, p.backT = p.rowTask, p.momentsTask, p.backTask
	return p
}

// PoolSide returns the pooled side of a side of n.
func PoolSide(n int) int { return outSide(n, 3, 2, 1) }

// Forward computes y and its statistics.
func (p *MaxPool) Forward() {
	p.e.Pool.For(p.y.N*p.y.H, p.rowT)
	p.e.Pool.For(p.y.moments.blocks.count, p.momentsT)
}

func (p *MaxPool) rowTask(_, task int) {
	x, y, c := p.x, p.y, p.x.C
	image, i := task/y.H, task%y.H
	out := y.Data[task*y.W*c:]
	zero := zeroRow[:]
	atMostZero := func(j, n int) { // a tap in the padding, for n output pixels from j on
		for c0 := 0; c0 < c; c0 += len(zero) {
			kernels.MaxRows(out[j*c+c0:], c, zero, 0, n, min(len(zero), c-c0))
		}
	}
	// The middle tap is always inside.
	kernels.CopyRows(out, c, x.Data[(image*x.H+2*i)*x.W*c:], 2*c, y.W, c)
	for kh := range 3 {
		h := 2*i + kh - 1
		if h < 0 || h >= x.H {
			atMostZero(0, y.W)
			continue
		}
		for kw := range 3 {
			lo, hi := 0, y.W // output pixels whose tap is inside
			if kw == 0 {
				lo = 1
				atMostZero(0, 1)
			}
			if 2*(y.W-1)+kw-1 >= x.W {
				hi--
				atMostZero(y.W-1, 1)
			}
			if lo < hi {
				kernels.MaxRows(out[lo*c:], c, x.Data[((image*x.H+h)*x.W+2*lo+kw-1)*c:], 2*c, hi-lo, c)
			}
		}
	}
}

func (p *MaxPool) momentsTask(_, i int) {
	m0, m1 := p.y.moments.blocks.span(i)
	p.y.moments.take(p.y.Data, m0, m1, 0, p.y.C)
}

// zeroRow is what a window reads in the padding.
var zeroRow [256]float32

// poolChunk is the number of channels of one task of the backward half: windows overlap, so a channel of an image is
// one thread's alone.
const poolChunk = 32

// Backward computes dx, the gradient of x, from dy, that of y: each output's goes to the first input of its window, in
// row-major order, that has its value.
func (p *MaxPool) Backward(dy, dx *Map) {
	p.dy, p.dx = dy, dx
	p.e.Pool.For(p.x.N*ceilDiv(p.x.C, poolChunk), p.backT)
}

func (p *MaxPool) backTask(_, task int) {
	x, y, c := p.x, p.y, p.x.C
	chunks := ceilDiv(c, poolChunk)
	image, c0 := task/chunks, task%chunks*poolChunk
	cols := min(poolChunk, c-c0)
	xs, dxs := x.Data[image*x.Pixels()*c+c0:], p.dx.Data[image*x.Pixels()*c+c0:]
	kernels.CopyRows(dxs, c, zeroRow[:], 0, x.Pixels(), cols)
	var taps [9]int
	for i := range y.H {
		for j := range y.W {
			for t := range taps {
				h, w := 2*i+t/3-1, 2*j+t%3-1
				taps[t] = (h*x.W + w) * c
				if h < 0 || w < 0 || h >= x.H || w >= x.W {
					taps[t] = -1
				}
			}
			at := ((image*y.H+i)*y.W+j)*c + c0
			kernels.MaxPoolBackward(dxs, xs, y.Data[at:], p.dy.Data[at:], &taps, cols)
		}
	}
}
