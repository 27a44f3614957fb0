package resnet_test

import (
	"fmt"
	"math"

	"github.com/bigtransfer/bit/internal/oracle"
	"github.com/bigtransfer/bit/resnet"
)

// float64Net is the network in float64: the arithmetic of package oracle in the order of the paper.
type float64Net struct {
	resnet.Config
	value map[string][]float64
	grad  map[string][]float64 // set by backward, which does not add
}

func newFloat64Net(net *resnet.Network) *float64Net {
	n := &float64Net{Config: net.Config, value: map[string][]float64{}, grad: map[string][]float64{}}
	for _, p := range net.Params() {
		n.value[p.Name] = oracle.Wide(p.Value)
	}
	return n
}

// decisions are the choices at which the network's derivative jumps: which ReLU inputs pass, and which pixel of a
// pooling window is the maximum. Where two float32 results straddle such a point, both are right to rounding, and yet
// their gradients differ by much more. To compare gradients the float64 network can be told another's decisions; it
// then checks that each differing one was a matter of rounding: see resolution.
type decisions struct {
	relu map[string][]bool // by the names of the normalisations
	pool []int             // places in the stem's output, as of oracle.Argmax
}

// resolution is how near to a jump, relative to the largest value of its tensor, a float32 run may take the other side.
// A sum of K products in float32 is off by about √K·2^-24 of its size, 3e-6 for the deepest of the test networks
// (K = 2304), and the layers' errors add up; PyTorch in float32 is off by 4e-6 of the largest value there.
const resolution = 1e-5

// tape is what the float64 network's forward half keeps for its backward half.
type tape struct {
	x, stem, root oracle.Map
	from          []int // maxima of the pooling
	units         []unitTape
	norm          normTape
	features      oracle.Map
	logits        oracle.Map
	convs         map[string]oracle.Conv // with standardised kernels
	kinks         []string               // decisions that differ from the network's own
	err           error                  // one that differs by more than rounding
}

type normTape struct {
	name string
	x, y oracle.Map // y after ReLU
	on   []bool
	norm oracle.GroupNorm
}

type unitTape struct {
	name             string
	gn1, gn2, gn3    normTape
	shortcut, output oracle.Map
}

// forward runs the network, with its own decisions if d is nil.
func (n *float64Net) forward(x oracle.Map, d *decisions) *tape {
	t := &tape{x: x, convs: map[string]oracle.Conv{}}
	conv := func(name string, x oracle.Map, k, co, stride int) oracle.Map {
		c := oracle.Conv{Kh: k, Kw: k, Ci: x.C, Co: co, Stride: stride, Pad: k / 2, W: n.value[name]}
		if name != resnet.HeadKernel {
			c.W = oracle.Standardise(c.W, co, n.WSEpsilon)
		}
		t.convs[name] = c
		return c.Forward(x)
	}
	norm := func(name string, x oracle.Map) normTape {
		g := oracle.GroupNorm{Groups: n.Groups, Epsilon: n.GNEpsilon, Gamma: n.value[name+"/gamma"], Beta: n.value[name+"/beta"]}
		y := g.Forward(x)
		on := oracle.Positive(y.V)
		if d != nil {
			largest := oracle.Largest(y.V)
			for i, own := range on {
				if other := d.relu[name][i]; other != own {
					t.kink(fmt.Sprintf("%s value %d", name, i), math.Abs(y.V[i])/largest)
				}
			}
			on = d.relu[name]
		}
		return normTape{name, x, oracle.Mask(y, on), on, g}
	}

	t.stem = conv(resnet.StemKernel, x, 7, n.StemWidth, 2)
	ho, wo, windows := oracle.PoolWindows(t.stem)
	t.from = oracle.Argmax(t.stem.V, windows)
	if d != nil {
		largest := oracle.Largest(t.stem.V)
		for i, own := range t.from {
			if other := d.pool[i]; other != own {
				t.kink(fmt.Sprintf("pooling, value %d", i), math.Abs(oracle.At(t.stem.V, own)-oracle.At(t.stem.V, other))/largest)
			}
		}
		t.from = d.pool
	}
	t.root = oracle.Map{N: x.N, H: ho, W: wo, C: n.StemWidth, V: oracle.Gather(t.stem.V, t.from)}

	at := t.root
	for s, width := range n.Widths {
		for u := range n.Depths[s] {
			name, stride := resnet.UnitName(s, u), 1
			if u == 0 {
				stride = resnet.Stride(s)
			}
			k := unitTape{name: name, gn1: norm(name+"/gn1", at), shortcut: at}
			if u == 0 {
				k.shortcut = conv(name+"/proj/kernel", k.gn1.y, 1, width, stride)
			}
			k.gn2 = norm(name+"/gn2", conv(name+"/conv1/kernel", k.gn1.y, 1, width/4, 1))
			k.gn3 = norm(name+"/gn3", conv(name+"/conv2/kernel", k.gn2.y, 3, width/4, stride))
			k.output = conv(name+"/conv3/kernel", k.gn3.y, 1, width, 1)
			for i, v := range k.shortcut.V {
				k.output.V[i] += v
			}
			t.units = append(t.units, k)
			at = k.output
		}
	}
	t.norm = norm("norm", at)
	t.features = oracle.Mean(t.norm.y)
	t.logits = conv(resnet.HeadKernel, t.features, 1, n.Classes, 1)
	for i := range t.logits.V {
		t.logits.V[i] += n.value[resnet.HeadBias][i%n.Classes]
	}
	return t
}

