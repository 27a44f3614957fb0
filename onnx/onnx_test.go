package onnx

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/bigtransfer/bit/imaging"
	"github.com/bigtransfer/bit/resnet"
)

func TestFoldKernel(t *testing.T) {
	// Shape 1x2x2x2. Filter 0 is 1 3 5 7: mean 4, variance 5. Filter 1 is constant.
	w := []float32{1, 6, 3, 6, 5, 6, 7, 6} // H W I O
	got := foldKernel(w, []int{1, 2, 2, 2}, 4)
	// O I H W: filter 0 becomes ((1 5) (3 7) - 4) / sqrt(5+4), filter 1 exactly 0.
	want := []float32{-1, 1. / 3, -1. / 3, 1, 0, 0, 0, 0}
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestFoldKernelOfConstantFilterWithTinyEpsilon(t *testing.T) {
	w := slices.Repeat([]float32{0.1}, 7*7*3*2)
	for i, v := range foldKernel(w, []int{7, 7, 3, 2}, resnet.WSEpsilonOfficial) {
		if v != 0 {
			t.Fatalf("value %d is %v, want exactly 0", i, v)
		}
	}
}

// fields splits a message; the order of repeated fields is kept.
func fields(t *testing.T, b []byte) map[protowire.Number][][]byte {
	t.Helper()
	out := map[protowire.Number][][]byte{}
	for len(b) > 0 {
		num, typ, n := protowire.ConsumeTag(b)
		if n < 0 {
			t.Fatal(protowire.ParseError(n))
		}
		b = b[n:]
		n = protowire.ConsumeFieldValue(num, typ, b)
		if n < 0 {
			t.Fatal(protowire.ParseError(n))
		}
		v := b[:n]
		if typ == protowire.BytesType {
			v, _ = protowire.ConsumeBytes(v)
		}
		out[num] = append(out[num], v)
		b = b[n:]
	}
	return out
}

func number(t *testing.T, b []byte) int {
	t.Helper()
	v, n := protowire.ConsumeVarint(b)
	if n != len(b) {
		t.Fatalf("% x is no varint", b)
	}
	return int(v)
}

func texts(values [][]byte) []string {
	var s []string
	for _, v := range values {
		s = append(s, string(v))
	}
	return s
}

func small(t *testing.T) *resnet.Network {
	net, err := resnet.NewNetwork(resnet.Config{
		Channels: 3, StemWidth: 8, Widths: []int{16, 32}, Depths: []int{1, 2}, Groups: 4, Classes: 5,
		GNEpsilon: resnet.GNEpsilon, WSEpsilon: resnet.WSEpsilonOfficial,
	})
	if err != nil {
		t.Fatal(err)
	}
	net.Init(rand.New(rand.NewPCG(1, 2)))
	return net
}

// written returns the file of a model.
func written(t *testing.T, net *resnet.Network, o Options) []byte {
	t.Helper()
	m, err := encode(net, o, "")
	if err != nil {
		t.Fatal(err)
	}
	var file bytes.Buffer
	if err := m.writeTo(&file); err != nil {
		t.Fatal(err)
	}
	return file.Bytes()
}

func TestWrittenModelIsConnected(t *testing.T) {
	net := small(t)
	model := fields(t, written(t, net, Options{Input: Images}))
	if v := number(t, model[1][0]); v != 8 {
		t.Errorf("IR version %d, want 8", v)
	}
	if v := number(t, fields(t, model[8][0])[2][0]); v != 18 {
		t.Errorf("opset %d, want 18", v)
	}
	g := fields(t, model[7][0])

	known := map[string]bool{"images": true, "": true} // values that a node may read; "" is an input left out
	for _, b := range g[5] {
		tensor := fields(t, b)
		size := 4
		if number(t, tensor[2][0]) == 7 { // int64
			size = 8
		}
		for _, d := range tensor[1] {
			size *= number(t, d)
		}
		name := string(tensor[8][0])
		if len(tensor[9][0]) != size {
			t.Errorf("%s has %d bytes of values, its dimensions say %d", name, len(tensor[9][0]), size)
		}
		if known[name] {
			t.Errorf("two values are called %s", name)
		}
		known[name] = true
	}
	for _, p := range net.Params() {
		if !known[p.Name] {
			t.Errorf("parameter %s is not in the model", p.Name)
		}
	}

	ops := map[string]int{}
	for _, b := range g[1] {
		node := fields(t, b)
		ops[string(node[4][0])]++
		for _, in := range texts(node[1]) {
			if !known[in] {
				t.Errorf("%s reads %s before it exists", node[3][0], in)
			}
		}
		for _, out := range texts(node[2]) {
			if known[out] {
				t.Errorf("two values are called %s", out)
			}
			known[out] = true
		}
	}
	if out := string(fields(t, g[12][0])[1][0]); out != "logits" || !known[out] {
		t.Errorf("output %s does not exist or is not called logits", out)
	}
	// 3 units of 3 norms and 3 convolutions, 2 projections, the stem, the last norm; every norm has a convolution.
	want := map[string]int{"Conv": 3*3 + 2 + 1 + 10, "InstanceNormalization": 10, "Relu": 10, "Shape": 10, "Reshape": 20,
		"Add": 3, "Pad": 1, "MaxPool": 1, "GlobalAveragePool": 1, "Flatten": 1, "Gemm": 1}
	for op, n := range want {
		if ops[op] != n {
			t.Errorf("%d nodes of %s, want %d", ops[op], op, n)
		}
	}
	if len(ops) != len(want) {
		t.Errorf("operators %v, want %v", ops, want)
	}
}

func TestWrittenStrides(t *testing.T) {
	strided := map[string]bool{ // BiT's stride is on the 3x3 convolution and the projection of a later stage
		"root/kernel/out": true, "root/pooled": true, "block2/unit01/conv2/kernel/out": true, "block2/unit01/proj/kernel/out": true,
	}
	for _, b := range fields(t, fields(t, written(t, small(t), Options{Input: Images}))[7][0])[1] {
		node := fields(t, b)
		name := string(node[3][0])
		for _, b := range node[5] {
			a := fields(t, b)
			if string(a[1][0]) != "strides" {
				continue
			}
			want := 1
			if strided[name] {
				want = 2
			}
			for _, v := range a[8] {
				if number(t, v) != want {
					t.Errorf("%s has stride %d, want %d", name, number(t, v), want)
				}
			}
			delete(strided, name)
		}
	}
	for name := range strided {
		t.Errorf("no strides on %s", name)
	}
}

func TestWrittenValuesAndEpsilon(t *testing.T) {
	net := small(t)
	net.Param(resnet.HeadBias).Value[3] = 2.5
	g := fields(t, fields(t, written(t, net, Options{Input: Images}))[7][0])
	for _, b := range g[5] {
		if tensor := fields(t, b); string(tensor[8][0]) == resnet.HeadBias {
			if v := math.Float32frombits(binary.LittleEndian.Uint32(tensor[9][0][12:])); v != 2.5 {
				t.Errorf("bias 3 is %v, want 2.5", v)
			}
		}
	}
	for _, b := range g[1] {
		node := fields(t, b)
		if string(node[4][0]) == "InstanceNormalization" {
			epsilon := fields(t, node[5][0])
			if v := math.Float32frombits(binary.LittleEndian.Uint32(epsilon[2][0])); v != 1e-5 {
				t.Errorf("%s has epsilon %v, want 1e-5", node[3][0], v)
			}
		}
	}
}

// A model that one protobuf message cannot hold has its weights beside it; none of them are made to find that out.
func TestLargeModelIsExternal(t *testing.T) {
	net, err := resnet.NewNetwork(resnet.Variant{Depth: 50, Width: 1}.Config(1))
	if err != nil {
		t.Fatal(err)
	}
	net.Param(resnet.HeadKernel).Shape = []int{1 << 11, 1 << 18} // 2 GiB of values
	m, err := encode(net, Options{Input: Images}, "large.onnx.data")
	if err != nil {
		t.Fatal(err)
	}
	if body := 4 * 23_500_352; m.external < 1<<31+body-1<<20 || len(m.head)+m.inside() > 1<<20 {
		t.Errorf("%d bytes beside a model of %d", m.external, len(m.head)+m.inside())
	}
	net.Param(resnet.HeadKernel).Shape = []int{1 << 11, 1 << 17} // with 1 GiB it fits
	if m, err := encode(net, Options{Input: Images}, ""); err != nil || m.external != 0 {
		t.Errorf("%d bytes beside the model, error %v", m.external, err)
	}
}

// The weights beside a model are the bytes that are otherwise inside it.
func TestExternalData(t *testing.T) {
	net := small(t)
	path := filepath.Join(t.TempDir(), "m.onnx")
	if err := Save(t.Context(), path, net, Options{Input: Images, External: true}); err != nil {
		t.Fatal(err)
	}
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path + ".data")
	if err != nil {
		t.Fatal(err)
	}
	inside, outside := fields(t, fields(t, written(t, net, Options{Input: Images}))[7][0])[5], fields(t, fields(t, file)[7][0])[5]
	end, external := 0, 0
	for i, b := range outside {
		got, want := fields(t, b), fields(t, inside[i])
		name := string(got[8][0])
		if got[14] == nil { // inside
			if len(got[9][0]) >= 1024 || !bytes.Equal(got[9][0], want[9][0]) {
				t.Errorf("%s, inside: %d bytes", name, len(got[9][0]))
			}
			continue
		}
		place := map[string]string{}
		for _, e := range got[13] {
			place[string(fields(t, e)[1][0])] = string(fields(t, e)[2][0])
		}
		offset, _ := strconv.Atoi(place["offset"])
		length, _ := strconv.Atoi(place["length"])
		if number(t, got[14][0]) != 1 || place["location"] != "m.onnx.data" || offset%4096 != 0 || offset < end {
			t.Errorf("%s is at %v", name, place)
		} else if !bytes.Equal(data[offset:offset+length], want[9][0]) {
			t.Errorf("%s: other values", name)
		}
		end = offset + length
		external++
	}
	if len(data) != end || external < 5 {
		t.Errorf("%d tensors in %d bytes, the last ends at %d", external, len(data), end)
	}
}

