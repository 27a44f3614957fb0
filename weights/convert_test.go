package weights

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
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
	"github.com/bigtransfer/bit/resnet"
)

// An official file, through every format and back, has the members that NumPy wrote, byte for byte.
func TestRoundTrip(t *testing.T) {
	original := fixture.Case(t, "official-tiny", "weights.npz")
	m := open(t, original)
	m.Preprocessor = imaging.Squash(128, imaging.Bilinear)
	dir := t.TempDir()
	hf, timm, npz := filepath.Join(dir, "hf"), filepath.Join(dir, "timm"), filepath.Join(dir, "back.npz")
	if err := SaveHF(t.Context(), hf, m, F32, Card{}); err != nil {
		t.Fatal(err)
	}
	if err := SaveTimm(t.Context(), timm, open(t, hf), F32, Card{}); err != nil {
		t.Fatal(err)
	}
	if err := SaveNpz(t.Context(), npz, open(t, timm)); err != nil {
		t.Fatal(err)
	}
	got, want := readMembers(t, npz), readMembers(t, original)
	byName := func(a, b zipMember) int { return strings.Compare(a.name, b.name) }
	if !slices.IsSortedFunc(got, byName) {
		t.Error("the members are not in alphabetical order")
	}
	slices.SortFunc(want, byName)
	if !reflect.DeepEqual(got, want) {
		t.Error("the members are not those of the original")
	}
}

// BiT-M-R50x1-ILSVRC2012.npz in Google's bucket has 102,242,668 bytes. A file has 204 for each member, twice its name, the
// values, and 22 at the end, which is 94,128,628 for 10 classes.
func TestNpzSize(t *testing.T) {
	for _, c := range []struct {
		classes int
		want    int
	}{{1000, 102_242_668}, {10, 94_128_628}} {
		net, err := resnet.NewNetwork(resnet.Variant{Depth: 50, Width: 1}.Config(c.classes))
		if err != nil {
			t.Fatal(err)
		}
		var size counter
		if err := FromNetwork(net, nil, nil).writeNpz(&size); err != nil {
			t.Fatal(err)
		}
		if int(size) != c.want {
			t.Errorf("R50x1 with %d classes has %d bytes, want %d", c.classes, size, c.want)
		}
	}
}

type counter int

func (c *counter) Write(p []byte) (int, error) {
	*c += counter(len(p))
	return len(p), nil
}

