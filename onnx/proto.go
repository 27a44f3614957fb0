package onnx

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"strconv"

	"google.golang.org/protobuf/encoding/protowire"
)

// Field numbers and enumeration values of the messages written here, from onnx/onnx.proto3 of ONNX 1.13. No
// well-kept Go module has the generated messages, and of their hundred fields a graph like this needs thirty.
const (
	modelIRVersion    = 1
	modelProducerName = 2
	modelGraph        = 7
	modelOpsetImport  = 8
	modelMetadata     = 14

	opsetVersion = 2

	graphNode        = 1
	graphName        = 2
	graphInitializer = 5
	graphInput       = 11
	graphOutput      = 12

	nodeInput     = 1
	nodeOutput    = 2
	nodeName      = 3
	nodeOpType    = 4
	nodeAttribute = 5

	attributeName  = 1
	attributeFloat = 2
	attributeInt   = 3
	attributeInts  = 8
	attributeType  = 20

	attributeTypeFloat = 1
	attributeTypeInt   = 2
	attributeTypeInts  = 7

	tensorDims         = 1
	tensorDataType     = 2
	tensorName         = 8
	tensorRawData      = 9
	tensorExternalData = 13
	tensorDataLocation = 14

	locationExternal = 1

	elementFloat = 1
	elementUint8 = 2
	elementInt64 = 7

	entryKey   = 1
	entryValue = 2

	valueName = 1
	valueType = 2

	typeTensor        = 1
	tensorTypeElement = 1
	tensorTypeShape   = 2
	shapeDim          = 1
	dimValue          = 1
	dimParam          = 2
)

// message is a protobuf message under construction.
type message []byte

func (m *message) int(field protowire.Number, v int) {
	*m = protowire.AppendVarint(protowire.AppendTag(*m, field, protowire.VarintType), uint64(v))
}

func (m *message) float(field protowire.Number, v float32) {
	*m = protowire.AppendFixed32(protowire.AppendTag(*m, field, protowire.Fixed32Type), math.Float32bits(v))
}

func (m *message) string(field protowire.Number, v string) {
	*m = protowire.AppendString(protowire.AppendTag(*m, field, protowire.BytesType), v)
}

func (m *message) message(field protowire.Number, v message) {
	*m = protowire.AppendBytes(protowire.AppendTag(*m, field, protowire.BytesType), v)
}

// length announces a field of the given length, whose content follows.
func (m *message) length(field protowire.Number, n int) {
	*m = protowire.AppendVarint(protowire.AppendTag(*m, field, protowire.BytesType), uint64(n))
}

// entry is a key with its text, as metadata and the places of external data are written.
func entry(key, value string) message {
	var m message
	m.string(entryKey, key)
	m.string(entryValue, value)
	return m
}

// attribute is a named constant of a node.
type attribute struct {
	name  string
	value any // int, []int or float32
}

func (a attribute) encode() message {
	var m message
	m.string(attributeName, a.name)
	switch v := a.value.(type) {
	case int:
		m.int(attributeInt, v)
		m.int(attributeType, attributeTypeInt)
	case []int:
		for _, i := range v {
			m.int(attributeInts, i)
		}
		m.int(attributeType, attributeTypeInts)
	case float32:
		m.float(attributeFloat, v)
		m.int(attributeType, attributeTypeFloat)
	default:
		panic(fmt.Sprintf("onnx: attribute %s of type %T", a.name, a.value))
	}
	return m
}

// initializer is a constant tensor of the graph. Exactly one of floats and ints is set. The floats of a large tensor
// are made when they are written, so that a network and its folded copy are never in memory together.
type initializer struct {
	name   string
	dims   []int
	floats func() []float32
	ints   []int

	file   string // that holds the values; empty for the model itself
	offset int    // of the values in that file
}

// size returns the number of bytes of the values.
func (t initializer) size() int {
	n := 4
	if t.ints != nil {
		n = 8
	}
	for _, d := range t.dims {
		n *= d
	}
	return n
}

// header returns everything of the tensor but the bytes of its values.
func (t initializer) header() message {
	element := elementFloat
	if t.ints != nil {
		element = elementInt64
	}
	var m message
	for _, d := range t.dims {
		m.int(tensorDims, d)
	}
	m.int(tensorDataType, element)
	m.string(tensorName, t.name)
	if t.file == "" {
		m.length(tensorRawData, t.size())
		return m
	}
	m.message(tensorExternalData, entry("location", t.file))
	m.message(tensorExternalData, entry("offset", strconv.Itoa(t.offset)))
	m.message(tensorExternalData, entry("length", strconv.Itoa(t.size())))
	m.int(tensorDataLocation, locationExternal)
	return m
}

// inside returns the number of bytes of the tensor in the model itself.
func (t initializer) inside() int {
	n := len(t.header())
	if t.file == "" {
		n += t.size()
	}
	return n
}

// sizeInGraph returns the number of bytes that writeTo writes.
func (t initializer) sizeInGraph() int {
	n := t.inside()
	return protowire.SizeTag(graphInitializer) + protowire.SizeVarint(uint64(n)) + n
}

// writeTo writes the tensor as a field of the graph.
func (t initializer) writeTo(w io.Writer) error {
	var m message
	m.length(graphInitializer, t.inside())
	if _, err := w.Write(append(m, t.header()...)); err != nil {
		return err
	}
	if t.file != "" {
		return nil
	}
	return t.writeValues(w)
}

// writeValues writes the values, little-endian.
func (t initializer) writeValues(w io.Writer) error {
	if t.ints != nil {
		b := make([]byte, 0, t.size())
		for _, v := range t.ints {
			b = binary.LittleEndian.AppendUint64(b, uint64(v))
		}
		_, err := w.Write(b)
		return err
	}
	values := t.floats()
	if 4*len(values) != t.size() {
		panic(fmt.Sprintf("onnx: %d values for %s %v", len(values), t.name, t.dims))
	}
	b := make([]byte, 0, 1<<14)
	for len(values) > 0 {
		n := min(len(values), cap(b)/4)
		b = b[:0]
		for _, v := range values[:n] {
			b = binary.LittleEndian.AppendUint32(b, math.Float32bits(v))
		}
		if _, err := w.Write(b); err != nil {
			return err
		}
		values = values[n:]
	}
	return nil
}
