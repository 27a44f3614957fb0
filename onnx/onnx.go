// Package onnx writes a network as an ONNX model, the exchange format that other inference engines read.
package onnx

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"

	"github.com/bigtransfer/bit/imaging"
	"github.com/bigtransfer/bit/internal/atomicfile"
	"github.com/bigtransfer/bit/resnet"
)

// Input is what a model takes; the value is the name of its input. The first dimension, N, is always free.
type Input string

const (
	Images Input = "images" // float32 [N,Channels,H,W], prepared as the network wants them
	Pixels Input = "pixels" // uint8 [N,H,W,3], RGB of the size that the network wants; scaled and normalised inside
)

// Output is the name of the output, float32 [N,Classes].
const Output = "logits"

// Options say what a model has beside the network. The zero value of each field but Input is a sound choice.
type Options struct {
	Input         Input
	Height, Width int                // of the input; 0 leaves both free
	Processor     *imaging.Processor // for Pixels: how they are scaled and normalised
	Metadata      map[string]string  // what programs that use the model may read

	// External puts the weights into a file of their own, beside the model and of its name with ".data" added. A model
	// of 2 GiB and more, which one file cannot hold, always has it.
	External bool
}

// The format of ONNX 1.13. Every operator used here has kept its meaning since, and runtimes from 2023 on read it.
const (
	irVersion = 8
	opset     = 18
	producer  = "bigtransfer/bit"
)

// Sizes of what lies in a file of its own: a tensor from 1 KiB on, where the reference implementation (onnx/helper.py)
// begins too, on a boundary of pages, so that it can be mapped.
const (
	externalFrom  = 1 << 10
	externalAlign = 1 << 12
)

// Save writes a network as an ONNX model with the standardisation folded into its kernels. These are made one at a time,
// while they are written. The file, and the one of the weights where there is one, appear when they are complete, or
// not at all.
func Save(ctx context.Context, path string, net *resnet.Network, o Options) error {
	m, err := encode(net, o, filepath.Base(path)+".data")
	if err != nil {
		return err
	}
	if m.external > 0 {
		err := atomicfile.Replace(path+".data", func(w io.Writer) error {
			if err := m.writeData(atomicfile.Until(ctx, w)); err != nil {
				return err
			}
			// A model that is there already would take these weights for its own.
			if err := os.Remove(path); !errors.Is(err, fs.ErrNotExist) {
				return err
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	err = atomicfile.Replace(path, func(w io.Writer) error { return m.writeTo(atomicfile.Until(ctx, w)) })
	if err != nil && m.external > 0 { // weights without a model
		err = errors.Join(err, os.Remove(path+".data"))
	}
	return err
}

// model is a model that is ready to be written.
type model struct {
	head     message       // all but the constants, which are the last field of the graph
	tensors  []initializer // the constants
	external int           // bytes of the file of the weights; 0 if there is none
}

// encode describes the model of a network; the weights go into the named file if they must.
func encode(net *resnet.Network, o Options, file string) (model, error) {
	var in message
	switch h, w := side(o.Height, "H"), side(o.Width, "W"); o.Input {
	case Images:
		in = value(string(o.Input), elementFloat, "N", net.Channels, h, w)
	case Pixels:
		in = value(string(o.Input), elementUint8, "N", h, w, 3)
	default:
		return model{}, fmt.Errorf("onnx: input %q: want %q or %q", o.Input, Images, Pixels)
	}
	g, err := build(net, o)
	if err != nil {
		return model{}, err
	}
	var rest message // of the graph: all but its initializers
	for _, n := range g.nodes {
		rest.message(graphNode, n)
	}
	rest.string(graphName, "BiT")
	rest.message(graphInput, in)
	rest.message(graphOutput, value(Output, elementFloat, "N", net.Classes))

	m := model{tensors: g.tensors}
	if !o.External {
		m.finish(o, rest)
	}
	if o.External || len(m.head)+m.inside() > math.MaxInt32 {
		m.takeOut(file)
		m.finish(o, rest)
	}
	return m, nil
}

// finish makes the head, whose lengths depend on where the tensors are.
func (m *model) finish(o Options, rest message) {
	var version message
	version.int(opsetVersion, opset)
	m.head = nil
	m.head.int(modelIRVersion, irVersion)
	m.head.string(modelProducerName, producer)
	m.head.message(modelOpsetImport, version)
	for _, key := range slices.Sorted(maps.Keys(o.Metadata)) {
		m.head.message(modelMetadata, entry(key, o.Metadata[key]))
	}
	m.head.length(modelGraph, len(rest)+m.inside())
	m.head = append(m.head, rest...)
}

// inside returns the bytes of the tensors in the model itself.
func (m *model) inside() int {
	n := 0
	for _, t := range m.tensors {
		n += t.sizeInGraph()
	}
	return n
}

// takeOut gives the large tensors their places in a file of their own. Shapes and the like stay: what infers the shapes
// of a graph needs them at hand.
func (m *model) takeOut(file string) {
	for i := range m.tensors {
		if t := &m.tensors[i]; t.floats != nil && t.size() >= externalFrom {
			t.file, t.offset = file, (m.external+externalAlign-1)/externalAlign*externalAlign
			m.external = t.offset + t.size()
		}
	}
}

// writeTo writes the model.
func (m *model) writeTo(w io.Writer) error {
	if _, err := w.Write(m.head); err != nil {
		return err
	}
	for _, t := range m.tensors {
		if err := t.writeTo(w); err != nil {
			return err
		}
	}
	return nil
}

// writeData writes the file of the weights.
func (m *model) writeData(w io.Writer) error {
	at := 0
	for _, t := range m.tensors {
		if t.file == "" {
			continue
		}
		if _, err := w.Write(make([]byte, t.offset-at)); err != nil {
			return err
		}
		if err := t.writeValues(w); err != nil {
			return err
		}
		at = t.offset + t.size()
	}
	return nil
}

// side is a dimension: a number, or a name where it is free.
func side(n int, name string) any {
	if n == 0 {
		return name
	}
	return n
}

// value describes an input or output; a dimension is a number or the name of a free one.
func value(name string, element int, dims ...any) message {
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
	tensor.int(tensorTypeElement, element)
	tensor.message(tensorTypeShape, shape)
	typ.message(typeTensor, tensor)
	v.string(valueName, name)
	v.message(valueType, typ)
	return v
}
