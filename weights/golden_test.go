package weights

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"io"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"testing"

	"github.com/bigtransfer/bit/internal/fixture"
	"github.com/bigtransfer/bit/resnet"
	"github.com/bigtransfer/bit/tensor"
)

func open(t testing.TB, path string) *Model {
	t.Helper()
	m, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestOpenOfficial(t *testing.T) {
	path := fixture.Case(t, "official-tiny", "weights.npz")
	m := open(t, path)
	want := resnet.Config{
		Channels: 3, StemWidth: 32, Widths: []int{128, 256, 512, 1024}, Depths: []int{1, 2, 1, 1}, Groups: 32, Classes: 10,
		GNEpsilon: 1e-5, WSEpsilon: 1e-10,
	}
	if !reflect.DeepEqual(m.Config, want) {
		t.Errorf("config %+v, want %+v", m.Config, want)
	}
	if m.Labels != nil || m.Preprocessor != nil || m.Format != FormatNpz {
		t.Errorf("labels %v, preprocessor %v, format %q", m.Labels, m.Preprocessor, m.Format)
	}

	// Every value of some tensors, read apart from this package's .npy reader: 128 bytes of header in every member,
	// then float32.
	raw := map[string][]byte{}
	z, err := zip.OpenReader(path)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	for _, f := range z.File {
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		if raw[f.Name], err = io.ReadAll(r); err != nil {
			t.Fatal(err)
		}
	}
	for name, member := range map[string]string{
		"root/kernel":                "resnet/root_block/standardized_conv2d/kernel.npy",
		"block1/unit01/gn1/gamma":    "resnet/block1/unit01/a/group_norm/gamma.npy",
		"block1/unit01/proj/kernel":  "resnet/block1/unit01/a/proj/standardized_conv2d/kernel.npy",
		"block2/unit02/conv2/kernel": "resnet/block2/unit02/b/standardized_conv2d/kernel.npy",
		"block4/unit01/gn3/beta":     "resnet/block4/unit01/c/group_norm/beta.npy",
		"head/kernel":                "resnet/head/conv2d/kernel.npy",
		"head/bias":                  "resnet/head/conv2d/bias.npy",
	} {
		data := raw[member][128:]
		values := m.Tensors[name].Data
		if len(data) != 4*len(values) {
			t.Fatalf("%s has %d values, the file %d bytes", name, len(values), len(data))
		}
		for i, v := range values {
			if math.Float32bits(v) != binary.LittleEndian.Uint32(data[4*i:]) {
				t.Fatalf("%s: value %d is %v", name, i, v)
			}
		}
	}
	if _, err := m.Network(); err != nil {
		t.Error(err)
	}
}

func TestOpenHuggingFace(t *testing.T) {
	dir := fixture.Case(t, "hf-tiny")
	m := open(t, dir)
	want := resnet.Config{
		Channels: 3, StemWidth: 16, Widths: []int{32, 64, 96, 128}, Depths: []int{1, 2, 1, 1}, Groups: 8, Classes: 10,
		GNEpsilon: 1e-5, WSEpsilon: 1e-8,
	}
	if !reflect.DeepEqual(m.Config, want) {
		t.Errorf("config %+v, want %+v", m.Config, want)
	}
	if len(m.Labels) != 10 || m.Labels[7] != "class 7" {
		t.Errorf("labels %q", m.Labels)
	}
	if m.Preprocessor == nil || m.Format != FormatHuggingFace {
		t.Errorf("preprocessor %v, format %q", m.Preprocessor, m.Format)
	}

	// Against the bytes of the file: the data begins at 8 + 6152, and these tensors lie at these offsets, as the
	// header says in plain text.
	file, err := os.ReadFile(filepath.Join(dir, "model.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, inFile   string
		offset         int
		kh, kw, ci, co int
	}{
		{"root/kernel", "bit.embedder.convolution.weight", 0, 7, 7, 3, 16},
		{"block2/unit02/conv2/kernel", "bit.encoder.stages.1.layers.1.conv2.weight", 44352, 3, 3, 16, 16},
		{"block3/unit01/proj/kernel", "bit.encoder.stages.2.layers.0.downsample.conv.weight", 57792, 1, 1, 64, 96},
		{"block4/unit01/conv2/kernel", "bit.encoder.stages.3.layers.0.conv2.weight", 181824, 3, 3, 32, 32},
		{"head/kernel", "classifier.1.weight", 236352, 1, 1, 128, 10},
		{"norm/beta", "bit.norm.bias", 235840, 1, 1, 1, 128},
	} {
		if !bytes.Contains(file, []byte(c.inFile+`"`)) {
			t.Fatalf("no %s", c.inFile)
		}
		data := file[8+6152+c.offset:]
		got := m.Tensors[c.name]
		if len(got.Data) != c.kh*c.kw*c.ci*c.co {
			t.Fatalf("%s has shape %v", c.name, got.Shape)
		}
		for o := range c.co {
			for i := range c.ci {
				for y := range c.kh {
					for x := range c.kw {
						want := binary.LittleEndian.Uint32(data[4*(((o*c.ci+i)*c.kh+y)*c.kw+x):])
						if v := got.Data[((y*c.kw+x)*c.ci+i)*c.co+o]; math.Float32bits(v) != want {
							t.Fatalf("%s: output %d, input %d, row %d, column %d is %v", c.name, o, i, y, x, v)
						}
					}
				}
			}
		}
	}
	if _, err := m.Network(); err != nil {
		t.Error(err)
	}
}

// sameTensors fails unless both models hold the same bits under the same names.
func sameTensors(t *testing.T, got, want map[string]*tensor.Tensor) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d tensors, want %d", len(got), len(want))
	}
	for name, w := range want {
		g := got[name]
		if g == nil || !slices.Equal(g.Shape, w.Shape) || len(g.Data) != len(w.Data) {
			t.Fatalf("%s: %v, want shape %v", name, g, w.Shape)
		}
		for i := range w.Data {
			if math.Float32bits(g.Data[i]) != math.Float32bits(w.Data[i]) {
				t.Fatalf("%s: value %d is %v, want %v", name, i, g.Data[i], w.Data[i])
			}
		}
	}
}

