package resnet

import "github.com/bigtransfer/bit/nn"

// unitKernels are the convolutions of one bottleneck unit, whatever the input's shape.
type unitKernels struct {
	stage, unit               int
	proj, conv1, conv2, conv3 *nn.Kernel // proj nil: identity shortcut
}

// kernels are all convolutions of a network, made once; passes of different shapes share them.
type kernels struct {
	stem, head *nn.Kernel
	units      []unitKernels
	all        []*nn.Kernel
}

func (n *Network) newKernels(e *nn.Engine, train bool) *kernels {
	ks := &kernels{}
	kernel := func(name string, kh, ci, co, stride int, epsilon float64) *nn.Kernel {
		p := n.Param(name)
		var grad []float32
		if train {
			grad = p.Grad
		}
		k := nn.NewKernel(e, kh, kh, ci, co, stride, kh/2, p.Value, grad, epsilon)
		ks.all = append(ks.all, k)
		return k
	}
	ks.stem = kernel(StemKernel, 7, n.Channels, n.StemWidth, 2, n.WSEpsilon)
	for s := range n.Widths {
		mid, out := n.Mid(s), n.Widths[s]
		for u := range n.Depths[s] {
			in, stride, name := out, 1, UnitName(s, u)
			if u == 0 {
				in, stride = n.In(s), Stride(s)
			}
			k := unitKernels{stage: s, unit: u}
			if n.Projects(s, u) {
				k.proj = kernel(name+"/proj/kernel", 1, in, out, stride, n.WSEpsilon)
			}
			k.conv1 = kernel(name+"/conv1/kernel", 1, in, mid, 1, n.WSEpsilon)
			k.conv2 = kernel(name+"/conv2/kernel", 3, mid, mid, stride, n.WSEpsilon)
			k.conv3 = kernel(name+"/conv3/kernel", 1, mid, out, 1, n.WSEpsilon)
			ks.units = append(ks.units, k)
		}
	}
	ks.head = kernel(HeadKernel, 1, n.FeatureWidth(), n.Classes, 1, 0)
	return ks
}

// fold derives the applied kernels from the parameters.
func (ks *kernels) fold() {
	for _, k := range ks.all {
		k.Fold()
	}
}

// freeze is fold for the last time: see nn.Kernel.Freeze.
func (ks *kernels) freeze() {
	largest := 0
	for _, k := range ks.all {
		largest = max(largest, k.Kh*k.Kw*k.Ci*k.Co)
	}
	spare := make([]float32, largest)
	for _, k := range ks.all {
		k.Freeze(spare)
	}
}

// pass is the network laid out for one input shape: every buffer, every layer's plan, and their order.
type pass struct {
	forward []step    // the head last
	back    *backward // nil for inference

	input    *nn.Map
	stem     *nn.Conv
	pool     *nn.MaxPool
	units    []unit
	norm     *nn.GroupNorm
	mean     *nn.GlobalMean
	head     *nn.Dense
	features *nn.Map // [N,1,1,F]
	logits   *nn.Map // [N,1,1,classes]

	stemOut, pooled *nn.Map
}

// unit is a pre-activation bottleneck: with p = relu(gn1(x)),
//
//	h1 = conv1(p)   h2 = conv2(relu(gn2(h1)))   y = conv3(relu(gn3(h2))) + shortcut
//
// where the shortcut is proj(p), or x itself.
type unit struct {
	name                      string
	stage                     int
	gn1, gn2, gn3             *nn.GroupNorm
	proj, conv1, conv2, conv3 *nn.Conv
	x, h1, h2, y              *nn.Map
}

func (u *unit) forward(part string) []step {
	steps := []step{{u.name + "/gn1", part, nil, u.gn1.Prepare}}
	if u.proj != nil {
		steps = append(steps, step{u.name + "/proj", part, u.proj, u.proj.Forward})
	}
	return append(append(steps, u.inside(part)...), step{u.name + "/conv3", part, u.conv3, u.conv3.Forward})
}

