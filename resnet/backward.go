package resnet

import "github.com/bigtransfer/bit/nn"

// backward is what a pass needs for its backward half: the gradients of its maps, two of each role in turn, and the
// memory in which kernel gradients are summed.
type backward struct {
	steps              []step
	dlogits, dfeatures *nn.Map
	dlast, dstem       *nn.Map     // of the last unit's output, of the stem's
	units              []unitGrads // zero for frozen units
	scratch            []float32
}

// unitGrads are the gradients of a unit's maps.
type unitGrads struct{ dx, dh1, dh2, dy *nn.Map }

func like(m *nn.Map, memory []float32) *nn.Map { return nn.NewMapOver(m.N, m.H, m.W, m.C, memory) }

// planBackward plans the backward half, of which the first units have none.
func (p *pass) planBackward(mem memory, o TrainerOptions, frozen int, shapes []mapShape) {
	b := &backward{dlogits: nn.NewMap(p.logits.N, 1, 1, p.logits.C), units: make([]unitGrads, len(p.units))}
	p.back = b
	need := p.head.GradScratch()
	if o.Frozen < FrozenBody {
		b.dfeatures = nn.NewMap(p.features.N, 1, 1, p.features.C)
		p.head.PlanBackward(b.dlogits, b.dfeatures)
		sizes, images := gradients(shapes, o.Frozen, frozen), p.input.N
		turn := [2][]float32{mem.get(evenGrad, images*sizes.turn[0]), mem.get(oddGrad, images*sizes.turn[1])}
		mem1, mem2 := mem.get(mid1Grad, images*sizes.mid1), mem.get(mid2Grad, images*sizes.mid2)
		x := p.pooled
		if frozen > 0 {
			x = p.units[frozen-1].y
		}
		dx := like(x, turn[frozen%2])
		for i := frozen; i < len(p.units); i++ {
			u := &p.units[i]
			g := unitGrads{dx: dx, dh1: like(u.h1, mem1), dh2: like(u.h2, mem2), dy: like(u.y, turn[(i+1)%2])}
			u.conv3.PlanBackward(g.dy, g.dh2, false, true)
			u.conv2.PlanBackward(g.dh2, g.dh1, false, true)
			need = max(need, u.conv1.GradScratch(), u.conv2.GradScratch(), u.conv3.GradScratch())
			if u.proj != nil {
				u.proj.PlanBackward(g.dy, g.dx, false, false)
				need = max(need, u.proj.GradScratch())
			}
			u.conv1.PlanBackward(g.dh1, g.dx, u.proj != nil, true)
			b.units[i] = g
			dx = g.dy
		}
		b.dlast = dx
		if o.Frozen == FrozenNothing {
			b.dstem = like(p.stemOut, mem.get(stemGrad, images*sizes.stem))
			need = max(need, p.stem.GradScratch())
		}
	}
	b.scratch = mem.get(kernelGrad, need)
	b.plan(p, o, frozen)
}

// plan lists the steps, which add to every parameter's gradient, from dlogits. Before a unit's comes what makes its maps
// again, if forward did not leave them.
func (b *backward) plan(p *pass, o TrainerOptions, frozen int) {
	b.steps = []step{{"head", partKernel, p.head.Conv, func() { p.head.BackwardKernel(b.dlogits, b.scratch) }}}
	if o.Frozen == FrozenBody {
		return
	}
	b.steps = append(b.steps, step{"head", partInput, p.head.Conv, p.head.BackwardInput},
		step{"mean", partInput, nil, func() { p.mean.Backward(b.dfeatures, b.dlast) }})
	last, again := len(p.units)-1, o.Recompute
	for i := last; i >= frozen; i-- {
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
		b.steps = append(b.steps, p.units[i].backward(b.units[i], b.scratch, i == frozen && o.Frozen > FrozenNothing)...)
	}
	if o.Frozen > FrozenNothing {
		return
	}
	b.steps = append(b.steps,
		step{"root/pool", partInput, nil, func() { p.pool.Backward(b.units[0].dx, b.dstem) }},
		step{"root/conv", partKernel, p.stem, func() { p.stem.BackwardKernel(b.dstem, b.scratch) }})
}

// backward computes g.dx from g.dy. It is forward's mirror image. With end, nothing needs g.dx: of what comes before the
// unit nothing is trained.
func (u *unit) backward(g unitGrads, scratch []float32, end bool) []step {
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
	if end {
		return append(steps, input("/conv1", u.conv1), step{u.name + "/gn1", partInput, nil, u.gn1.BackwardParams})
	}
	return append(steps, input("/conv1", u.conv1), norm("/gn1", u.gn1, skip))
}
