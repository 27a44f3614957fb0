// Package resnet is the network of BiT: a pre-activation ResNet-v2 with GroupNorm and weight standardisation.
//
// A [Network] holds parameters. A [Trainer] runs it forward and backward, a [Predictor] runs it forward only, with the
// standardised kernels folded once. Activations are N H W C, float32; both accept any batch, height and width.
package resnet

import (
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/bigtransfer/bit/tensor"
)

// Param is one parameter tensor of a network and, once a Trainer has run backward, its gradient.
type Param struct {
	ParamSpec
	Value []float32
	Grad  []float32 // nil until a Trainer is made; Backward adds to it
}

// IsKernel reports whether the parameter is a convolution or head kernel rather than a scale, shift or bias:
// the ones that upstream weight decay applies to (big_vision configs, wd mask ".*/kernel").
func (p *Param) IsKernel() bool { return len(p.Shape) > 1 }

// Network is a configuration and its parameters, in the order of Config.ParamSpecs.
type Network struct {
	Config
	params []*Param
	byName map[string]*Param
}

// NewNetwork returns a network whose parameters are all zero.
func NewNetwork(cfg Config) (*Network, error) {
	return NewNetworkOver(cfg, func(p ParamSpec) []float32 { return make([]float32, tensor.Len(p.Shape)) })
}

// NewNetworkOver returns a network over existing parameters. values returns those of one, as many as its shape needs;
// they are not copied.
func NewNetworkOver(cfg Config, values func(ParamSpec) []float32) (*Network, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	n := &Network{Config: cfg, byName: map[string]*Param{}}
	for _, spec := range cfg.ParamSpecs() {
		p := &Param{ParamSpec: spec, Value: values(spec)}
		n.params = append(n.params, p)
		n.byName[spec.Name] = p
	}
	return n, nil
}

// Params returns every parameter in the order of Config.ParamSpecs.
func (n *Network) Params() []*Param { return n.params }

// Param returns the parameter of that name; a name the network does not have is a programming error.
func (n *Network) Param(name string) *Param {
	p := n.byName[name]
	if p == nil {
		panic(fmt.Sprintf("resnet: no parameter %q", name))
	}
	return p
}

// Init draws fresh parameters: Kaiming-normal kernels (fan out, ReLU gain, as timm resnetv2.py), scales 1, shifts 0,
// and a zero head, so that the first loss is exactly ln(classes). The scale of the kernels does not show in the
// forward pass, because they are standardised; it sets their effective learning rate.
func (n *Network) Init(r *rand.Rand) {
	for _, p := range n.params {
		clear(p.Value)
		switch {
		case len(p.Shape) == 4: // Kh Kw Ci Co
			std := math.Sqrt(2 / float64(p.Shape[0]*p.Shape[1]*p.Shape[3]))
			for i := range p.Value {
				p.Value[i] = float32(r.NormFloat64() * std)
			}
		case len(p.Name) > 6 && p.Name[len(p.Name)-6:] == "/gamma":
			for i := range p.Value {
				p.Value[i] = 1
			}
		}
	}
}

// NewHead replaces the head by a zero one of the given number of classes, as BiT does before fine-tuning.
func (n *Network) NewHead(classes int) {
	n.Classes = classes
	for _, spec := range n.ParamSpecs() {
		if spec.Name == HeadKernel || spec.Name == HeadBias {
			p := n.byName[spec.Name]
			p.Shape, p.Value, p.Grad = spec.Shape, make([]float32, tensor.Len(spec.Shape)), nil
		}
	}
}