func TestSaveNpzErrors(t *testing.T) {
	path := filepath.Join(t.TempDir(), "m.npz")
	eight := open(t, fixture.Case(t, "hf-tiny"))
	if err := SaveNpz(t.Context(), path, eight); err == nil || !strings.Contains(err.Error(), "an official file is of 32 groups, the model has 8") {
		t.Errorf("8 groups: %v", err)
	}
	odd := open(t, fixture.Case(t, "official-tiny", "weights.npz"))
	odd.Config.GNEpsilon = 1e-6
	if err := SaveNpz(t.Context(), path, odd); err == nil || !strings.Contains(err.Error(), "the model has 1e-06") {
		t.Errorf("another epsilon: %v", err)
	}
	odd.Config.GNEpsilon = 1e-5
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := SaveNpz(ctx, path, odd); !errors.Is(err, context.Canceled) {
		t.Errorf("interrupted: %v", err)
	}
	if left, _ := os.ReadDir(filepath.Dir(path)); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// The tensors of a timm file, by a plain loop over those of the official one: O I H W, the head a convolution.
func TestSaveTimmTensors(t *testing.T) {
	m := open(t, fixture.Case(t, "official-tiny", "weights.npz"))
	m.Preprocessor = imaging.Squash(128, imaging.Bilinear)
	dir := filepath.Join(t.TempDir(), "timm")
	if err := SaveTimm(t.Context(), dir, m, F32, Card{}); err != nil {
		t.Fatal(err)
	}
	official := map[string][]byte{} // past the header of 128 bytes
	for _, m := range readMembers(t, fixture.Case(t, "official-tiny", "weights.npz")) {
		official[strings.TrimSuffix(strings.TrimPrefix(m.name, "resnet/"), ".npy")] = m.data[128:]
	}
	file := readST(t, filepath.Join(dir, tensorsFile))
	if len(file.header) != len(official)+1 { // and the metadata
		t.Errorf("%d entries for %d tensors", len(file.header), len(official))
	}
	for _, c := range []struct {
		timm, npz string
		shape     []int // o i h w, or a vector
	}{
		{"stem.conv.weight", "root_block/standardized_conv2d/kernel", []int{32, 3, 7, 7}},
		{"stages.0.blocks.0.norm1.weight", "block1/unit01/a/group_norm/gamma", []int{32}},
		{"stages.0.blocks.0.downsample.conv.weight", "block1/unit01/a/proj/standardized_conv2d/kernel", []int{128, 32, 1, 1}},
		{"stages.1.blocks.1.conv2.weight", "block2/unit02/b/standardized_conv2d/kernel", []int{64, 64, 3, 3}},
		{"stages.3.blocks.0.norm3.bias", "block4/unit01/c/group_norm/beta", []int{256}},
		{"stages.2.blocks.0.conv3.weight", "block3/unit01/c/standardized_conv2d/kernel", []int{512, 128, 1, 1}},
		{"norm.weight", "group_norm/gamma", []int{1024}},
		{"head.fc.weight", "head/conv2d/kernel", []int{10, 1024, 1, 1}},
		{"head.fc.bias", "head/conv2d/bias", []int{10}},
	} {
		entry, ok := file.header[c.timm].(map[string]any)
		if !ok {
			t.Errorf("no %s", c.timm)
			continue
		}
		var shape []int
		for _, d := range entry["shape"].([]any) {
			shape = append(shape, int(d.(float64)))
		}
		if !slices.Equal(shape, c.shape) {
			t.Errorf("%s has shape %v, want %v", c.timm, shape, c.shape)
			continue
		}
		got, want := file.data[file.offset(c.timm):], official[c.npz]
		s := append(slices.Clone(c.shape), 1, 1, 1)[:4]
		at := 0
		for o := range s[0] {
			for i := range s[1] {
				for y := range s[2] {
					for x := range s[3] {
						from := ((y*s[3]+x)*s[1]+i)*s[0] + o
						if !bytes.Equal(got[4*at:4*at+4], want[4*from:4*from+4]) {
							t.Fatalf("%s: value %d,%d,%d,%d differs", c.timm, o, i, y, x)
						}
						at++
					}
				}
			}
		}
	}
}

// What timm's own config.json of these models says (its hub repositories, timm/models/resnetv2.py).
func TestTimmConfigOfReleased(t *testing.T) {
	for _, c := range []struct {
		variant      resnet.Variant
		processor    *imaging.Processor
		architecture string
		pretrained   map[string]any
	}{
		{resnet.Variant{Depth: 50, Width: 1}, google(448, 448, imaging.Bilinear), "resnetv2_50x1_bit",
			map[string]any{"input_size": []any{3., 448., 448.}, "interpolation": "bilinear", "crop_pct": 1., "crop_mode": "center", "pool_size": []any{14., 14.}}},
		{resnet.Variant{Depth: 101, Width: 3}, google(256, 224, imaging.Bilinear), "resnetv2_101x3_bit",
			map[string]any{"input_size": []any{3., 224., 224.}, "interpolation": "bilinear", "crop_pct": 0.875, "crop_mode": "center", "pool_size": []any{7., 7.}}},
		{resnet.Variant{Depth: 152, Width: 4}, imaging.Squash(480, imaging.Bicubic), "resnetv2_152x4_bit",
			map[string]any{"input_size": []any{3., 480., 480.}, "interpolation": "bicubic", "crop_pct": 1., "crop_mode": "squash", "pool_size": []any{15., 15.}}},
	} {
		m := &Model{Config: c.variant.Config(1000), Preprocessor: c.processor}
		pretrained, err := timmPretrainedCfg(m)
		if err != nil {
			t.Fatal(err)
		}
		var text bytes.Buffer
		if err := m.writeTimmConfig(&text, pretrained); err != nil {
			t.Fatal(err)
		}
		var got map[string]any
		if err := json.Unmarshal(text.Bytes(), &got); err != nil {
			t.Fatal(err)
		}
		if got["architecture"] != c.architecture || got["num_classes"] != 1000. || got["num_features"] != float64(2048*c.variant.Width) || got["model_args"] != nil {
			t.Errorf("%v: %s", c.variant, &text)
		}
		cfg := got["pretrained_cfg"].(map[string]any)
		half := []any{0.5, 0.5, 0.5}
		for key, want := range c.pretrained {
			if !reflect.DeepEqual(cfg[key], want) {
				t.Errorf("%v: %s is %v, want %v", c.variant, key, cfg[key], want)
			}
		}
		if !reflect.DeepEqual(cfg["mean"], half) || !reflect.DeepEqual(cfg["std"], half) || cfg["first_conv"] != "stem.conv" || cfg["classifier"] != "head.fc" {
			t.Errorf("%v: %v", c.variant, cfg)
		}
	}
}

// google is the preparation of the released models: the shorter side to resize, the middle crop x crop, to [-1, 1].
func google(resize, crop int, f imaging.Filter) *imaging.Processor {
	p := imaging.Squash(crop, f)
	p.Size = imaging.Size{ShortestEdge: resize}
	p.DoCenterCrop = true
	return p
}

// timm computes floor(size/crop_pct), which must be the resized side, for every pair.
func TestTimmCropPct(t *testing.T) {
	m := &Model{Config: resnet.Variant{Depth: 50, Width: 1}.Config(10)}
	for resize := range 600 {
		for crop := range resize {
			m.Preprocessor = google(resize+1, crop+1, imaging.Bicubic)
			cfg, err := timmPretrainedCfg(m)
			if err != nil {
				t.Fatal(err)
			}
			for _, member := range cfg {
				if pct, ok := member.Value.(float64); ok && int(math.Floor(float64(crop+1)/pct)) != resize+1 {
					t.Fatalf("resize %d, crop %d: crop_pct %v", resize+1, crop+1, pct)
				}
			}
		}
	}
}

func TestTimmCannotPrepare(t *testing.T) {
	change := func(f func(p *imaging.Processor)) *imaging.Processor {
		p := google(256, 224, imaging.Bilinear)
		f(p)
		return p
	}
	for want, p := range map[string]*imaging.Processor{
		"this model does not":   nil,
		"always resizes":        change(func(p *imaging.Processor) { p.DoResize = false }),
		"crops pictures to one": change(func(p *imaging.Processor) { p.DoCenterCrop = false }),
		"square":                change(func(p *imaging.Processor) { p.CropWidth = 200 }),
		"pads 256 pixels to":    change(func(p *imaging.Processor) { p.CropWidth, p.CropHeight = 300, 300 }),
	} {
		m := randomModel(t, 1)
		m.Preprocessor = p
		dir := filepath.Join(t.TempDir(), "m")
		if err := SaveTimm(t.Context(), dir, m, F32, Card{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
		if _, err := os.Stat(dir); err == nil {
			t.Errorf("%q: the folder was made", want)
		}
	}
}

// Values are mapped alike whichever way a processor says it: to [-1, 1] by one step or by two.
func TestTimmValueRange(t *testing.T) {
	p := google(256, 224, imaging.Bilinear)
	p.RescaleFactor, p.Mean, p.Std = 1/127.5, [3]float64{1, 1, 1}, [3]float64{1, 1, 1}
	m := randomModel(t, 1)
	m.Config.Channels, m.Preprocessor = 3, p
	cfg, err := timmPretrainedCfg(m)
	if err != nil {
		t.Fatal(err)
	}
	for _, member := range cfg {
		if member.Key == "mean" || member.Key == "std" {
			if v := member.Value.([3]float64); math.Abs(v[1]-0.5) > 1e-15 {
				t.Errorf("%s %v, want 0.5", member.Key, v)
			}
		}
	}
}

func TestLikeTimm(t *testing.T) {
	for _, v := range resnet.Released() {
		if err := LikeTimm(v.Config(1000)); err != nil {
			t.Errorf("%v: %v", v, err)
		}
	}
	c := resnet.Variant{Depth: 50, Width: 1}.Config(1000)
	for want, change := range map[string]func(c *resnet.Config){
		"no BiT of units [2 2 2 2]":  func(c *resnet.Config) { c.Depths = []int{2, 2, 2, 2} },
		"32 groups, this model's 16": func(c *resnet.Config) { c.Groups = 16 },
		"this model's 1e-06":         func(c *resnet.Config) { c.GNEpsilon = 1e-6 },
		"width of stage 2":           func(c *resnet.Config) { c.Widths = []int{256, 520, 1024, 2048} },
	} {
		d := c
		change(&d)
		if err := LikeTimm(d); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}

// Half precision: what is read is the nearest value, whose distance is at most 2^-8 or 2^-11 of it.
func TestSaveHalf(t *testing.T) {
	m := randomModel(t, 4)
	for dtype, bound := range map[DType]float64{BF16: 0x1p-8, F16: 0x1p-11} {
		dir := filepath.Join(t.TempDir(), "m")
		if err := SaveHF(t.Context(), dir, m, dtype, Card{}); err != nil {
			t.Fatal(err)
		}
		raw, bits := readST(t, filepath.Join(dir, tensorsFile)), 0
		for name, tensor := range open(t, dir).Tensors {
			for i, v := range tensor.Data {
				if w := m.Tensors[name].Data[i]; math.Abs(float64(v-w)) > bound*math.Abs(float64(w))+0x1p-25 {
					t.Fatalf("%s %s: %v became %v", dtype, name, w, v)
				}
				bits += 16
			}
		}
		if len(raw.data)*8 != bits || !strings.Contains(files(t, dir)[configFile], `"torch_dtype": "`+torchNames[dtype]+`"`) {
			t.Errorf("%s: %d bytes of values", dtype, len(raw.data))
		}
	}
}

func TestReadCard(t *testing.T) {
	read := func(text string) (Card, error) {
		return ReadCard(fstest.MapFS{cardFile: {Data: []byte(text)}})
	}
	// As the hub's documents show it, in other writers' forms: scalars for lists, per cent, Windows' line ends.
	c, err := read(strings.ReplaceAll(`---
license: mit
base_model: google/bit-50
datasets: beans
language:
- en
metrics:
- accuracy
model-index:
- name: my-bit
  results:
  - task: {type: image-classification}
    dataset: {name: Beans, type: beans, split: test}
    metrics:
    - {type: accuracy, value: 97.5, name: Accuracy}
    - {type: f1, value: 0.5}
---
# My BiT
`, "\n", "\r\n"))
	want := Card{Name: "my-bit", Base: "google/bit-50", License: "mit", Datasets: []string{"beans"}, Results: []Result{
		{Dataset: "Beans", Type: "beans", Split: "test", Metric: "accuracy", Name: "Accuracy", Value: 0.975},
		{Dataset: "Beans", Type: "beans", Split: "test", Metric: "f1", Value: 0.5},
	}}
	if err != nil || !reflect.DeepEqual(c, want) {
		t.Errorf("card %+v, error %v, want %+v", c, err, want)
	}
	for _, text := range []string{"", "# no header", "---\nlicense: mit\n", "--- no\n---\n"} {
		if c, err := read(text); err != nil || !reflect.DeepEqual(c, Card{}) {
			t.Errorf("%q: card %+v, error %v", text, c, err)
		}
	}
	if _, err := read("---\n- a\n---\n"); err == nil {
		t.Error("no error for a header that is a list")
	}
	if c, err := ReadCard(fstest.MapFS{}); err != nil || !reflect.DeepEqual(c, Card{}) {
		t.Errorf("without a file: %+v, %v", c, err)
	}

	// What is written is read back.
	dir := filepath.Join(t.TempDir(), "m")
	full := want
	full.Tags = []string{"bit", "vision", "image-classification", "beans"}
	if err := SaveHF(t.Context(), dir, randomModel(t, 1), F32, full); err != nil {
		t.Fatal(err)
	}
	full.Results[1].Name = "F1"
	if c, err := ReadCard(os.DirFS(dir)); err != nil || !reflect.DeepEqual(c, full) {
		t.Errorf("card %+v, error %v, want %+v", c, err, full)
	}
}
