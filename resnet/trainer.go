package resnet

import (
	"context"
	"fmt"

	"github.com/bigtransfer/bit/internal/par"
	"github.com/bigtransfer/bit/nn"
)

// Trainer runs a network forward and backward. Buffers are planned once for an input shape; from the second step on
// nothing is allocated. One goroutine at a time may use it.
type Trainer struct {
	net    *Network
	e      *nn.Engine
	ks     *kernels
	passes passCache
	mem    memory // of all passes, since they take turns
	opts   TrainerOptions
	stale  bool // the applied kernels are older than the parameters
	folded bool // those of frozen parameters are there
}

// TrainerOptions say how a trainer works. The zero value trains all parameters as fast as it can.
type TrainerOptions struct {
	Recompute Recompute // what Backward computes again, to save memory
	Frozen    Frozen    // what is not trained
}

// NewTrainer returns a trainer of the network over the pool's threads. It gives every parameter a gradient.
func (n *Network) NewTrainer(pool *par.Pool) *Trainer {
	return n.NewTrainerWith(pool, TrainerOptions{})
}

// NewTrainerWith is NewTrainer with options. Frozen parameters have no gradient.
func (n *Network) NewTrainerWith(pool *par.Pool, o TrainerOptions) *Trainer {
	for _, p := range n.params {
		switch {
		case o.Frozen.Freezes(p.Name):
			p.Grad = nil
		case p.Grad == nil:
			p.Grad = make([]float32, len(p.Value))
		}
	}
	e := nn.NewEngine(pool)
	e.Winograd = nn.WinogradWhereItPays
	return &Trainer{net: n, e: e, ks: n.newKernels(e, true), mem: memory{}, opts: o, stale: true}
}

// ZeroGrad begins a step: gradients are set to zero, and Forward will see parameters that changed since the last
// call, but for frozen ones.
func (t *Trainer) ZeroGrad() {
	for _, p := range t.net.params {
		clear(p.Grad)
	}
	t.stale = true
}

// fold derives the applied kernels from the parameters, of frozen ones the first time only.
func (t *Trainer) fold() {
	for _, k := range t.ks.all {
		if !t.folded || k.Trains() {
			k.Fold()
		}
	}
	t.folded = true
}

// Forward computes the logits [n,classes] of images x [n,h,w,Channels] and keeps what Backward needs. The result is
// valid until the next call.
func (t *Trainer) Forward(x []float32, n, h, w int) ([]float32, error) {
	if err := checkInput(x, n, h, w, t.net.Channels); err != nil {
		return nil, err
	}
	if t.stale {
		t.fold()
		t.stale = false
	}
	p := t.passes.get(n, h, w, func() *pass { return t.net.newPass(t.e, t.ks, t.mem, &t.opts, n, h, w) })
	copy(p.input.Data, x)
	runAll(p.forward)
	return p.logits.Data, nil
}

// Backward adds to each parameter's Grad, given dlogits [n,classes], the gradient of the loss with respect to the
// logits that the last Forward returned.
func (t *Trainer) Backward(dlogits []float32) {
	p := t.passes.last
	if p == nil || len(dlogits) != len(p.logits.Data) {
		panic("resnet: Backward without a Forward of the same batch")
	}
	copy(p.back.dlogits.Data, dlogits)
	runAll(p.back.steps)
}

// Profile times every step of ZeroGrad, Forward and Backward for a batch of images x [n,h,w,Channels], in each of the given
// number of runs, after one that is not counted. The gradients of the last are left behind. The context can end it
// between runs.
func (t *Trainer) Profile(ctx context.Context, x, dlogits []float32, n, h, w, runs int) ([]LayerTime, error) {
	if _, err := t.Forward(x, n, h, w); err != nil {
		return nil, err
	}
	t.Backward(dlogits)
	p, prof := t.passes.last, &profiler{}
	for range runs {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		prof.run([]step{{"gradients", partClear, nil, t.ZeroGrad}, {"kernels", partFold, nil, t.fold}})
		t.stale = false
		prof.run(p.forward)
		copy(p.back.dlogits.Data, dlogits)
		prof.run(p.back.steps)
	}
	return prof.result(), nil
}

func checkInput(x []float32, n, h, w, channels int) error {
	if n < 1 || h < 1 || w < 1 {
		return fmt.Errorf("resnet: input of %d images of %dx%d pixels, want at least one of each", n, h, w)
	}
	if len(x) != n*h*w*channels {
		return fmt.Errorf("resnet: input holds %d values, want %d·%d·%d·%d = %d", len(x), n, h, w, channels, n*h*w*channels)
	}
	return nil
}

// passCache keeps the passes of the last two shapes: that of whole batches and that of the partial one at the end.
type passCache struct{ last, other *pass }

func (c *passCache) get(n, h, w int, plan func() *pass) *pass {
	fits := func(p *pass) bool {
		return p != nil && p.input.N == n && p.input.H == h && p.input.W == w
	}
	if fits(c.last) {
		return c.last
	}
	c.last, c.other = c.other, c.last
	if !fits(c.last) {
		c.last = nil // free before planning anew
		c.last = plan()
	}
	return c.last
}
