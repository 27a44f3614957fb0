package onnx

import "fmt"

// preprocess appends what is done to the input before the network, and returns the name of the network's own input.
//
// Resizing is left to the caller: ONNX's Resize with antialiasing, as ONNX Runtime 1.30 computes it on 8-bit pixels,
// is not Pillow's. The embedded model's logits moved by up to 0.6 % of the largest one on 15 pictures.
func (b *builder) preprocess(o Options) (string, error) {
	if o.Input == Images {
		return string(Images), nil
	}
	p := o.Processor
	switch {
	case p == nil:
		return "", fmt.Errorf("onnx: input %q needs a processor", o.Input)
	case b.net.Channels != 3:
		return "", fmt.Errorf("onnx: the network takes %d channels, a picture has 3", b.net.Channels)
	}
	if err := p.Validate(); err != nil {
		return "", err
	}
	// One scale and one shift for each channel: (v*factor - mean) / std.
	factor := 1.0
	if p.DoRescale {
		factor = p.RescaleFactor
	}
	scale, shift := []float32{float32(factor), float32(factor), float32(factor)}, make([]float32, 3)
	if p.DoNormalize {
		for c := range scale {
			scale[c] = float32(factor / p.Std[c])
			shift[c] = float32(-p.Mean[c] / p.Std[c])
		}
	}
	x := b.node("Transpose", "pixels/planes", []string{string(o.Input)}, attribute{"perm", []int{0, 3, 1, 2}})
	x = b.node("Cast", "pixels/float", []string{x}, attribute{"to", elementFloat})
	x = b.node("Mul", "pixels/scaled", []string{x, b.floats("pixels/scale", func() []float32 { return scale }, 3, 1, 1)})
	return b.node("Add", "pixels/normalised", []string{x, b.floats("pixels/shift", func() []float32 { return shift }, 3, 1, 1)}), nil
}
