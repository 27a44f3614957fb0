package weights

import (
	"archive/zip"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/bigtransfer/bit/imaging"
	"github.com/bigtransfer/bit/internal/fixture"
	"github.com/bigtransfer/bit/internal/torchfile"
	"github.com/bigtransfer/bit/internal/torchfile/torchtest"
	"github.com/bigtransfer/bit/resnet"
	"github.com/bigtransfer/bit/tensor"
)

// renamed returns a safetensors file with other names and, where shape gives one, shapes. The bytes of the tensors stay.
func (f stFile) renamed(name func(string) string, shape map[string][]int) stFile {
	header := map[string]any{}
	for old, v := range f.header {
		if old == metadataName {
			header[old] = v
			continue
		}
		v := maps.Clone(v.(map[string]any))
		if s := shape[name(old)]; s != nil {
			v["shape"] = s
		}
		header[name(old)] = v
	}
	return stFile{header, f.data}
}

const metadataName = "__metadata__"

// only returns the file with some of its tensors.
func (f stFile) only(keep func(name string) bool) stFile {
	part := stFile{header: map[string]any{}}
	names := slices.SortedFunc(maps.Keys(f.header), func(a, b string) int { return f.offset(a) - f.offset(b) })
	for _, name := range names {
		if name == metadataName || !keep(name) {
			continue
		}
		v := f.header[name].(map[string]any)
		o := v["data_offsets"].([]any)
		at := len(part.data)
		part.data = append(part.data, f.data[int(o[0].(float64)):int(o[1].(float64))]...)
		part.header[name] = v
		part.set(name, "data_offsets", []int{at, len(part.data)})
	}
	return part
}

func (f stFile) offset(name string) int {
	if o, ok := f.header[name].(map[string]any)["data_offsets"].([]any); ok {
		return int(o[0].(float64))
	}
	return -1
}

// toTimm is the spelling of timm for a name of transformers.
var toTimm = strings.NewReplacer("bit.embedder.convolution.", "stem.conv.", "bit.encoder.", "", "layers.", "blocks.",
	"bit.norm.", "norm.", "classifier.1.", "head.fc.").Replace

// timmTiny is the golden Hugging Face model as timm stores it: other names, and a head of four axes.
func timmTiny(t testing.TB) stFile {
	return readST(t, fixture.Case(t, "hf-tiny", tensorsFile)).renamed(toTimm, map[string][]int{"head.fc.weight": {10, 128, 1, 1}})
}

// timmJSON is a config.json as timm's push_to_hf_hub writes it, with the golden model's 8 groups.
const timmJSON = `{
  "architecture": "resnetv2_50x1_bit", "num_classes": 10, "num_features": 128, "global_pool": "avg",
  "model_args": {"layers": [1, 2, 1, 1], "channels": [32, 64, 96, 128], "stem_chs": 16},
  "pretrained_cfg": {"tag": "goog_in21k", "custom_load": true, "input_size": [3, 64, 64], "fixed_input_size": false, "interpolation": "bilinear",
    "crop_pct": 0.875, "crop_mode": "center", "mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.25], "num_classes": 10, "pool_size": [2, 2],
    "first_conv": "stem.conv", "classifier": "head.fc", "license": "apache-2.0"},
  "bit_num_groups": 8
}`

func openMap(t testing.TB, files map[string]string) (*Model, error) {
	t.Helper()
	fsys := fstest.MapFS{}
	for name, text := range files {
		fsys["model/"+name] = &fstest.MapFile{Data: []byte(text)}
	}
	return OpenFS(fsys, "model")
}

