package resnet

import "github.com/bigtransfer/bit/nn"

// OutputStride returns how many input pixels lie between two positions of the last activations, 32 in every released
// variant: the stem and its pool halve the sides, and so does every stage after the first. All these steps read
// symmetrically around an even position (padding 3, 1, 1 of kernels 7, 3, 3), so that position i of a side is centred on
// input pixel i·OutputStride.
func (c Config) OutputStride() int {
	stride := 2 * 2
	for s := range c.Widths {
		stride *= Stride(s)
	}
	return stride
}

// Evidence is what the head makes its logits of, position by position. A logit is the bias plus the head's weights times
// the mean of the last activations (after GroupNorm and ReLU), so each position has an exact share in it: the class
// activation map of Zhou et al. 2016 (arXiv:1512.04150), which for this network leaves nothing out.
type Evidence struct {
	Logits []float32 // [N, classes], those of Predictor.Logits to the bit
	H, W   int       // positions
	last   *nn.Map   // [N, H, W, F]
	head   *nn.Kernel
	bias   []float32
}

// Evidence runs the network on images x [n,h,w,Channels] and keeps what its logits are made of.
func (p *Predictor) Evidence(x []float32, n, h, w int) (*Evidence, error) {
	pass, err := p.load(x, n, h, w)
	if err != nil {
		return nil, err
	}
	runAll(pass.forward)
	last := pass.norm.Output()
	return &Evidence{
		Logits: append([]float32(nil), pass.logits.Data...),
		H:      last.H, W: last.W, last: last, head: p.ks.head, bias: p.net.Param(HeadBias).Value,
	}, nil
}

// Bias returns the part of a class's logit that no position contributes to.
func (e *Evidence) Bias(class int) float32 { return e.bias[class] }

// ClassMap returns the contribution of each position [H,W] of an image to a logit. With the bias they sum to it, up to
// the rounding of the network's own sums in float32.
func (e *Evidence) ClassMap(image, class int) []float32 {
	weights := e.head.Filter(class)
	contributions := make([]float32, e.H*e.W)
	for i := range contributions {
		sum := 0.0
		for f, v := range e.last.Data[(image*len(contributions)+i)*len(weights):][:len(weights)] {
			sum += float64(v) * float64(weights[f])
		}
		contributions[i] = float32(sum / float64(len(contributions)))
	}
	return contributions
}
