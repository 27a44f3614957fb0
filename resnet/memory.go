package resnet

import (
	"fmt"

	"github.com/bigtransfer/bit/nn"
	"github.com/bigtransfer/bit/tensor"
)

// Recompute says what a Trainer gives up after the forward pass and computes again on the way back: memory for time.
// Results have the same bits.
type Recompute int

const (
	RecomputeNothing Recompute = iota
	RecomputeUnits             // maps inside units: about a third more forward work for a fifth less memory in R50x1
	RecomputeStages            // and outputs of units, but for each stage's last: the forward pass nearly twice, two fifths less
)

func (r Recompute) String() string {
	switch r {
	case RecomputeNothing:
		return "nothing"
	case RecomputeUnits:
		return "units"
	case RecomputeStages:
		return "stages"
	}
	return fmt.Sprintf("Recompute(%d)", int(r))
}

// MarshalText writes the name of what is computed again.
func (r Recompute) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// Recomputes lists the ways to train, from the one that takes most memory to the one that takes least.
func Recomputes() []Recompute { return []Recompute{RecomputeNothing, RecomputeUnits, RecomputeStages} }

// role is what memory is for. Maps of one role are never needed at the same time, neither in a pass nor in two passes of
// one network, since these take turns.
type role int

const (
	stemMap role = iota
	pooledMap
	evenMap // inference and frozen units: outputs of every second unit, and of the pool
	oddMap
	mid1Map
	mid2Map
	stemGrad
	evenGrad
	oddGrad
	mid1Grad
	mid2Grad
	kernelGrad
	ownMap // and those above it: training's maps that backward finds as forward left them
)

// mapShape is a map's place, and its sides and channels.
type mapShape struct {
	role    role
	h, w, c int
}

func (s mapShape) values() int { return s.h * s.w * s.c }

// layout lists the maps of a pass over images of h x w pixels, in the order of the forward pass: the stem's output, the
// pool's, and h1, h2 and y of each unit. train is nil for inference.
func (c Config) layout(train *TrainerOptions, h, w int) []mapShape {
	frozen, again := 0, RecomputeNothing
	if train != nil {
		frozen, again = c.frozenUnits(train.Frozen), train.Recompute
	}
	half := func() { h, w = (h+1)/2, (w+1)/2 } // every strided layer makes ceil(n/2) of n positions
	own := ownMap
	fresh := func(shared role, share bool) role {
		if share {
			return shared
		}
		own++
		return own
	}
	half()
	shapes := []mapShape{{stemMap, h, w, c.StemWidth}}
	half()
	shapes = append(shapes, mapShape{fresh(evenMap, train == nil || frozen > 0), h, w, c.StemWidth})
	stageMap := func(unit int) role { return -1 - role(unit) } // one memory for the unit-th outputs of all stages
	i := 0
	for s, depth := range c.Depths {
		for u := range depth {
			passing := train == nil || i < frozen // no backward pass will come
			h1 := mapShape{fresh(mid1Map, passing || again >= RecomputeUnits), h, w, c.Mid(s)}
			if u == 0 && Stride(s) == 2 {
				half()
			}
			h2 := mapShape{fresh(mid2Map, passing || again >= RecomputeUnits), h, w, c.Mid(s)}
			y := mapShape{h: h, w: w, c: c.Widths[s]}
			switch {
			case passing:
				y.role = []role{oddMap, evenMap}[i%2]
			case again >= RecomputeStages && u < depth-1:
				y.role = stageMap(u)
			default:
				y.role = fresh(0, false)
			}
			shapes = append(shapes, h1, h2, y)
			i++
		}
	}
	return shapes
}

// memory is what the passes of a network share, by role.
type memory map[role][]float32

// get returns n values of a role, which keep the memory if another pass asks for more later.
func (m memory) get(r role, n int) []float32 {
	if len(m[r]) < n {
		m[r] = make([]float32, n)
	}
	return m[r][:n]
}

// reserve sees to it that maps of a role, whose sizes differ, all get the memory of the largest.
func (m memory) reserve(images int, shapes []mapShape) {
	for r, n := range largest(shapes) {
		m.get(r, images*n)
	}
}

