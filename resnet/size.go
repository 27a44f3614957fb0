package resnet

import "github.com/bigtransfer/bit/tensor"

// NumParams returns the number of parameters, head included.
func (c Config) NumParams() int {
	n := 0
	for _, p := range c.ParamSpecs() {
		n += tensor.Len(p.Shape)
	}
	return n
}

// NumTrained returns the number of parameters that are trained where f is frozen.
func (c Config) NumTrained(f Frozen) int {
	n := 0
	for _, p := range c.ParamSpecs() {
		if !f.Freezes(p.Name) {
			n += tensor.Len(p.Shape)
		}
	}
	return n
}

// MACs returns the multiply-accumulates of one forward pass over an image of h x w pixels: those of the convolutions
// and of the head, without GroupNorm, weight standardisation, pooling and additions. FLOPs are twice that.
func (c Config) MACs(h, w int) int64 {
	// Every strided layer (7x7 pad 3, pool 3x3 pad 1, 3x3 pad 1, 1x1) makes ceil(n/2) of n positions.
	half := func() { h, w = (h+1)/2, (w+1)/2 }
	conv := func(kernel, in, out int) int64 {
		return int64(h) * int64(w) * int64(kernel*kernel) * int64(in) * int64(out)
	}
	half()
	macs := conv(7, c.Channels, c.StemWidth)
	half()
	for s, depth := range c.Depths {
		mid, in, out := c.Mid(s), c.In(s), c.Widths[s]
		for u := range depth {
			macs += conv(1, in, mid) // before the stride, which is that of the 3x3 convolution
			if u == 0 && Stride(s) == 2 {
				half()
			}
			if c.Projects(s, u) {
				macs += conv(1, in, out)
			}
			macs += conv(3, mid, mid) + conv(1, mid, out)
			in = out
		}
	}
	return macs + int64(c.FeatureWidth())*int64(c.Classes)
}
