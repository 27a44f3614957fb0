package resnet

import (
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/bigtransfer/bit/nn"
)

// step is the work of one layer in one direction. A pass is two lists of them, in the order in which they run.
type step struct {
	layer, part string // see LayerTime
	conv        *nn.Conv
	run         func()
}

const (
	partClear   = "clear" // all gradients set to zero
	partFold    = "fold"  // all kernels standardised and packed
	partForward = string(nn.Forward)
	partAgain   = "forward again" // see Recompute
	partInput   = string(nn.InputGradient)
	partKernel  = string(nn.KernelGradient)
)

func runAll(steps []step) {
	for i := range steps {
		steps[i].run()
	}
}

// LayerTime is what a layer took in one direction, in a profile.
type LayerTime struct {
	Layer     string  `json:"layer"`               // "root/conv", "block1/unit01/gn2", "head"; "gradients" and "kernels" are all of them
	Kind      string  `json:"kind"`                // of a convolution kernel/stride: "3x3/1"; else "gn", "norm", "pool", "mean", "head", …
	Part      string  `json:"part"`                // "forward", "input gradient", "kernel gradient"; "clear", "fold"
	Shape     string  `json:"shape,omitempty"`     // of a convolution: "3x3/1 64-64 on 56x56": kernel/stride, channels in-out, output
	Algorithm string  `json:"algorithm,omitempty"` // of a convolution: "direct", "F(4x4,3x3)"
	MACs      int64   `json:"macs"`                // multiply-accumulates of a direct product, for the whole batch
	Seconds   float64 `json:"seconds"`             // median
}

// profiler times steps, over several runs.
type profiler struct {
	layers []LayerTime
	times  [][]float64 // of each layer, one for each run
}

func (p *profiler) run(steps []step) {
	for i := range steps {
		s := &steps[i]
		begin := time.Now()
		s.run()
		seconds := time.Since(begin).Seconds()
		at := slices.IndexFunc(p.layers, func(l LayerTime) bool { return l.Layer == s.layer && l.Part == s.part })
		if at < 0 {
			at = len(p.layers)
			l := LayerTime{Layer: s.layer, Part: s.part, Kind: strings.TrimRight(path.Base(s.layer), "0123456789")}
			if s.conv != nil {
				g := s.conv.Geometry()
				kernel := fmt.Sprintf("%dx%d/%d", g.Kh, g.Kw, g.Stride)
				l.Shape = fmt.Sprintf("%s %d-%d on %dx%d", kernel, g.Ci, g.Co, g.H, g.W)
				if s.layer != "head" { // the size of its map sets it apart from other 1x1 kernels
					l.Kind = kernel
				}
				l.MACs = g.MACs()
				l.Algorithm = s.conv.Algorithm(nn.Half(s.part))
			}
			p.layers, p.times = append(p.layers, l), append(p.times, nil)
		}
		p.times[at] = append(p.times[at], seconds)
	}
}

func (p *profiler) result() []LayerTime {
	for i, t := range p.times {
		slices.Sort(t)
		p.layers[i].Seconds = (t[(len(t)-1)/2] + t[len(t)/2]) / 2
	}
	return p.layers
}
