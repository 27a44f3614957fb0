package weights

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"maps"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/bigtransfer/bit/internal/fixture"
)

// stFile is a safetensors file taken apart.
type stFile struct {
	header map[string]any // name to {dtype, shape, data_offsets}
	data   []byte
}

func readST(t testing.TB, path string) stFile {
	t.Helper()
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	n := binary.LittleEndian.Uint64(file)
	f := stFile{data: file[8+n:]}
	if err := json.Unmarshal(file[8:8+n], &f.header); err != nil {
		t.Fatal(err)
	}
	return f
}

func (f stFile) bytes(t testing.TB) []byte {
	t.Helper()
	text, err := json.Marshal(f.header)
	if err != nil {
		t.Fatal(err)
	}
	return withHeader(text, f.data)
}

func withHeader(text, data []byte) []byte {
	return slices.Concat(binary.LittleEndian.AppendUint64(nil, uint64(len(text))), text, data)
}

// set changes one field of one tensor's header.
func (f stFile) set(name, field string, value any) {
	t := maps.Clone(f.header[name].(map[string]any))
	t[field] = value
	f.header[name] = t
}

// hfDir is the golden model directory with another model.safetensors.
func hfDir(t testing.TB, tensors []byte) fstest.MapFS {
	t.Helper()
	fsys := fstest.MapFS{"model.safetensors": {Data: tensors}}
	for _, name := range []string{"config.json", "preprocessor_config.json"} {
		text, err := os.ReadFile(fixture.Case(t, "hf-tiny", name))
		if err != nil {
			t.Fatal(err)
		}
		fsys[name] = &fstest.MapFile{Data: text}
	}
	return fsys
}

const (
	stemInHF  = "bit.embedder.convolution.weight"                      // bytes 0 to 9408
	projInHF  = "bit.encoder.stages.0.layers.0.downsample.conv.weight" // 9408 to 11456
	conv1InHF = "bit.encoder.stages.1.layers.1.conv1.weight"           // 40128 to 44224
	biasInHF  = "classifier.1.bias"                                    // 241472 to 241512, the last
)