// An interrupted export leaves the earlier model as it was, and nothing where there was none.
func TestSaveInterrupted(t *testing.T) {
	for _, external := range []bool{false, true} {
		dir := t.TempDir()
		path := filepath.Join(dir, "m.onnx")
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := Save(ctx, path, small(t), Options{Input: Images, External: external}); !errors.Is(err, context.Canceled) {
			t.Errorf("error %v", err)
		}
		if left, _ := os.ReadDir(dir); len(left) > 0 {
			t.Errorf("left behind: %v", left)
		}
		if err := Save(t.Context(), path, small(t), Options{Input: Images, External: external}); err != nil {
			t.Fatal(err)
		}
		before, _ := os.ReadFile(path)
		if err := Save(ctx, path, small(t), Options{Input: Images, External: external}); !errors.Is(err, context.Canceled) {
			t.Errorf("error %v", err)
		}
		if after, _ := os.ReadFile(path); !bytes.Equal(before, after) {
			t.Error("the earlier model is not as it was")
		}
	}
}

func TestMetadata(t *testing.T) {
	got := map[string]string{}
	for _, b := range fields(t, written(t, small(t), Options{Input: Images, Metadata: map[string]string{"b": "2", "a": "é"}}))[14] {
		got[string(fields(t, b)[1][0])] = string(fields(t, b)[2][0])
	}
	if !maps.Equal(got, map[string]string{"a": "é", "b": "2"}) {
		t.Errorf("metadata %v", got)
	}
}

