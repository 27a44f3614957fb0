package nn

import "github.com/bigtransfer/bit/internal/kernels"

// Conv applies a kernel to maps of one shape: y = conv(relu(norm(x)), ŵ), x [N,H,W,Ci], y [N,Ho,Wo,Co]. Each of its
// three halves is computed by a direct product, or by Winograd's convolution where that pays.
type Conv struct {
	k      *Kernel
	x, y   *Map
	norm   *GroupNorm
	padded *padded // the input with its zeros around it, for direct products; nil for 1x1 kernels

	forward     *product
	fastForward *winograd
	grad        *gradProduct
	fastGrad    *winogradGrad

	dyPadded     *padded    // like padded, for the products of the gradient
	backward     []*product // one for each phase
	fastBackward *winograd
	finisher     func(thread, i int)
}

// smallBatch is the number of images for which inference chooses its algorithms, whatever their number. A single image
// loses little where it would have chosen otherwise: on 4x4 pixels its one tile takes about the time of the direct product.
const smallBatch = 4

// NewConv plans the convolution of x, through norm and ReLU if norm is not nil, into y.
// With moments, y's statistics are taken for the GroupNorm that reads it; with shortcut, it is added to y.
func NewConv(k *Kernel, x *Map, norm *GroupNorm, y *Map, shortcut *Map, accumulate, moments bool) *Conv {
	c := &Conv{k: k, x: x, y: y, norm: norm}
	var end finish
	if moments || shortcut != nil {
		end = &forwardFinish{y, shortcut, moments}
	}
	if moments {
		y.moments.reserve()
	}
	training := k.dw != nil
	images := smallBatch
	if training {
		images = x.N
	}
	if !accumulate && k.usesWinograd(images, x.H, x.W) {
		c.fastForward = newWinograd(k.e, &k.forward, x, norm, y)
		c.fastForward.finish = end
	} else {
		c.forward = newProduct(k.e, c.gather(), k.Co)
		c.forward.accumulate = accumulate
		c.forward.finish = end
	}
	if !training {
		return c
	}
	if k.usesWinogradGrad(y) {
		c.fastGrad = newWinogradGrad(k, x, norm, y)
	} else {
		c.grad = newGradProduct(k.e, c.gather(), k.Co)
	}
	return c
}

// gather describes the convolution's direct product.
func (c *Conv) gather() *gather {
	k, x := c.k, c.x
	g := &gather{n: x.N, h: x.H, w: x.W, pixel: x.C, segment: k.Kw * x.C, gh: c.y.H, gw: c.y.W, step: k.Stride}
	for kh := range k.Kh {
		g.taps = append(g.taps, tap{kh, 0})
	}
	if k.Kw > 1 {
		if c.padded == nil {
			c.padded = newPadded(k.e, x, c.norm, k.Pad, k.Pad, k.Pad, k.Pad)
		}
		g.h, g.w = c.padded.h(), c.padded.w()
	}
	return g
}

// forwardFinish ends a block of a convolution's output: the shortcut is added and the statistics of the sum taken.
type forwardFinish struct {
	y, shortcut *Map
	moments     bool
}

func (f *forwardFinish) block(m0, m1, n0, n1 int) {
	c := f.y.C
	if f.shortcut != nil {
		kernels.AddRows(f.y.Data[m0*c+n0:], c, f.shortcut.Data[m0*c+n0:], c, m1-m0, n1-n0)
	}
	if f.moments {
		f.y.moments.take(f.y.Data, m0, m1, n0, n1)
	}
}

// Half is one of the three computations that a convolution makes in training.
type Half string

const (
	Forward        Half = "forward"
	InputGradient  Half = "input gradient"
	KernelGradient Half = "kernel gradient"
)

// Algorithm returns how the convolution computes a half: "direct" or "F(4x4,3x3)".
func (c *Conv) Algorithm(h Half) string {
	if h == Forward && c.fastForward != nil || h == InputGradient && c.fastBackward != nil || h == KernelGradient && c.fastGrad != nil {
		return winogradName
	}
	return "direct"
}

// Geometry is the size of a convolution: the kernel, and the outputs of a batch.
type Geometry struct{ Kh, Kw, Stride, Ci, Co, N, H, W int }

// MACs returns the multiply-accumulates of the direct product, for each of its three halves.
func (g Geometry) MACs() int64 {
	return int64(g.N) * int64(g.H) * int64(g.W) * int64(g.Kh) * int64(g.Kw) * int64(g.Ci) * int64(g.Co)
}