// Every way that one tensor of a real file can go wrong.
func TestSafetensorsCorruption(t *testing.T) {
	path := fixture.Case(t, "hf-tiny", "model.safetensors")
	type list = []int
	for _, c := range []struct {
		what      string
		change    func(f *stFile)
		name      string
		problem   error
		want, got []int
	}{
		{"wrong shape, same size", func(f *stFile) { f.set(conv1InHF, "shape", list{64, 16, 1, 1}) }, conv1InHF, ErrShape, list{16, 64, 1, 1}, list{64, 16, 1, 1}},
		{"missing axes", func(f *stFile) { f.set(conv1InHF, "shape", list{16, 64}) }, conv1InHF, ErrShape, list{16, 64, 1, 1}, list{16, 64}},
		{"four-axis head", func(f *stFile) { f.set("classifier.1.weight", "shape", list{10, 128, 1, 1}) }, "classifier.1.weight", ErrShape, list{10, 128}, list{10, 128, 1, 1}},
		{"missing", func(f *stFile) {
			f.header["other"] = f.header[conv1InHF]
			delete(f.header, conv1InHF)
		}, conv1InHF, ErrMissing, list{16, 64, 1, 1}, nil},
		{"extra", func(f *stFile) {
			f.header["bit.norm.num_batches"] = map[string]any{"dtype": "F32", "shape": list{3}, "data_offsets": list{len(f.data), len(f.data) + 12}}
			f.data = append(f.data, make([]byte, 12)...)
		}, "bit.norm.num_batches", ErrUnexpected, nil, list{3}},
		{"cut by a byte", func(f *stFile) { f.data = f.data[:len(f.data)-1] }, biasInHF, ErrTruncated, list{10}, list{10}},
		{"cut in the middle", func(f *stFile) { f.data = f.data[:42000] }, conv1InHF, ErrTruncated, list{16, 64, 1, 1}, list{16, 64, 1, 1}},
		{"out of range", func(f *stFile) { f.set(biasInHF, "data_offsets", []int64{1 << 40, 1<<40 + 40}) }, biasInHF, ErrTruncated, list{10}, list{10}},
		{"negative offset", func(f *stFile) { f.set(stemInHF, "data_offsets", list{-8, 9400}) }, stemInHF, ErrOffsets, list{16, 3, 7, 7}, list{16, 3, 7, 7}},
		{"offsets the wrong way round", func(f *stFile) { f.set(biasInHF, "data_offsets", list{241512, 241472}) }, biasInHF, ErrOffsets, list{10}, list{10}},
		{"size that is not the shape's", func(f *stFile) { f.set(biasInHF, "data_offsets", list{241472, 241508}); f.data = f.data[:241508] }, biasInHF, ErrOffsets, list{10}, list{10}},
		{"overlap", func(f *stFile) { f.set(projInHF, "data_offsets", list{9404, 11452}) }, projInHF, ErrOverlap, list{32, 16, 1, 1}, list{32, 16, 1, 1}},
		{"hole", func(f *stFile) {
			f.set(biasInHF, "data_offsets", list{241476, 241516})
			f.data = append(f.data, 0, 0, 0, 0)
		}, biasInHF, ErrHole, list{10}, list{10}},
		{"hole at the start", func(f *stFile) {
			for name, v := range f.header {
				if v, ok := v.(map[string]any); ok && v["data_offsets"] != nil {
					o := v["data_offsets"].([]any)
					f.set(name, "data_offsets", []float64{o[0].(float64) + 4, o[1].(float64) + 4})
				}
			}
			f.data = append(make([]byte, 4), f.data...)
		}, stemInHF, ErrHole, list{16, 3, 7, 7}, list{16, 3, 7, 7}},
		{"integers", func(f *stFile) { f.set(biasInHF, "dtype", "I32") }, biasInHF, ErrDType, list{10}, list{10}},
		{"lower case type", func(f *stFile) { f.set(biasInHF, "dtype", "f32") }, biasInHF, ErrDType, list{10}, list{10}},
		{"negative axis", func(f *stFile) { f.set(biasInHF, "shape", list{-10}) }, biasInHF, ErrShape, list{10}, list{-10}},
		{"absurd shape", func(f *stFile) { f.set(biasInHF, "shape", []int64{1 << 62, 1 << 62}) }, biasInHF, ErrShape, list{10}, list{1 << 62, 1 << 62}},
		{"NaN", func(f *stFile) { binary.LittleEndian.PutUint32(f.data[40128+400:], 0x7fc00000) }, conv1InHF, ErrNotFinite, list{16, 64, 1, 1}, list{16, 64, 1, 1}},
		{"infinity in the last value", func(f *stFile) { binary.LittleEndian.PutUint32(f.data[241508:], 0xff800000) }, biasInHF, ErrNotFinite, list{10}, list{10}},
	} {
		t.Run(c.what, func(t *testing.T) {
			f := readST(t, path)
			c.change(&f)
			_, err := OpenFS(hfDir(t, f.bytes(t)), ".")
			wantTensorError(t, err, c.name, c.problem, c.want, c.got)
		})
	}
}

// The position of a value that is not finite is given in the file's own layout.
func TestSafetensorsNotFiniteSaysWhere(t *testing.T) {
	f := readST(t, fixture.Case(t, "hf-tiny", "model.safetensors"))
	at := 4 * (((12*3+1)*7+2)*7 + 5) // stem: output 12, input 1, row 2, column 5
	binary.LittleEndian.PutUint32(f.data[at:], math.Float32bits(float32(math.Inf(-1))))
	_, err := OpenFS(hfDir(t, f.bytes(t)), ".")
	if err == nil || !strings.Contains(err.Error(), "-Inf at (12, 1, 2, 5)") {
		t.Errorf("error %v, want -Inf at (12, 1, 2, 5)", err)
	}
}

