package resnet

import (
	"context"

	"github.com/bigtransfer/bit/internal/par"
	"github.com/bigtransfer/bit/nn"
)

// Predictor runs a network forward with its standardised kernels folded once. Buffers are planned once for an input
// shape; from the second call on nothing is allocated. One goroutine at a time may use it.
type Predictor struct {
	net    *Network
	e      *nn.Engine
	ks     *kernels
	mem    memory // of all passes, since they take turns
	passes passCache
}

// NewPredictor returns a predictor with the network's present parameters over the pool's threads.
func (n *Network) NewPredictor(pool *par.Pool) *Predictor {
	p := n.newPredictor(pool)
	p.Refold()
	return p
}

// Freeze turns the network into a predictor. The folded kernels take the memory of the parameters, so that a large
// network is in memory once: nothing else may use the network afterwards, or what its parameters' values were made of,
// and the predictor cannot be refolded.
func (n *Network) Freeze(pool *par.Pool) *Predictor {
	p := n.newPredictor(pool)
	p.ks.freeze()
	for _, param := range n.params {
		if param.IsKernel() {
			param.Value = nil
		}
	}
	return p
}

func (n *Network) newPredictor(pool *par.Pool) *Predictor {
	e := nn.NewEngine(pool)
	e.Winograd = nn.WinogradWhereItPays
	return &Predictor{net: n, e: e, ks: n.newKernels(e, false), mem: memory{}}
}

// Refold takes over parameters that have changed.
func (p *Predictor) Refold() { p.ks.fold() }

// Logits writes the logits [n,classes] of images x [n,h,w,Channels] to dst.
func (p *Predictor) Logits(dst, x []float32, n, h, w int) error {
	pass, err := p.load(x, n, h, w)
	if err != nil {
		return err
	}
	runAll(pass.forward)
	copy(dst[:len(pass.logits.Data)], pass.logits.Data)
	return nil
}

// Features writes the pooled feature vectors [n,FeatureWidth] of images x [n,h,w,Channels] to dst: the input of the
// head, the paper's transfer feature.
func (p *Predictor) Features(dst, x []float32, n, h, w int) error {
	pass, err := p.load(x, n, h, w)
	if err != nil {
		return err
	}
	runAll(pass.body())
	copy(dst[:len(pass.features.Data)], pass.features.Data)
	return nil
}

// Profile times every step of Logits for images x [n,h,w,Channels], in each of the given number of runs, after one that
// is not counted. The context can end it between runs.
func (p *Predictor) Profile(ctx context.Context, x []float32, n, h, w, runs int) ([]LayerTime, error) {
	pass, err := p.load(x, n, h, w)
	if err != nil {
		return nil, err
	}
	runAll(pass.forward)
	prof := &profiler{}
	for range runs {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		prof.run(pass.forward)
	}
	return prof.result(), nil
}

// Outputs is Logits and Features at once: the logits go to logits, the feature vectors to features.
func (p *Predictor) Outputs(logits, features, x []float32, n, h, w int) error {
	pass, err := p.load(x, n, h, w)
	if err != nil {
		return err
	}
	runAll(pass.forward)
	copy(logits[:len(pass.logits.Data)], pass.logits.Data)
	copy(features[:len(pass.features.Data)], pass.features.Data)
	return nil
}

// load returns the pass for images x, with its input in place.
func (p *Predictor) load(x []float32, n, h, w int) (*pass, error) {
	if err := checkInput(x, n, h, w, p.net.Channels); err != nil {
		return nil, err
	}
	pass := p.passes.get(n, h, w, func() *pass { return p.net.newPass(p.e, p.ks, p.mem, nil, n, h, w) })
	copy(pass.input.Data, x)
	return pass, nil
}