// Geometry returns the convolution's size.
func (c *Conv) Geometry() Geometry {
	return Geometry{c.k.Kh, c.k.Kw, c.k.Stride, c.k.Ci, c.k.Co, c.y.N, c.y.H, c.y.W}
}

// Forward computes y.
func (c *Conv) Forward() {
	if c.fastForward != nil {
		c.fastForward.run()
		return
	}
	p := c.forward
	p.src, p.norm = c.source()
	p.b, p.out = c.k.forward, c.y.Data
	p.run()
}

// source returns what the products read: x through norm, or the padded copy, which has passed through it.
func (c *Conv) source() ([]float32, *GroupNorm) {
	if c.padded != nil {
		return c.padded.fill(), nil
	}
	return c.x.Data, c.norm
}

// BackwardKernel adds to the kernel's gradient what dy, the gradient of y, makes of it. scratch must hold GradScratch
// values.
func (c *Conv) BackwardKernel(dy *Map, scratch []float32) {
	if c.fastGrad != nil {
		c.fastGrad.run(dy, scratch)
	} else {
		p := c.grad
		p.src, p.norm = c.source()
		p.dy, p.dw = dy.Data, scratch
		p.run()
	}
	c.k.foldGrad(scratch[:c.k.depth()*c.k.Co])
}

// GradScratch returns the values that BackwardKernel needs.
func (c *Conv) GradScratch() int {
	if c.fastGrad != nil {
		return c.fastGrad.dwLen()
	}
	return c.grad.dwLen()
}

// PlanBackward prepares BackwardInput. With last, dx is then complete and passes through the layer's norm: see
// GroupNorm.Backward.
func (c *Conv) PlanBackward(dy, dx *Map, accumulate, last bool) {
	k := c.k
	if last {
		c.norm.dy = dx
	}
	if !accumulate && k.usesWinograd(dx.N, dx.H, dx.W) {
		c.fastBackward = newWinograd(k.e, &k.backward, dy, nil, dx)
		if last {
			c.fastBackward.finish = c.norm
		}
		return
	}
	strided := k.Stride > 1
	var phases []phase // those with pixels in dx
	var top, left, bottom, right int
	for _, ph := range k.phases() {
		gh, gw := ceilDiv(dx.H-ph.offH, k.Stride), ceilDiv(dx.W-ph.offW, k.Stride)
		if gh <= 0 || gw <= 0 {
			continue
		}
		phases = append(phases, ph)
		for _, r := range ph.reads {
			top, left = max(top, -r.dh), max(left, -r.dw)
			bottom, right = max(bottom, r.dh+gh-dy.H), max(right, r.dw+ph.width-1+gw-dy.W)
		}
	}
	if top+left+bottom+right > 0 || k.Kw > 1 {
		c.dyPadded = newPadded(k.e, dy, nil, top, left, bottom, right)
	}
	for _, ph := range phases {
		g := &gather{n: dy.N, h: dy.H + top + bottom, w: dy.W + left + right, pixel: dy.C, segment: ph.width * dy.C, step: 1,
			gh: ceilDiv(dx.H-ph.offH, k.Stride), gw: ceilDiv(dx.W-ph.offW, k.Stride)}
		for _, r := range ph.reads {
			g.taps = append(g.taps, tap{r.dh + top, r.dw + left})
		}
		p := newProduct(k.e, g, k.Ci)
		p.b, p.src, p.out, p.accumulate = k.backward[ph.at:], dy.Data, dx.Data, accumulate
		if strided {
			p.outStep, p.outH, p.outW, p.outSideH, p.outSideW = k.Stride, ph.offH, ph.offW, dx.H, dx.W
			k.e.reserve(0, 0, p.blocks.size*p.chunk)
		} else if last {
			p.finish = c.norm
		}
		c.backward = append(c.backward, p)
	}
	if last && strided {
		c.finisher = func(_, i int) {
			m0, m1 := c.x.moments.blocks.span(i)
			c.norm.block(m0, m1, 0, c.norm.channels)
		}
	}
}

// BackwardInput computes dx, the gradient of relu(norm(x)), from dy as planned. Pixels that no output reads (the odd
// ones of a strided 1x1 kernel) are left as they are.
func (c *Conv) BackwardInput() {
	if c.fastBackward != nil {
		c.fastBackward.run()
		return
	}
	if c.dyPadded != nil {
		src := c.dyPadded.fill()
		for _, p := range c.backward {
			p.src = src
		}
	}
	for _, p := range c.backward {
		p.run()
	}
	if c.finisher != nil {
		c.k.e.Pool.For(c.x.moments.blocks.count, c.finisher)
	}
}
