// Package float64net computes a network's logits in float64, slowly, with the plain loops of package oracle: the yardstick
// by which two float32 programs that differ can be told right from wrong.
package float64net

import (
	"context"
	"fmt"

	"github.com/bigtransfer/bit/internal/oracle"
	"github.com/bigtransfer/bit/resnet"
)

// Logits returns the logits, [N,classes], of images x, [N,H,W,C]. About 1e9 multiply-adds take a second on a core, and
// images are computed in parallel: one of 224 pixels takes R50x1 some seconds and R152x4 some minutes.
func Logits(ctx context.Context, net *resnet.Network, x []float32, n, h, w int) ([]float64, error) {
	if len(x) != n*h*w*net.Channels {
		return nil, fmt.Errorf("%d values for %d images of %d x %d pixels and %d channels", len(x), n, h, w, net.Channels)
	}
	value := func(name string) []float64 { return oracle.Wide(net.Param(name).Value) }
	conv := func(name string, x oracle.Map, k, co, stride int) oracle.Map {
		c := oracle.Conv{Kh: k, Kw: k, Ci: x.C, Co: co, Stride: stride, Pad: k / 2, W: value(name)}
		if name != resnet.HeadKernel {
			c.W = oracle.Standardise(c.W, co, net.WSEpsilon)
		}
		return c.Forward(x)
	}
	norm := func(name string, x oracle.Map) oracle.Map { // and ReLU
		y := oracle.GroupNorm{Groups: net.Groups, Epsilon: net.GNEpsilon, Gamma: value(name + "/gamma"), Beta: value(name + "/beta")}.Forward(x)
		return oracle.Mask(y, oracle.Positive(y.V))
	}
	stem := conv(resnet.StemKernel, oracle.Map{N: n, H: h, W: w, C: net.Channels, V: oracle.Wide(x)}, 7, net.StemWidth, 2)
	ho, wo, windows := oracle.PoolWindows(stem)
	at := oracle.Map{N: n, H: ho, W: wo, C: net.StemWidth, V: oracle.Gather(stem.V, oracle.Argmax(stem.V, windows))}
	for s, width := range net.Widths {
		for u := range net.Depths[s] {
			if ctx.Err() != nil {
				return nil, context.Cause(ctx)
			}
			name, stride := resnet.UnitName(s, u), 1
			if u == 0 {
				stride = resnet.Stride(s)
			}
			pre, shortcut := norm(name+"/gn1", at), at
			if u == 0 {
				shortcut = conv(name+"/proj/kernel", pre, 1, width, stride)
			}
			inner := norm(name+"/gn2", conv(name+"/conv1/kernel", pre, 1, width/4, 1))
			inner = norm(name+"/gn3", conv(name+"/conv2/kernel", inner, 3, width/4, stride))
			at = conv(name+"/conv3/kernel", inner, 1, width, 1)
			for i, v := range shortcut.V {
				at.V[i] += v
			}
		}
	}
	logits := conv(resnet.HeadKernel, oracle.Mean(norm("norm", at)), 1, net.Classes, 1)
	bias := value(resnet.HeadBias)
	for i := range logits.V {
		logits.V[i] += bias[i%net.Classes]
	}
	return logits.V, nil
}
