package resnet

import "github.com/bigtransfer/bit/nn"

// backward is what a pass needs for its backward half: the gradients of its maps, two of each role in turn, and the
// memory in which kernel gradients are summed.
type backward struct {
	steps              []step
	dlogits, dfeatures *nn.Map
	dstem              *nn.Map
	units              []unitGrads
	scratch            []float32
}

// unitGrads are the gradients of a unit's maps.
type unitGrads struct{ dx, dh1, dh2, dy *nn.Map }

func like(m *nn.Map, memory []float32) *nn.Map { return nn.NewMapOver(m.N, m.H, m.W, m.C, memory) }

func (p *pass) planBackward(mem memory, again Recompute, shapes []mapShape) {
	b := &backward{}
	p.back = b
	b.dlogits, b.dfeatures = nn.NewMap(p.logits.N, 1, 1, p.logits.C), nn.NewMap(p.features.N, 1, 1, p.features.C)
	out, mid1, mid2 := gradients(shapes)
	images := p.input.N
	turn := [2][]float32{mem.get(evenGrad, images*out), mem.get(oddGrad, images*out)}
	mem1, mem2 := mem.get(mid1Grad, images*mid1), mem.get(mid2Grad, images*mid2)
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
	b.dstem = like(p.stemOut, mem.get(stemGrad, len(p.stemOut.Data)))
	p.head.PlanBackward(b.dlogits, b.dfeatures)

	need := max(p.stem.GradScratch(), p.head.GradScratch())
	for _, u := range p.units {
		need = max(need, u.conv1.GradScratch(), u.conv2.GradScratch(), u.conv3.GradScratch())
		if u.proj != nil {
			need = max(need, u.proj.GradScratch())
		}
	}
	b.scratch = mem.get(kernelGrad, need)
	b.plan(p, again)
}

// plan lists the steps, which add to every parameter's gradient, from dlogits. Before a unit's comes what makes its maps
// again, if forward did not leave them.
func (b *backward) plan(p *pass, again Recompute) {
	b.steps = []step{
		{"head", partKernel, p.head.Conv, func() { p.head.BackwardKernel(b.dlogits, b.scratch) }},
		{"head", partInput, p.head.Conv, p.head.BackwardInput},
		{"mean", partInput, nil, func() { p.mean.Backward(b.dfeatures, b.units[len(b.units)-1].dy) }},
	}
	last := len(p.units) - 1
	for i := last; i >= 0; i-- {
		u := &p.units[i]
		if again >= RecomputeStages && i < last && u.stage != p.units[i+1].stage {
			first := i
			for first > 0 && p.units[first-1].stage == u.stage {
				first--
			}
			for j := first; j < i; j++ {
				b.steps = append(b.steps, p.units[j].forward(partAgain)...)
			}
		}
		if again >= RecomputeUnits && i < last {
			b.steps = append(b.steps, u.inside(partAgain)...)
		}
		b.steps = append(b.steps, p.units[i].backward(b.units[i], b.scratch)...)
	}
	b.steps = append(b.steps,
		step{"root/pool", partInput, nil, func() { p.pool.Backward(b.units[0].dx, b.dstem) }},
		step{"root/conv", partKernel, p.stem, func() { p.stem.BackwardKernel(b.dstem, b.scratch) }})
}

// backward computes g.dx from g.dy. It is forward's mirror image.
func (u *unit) backward(g unitGrads, scratch []float32) []step {
	kernel := func(name string, c *nn.Conv, dy *nn.Map) step {
		return step{u.name + name, partKernel, c, func() { c.BackwardKernel(dy, scratch) }}
	}
	input := func(name string, c *nn.Conv) step { return step{u.name + name, partInput, c, c.BackwardInput} }
	norm := func(name string, n *nn.GroupNorm, skip *nn.Map) step {
		return step{u.name + name, partInput, nil, func() { n.Backward(skip) }}
	}
	steps := []step{
		kernel("/conv3", u.conv3, g.dy), input("/conv3", u.conv3), norm("/gn3", u.gn3, nil),
		kernel("/conv2", u.conv2, g.dh2), input("/conv2", u.conv2), norm("/gn2", u.gn2, nil),
		kernel("/conv1", u.conv1, g.dh1),
	}
	skip := g.dy
	if u.proj != nil {
		skip = nil
		proj := step{u.name + "/proj", partInput, u.proj, func() {
			clear(g.dx.Data) // a strided projection reads only every second pixel
			u.proj.BackwardInput()
		}}
		steps = append(steps, kernel("/proj", u.proj, g.dy), proj)
	}
	return append(steps, input("/conv1", u.conv1), norm("/gn1", u.gn1, skip))
}