func golden(t testing.TB, name string) string {
	t.Helper()
	text, err := os.ReadFile(fixture.Case(t, "hf-tiny", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestOpenTimm(t *testing.T) {
	m, err := openMap(t, map[string]string{configFile: timmJSON, tensorsFile: string(timmTiny(t).bytes(t))})
	if err != nil {
		t.Fatal(err)
	}
	want := open(t, fixture.Case(t, "hf-tiny"))
	if m.Format != FormatTimm || !reflect.DeepEqual(m.Config, want.Config) || m.Labels != nil || m.Warnings != nil || m.Headless {
		t.Errorf("format %q, config %+v, labels %q, warnings %q, want timm, %+v, none", m.Format, m.Config, m.Labels, m.Warnings, want.Config)
	}
	sameTensors(t, m.Tensors, want.Tensors)
	// 64/0.875 = 73.14…
	p := &imaging.Processor{
		DoResize: true, Size: imaging.Size{ShortestEdge: 73}, Resample: imaging.Bilinear, DoCenterCrop: true, CropHeight: 64, CropWidth: 64,
		DoRescale: true, RescaleFactor: 1.0 / 255, DoNormalize: true, Mean: [3]float64{0.5, 0.5, 0.5}, Std: [3]float64{0.5, 0.5, 0.25},
	}
	if !reflect.DeepEqual(m.Preprocessor, p) {
		t.Errorf("preprocessor %+v, want %+v", m.Preprocessor, p)
	}
}

// What config.json of timm may say.
func TestTimmConfig(t *testing.T) {
	tensors := string(timmTiny(t).bytes(t))
	try := func(old, new string) (*Model, error) {
		t.Helper()
		if strings.Count(timmJSON, old) != 1 {
			t.Fatalf("%d times %s", strings.Count(timmJSON, old), old)
		}
		return openMap(t, map[string]string{configFile: strings.Replace(timmJSON, old, new, 1), tensorsFile: tensors})
	}
	for _, c := range []struct {
		field, old, new string
		want            error // nil for any
	}{
		{"architecture", `"resnetv2_50x1_bit"`, `"resnetv2_50_gn"`, ErrUnsupported},
		{"architecture", `"resnetv2_50x1_bit"`, `"resnet50"`, ErrUnsupported},
		{"global_pool", `"global_pool": "avg"`, `"global_pool": "max"`, ErrUnsupported},
		{"num_classes is 11", `"num_classes": 10, "num_features"`, `"num_classes": 11, "num_features"`, nil},
		{"groups", `"bit_num_groups": 8`, `"bit_num_groups": 5`, nil},
		{"input_size", `[3, 64, 64]`, `[3, 64, 32]`, ErrUnsupported},
		{"crop_pct", `0.875`, `-1`, ErrUnsupported},
		{"crop_mode", `"center"`, `"border"`, ErrUnsupported},
		{"interpolation", `"bilinear"`, `"sharp"`, ErrUnsupported},
		{"mean", `[0.5, 0.5, 0.5]`, `[0.5, 0.5]`, nil},
		{"label_names", `"bit_num_groups"`, `"label_names": ["a"], "bit_num_groups"`, nil},
		{"none for class 1", `"bit_num_groups"`, `"label_names": {"0": "a", "2": "b"}, "bit_num_groups"`, nil},
		{"config.json", `"bit_num_groups": 8`, `"bit_num_groups": 8, "bit_num_groups": 8`, ErrDuplicate},
	} {
		_, err := try(c.old, c.new)
		if err == nil || c.want != nil && !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.field) {
			t.Errorf("%s for %s: error %v, want one that names %s", c.new, c.old, err, c.field)
		}
	}

	m, err := try(`"bit_num_groups"`, `"label_names": ["n0","n1","n2","n3","n4","n5","n6","n7","n8","n9"], "label_descriptions": {"n3": "a crane"}, "bit_num_groups"`)
	if err != nil || fmt.Sprint(m.Labels) != "[n0 n1 n2 a crane n4 n5 n6 n7 n8 n9]" {
		t.Errorf("labels %q, error %v", m.Labels, err)
	}
	m, err = try(`"tag": "goog_in21k"`, `"label_names": {"9":"j","1":"b","2":"c","3":"d","4":"e","5":"f","6":"g","7":"h","8":"i","0":"a"}`)
	if err != nil || strings.Join(m.Labels, "") != "abcdefghij" {
		t.Errorf("labels %q, error %v", m.Labels, err)
	}
	m, err = try(`"crop_mode": "center"`, `"crop_mode": "squash"`)
	if err != nil || m.Preprocessor.Size != (imaging.Size{Height: 73, Width: 73}) {
		t.Errorf("squash: %+v, error %v", m.Preprocessor, err)
	}
	// Without a word on it: timm/data/constants.py.
	m, err = openMap(t, map[string]string{configFile: `{"architecture": "resnetv2_101x1_bitm_in21k", "bit_num_groups": 8}`, tensorsFile: tensors})
	if err != nil {
		t.Fatal(err)
	}
	if p := m.Preprocessor; p.Size.ShortestEdge != 256 || p.CropWidth != 224 || p.Resample != imaging.Bicubic || p.Mean != [3]float64{0.485, 0.456, 0.406} {
		t.Errorf("default preprocessor %+v", p)
	}
	if len(m.Warnings) != 1 || !strings.Contains(m.Warnings[0], "says R101x1, but the tensors are those of another network: units [1 2 1 1]") {
		t.Errorf("warnings %q", m.Warnings)
	}
}

// The tensors of one library with the config.json of the other.
func TestConfigOfOtherLibrary(t *testing.T) {
	for _, files := range []map[string]string{
		{configFile: timmJSON, tensorsFile: golden(t, tensorsFile)},
		{configFile: golden(t, configFile), tensorsFile: string(timmTiny(t).bytes(t))},
	} {
		if _, err := openMap(t, files); !errors.Is(err, ErrFormat) || !strings.Contains(err.Error(), "timm") || !strings.Contains(err.Error(), "transformers") {
			t.Errorf("error %v, want ErrFormat with both names", err)
		}
	}
}

// A model without head has features, and a head of zeros that says nothing.
func TestOpenHeadless(t *testing.T) {
	want := open(t, fixture.Case(t, "hf-tiny"))
	body := readST(t, fixture.Case(t, "hf-tiny", tensorsFile)).only(func(name string) bool { return !strings.HasPrefix(name, "classifier.") })
	for format, files := range map[string]map[string]string{
		FormatHuggingFace: {configFile: golden(t, configFile), tensorsFile: string(body.renamed(func(name string) string { return strings.TrimPrefix(name, "bit.") }, nil).bytes(t))},
		FormatTimm:        {configFile: strings.ReplaceAll(timmJSON, `"num_classes": 10`, `"num_classes": 0`), tensorsFile: string(body.renamed(toTimm, nil).bytes(t))},
	} {
		m, err := openMap(t, files)
		if err != nil {
			t.Fatal(err)
		}
		if !m.Headless || m.Config.Classes != 1 || m.Labels != nil || m.Format != format {
			t.Errorf("%s: headless %v, %d classes, labels %q, want a head of 1 class", m.Format, m.Headless, m.Config.Classes, m.Labels)
		}
		if _, err := m.Network(); err != nil {
			t.Error(err)
		}
		for name, got := range m.Tensors {
			switch name {
			case resnet.HeadKernel, resnet.HeadBias:
				if slices.ContainsFunc(got.Data, func(v float32) bool { return v != 0 }) {
					t.Errorf("%s is not zero", name)
				}
			default:
				if !slices.Equal(got.Data, want.Tensors[name].Data) {
					t.Errorf("%s has other values", name)
				}
			}
		}
		if len(m.Tensors) != len(want.Tensors) {
			t.Errorf("%d tensors, want %d", len(m.Tensors), len(want.Tensors))
		}
	}
	// BitForImageClassification has a head.
	_, err := openMap(t, map[string]string{configFile: golden(t, configFile), tensorsFile: string(body.bytes(t))})
	wantTensorError(t, err, "classifier.1.weight", ErrMissing, []int{10, 128}, nil)
}

// shards cuts the golden model in two, and gives the index.
func shards(t testing.TB) map[string]string {
	f := readST(t, fixture.Case(t, "hf-tiny", tensorsFile))
	names := [2]string{"model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"}
	of := func(name string) string {
		if f.offset(name) < 50000 {
			return names[0]
		}
		return names[1]
	}
	weightMap := map[string]string{}
	for name := range f.header {
		if name != metadataName {
			weightMap[name] = of(name)
		}
	}
	index, err := json.Marshal(map[string]any{"metadata": map[string]any{"total_size": 241512}, "weight_map": weightMap})
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{configFile: golden(t, configFile), "model.safetensors.index.json": string(index)}
	for _, shard := range names {
		files[shard] = string(f.only(func(name string) bool { return of(name) == shard }).bytes(t))
	}
	return files
}

func TestOpenShards(t *testing.T) {
	m, err := openMap(t, shards(t))
	if err != nil {
		t.Fatal(err)
	}
	want := open(t, fixture.Case(t, "hf-tiny"))
	if !reflect.DeepEqual(m.Config, want.Config) {
		t.Errorf("config %+v, want %+v", m.Config, want.Config)
	}
	sameTensors(t, m.Tensors, want.Tensors)

	const first, second, index = "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors", "model.safetensors.index.json"
	for what, c := range map[string]struct {
		change func(files map[string]string)
		parts  []string
	}{
		"shard missing": {func(f map[string]string) { delete(f, second) }, []string{second, index}},
		"shard cut":     {func(f map[string]string) { f[second] = f[second][:len(f[second])-1] }, []string{second, biasInHF, "truncated", "(10)"}},
		"tensor not there": {func(f map[string]string) {
			f[index] = strings.Replace(f[index], `{"bit.`, `{"bit.more":"`+first+`","bit.`, 1)
		}, []string{first, "bit.more", "missing"}},
		"tensor elsewhere": {func(f map[string]string) { f[first], f[second] = f[second], f[first] }, []string{first, "unexpected", second}},
		"tensor not in index": {func(f map[string]string) {
			f[index] = strings.Replace(f[index], `"classifier.1.bias":"`+second+`",`, "", 1)
		}, []string{second, biasInHF, "does not know"}},
		"name that climbs": {func(f map[string]string) {
			f[index] = strings.Replace(f[index], `"classifier.1.bias":"`, `"classifier.1.bias":"../`, 1)
		}, []string{index, biasInHF, "../"}},
		"folder": {func(f map[string]string) { f[index] = strings.Replace(f[index], second, "..", 1) }, []string{index, `".."`}},
		"no map": {func(f map[string]string) { f[index] = `{"metadata":{}}` }, []string{index, "weight_map"}},
		"twice": {func(f map[string]string) {
			f[index] = strings.Replace(f[index], `{"bit.`, `{"classifier.1.bias":"x","bit.`, 1)
		}, []string{index, biasInHF}},
		"not JSON": {func(f map[string]string) { f[index] = "weights" }, []string{index}},
	} {
		files := shards(t)
		c.change(files)
		_, err := openMap(t, files)
		for _, part := range c.parts {
			if err == nil || !strings.Contains(err.Error(), part) {
				t.Errorf("%s: error %v, want one with %q", what, err, part)
			}
		}
	}
}

// A model kept in bfloat16 throughout: every value is the float32 of its upper half.
func TestOpenBFloat16(t *testing.T) {
	f := readST(t, fixture.Case(t, "hf-tiny", tensorsFile))
	half := stFile{header: map[string]any{}}
	for i := 2; i < len(f.data); i += 4 {
		half.data = append(half.data, f.data[i], f.data[i+1])
	}
	for name, v := range f.header {
		half.header[name] = v
		if name != metadataName {
			o := v.(map[string]any)["data_offsets"].([]any)
			half.set(name, "dtype", "BF16")
			half.set(name, "data_offsets", []float64{o[0].(float64) / 2, o[1].(float64) / 2})
		}
	}
	m, err := openMap(t, map[string]string{configFile: golden(t, configFile), tensorsFile: string(half.bytes(t))})
	if err != nil {
		t.Fatal(err)
	}
	want := open(t, fixture.Case(t, "hf-tiny"))
	for name, got := range m.Tensors {
		for i, v := range got.Data {
			if math.Float32bits(v) != math.Float32bits(want.Tensors[name].Data[i])&0xffff0000 {
				t.Fatalf("%s: value %d is %v, want %v cut to 8 bits", name, i, v, want.Tensors[name].Data[i])
			}
		}
	}
}

// The content of a file says what it is, whatever its name; a config.json beside it is used.
func TestOpenByContent(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
		return path
	}
	npz, err := os.ReadFile(fixture.Case(t, "official-tiny", "weights.npz"))
	if err != nil {
		t.Fatal(err)
	}
	sameTensors(t, open(t, write("a/model.safetensors", string(npz))).Tensors, open(t, fixture.Case(t, "official-tiny", "weights.npz")).Tensors)

	want := open(t, fixture.Case(t, "hf-tiny"))
	write("b/"+configFile, golden(t, configFile))
	m := open(t, write("b/download (1).npz", golden(t, tensorsFile)))
	if !reflect.DeepEqual(m.Config, want.Config) || !slices.Equal(m.Labels, want.Labels) {
		t.Errorf("config %+v, labels %q, want those of the config.json beside it", m.Config, m.Labels)
	}
	sameTensors(t, m.Tensors, want.Tensors)

	// Alone, its network is like the released ones: 32 groups.
	cfg := resnet.Config{Channels: 3, StemWidth: 32, Widths: []int{128, 256}, Depths: []int{1, 2}, Groups: 32, Classes: 3, GNEpsilon: 1e-5, WSEpsilon: 1e-8}
	net, err := resnet.NewNetwork(cfg)
	if err != nil {
		t.Fatal(err)
	}
	net.Param(resnet.HeadBias).Value[2] = 5
	if err := SaveHF(t.Context(), filepath.Join(dir, "c"), FromNetwork(net, nil, nil), F32, Card{}); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(dir, "c", configFile)); err != nil {
		t.Fatal(err)
	}
	m = open(t, filepath.Join(dir, "c", tensorsFile))
	if !reflect.DeepEqual(m.Config, cfg) || m.Tensors[resnet.HeadBias].Data[2] != 5 {
		t.Errorf("config %+v, want %+v", m.Config, cfg)
	}
}