func TestPreprocessErrors(t *testing.T) {
	gray, err := resnet.NewNetwork(resnet.Config{Channels: 1, StemWidth: 8, Widths: []int{16}, Depths: []int{1}, Groups: 4, Classes: 5,
		GNEpsilon: resnet.GNEpsilon, WSEpsilon: resnet.WSEpsilonOfficial})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		net  *resnet.Network
		o    Options
		want string
	}{
		{small(t), Options{}, `input "": want "images" or "pixels"`},
		{small(t), Options{Input: Pixels}, "needs a processor"},
		{small(t), Options{Input: Pixels, Processor: new(imaging.Processor)}, "size.height is 0"},
		{gray, Options{Input: Pixels, Processor: imaging.DefaultProcessor()}, "the network takes 1 channels, a picture has 3"},
	} {
		if _, err := encode(c.net, c.o, ""); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: error %v, want %s", c.o, err, c.want)
		}
	}
}

// limited fails after n bytes, as a full disk does.
type limited int

var errFull = errors.New("disk full")

func (l *limited) Write(p []byte) (int, error) {
	if n := int(*l); n < len(p) {
		*l = 0
		return n, errFull
	}
	*l -= limited(len(p))
	return len(p), nil
}

func TestWriteToFullDisk(t *testing.T) {
	for _, external := range []bool{false, true} {
		m, err := encode(small(t), Options{Input: Images, External: external}, "data")
		if err != nil {
			t.Fatal(err)
		}
		for name, write := range map[string]func(io.Writer) error{"model": m.writeTo, "weights": m.writeData} {
			var file bytes.Buffer
			if err := write(&file); err != nil {
				t.Fatal(err)
			}
			for space := range file.Len() {
				if space > 100 && space < file.Len()-100 && space%997 != 0 {
					continue
				}
				disk := limited(space)
				if err := write(&disk); !errors.Is(err, errFull) {
					t.Fatalf("%s: space for %d of %d bytes: error %v, want %v", name, space, file.Len(), err, errFull)
				}
			}
		}
	}
}