func TestOpenFS(t *testing.T) {
	fsys := os.DirFS(filepath.Dir(fixture.Case(t, "hf-tiny")))
	for _, name := range []string{"official-tiny/weights.npz", "hf-tiny"} {
		m, err := OpenFS(fsys, name)
		if err != nil {
			t.Fatal(err)
		}
		want := open(t, fixture.Case(t, name))
		if !reflect.DeepEqual(m.Config, want.Config) {
			t.Errorf("%s: config %+v, want %+v", name, m.Config, want.Config)
		}
		sameTensors(t, m.Tensors, want.Tensors)
	}
}

func TestReadNpz(t *testing.T) {
	path := fixture.Case(t, "official-tiny", "arrays.npz")
	arrays, err := ReadNpz(path)
	if err != nil {
		t.Fatal(err)
	}
	if len(arrays) != 9 {
		t.Fatalf("%d arrays, want 9", len(arrays))
	}
	for name, shape := range map[string][]int{
		"x0": {4, 3, 64, 64}, "y0": {4}, "logits0": {4, 10},
		"x1": {2, 3, 75, 53}, "y1": {2}, "logits1": {2, 10},
		"x2": {1, 3, 33, 32}, "y2": {1}, "logits2": {1, 10},
	} {
		a := arrays[name]
		n := tensor.Len(shape)
		lens := map[byte][3]int{'x': {n, 0, 0}, 'l': {0, n, 0}, 'y': {0, 0, n}}[name[0]]
		if !slices.Equal(a.Shape, shape) || lens != [3]int{len(a.Float32), len(a.Float64), len(a.Int64)} || len(a.Float64s()) != n {
			t.Errorf("%s has shape %v and %d float32, %d float64, %d int64 values", name, a.Shape, len(a.Float32), len(a.Float64), len(a.Int64))
		}
	}
	// The bytes after the 128-byte headers of the stored members x0.npy, y0.npy and logits0.npy.
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	data := func(member string) []byte {
		z, err := zip.NewReader(bytes.NewReader(file), int64(len(file)))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range z.File {
			if f.Name == member {
				at, err := f.DataOffset()
				if err != nil {
					t.Fatal(err)
				}
				return file[at+128:]
			}
		}
		t.Fatalf("no %s", member)
		return nil
	}
	for i, v := range arrays["x0"].Float32 {
		if math.Float32bits(v) != binary.LittleEndian.Uint32(data("x0.npy")[4*i:]) {
			t.Fatalf("x0: value %d is %v", i, v)
		}
		if i == 99 {
			break
		}
	}
	for i, v := range arrays["logits0"].Float64 {
		if math.Float64bits(v) != binary.LittleEndian.Uint64(data("logits0.npy")[8*i:]) {
			t.Fatalf("logits0: value %d is %v", i, v)
		}
	}
	for i, v := range arrays["y0"].Int64 {
		if int32(v) != int32(binary.LittleEndian.Uint32(data("y0.npy")[4*i:])) || v < 0 || v > 9 {
			t.Fatalf("y0: value %d is %v", i, v)
		}
	}

	// Compressed members, names with slashes.
	arrays, err = ReadNpz(fixture.Case(t, "hf-tiny", "arrays.npz"))
	if err != nil {
		t.Fatal(err)
	}
	a := arrays["cat.png/pixel_values"]
	if !slices.Equal(a.Shape, []int{1, 3, 64, 64}) || len(a.Float32) != 3*64*64 {
		t.Errorf("cat.png/pixel_values has shape %v", a.Shape)
	}
}
