package resnet

import "github.com/bigtransfer/bit/nn"

// backward is what a pass needs for its backward half: the gradients of its maps, two of each role in turn, and the
// memory in which kernel gradients are summed.
type backward struct {
	dlogits, dfeatures *nn.Map
	dstem              *nn.Map
	units              []unitGrads
	scratch            []float32
}

// unitGrads are the gradients of a unit's maps.
type unitGrads struct{ dx, dh1, dh2, dy *nn.Map }

func like(m *nn.Map, memory []float32) *nn.Map { return nn.NewMapOver(m.N, m.H, m.W, m.C, memory) }

func (p *pass) planBackward(ks *kernels) {
	b := &backward{}
	p.back = b
	b.dlogits, b.dfeatures = nn.NewMap(p.logits.N, 1, 1, p.logits.C), nn.NewMap(p.features.N, 1, 1, p.features.C)
	outs, mid1, mid2 := len(p.pooled.Data), 0, 0
	for _, u := range p.units {
		outs, mid1, mid2 = max(outs, len(u.y.Data)), max(mid1, len(u.h1.Data)), max(mid2, len(u.h2.Data))
	}
	turn := [2][]float32{make([]float32, outs), make([]float32, outs)}
	mem1, mem2 := make([]float32, mid1), make([]float32, mid2)
	dx := like(p.pooled, turn[0])
	for i := range p.units {
		u := &p.units[i]
		g := unitGrads{dx: dx, dh1: like(u.h1, mem1), dh2: like(u.h2, mem2), dy: like(u.y, turn[(i+1)%2])}
		u.conv3.PlanBackward(g.dy, g.dh2, false, true)
		u.conv2.PlanBackward(g.dh2, g.dh1, false, true)
		if u.proj != nil {
			u.proj.PlanBackward(g.dy, g.dx, false, false)
		}
		u.conv1.PlanBackward(g.dh1, g.dx, u.proj != nil, true)
		b.units = append(b.units, g)
		dx = g.dy
	}
	b.dstem = nn.NewMap(p.stemOut.N, p.stemOut.H, p.stemOut.W, p.stemOut.C)
	p.head.PlanBackward(b.dlogits, b.dfeatures)

	need := max(p.stem.GradScratch(), p.head.GradScratch())
	for _, u := range p.units {
		need = max(need, u.conv1.GradScratch(), u.conv2.GradScratch(), u.conv3.GradScratch())
		if u.proj != nil {
			need = max(need, u.proj.GradScratch())
		}
	}
	b.scratch = make([]float32, need)
}

// backward adds to every parameter's gradient, from back.dlogits.
func (p *pass) backward() {
	b := p.back
	p.head.Backward(b.dlogits, b.scratch)
	p.mean.Backward(b.dfeatures, b.units[len(b.units)-1].dy)
	for i := len(p.units) - 1; i >= 0; i-- {
		p.units[i].backward(b.units[i], b.scratch)
	}
	p.pool.Backward(b.units[0].dx, b.dstem)
	p.stem.BackwardKernel(b.dstem, b.scratch)
}

// backward computes g.dx from g.dy. It is forward's mirror image.
func (u *unit) backward(g unitGrads, scratch []float32) {
	u.conv3.BackwardKernel(g.dy, scratch)
	u.conv3.BackwardInput()
	u.gn3.Backward(nil)
	u.conv2.BackwardKernel(g.dh2, scratch)
	u.conv2.BackwardInput()
	u.gn2.Backward(nil)
	u.conv1.BackwardKernel(g.dh1, scratch)
	skip := g.dy
	if u.proj != nil {
		skip = nil
		u.proj.BackwardKernel(g.dy, scratch)
		clear(g.dx.Data) // a strided projection reads only every second pixel
		u.proj.BackwardInput()
	}
	u.conv1.BackwardInput()
	u.gn1.Backward(skip)
}