// Names are only a cross-check.
func TestWarnings(t *testing.T) {
	tiny, err := os.ReadFile(fixture.Case(t, "official-tiny", "weights.npz"))
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string][]string{
		"weights.npz":                         nil,
		"my-R50-x1.npz":                       nil,
		"R50x1_224.npz":                       {"R50x1"},
		"BiT-M-R101x3-run0-caltech101.npz":    {"R101x3"},
		"BiT-M-R50x1.npz":                     {"R50x1", "21843 classes, but the head has 10"},
		"BiT-S-R152x4.npz":                    {"R152x4", "1000 classes, but the head has 10"},
		"BiT-M-R50x1-ILSVRC2012":              {"R50x1", "1000 classes, but the head has 10"},
		"BiT-M-R50x1-CIFAR10.npz":             {"R50x1"},
		"resnetv2_152x2_bit_teacher_384.npz":  {"R152x2"},
		"resnetv2_50x1_bit.goog_in21k_ft.npz": {"R50x1"},
	} {
		m, err := OpenFS(fstest.MapFS{"x/" + name: {Data: tiny}}, "x/"+name)
		if err != nil {
			t.Fatal(err)
		}
		ok := len(m.Warnings) == len(want)
		for i := 0; ok && i < len(want); i++ {
			ok = strings.Contains(m.Warnings[i], want[i])
		}
		if !ok {
			t.Errorf("%s: warnings %q, want %q", name, m.Warnings, want)
		}
	}
	// The right variant by another name, and by its own.
	m := &Model{Config: resnet.Variant{Depth: 101, Width: 1}.Config(21843)}
	m.named("dir/BiT-M-R50x1.npz")
	if len(m.Warnings) != 1 || m.Warnings[0] != `the name "BiT-M-R50x1.npz" says R50x1, but the tensors are those of R101x1` {
		t.Errorf("warnings %q", m.Warnings)
	}
	m.Warnings = nil
	if m.named("dir/BiT-M-R101x1.npz").Warnings != nil || m.named("resnetv2_101x1_bit").Warnings != nil {
		t.Errorf("warnings %q, want none", m.Warnings)
	}
}

