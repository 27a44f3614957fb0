package resnet

import (
	"fmt"
	"math"
)

// Config describes a pre-activation ResNet-v2 with GroupNorm and weight standardisation. Everything that differs
// between two such networks is here; nothing else in the package knows a variant by name.
type Config struct {
	Channels  int     // input channels; 3 for colour
	StemWidth int     // output channels of the 7x7 stem: 64·w in the released variants
	Widths    []int   // output channels of each stage: 256·w, 512·w, 1024·w, 2048·w
	Depths    []int   // bottleneck units of each stage, one entry per width
	Groups    int     // GroupNorm groups; 32 in every released variant
	Classes   int     // outputs of the head
	GNEpsilon float64 // added to the variance in GroupNorm: 1e-5 (big_transfer bit_pytorch/models.py)
	WSEpsilon float64 // added to the variance in weight standardisation: 1e-10 official, 1e-8 timm and Hugging Face
}

// The epsilons of the public implementations. They differ only in weight standardisation, where a filter of tiny
// variance tells them apart.
const (
	GNEpsilon         = 1e-5
	WSEpsilonOfficial = 1e-10 // big_transfer bit_pytorch/models.py, bit_jax/models.py, bit_tf2/models.py
	WSEpsilonTimm     = 1e-8  // timm/models/resnetv2.py; transformers modeling_bit.py
)

// Mid returns the bottleneck width of a stage: a quarter of its output width.
func (c Config) Mid(stage int) int { return c.Widths[stage] / 4 }

// In returns the number of channels that enter a stage.
func (c Config) In(stage int) int {
	if stage == 0 {
		return c.StemWidth
	}
	return c.Widths[stage-1]
}

// FeatureWidth returns the length of the pooled feature vector.
func (c Config) FeatureWidth() int { return c.Widths[len(c.Widths)-1] }

// Stride returns the stride of the first unit of a stage: 1, 2, 2, 2.
func Stride(stage int) int {
	if stage == 0 {
		return 1
	}
	return 2
}

// maxDepth is far beyond any network in use (R200 has 36 units in a stage) and keeps a slip of the keyboard from filling
// the memory with names of parameters.
const maxDepth = 10_000

// Validate reports the first field that no network can have.
func (c Config) Validate() error {
	switch {
	case c.Channels < 1:
		return fmt.Errorf("resnet: %d input channels, want at least 1", c.Channels)
	case c.StemWidth < 1:
		return fmt.Errorf("resnet: stem width %d, want at least 1", c.StemWidth)
	case len(c.Widths) == 0 || len(c.Widths) != len(c.Depths):
		return fmt.Errorf("resnet: %d widths and %d depths, want the same number and at least 1", len(c.Widths), len(c.Depths))
	case c.Groups < 1:
		return fmt.Errorf("resnet: %d groups, want at least 1", c.Groups)
	case c.Classes < 1:
		return fmt.Errorf("resnet: %d classes, want at least 1", c.Classes)
	case c.StemWidth%c.Groups != 0:
		return fmt.Errorf("resnet: stem width %d is not a multiple of %d groups", c.StemWidth, c.Groups)
	case !(c.GNEpsilon > 0) || math.IsInf(c.GNEpsilon, 0):
		return fmt.Errorf("resnet: GroupNorm epsilon %v, want a positive number", c.GNEpsilon)
	case !(c.WSEpsilon > 0) || math.IsInf(c.WSEpsilon, 0):
		return fmt.Errorf("resnet: weight standardisation epsilon %v, want a positive number", c.WSEpsilon)
	}
	for s := range c.Widths {
		if c.Depths[s] < 1 || c.Depths[s] > maxDepth {
			return fmt.Errorf("resnet: depths: stage %d has %d units, want 1 to %d", s+1, c.Depths[s], maxDepth)
		}
		if c.Widths[s] < 4 || c.Widths[s]%4 != 0 || c.Mid(s)%c.Groups != 0 {
			return fmt.Errorf("resnet: width %d of stage %d is not a multiple of 4·%d (bottleneck of a quarter, %d groups)", c.Widths[s], s+1, c.Groups, c.Groups)
		}
	}
	return nil
}

// ParamSpec names one parameter tensor and gives its shape.
type ParamSpec struct {
	Name  string
	Shape []int
}

// Names of the parameters outside the units. Those of a unit are UnitName + "/" + one of gn1..gn3/{gamma,beta},
// conv1..conv3/kernel, proj/kernel. Convolution kernels are H W I O, as in the official files; the head kernel is
// (features, classes).
const (
	StemKernel = "root/kernel"
	NormGamma  = "norm/gamma"
	NormBeta   = "norm/beta"
	HeadKernel = "head/kernel"
	HeadBias   = "head/bias"
)

// UnitName returns the name of a unit, both counted from 0: UnitName(0, 1) is "block1/unit02".
func UnitName(stage, unit int) string { return fmt.Sprintf("block%d/unit%02d", stage+1, unit+1) }

// ParamSpecs lists every parameter in the order of the forward pass.
func (c Config) ParamSpecs() []ParamSpec {
	specs := []ParamSpec{{StemKernel, []int{7, 7, c.Channels, c.StemWidth}}}
	for s := range c.Widths {
		mid, out := c.Mid(s), c.Widths[s]
		for u := range c.Depths[s] {
			in := out
			if u == 0 {
				in = c.In(s)
			}
			name := UnitName(s, u)
			add := func(tail string, shape ...int) { specs = append(specs, ParamSpec{name + "/" + tail, shape}) }
			add("gn1/gamma", in)
			add("gn1/beta", in)
			if c.Projects(s, u) {
				add("proj/kernel", 1, 1, in, out)
			}
			add("conv1/kernel", 1, 1, in, mid)
			add("gn2/gamma", mid)
			add("gn2/beta", mid)
			add("conv2/kernel", 3, 3, mid, mid)
			add("gn3/gamma", mid)
			add("gn3/beta", mid)
			add("conv3/kernel", 1, 1, mid, out)
		}
	}
	f := c.FeatureWidth()
	return append(specs,
		ParamSpec{NormGamma, []int{f}},
		ParamSpec{NormBeta, []int{f}},
		ParamSpec{HeadKernel, []int{f, c.Classes}},
		ParamSpec{HeadBias, []int{c.Classes}})
}

// Projects reports whether a unit's shortcut is a convolution: the first unit of every stage
// (unconditional in transformers modeling_bit.py; in the released variants the widths always differ there).
func (c Config) Projects(stage, unit int) bool { return unit == 0 }