// Headers that no writer makes.
func TestSafetensorsHeader(t *testing.T) {
	whole, err := os.ReadFile(fixture.Case(t, "hf-tiny", "model.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	n := int(binary.LittleEndian.Uint64(whole))
	var compact bytes.Buffer
	if err := json.Compact(&compact, whole[8:8+n]); err != nil {
		t.Fatal(err)
	}
	text, data := compact.Bytes(), whole[8+n:]
	replace := func(old, new string) []byte {
		if !bytes.Contains(text, []byte(old)) {
			t.Fatalf("no %s", old)
		}
		return withHeader(bytes.Replace(text, []byte(old), []byte(new), 1), data)
	}
	length := func(n uint64) []byte {
		f := bytes.Clone(whole)
		binary.LittleEndian.PutUint64(f, n)
		return f
	}
	for what, file := range map[string][]byte{
		"empty file":               nil,
		"7 bytes":                  whole[:7],
		"only a length":            whole[:8],
		"header cut":               whole[:8+n-1],
		"length beyond the file":   length(uint64(len(whole))),
		"length of 2^64-1":         length(math.MaxUint64),
		"length of 2^63":           length(1 << 63),
		"length 0":                 length(0),
		"length too small":         length(uint64(n - 3)),
		"not an object":            withHeader([]byte("[]"), data),
		"not JSON":                 withHeader([]byte("{hello}"), data),
		"white space first":        withHeader(append([]byte(" "), text...), data),
		"text after the object":    withHeader(append(bytes.Clone(text), "{}"...), data),
		"name twice":               replace(`"`+biasInHF+`"`, `"`+stemInHF+`"`),
		"field twice":              replace(`"dtype":"F32"`, `"dtype":"F32","dtype":"F32"`),
		"field missing":            replace(`"dtype":"F32",`, ``),
		"field null":               replace(`"dtype":"F32"`, `"dtype":null`),
		"field unknown":            replace(`"dtype":"F32"`, `"dtype":"F32","DTYPE":"F16"`),
		"field in capitals":        replace(`"dtype":"F32"`, `"DTYPE":"F32"`),
		"fractional shape":         replace(`"shape":[16,3,7,7]`, `"shape":[16,3,7,7.5]`),
		"one offset":               replace(`"data_offsets":[0,9408]`, `"data_offsets":[9408]`),
		"three offsets":            replace(`"data_offsets":[0,9408]`, `"data_offsets":[0,9408,9408]`),
		"metadata that is no text": replace(`{"format":"pt"}`, `{"format":1}`),
		"bytes after the last":     append(bytes.Clone(whole), 0),
		"deep nesting":             withHeader([]byte(`{"a":`+strings.Repeat("[", 100000)+strings.Repeat("]", 100000)+`}`), data),
	} {
		if _, err := OpenFS(hfDir(t, file), "."); err == nil {
			t.Errorf("%s: no error", what)
		}
	}
	if _, err := OpenFS(hfDir(t, replace(`"shape":[16,3,7,7]`, `"shape": [16, 3,7,7]   `)), "."); err != nil {
		t.Errorf("spaces in the header: %v", err)
	}
}

func TestSafetensorsClaims(t *testing.T) {
	file := withHeader([]byte(`{"bit.norm.weight":{"dtype":"F32","shape":[4000000000],"data_offsets":[0,16000000000]}}`), make([]byte, 100))
	huge := bytes.Clone(file)
	binary.LittleEndian.PutUint64(huge, 99_000_000)
	for _, f := range [][]byte{file, huge} {
		dir := hfDir(t, f)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := OpenFS(dir, ".")
		runtime.ReadMemStats(&after)
		if err == nil {
			t.Error("no error")
		}
		if spent := after.TotalAlloc - before.TotalAlloc; spent > 8<<20 {
			t.Errorf("%d bytes allocated for a file of %d", spent, len(f))
		}
	}
}

// bfloat16 and float16 become float32: the values of one tensor, written by hand.
func TestSafetensorsHalf(t *testing.T) {
	f := readST(t, fixture.Case(t, "hf-tiny", "model.safetensors"))
	half := []uint16{0x3f80, 0xc000, 0x0000, 0x8000, 0x4049, 0x3eab, 0x0001, 0x7f7f, 0xbf00, 0x42c8}
	bf16 := []float64{1, -2, 0, 0, 3.140625, 0.333984375, 0x1p-133, 0x1.fep127, -0.5, 100}
	f16 := []float64{1.875, -2, 0, 0, 2.142578125, 1.6669921875, 0x1p-24, math.NaN(), -1.75, 3.390625}
	f.data = f.data[:241472]
	for _, h := range half {
		f.data = binary.LittleEndian.AppendUint16(f.data, h)
	}
	f.set(biasInHF, "data_offsets", []int{241472, 241492})
	f.set(biasInHF, "dtype", "BF16")
	check := func(want []float64) {
		t.Helper()
		m, err := OpenFS(hfDir(t, f.bytes(t)), ".")
		if err != nil {
			t.Fatal(err)
		}
		for i, v := range m.Tensors["head/bias"].Data {
			if float64(v) != want[i] {
				t.Errorf("%s %#04x is %v, want %v", f.header[biasInHF], half[i], v, want[i])
			}
		}
	}
	check(bf16)
	f.set(biasInHF, "dtype", "F16")
	if _, err := OpenFS(hfDir(t, f.bytes(t)), "."); !errors.Is(err, ErrNotFinite) { // 0x7f7f
		t.Errorf("error %v, want %v", err, ErrNotFinite)
	}
	binary.LittleEndian.PutUint16(f.data[241472+14:], 0x7bff)
	f16[7] = 65504
	check(f16)
}

func TestOpenRefuses(t *testing.T) {
	tensors, err := os.ReadFile(fixture.Case(t, "hf-tiny", "model.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write := func(name string, data []byte) {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, data, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	write("empty/x", nil)
	write("noweights/config.json", []byte(`{"model_type":"bit"}`))
	write("text.npz", []byte("this is no archive"))
	write("nothing.npz", nil)
	write("bare.safetensors", tensors)
	for name, want := range map[string]error{
		"empty": ErrFormat, "noweights": ErrFormat, "text.npz": ErrFormat, "nothing.npz": ErrFormat, "bare.safetensors": ErrFormat,
		"absent": os.ErrNotExist,
	} {
		_, err := Open(filepath.Join(dir, name))
		if !errors.Is(err, want) || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: error %v, want %v with the name", name, err, want)
		}
		if _, err := OpenFS(os.DirFS(dir), name); !errors.Is(err, want) {
			t.Errorf("%s in a file system: error %v, want %v", name, err, want)
		}
	}
}

// Fields of config.json that make another network are refused by name; the rest of the file does not matter.
func TestConfig(t *testing.T) {
	tensors, err := os.ReadFile(fixture.Case(t, "hf-tiny", "model.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	dir := hfDir(t, tensors)
	text := string(dir["config.json"].Data)
	try := func(old, new string) (*Model, error) {
		t.Helper()
		if strings.Count(text, old) != 1 {
			t.Fatalf("%d times %s", strings.Count(text, old), old)
		}
		dir["config.json"].Data = []byte(strings.Replace(text, old, new, 1))
		return OpenFS(dir, ".")
	}
	for _, c := range []struct {
		field, old, new string
		want            error // nil for any
	}{
		{"layer_type", `"preactivation"`, `"bottleneck"`, ErrUnsupported},
		{"hidden_act", `"relu"`, `"gelu"`, ErrUnsupported},
		{"global_padding", `"global_padding": null`, `"global_padding": "SAME"`, ErrUnsupported},
		{"global_padding", `"global_padding": null`, `"global_padding": "valid"`, ErrUnsupported},
		{"embedding_dynamic_padding", `"embedding_dynamic_padding": false`, `"embedding_dynamic_padding": true`, ErrUnsupported},
		{"output_stride", `"output_stride": 32`, `"output_stride": 16`, ErrUnsupported},
		{"width_factor", `"width_factor": 1`, `"width_factor": 2`, ErrUnsupported},
		{"model_type", `"model_type": "bit"`, `"model_type": "resnet"`, ErrUnsupported},
		{"model_type", `"model_type": "bit",`, ``, ErrUnsupported},
		{"classifier.1.weight", `"9": "class 9"`, `"9": "class 9", "10": "class 10"`, ErrShape},
		{"embedder.convolution", `"embedding_size": 16`, `"embedding_size": 64`, ErrShape},
		{"embedder.convolution", `"num_channels": 3`, `"num_channels": 4`, ErrShape},
		{"stages.3.layers.1", "    1,\n    1\n  ],\n  \"diversity", "    1,\n    2\n  ],\n  \"diversity", ErrMissing},
		{"downsample", "    96,\n", "    64,\n", ErrShape},
		{"groups", `"num_groups": 8`, `"num_groups": 5`, nil},
		{"groups", `"num_groups": 8`, `"num_groups": 0`, nil},
		{"depths", "    1,\n    1\n  ],\n  \"diversity", "    1,\n    1000000000\n  ],\n  \"diversity", nil},
		{"depths", "    1,\n    1\n  ],\n  \"diversity", "    1\n  ],\n  \"diversity", nil},
		{"id2label", `"9": "class 9"`, `"11": "class 9"`, nil},
		{"num_groups", `"num_groups": 8`, `"num_groups": 8, "num_groups": 16`, ErrDuplicate},
		{"config.json", `"num_groups": 8`, `"num_groups": "eight"`, nil},
		{"config.json", `"width_factor": 1`, `"width_factor": 1]`, nil},
		{"epsilon", `"width_factor": 1`, `"width_factor": 1, "bit_ws_epsilon": -1`, nil},
	} {
		_, err := try(c.old, c.new)
		if err == nil || c.want != nil && !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.field) {
			t.Errorf("%s for %s: error %v, want one that names %s", c.new, c.old, err, c.field)
		}
	}

	m, err := try(`"width_factor": 1`, `"bit_ws_epsilon": 1e-10, "bit_gn_epsilon": 1e-6, "conv_layer": "std_conv"`)
	if err != nil || m.Config.WSEpsilon != 1e-10 || m.Config.GNEpsilon != 1e-6 {
		t.Errorf("own epsilons: %+v, %v", m, err)
	}
	// Without labels the head says how many classes there are, and made-up names are none.
	a, b := strings.Index(text, `"id2label"`), strings.Index(text, `"is_decoder"`)
	if m, err = try(text[a:b], ""); err != nil || m.Labels != nil || m.Config.Classes != 10 {
		t.Errorf("no id2label: %v, %v", m, err)
	}
	dir["config.json"].Data = []byte(strings.ReplaceAll(text, `": "class `, `": "LABEL_`))
	if m, err = OpenFS(dir, "."); err != nil || m.Labels != nil {
		t.Errorf("made-up labels: %v, %v", m, err)
	}
	// No preprocessor is no error, a broken one is.
	delete(dir, "preprocessor_config.json")
	if m, err = OpenFS(dir, "."); err != nil || m.Preprocessor != nil {
		t.Errorf("no preprocessor: %v, %v", m, err)
	}
	dir["preprocessor_config.json"] = &fstest.MapFile{Data: []byte(`{"size": "large"}`)}
	if _, err = OpenFS(dir, "."); err == nil || !strings.Contains(err.Error(), "preprocessor_config.json") {
		t.Errorf("broken preprocessor: %v", err)
	}
}