// kink records a differing decision, taken at a distance from the jump.
func (t *tape) kink(where string, distance float64) {
	t.kinks = append(t.kinks, fmt.Sprintf("%s at %.1e", where, distance))
	if !(distance <= resolution) && t.err == nil {
		t.err = fmt.Errorf("%s lies %.1e of the largest value from a jump, yet on its other side; float32 resolves %.0e", where, distance, resolution)
	}
}

// backward sets every parameter's gradient, given that of the logits.
func (n *float64Net) backward(t *tape, dlogits []float64) {
	conv := func(name string, x, dy oracle.Map) oracle.Map {
		c := t.convs[name]
		dx, dw := c.Backward(x, dy)
		if name != resnet.HeadKernel {
			dw = oracle.StandardiseBackward(n.value[name], dw, c.Co, n.WSEpsilon)
		}
		n.grad[name] = dw
		return dx
	}
	norm := func(k normTape, dy oracle.Map) oracle.Map {
		dx, dgamma, dbeta := k.norm.Backward(k.x, oracle.Mask(dy, k.on))
		n.grad[k.name+"/gamma"], n.grad[k.name+"/beta"] = dgamma, dbeta
		return dx
	}
	add := func(to, from oracle.Map) {
		for i, v := range from.V {
			to.V[i] += v
		}
	}

	bias := make([]float64, n.Classes)
	for i, v := range dlogits {
		bias[i%n.Classes] += v
	}
	n.grad[resnet.HeadBias] = bias
	d := oracle.Map{N: t.x.N, H: 1, W: 1, C: n.Classes, V: dlogits}
	d = norm(t.norm, oracle.MeanBackward(t.norm.x, conv(resnet.HeadKernel, t.features, d)))
	for i := len(t.units) - 1; i >= 0; i-- {
		k := t.units[i]
		dp := conv(k.name+"/conv1/kernel", k.gn1.y,
			norm(k.gn2, conv(k.name+"/conv2/kernel", k.gn2.y,
				norm(k.gn3, conv(k.name+"/conv3/kernel", k.gn3.y, d)))))
		if proj := k.name + "/proj/kernel"; n.value[proj] != nil {
			add(dp, conv(proj, k.gn1.y, d))
			d = norm(k.gn1, dp)
		} else {
			dx := norm(k.gn1, dp)
			add(dx, d)
			d = dx
		}
	}
	stem := oracle.Like(t.stem)
	stem.V = oracle.Scatter(d.V, t.from, len(stem.V))
	conv(resnet.StemKernel, t.x, stem)
}

// trainerDecisions reads the decisions of a trainer's last Forward from its maps.
func trainerDecisions(tr *resnet.Trainer) *decisions {
	d := &decisions{relu: map[string][]bool{}}
	for name, norm := range tr.Norms() {
		d.relu[name] = oracle.Positive(norm.Output().Data)
	}
	x := tr.StemOutput()
	_, _, windows := oracle.PoolWindows(oracle.Map{N: x.N, H: x.H, W: x.W, C: x.C})
	d.pool = oracle.Argmax(x.Data, windows)
	return d
}
