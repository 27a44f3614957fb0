package onnx

import (
	"slices"

	"github.com/bigtransfer/bit/resnet"
)

// graph collects nodes and constants. A constant has the name of the parameter it comes from, a node's output that of
// the node, which begins with the name of its layer.
type graph struct {
	nodes   []message
	tensors []initializer
}

// node appends an operator and returns the name of its only output, which is also the node's.
func (g *graph) node(op, name string, inputs []string, attributes ...attribute) string {
	var m message
	for _, in := range inputs {
		m.string(nodeInput, in)
	}
	m.string(nodeOutput, name)
	m.string(nodeName, name)
	m.string(nodeOpType, op)
	for _, a := range attributes {
		m.message(nodeAttribute, a.encode())
	}
	g.nodes = append(g.nodes, m)
	return name
}

// floats and ints append a constant and return its name. The values are asked for when they are written.
func (g *graph) floats(name string, values func() []float32, dims ...int) string {
	g.tensors = append(g.tensors, initializer{name: name, dims: dims, floats: values})
	return name
}

func (g *graph) ints(name string, values ...int) string {
	g.tensors = append(g.tensors, initializer{name: name, dims: []int{len(values)}, ints: values})
	return name
}

// Constants that every GroupNorm uses.
const (
	groupShape = "groups/shape"
	groupScale = "groups/one"
	groupShift = "groups/zero"
)

// builder writes the layers of one network.
type builder struct {
	graph
	net *resnet.Network
}

// build returns the graph of a network from its input to logits [N,Classes].
func build(net *resnet.Network, o Options) (graph, error) {
	b := builder{net: net}
	images, err := b.preprocess(o)
	if err != nil {
		return graph{}, err
	}
	b.ints(groupShape, 0, net.Groups, -1) // 0 keeps N
	b.floats(groupScale, func() []float32 { return slices.Repeat([]float32{1}, net.Groups) }, net.Groups)
	b.floats(groupShift, func() []float32 { return make([]float32, net.Groups) }, net.Groups)

	x := b.conv(resnet.StemKernel, images, 2)
	// BiT pads with zeros, which win over negative values; the pool's own padding is with -Inf. ONNX Runtime takes the
	// two for the same and merges a Pad into the pool (core/optimizer/pad_fusion.cc), but not one that names its axes.
	pads, axes := b.ints("root/pads", 1, 1, 1, 1), b.ints("root/axes", 2, 3)
	x = b.node("Pad", "root/padded", []string{x, pads, "", axes}) // "" is the value: 0 by default
	x = b.node("MaxPool", "root/pooled", []string{x}, attribute{"kernel_shape", []int{3, 3}}, attribute{"strides", []int{2, 2}})
	for stage, depth := range net.Depths {
		for unit := range depth {
			x = b.unit(stage, unit, x)
		}
	}
	x = b.normReLU("norm", x)
	x = b.node("GlobalAveragePool", "features/mean", []string{x})
	x = b.node("Flatten", "features", []string{x})
	b.node("Gemm", Output, []string{x, b.param(resnet.HeadKernel), b.param(resnet.HeadBias)})
	return b.graph, nil
}

// unit appends a pre-activation bottleneck. The projection, if any, reads what conv1 reads.
func (b *builder) unit(stage, unit int, x string) string {
	name := resnet.UnitName(stage, unit)
	stride := 1
	if unit == 0 {
		stride = resnet.Stride(stage)
	}
	p := b.normReLU(name+"/gn1", x)
	shortcut := x
	if b.net.Projects(stage, unit) {
		shortcut = b.conv(name+"/proj/kernel", p, stride)
	}
	h := b.conv(name+"/conv1/kernel", p, 1)
	h = b.conv(name+"/conv2/kernel", b.normReLU(name+"/gn2", h), stride)
	h = b.conv(name+"/conv3/kernel", b.normReLU(name+"/gn3", h), 1)
	return b.node("Add", name, []string{h, shortcut})
}

// conv appends a convolution with the standardised kernel of that name; zeros keep the positions centred.
func (b *builder) conv(name, x string, stride int) string {
	p := b.net.Param(name)
	kh, kw, in, out := p.Shape[0], p.Shape[1], p.Shape[2], p.Shape[3]
	kernel := b.floats(name, func() []float32 { return foldKernel(p.Value, p.Shape, b.net.WSEpsilon) }, out, in, kh, kw)
	return b.node("Conv", name+"/out", []string{x, kernel},
		attribute{"kernel_shape", []int{kh, kw}},
		attribute{"strides", []int{stride, stride}},
		attribute{"pads", []int{kh / 2, kw / 2, kh / 2, kw / 2}})
}

// normReLU appends GroupNorm and ReLU. The groups are normalised as the channels of a [N,Groups,-1] view; scale and
// shift are a depthwise 1x1 convolution.
//
// ONNX has an operator for GroupNorm, which ONNX Runtime 1.30 takes apart into small ones. Median time of R50x1 at
// 224 px on 2 threads and on 1, on a 2-core Xeon with AVX-512:
//
//	GroupNormalization (opset 21)                         46.6 ms  78.8 ms
//	LayerNormalization over a group, Mul, Add             44.6 ms  80.6 ms
//	InstanceNormalization, Mul, Add                       39.3 ms  68.2 ms
//	ReduceMean twice, Sub, Div, depthwise convolution     38.9 ms  70.4 ms
//	InstanceNormalization, depthwise convolution (this)   37.6 ms  64.1 ms
//
// The convolution takes ReLU into itself and its result is already in the blocked layout that the next one reads.
func (b *builder) normReLU(name, x string) string {
	gamma := b.net.Param(name + "/gamma")
	c := len(gamma.Value)
	shape := b.node("Shape", name+"/shape", []string{x})
	g := b.node("Reshape", name+"/groups", []string{x, groupShape})
	g = b.node("InstanceNormalization", name+"/normalised", []string{g, groupScale, groupShift}, attribute{"epsilon", float32(b.net.GNEpsilon)})
	y := b.node("Reshape", name+"/channels", []string{g, shape})
	scale := b.floats(gamma.Name, func() []float32 { return gamma.Value }, c, 1, 1, 1)
	y = b.node("Conv", name+"/scaled", []string{y, scale, b.param(name + "/beta")}, attribute{"kernel_shape", []int{1, 1}}, attribute{"group", c})
	return b.node("Relu", name+"/relu", []string{y})
}

// param appends a parameter as it is.
func (b *builder) param(name string) string {
	p := b.net.Param(name)
	return b.floats(name, func() []float32 { return p.Value }, p.Shape...)
}