// inside are the steps from x to h2, once gn1 is prepared.
func (u *unit) inside(part string) []step {
	return []step{
		{u.name + "/conv1", part, u.conv1, u.conv1.Forward},
		{u.name + "/gn2", part, nil, u.gn2.Prepare},
		{u.name + "/conv2", part, u.conv2, u.conv2.Forward},
		{u.name + "/gn3", part, nil, u.gn3.Prepare},
	}
}

// newPass lays the network out for input [n,h,w,Channels], for training if there are options of a trainer. Maps that
// are no longer needed give their memory to later ones, and to those of other passes.
func (n *Network) newPass(e *nn.Engine, ks *kernels, mem memory, train *TrainerOptions, images, h, w int) *pass {
	norm := func(x *nn.Map, name string) *nn.GroupNorm {
		gamma, beta := n.Param(name+"gamma"), n.Param(name+"beta")
		var dgamma, dbeta []float32
		if train != nil {
			dgamma, dbeta = gamma.Grad, beta.Grad
		}
		return nn.NewGroupNorm(e, x, gamma.Value, beta.Value, dgamma, dbeta, n.Groups, n.GNEpsilon)
	}
	shapes := n.layout(train, h, w)
	mem.reserve(images, shapes)
	p := &pass{input: nn.NewMap(images, h, w, n.Channels)}
	p.stemOut = mem.place(images, shapes[0])
	p.stem = nn.NewConv(ks.stem, p.input, nil, p.stemOut, nil, false, false)
	p.pooled = mem.place(images, shapes[1])
	p.pool = nn.NewMaxPool(e, p.stemOut, p.pooled)
	x := p.pooled
	for i, k := range ks.units {
		name, maps := UnitName(k.stage, k.unit), shapes[2+3*i:]
		u := unit{name: name, stage: k.stage, x: x, gn1: norm(x, name+"/gn1/")}
		u.h1, u.h2, u.y = mem.place(images, maps[0]), mem.place(images, maps[1]), mem.place(images, maps[2])
		shortcut := x
		if k.proj != nil {
			shortcut = nil
			u.proj = nn.NewConv(k.proj, x, u.gn1, u.y, nil, false, false)
		}
		u.conv1 = nn.NewConv(k.conv1, x, u.gn1, u.h1, nil, false, true)
		u.gn2 = norm(u.h1, name+"/gn2/")
		u.conv2 = nn.NewConv(k.conv2, u.h1, u.gn2, u.h2, nil, false, true)
		u.gn3 = norm(u.h2, name+"/gn3/")
		u.conv3 = nn.NewConv(k.conv3, u.h2, u.gn3, u.y, shortcut, k.proj != nil, true)
		p.units = append(p.units, u)
		x = u.y
	}
	p.norm = norm(x, "norm/")
	p.features = nn.NewMap(images, 1, 1, n.FeatureWidth())
	p.mean = nn.NewGlobalMean(e, x, p.norm, p.features)
	p.logits = nn.NewMap(images, 1, 1, n.Classes)
	bias := n.Param(HeadBias)
	p.head = nn.NewDense(ks.head, bias.Value, bias.Grad, p.features, p.logits)
	p.planForward()
	if train != nil {
		p.planBackward(mem, *train, n.frozenUnits(train.Frozen), shapes)
	}
	return p
}

func (p *pass) planForward() {
	p.forward = []step{{"root/conv", partForward, p.stem, p.stem.Forward}, {"root/pool", partForward, nil, p.pool.Forward}}
	for i := range p.units {
		p.forward = append(p.forward, p.units[i].forward(partForward)...)
	}
	p.forward = append(p.forward,
		step{"norm", partForward, nil, p.norm.Prepare}, step{"mean", partForward, nil, p.mean.Forward},
		step{"head", partForward, p.head.Conv, p.head.Forward})
}

// body returns the steps from input to features: all but the head.
func (p *pass) body() []step { return p.forward[:len(p.forward)-1] }