// torchSaved returns a file as torch.save makes it of a safetensors file's tensors: each in a storage of its own, but
// for the norms, which are parts of one, and the 1x1 kernels, which lie input channel first, as they do after a transpose.
func (f stFile) torchSaved(t testing.TB) string {
	t.Helper()
	classes := map[string]string{"F32": "FloatStorage", "F16": "HalfStorage", "BF16": "BFloat16Storage"}
	storages := []torchtest.Storage{{Class: "FloatStorage"}}
	var tensors []torchtest.Tensor
	for _, name := range slices.SortedFunc(maps.Keys(f.header), func(a, b string) int { return f.offset(a) - f.offset(b) }) {
		if name == metadataName {
			continue
		}
		one := f.only(func(n string) bool { return n == name })
		text, err := json.Marshal(one.header[name])
		if err != nil {
			t.Fatal(err)
		}
		var h struct {
			DType string `json:"dtype"`
			Shape []int  `json:"shape"`
		}
		if err := json.Unmarshal(text, &h); err != nil {
			t.Fatal(err)
		}
		x := torchtest.Tensor{Name: name, Storage: len(storages), Shape: h.Shape, Strides: torchtest.Contiguous(h.Shape)}
		n, size := tensor.Len(h.Shape), len(one.data)/tensor.Len(h.Shape)
		switch {
		case len(h.Shape) == 1 && h.DType == "F32":
			x.Storage, x.Offset = 0, storages[0].Elements
			storages[0].Elements += n
			storages[0].Data = append(storages[0].Data, one.data...)
		case len(h.Shape) == 4 && h.Shape[2] == 1:
			co, ci := h.Shape[0], h.Shape[1]
			var data []byte
			for i := range ci {
				for o := range co {
					data = append(data, one.data[size*(o*ci+i):][:size]...)
				}
			}
			x.Strides = []int{1, co, 1, 1}
			storages = append(storages, torchtest.Storage{Class: classes[h.DType], Elements: n, Data: data})
		default:
			storages = append(storages, torchtest.Storage{Class: classes[h.DType], Elements: n, Data: one.data})
		}
		tensors = append(tensors, x)
	}
	return string(torchtest.File(storages, tensors))
}

