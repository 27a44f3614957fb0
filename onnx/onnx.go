// Package onnx writes a network as an ONNX model, the exchange format that other inference engines read.
package onnx

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"

	"github.com/bigtransfer/bit/resnet"
)

// Names of the model's input, float32 [N,Channels,H,W], and of its output, float32 [N,Classes]. N, H and W are free.
const (
	Input  = "images"
	Output = "logits"
)

// The format of ONNX 1.13. Every operator used here has kept its meaning since, and runtimes from 2023 on read it.
const (
	irVersion = 8
	opset     = 18
	producer  = "bigtransfer/bit"
)

// ErrTooLarge is returned for a network whose model would not fit into one protobuf message (2 GiB).
var ErrTooLarge = errors.New("an ONNX model in one file holds less than 2 GiB")

// Write writes a network as an ONNX model with the standardisation folded into its kernels. The
// folded kernels are made one at a time, while they are written.
func Write(w io.Writer, net *resnet.Network) error {
	g := build(net)
	var rest message // of the graph: all but its initializers
	for _, n := range g.nodes {
		rest.message(graphNode, n)
	}
	rest.string(graphName, "BiT")
	rest.message(graphInput, value(Input, "N", net.Channels, "H", "W"))
	rest.message(graphOutput, value(Output, "N", net.Classes))

	size := len(rest)
	for _, t := range g.tensors {
		size += t.sizeInGraph()
	}
	var version message
	version.int(opsetVersion, opset)
	var m message
	m.int(modelIRVersion, irVersion)
	m.string(modelProducerName, producer)
	m.message(modelOpsetImport, version)
	m.length(modelGraph, size)
	if total := len(m) + size; total > math.MaxInt32 {
		return fmt.Errorf("onnx: the model has %d bytes: %w", total, ErrTooLarge)
	}

	out := bufio.NewWriterSize(w, 1<<18)
	if _, err := out.Write(slices.Concat(m, rest)); err != nil {
		return err
	}
	for _, t := range g.tensors {
		if err := t.writeTo(out); err != nil {
			return err
		}
	}
	return out.Flush()
}

// value describes an input or output; a dimension is a number or the name of a free one.
func value(name string, dims ...any) message {
	var shape message
	for _, d := range dims {
		var dim message
		switch d := d.(type) {
		case int:
			dim.int(dimValue, d)
		case string:
			dim.string(dimParam, d)
		default:
			panic(fmt.Sprintf("onnx: dimension of type %T", d))
		}
		shape.message(shapeDim, dim)
	}
	var tensor, typ, v message
	tensor.int(tensorTypeElement, elementFloat)
	tensor.message(tensorTypeShape, shape)
	typ.message(typeTensor, tensor)
	v.string(valueName, name)
	v.message(valueType, typ)
	return v
}