func (m memory) place(images int, s mapShape) *nn.Map {
	return nn.NewMapOver(images, s.h, s.w, s.c, m.get(s.role, images*s.values()))
}

// largest returns the values of the largest map of each role.
func largest(shapes []mapShape) map[role]int {
	sizes := map[role]int{}
	for _, s := range shapes {
		sizes[s.role] = max(sizes[s.role], s.values())
	}
	return sizes
}

// gradMaps are the values for each image of the gradients that are alive at the same time: those of a unit's input and
// output in turn, of its h1 and h2, and of the stem's output.
type gradMaps struct {
	turn             [2]int
	mid1, mid2, stem int
}

func (g gradMaps) values() int { return g.turn[0] + g.turn[1] + g.mid1 + g.mid2 + g.stem }

// gradients returns the sizes of the gradients' maps if the first units are frozen.
func gradients(shapes []mapShape, frozen Frozen, units int) gradMaps {
	var g gradMaps
	if frozen == FrozenBody {
		return g
	}
	out := shapes[1+3*units].values() // the first trained unit's input
	g.turn[units%2] = out
	for i := 2 + 3*units; i < len(shapes); i += 3 {
		g.mid1, g.mid2, out = max(g.mid1, shapes[i].values()), max(g.mid2, shapes[i+1].values()), max(out, shapes[i+2].values())
		g.turn = [2]int{out, out}
	}
	if frozen == FrozenNothing {
		g.stem = shapes[0].values()
	}
	return g
}

// TrainingBytes returns the memory that one image of h x w pixels takes in a Trainer: its pixels, its maps as far as they
// are kept, and the gradients that are alive at the same time.
func (c Config) TrainingBytes(h, w int, o TrainerOptions) int64 {
	shapes := c.layout(&o, h, w)
	values := h*w*c.Channels + gradients(shapes, o.Frozen, c.frozenUnits(o.Frozen)).values()
	for _, n := range largest(shapes) {
		values += n
	}
	return 4 * int64(values)
}

// TrainerBytes returns about the memory that a Trainer takes for batches of images of h x w pixels, parameters included:
// beside what each image takes, the parameters and their gradients, kernels packed for the forward and the backward
// pass, the sums of a kernel's gradient, and one padded copy of a map.
func (c Config) TrainerBytes(images, h, w int, o TrainerOptions) int64 {
	packed, kernel := c.kernelValues(FrozenNothing)
	trained, _ := c.kernelValues(o.Frozen)
	fixed := c.NumParams() + c.NumTrained(o.Frozen) + packed + trained + 2*kernel
	return 4*int64(fixed+images*c.paddedValues(h, w)) + int64(images)*c.TrainingBytes(h, w, o)
}

// PredictorBytes returns about the memory that a Predictor takes for batches of images of h x w pixels, the parameters not
// included: packed kernels, maps, and one padded copy of a map.
func (c Config) PredictorBytes(images, h, w int) int64 {
	packed, _ := c.kernelValues(FrozenNothing)
	values := h*w*c.Channels + c.paddedValues(h, w)
	for _, n := range largest(c.layout(nil, h, w)) {
		values += n
	}
	return 4 * (int64(packed) + int64(images)*int64(values))
}

// kernelValues returns the values of all kernels that are not frozen and of the largest.
func (c Config) kernelValues(f Frozen) (all, largest int) {
	for _, p := range c.ParamSpecs() {
		if len(p.Shape) > 1 && !f.Freezes(p.Name) {
			n := tensor.Len(p.Shape)
			all, largest = all+n, max(largest, n)
		}
	}
	return all, largest
}

// paddedValues returns the values of an image's largest padded copy. Wide kernels read copies with up to 3 pixels around
// them, or 5 where Winograd's tiles reach beyond the map.
func (c Config) paddedValues(h, w int) int {
	values := (h + 6) * (w + 6) * c.Channels
	for i, s := range c.layout(&TrainerOptions{}, h, w) {
		if i >= 2 && i%3 != 1 { // h1 forward, h2's gradient backward
			values = max(values, (s.h+5)*(s.w+5)*s.c)
		}
	}
	return values
}