// pytorch_model.bin, by the names of either library, whole and in shards: the same bits as from safetensors.
func TestOpenTorch(t *testing.T) {
	hf := readST(t, fixture.Case(t, "hf-tiny", tensorsFile))
	want := open(t, fixture.Case(t, "hf-tiny"))
	sharded := shards(t)
	sharded["pytorch_model.bin.index.json"] = strings.ReplaceAll(sharded["model.safetensors.index.json"], ".safetensors", ".bin")
	delete(sharded, "model.safetensors.index.json")
	for name, text := range sharded {
		if bin, ok := strings.CutSuffix(name, ".safetensors"); ok {
			path := filepath.Join(t.TempDir(), "shard")
			if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
				t.Fatal(err)
			}
			sharded[bin+".bin"] = readST(t, path).torchSaved(t)
			delete(sharded, name)
		}
	}
	for what, files := range map[string]map[string]string{
		"Hugging Face": {configFile: golden(t, configFile), torchFile: hf.torchSaved(t)},
		"timm":         {configFile: timmJSON, torchFile: timmTiny(t).torchSaved(t)},
		"shards":       sharded,
	} {
		m, err := openMap(t, files)
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		if !reflect.DeepEqual(m.Config, want.Config) {
			t.Errorf("%s: config %+v, want %+v", what, m.Config, want.Config)
		}
		sameTensors(t, m.Tensors, want.Tensors)
	}
}

