package main

import "github.com/bigtransfer/bit/resnet"

// MACs returns the multiply-accumulates of a forward pass over the batch.
func (c benchCase) MACs() float64 { return float64(c.Config.MACs(c.Side, c.Side)) * float64(c.Batch) }

// FLOPs returns the arithmetic of one run by the usual count: 2 for a multiply-accumulate of the forward pass, and
// twice as much again for the backward pass, which makes two products of the same size for every one.
func (c benchCase) FLOPs() float64 {
	if c.Task == train {
		return 6 * c.MACs()
	}
	return 2 * c.MACs()
}

// Traffic returns the bytes that one run must move to and from memory if caches hold no map from one layer to the next
// but everything that can be done to a map while it is written or read is done then:
//
//   - predict: reads each parameter and pixel; writes and reads each map.
//   - train: reads each pixel, in forward and backward; writes each map and reads it twice, in forward and backward, and
//     writes and reads its gradient; reads each parameter in forward and backward; writes its gradient; and updates it,
//     which reads gradient, parameter and velocity and writes the latter two.
//
// A map is what the stem, the pool and the three convolutions of a unit make, the last with the shortcut added.
func (c benchCase) Traffic() float64 {
	parameters := float64(c.Config.NumParams())
	pixels := float64(c.Batch * c.Config.Channels * c.Side * c.Side)
	maps := float64(c.Batch) * float64(mapValues(c.Config, c.Side))
	if c.Task == train {
		return 4 * (8*parameters + 2*pixels + 5*maps)
	}
	return 4 * (parameters + pixels + 2*maps)
}

// mapValues returns the number of values in all maps of one image.
func mapValues(c resnet.Config, side int) int64 {
	size := func(channels int) int64 { return int64(side) * int64(side) * int64(channels) }
	half := func() { side = (side + 1) / 2 } // as every layer with a stride does
	half()
	n := size(c.StemWidth)
	half()
	n += size(c.StemWidth) // the pool's
	for s, depth := range c.Depths {
		for u := range depth {
			n += size(c.Mid(s)) // before the stride, which is that of the 3x3 convolution
			if u == 0 && resnet.Stride(s) == 2 {
				half()
			}
			n += size(c.Mid(s)) + size(c.Widths[s])
		}
	}
	return n
}