func TestOpenTorchFaults(t *testing.T) {
	hf := readST(t, fixture.Case(t, "hf-tiny", tensorsFile))
	hf.set(conv1InHF, "shape", []int{64, 16, 1, 1})
	_, err := openMap(t, map[string]string{configFile: golden(t, configFile), torchFile: hf.torchSaved(t)})
	wantTensorError(t, err, conv1InHF, ErrShape, []int{16, 64, 1, 1}, []int{64, 16, 1, 1})

	hf = readST(t, fixture.Case(t, "hf-tiny", tensorsFile))
	binary.LittleEndian.PutUint32(hf.data[40128+400:], 0x7fc00000)
	_, err = openMap(t, map[string]string{configFile: golden(t, configFile), torchFile: hf.torchSaved(t)})
	wantTensorError(t, err, conv1InHF, ErrNotFinite, []int{16, 64, 1, 1}, []int{16, 64, 1, 1})

	_, err = openMap(t, map[string]string{configFile: golden(t, configFile), torchFile: strings.Replace(hf.torchSaved(t), "torch\nFloatStorage", "torch\nFloatStoragf", 1)})
	if !errors.Is(err, torchfile.ErrFormat) || !errors.Is(err, zip.ErrChecksum) || !strings.Contains(err.Error(), torchFile) {
		t.Errorf("a changed pickle: %v, want its checksum's fault", err)
	}
	_, err = openMap(t, map[string]string{configFile: golden(t, configFile), torchFile: "\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19."})
	if !errors.Is(err, ErrFormat) || !strings.Contains(err.Error(), "1.6") {
		t.Errorf("the format before 1.6: %v", err)
	}
}

// A description is what opening finds, but for the values, whose faults it does not see.
func TestDescribe(t *testing.T) {
	torch := t.TempDir()
	for name, text := range map[string]string{torchFile: readST(t, fixture.Case(t, "hf-tiny", tensorsFile)).torchSaved(t), configFile: golden(t, configFile)} {
		if err := os.WriteFile(filepath.Join(torch, name), []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	for _, path := range []string{fixture.Case(t, "hf-tiny"), fixture.Case(t, "official-tiny", "weights.npz"), torch} {
		want, err := Open(path)
		if err != nil {
			t.Fatal(err)
		}
		got, err := Describe(path)
		if err != nil {
			t.Fatal(err)
		}
		if got.Tensors != nil {
			t.Errorf("%s: %d tensors of a description", path, len(got.Tensors))
		}
		got.Tensors = want.Tensors
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, want %+v", path, got, want)
		}
	}
	dir := t.TempDir()
	content, err := os.ReadFile(fixture.Case(t, "official-tiny", "weights.npz"))
	if err != nil {
		t.Fatal(err)
	}
	half := filepath.Join(dir, "half.npz")
	if err := os.WriteFile(half, content[:len(content)/2], 0o666); err != nil {
		t.Fatal(err)
	}
	var te *TensorError
	if _, err := Describe(half); !errors.As(err, &te) || te.Problem != ErrTruncated {
		t.Errorf("half a file: %v", err)
	}
	content[len(content)/2] ^= 1 // in some tensor, against its checksum
	if err := os.WriteFile(half, content, 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(half); err == nil {
		t.Error("a damaged file is opened")
	}
	if _, err := Describe(half); err != nil {
		t.Errorf("a description reads values: %v", err)
	}
}
