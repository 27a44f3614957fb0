package weights

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/bigtransfer/bit/imaging"
	"github.com/bigtransfer/bit/internal/fixture"
	"github.com/bigtransfer/bit/resnet"
)

// files returns the content of every file of a directory.
func files(t *testing.T, dir string) map[string]string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for _, e := range entries {
		text, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		all[e.Name()] = string(text)
	}
	return all
}

// What is saved reads back the same: bits, architecture with epsilons, labels, preprocessing. And the same model makes
// the same bytes.
func TestSaveHFRoundTrip(t *testing.T) {
	official := open(t, fixture.Case(t, "official-tiny", "weights.npz"))
	official.Preprocessor = imaging.Squash(480, imaging.Bilinear)
	official.Labels = strings.Split(`crane,"quoted",tab	inside,crane,<html> & more,naïve café,鳥,LABEL_7,a: b,`, ",")
	odd := open(t, fixture.Case(t, "hf-tiny"))
	odd.Preprocessor, odd.Labels = nil, nil
	odd.Config.GNEpsilon, odd.Config.WSEpsilon = 1e-6, 0x1.23456789abcdp-30
	for name, m := range map[string]*Model{
		"official": official, "hf": open(t, fixture.Case(t, "hf-tiny")), "odd epsilons": odd, "drawn": randomModel(t, 7),
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "new", "model")
			if err := SaveHF(t.Context(), dir, m, F32, Card{}); err != nil {
				t.Fatal(err)
			}
			back := open(t, dir)
			if !reflect.DeepEqual(back.Config, m.Config) || !slices.Equal(back.Labels, m.Labels) || !reflect.DeepEqual(back.Preprocessor, m.Preprocessor) {
				t.Errorf("read back\n%+v, %q, %+v\nwant\n%+v, %q, %+v", back.Config, back.Labels, back.Preprocessor, m.Config, m.Labels, m.Preprocessor)
			}
			sameTensors(t, back.Tensors, m.Tensors)

			again := filepath.Join(t.TempDir(), "model")
			if err := SaveHF(t.Context(), again, back, F32, Card{}); err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(files(t, again), files(t, dir)) {
				t.Error("the second copy differs from the first")
			}
		})
	}
}

// randomModel is a small network with every value drawn, whose mid widths (4) transformers would round up.
func randomModel(t testing.TB, seed uint64) *Model {
	t.Helper()
	net, err := resnet.NewNetwork(resnet.Config{Channels: 1, StemWidth: 6, Widths: []int{16, 24}, Depths: []int{1, 2}, Groups: 2, Classes: 3,
		GNEpsilon: 1e-5, WSEpsilon: 1e-10})
	if err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(seed, 0))
	for _, p := range net.Params() {
		for i := range p.Value {
			p.Value[i] = float32(r.NormFloat64())
		}
	}
	return FromNetwork(net, nil, nil)
}

// The file that is written has the names, shapes and values of the one that transformers wrote.
func TestSaveHFLikeTransformers(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "model")
	if err := SaveHF(t.Context(), dir, open(t, fixture.Case(t, "hf-tiny")), F32, Card{}); err != nil {
		t.Fatal(err)
	}
	got, want := readST(t, filepath.Join(dir, tensorsFile)), readST(t, fixture.Case(t, "hf-tiny", tensorsFile))
	if len(got.header) != len(want.header) {
		t.Fatalf("%d entries, want %d", len(got.header), len(want.header))
	}
	bytesOf := func(f stFile, name string) []byte {
		o := f.header[name].(map[string]any)["data_offsets"].([]any)
		return f.data[int(o[0].(float64)):int(o[1].(float64))]
	}
	for name, w := range want.header {
		g, ok := got.header[name]
		if !ok {
			t.Fatalf("no %s", name)
		}
		if name == "__metadata__" {
			if !reflect.DeepEqual(g, w) {
				t.Errorf("metadata %v, want %v", g, w)
			}
			continue
		}
		for _, field := range []string{"dtype", "shape"} {
			if g, w := g.(map[string]any)[field], w.(map[string]any)[field]; !reflect.DeepEqual(g, w) {
				t.Errorf("%s: %s %v, want %v", name, field, g, w)
			}
		}
		if !bytes.Equal(bytesOf(got, name), bytesOf(want, name)) {
			t.Errorf("%s: other values", name)
		}
	}
	// Every key of config.json that transformers wrote for the architecture has the same value here.
	read := func(path string) map[string]any {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		var m map[string]any
		if err := json.Unmarshal(text, &m); err != nil {
			t.Fatal(err)
		}
		return m
	}
	ours, theirs := read(filepath.Join(dir, configFile)), read(fixture.Case(t, "hf-tiny", configFile))
	for key, value := range ours {
		if strings.HasPrefix(key, "bit_") {
			continue
		}
		if want, ok := theirs[key]; !ok || !reflect.DeepEqual(value, want) {
			t.Errorf("%s is %v, want %v", key, value, want)
		}
	}
	for _, key := range []string{"architectures", "depths", "embedding_size", "hidden_sizes", "id2label", "label2id", "model_type", "num_channels", "num_groups", "torch_dtype"} {
		if ours[key] == nil {
			t.Errorf("no %s", key)
		}
	}
	if got, want := read(filepath.Join(dir, preprocessorFile)), read(fixture.Case(t, "hf-tiny", preprocessorFile)); !reflect.DeepEqual(got, want) {
		t.Errorf("preprocessor %v, want %v", got, want)
	}
}

func TestSaveHFLabels(t *testing.T) {
	m := randomModel(t, 1)
	m.Labels = []string{"crane", "maillot", "crane"}
	dir := filepath.Join(t.TempDir(), "model")
	if err := SaveHF(t.Context(), dir, m, F32, Card{}); err != nil {
		t.Fatal(err)
	}
	var c struct {
		ID2Label map[string]string `json:"id2label"`
		Label2ID map[string]int    `json:"label2id"`
	}
	if err := json.Unmarshal([]byte(files(t, dir)[configFile]), &c); err != nil {
		t.Fatal(err)
	}
	if want := map[string]int{"crane": 2, "maillot": 1}; !reflect.DeepEqual(c.Label2ID, want) || len(c.ID2Label) != 3 {
		t.Errorf("label2id %v, want %v; id2label %v", c.Label2ID, want, c.ID2Label)
	}
	m.Labels = m.Labels[:2]
	if err := SaveHF(t.Context(), dir, m, F32, Card{}); err == nil {
		t.Error("no error for 2 labels of 3 classes")
	}
}

// Half precision rounds each value to the nearest float16, and a second save changes nothing more.
func TestSaveHFHalf(t *testing.T) {
	m := open(t, fixture.Case(t, "hf-tiny"))
	dir := t.TempDir()
	if err := SaveHF(t.Context(), filepath.Join(dir, "half"), m, F16, Card{}); err != nil {
		t.Fatal(err)
	}
	back := open(t, filepath.Join(dir, "half"))
	for name, want := range m.Tensors {
		for i, w := range want.Data {
			g := back.Tensors[name].Data[i]
			// Half a unit in the last of 11 places, or of the subnormal step 2^-24.
			if bound := max(math.Abs(float64(w))*0x1p-11, 0x1p-25); math.Abs(float64(g-w)) > bound {
				t.Fatalf("%s: %v became %v", name, w, g)
			}
		}
	}
	if err := SaveHF(t.Context(), filepath.Join(dir, "again"), back, F16, Card{}); err != nil {
		t.Fatal(err)
	}
	a, b := files(t, filepath.Join(dir, "half")), files(t, filepath.Join(dir, "again"))
	if !reflect.DeepEqual(a, b) {
		t.Error("the second save differs")
	}
	full, err := os.Stat(fixture.Case(t, "hf-tiny", tensorsFile))
	if err != nil {
		t.Fatal(err)
	}
	if n := int64(len(a[tensorsFile])); n > full.Size()/2+8192 || !strings.Contains(a[configFile], `"torch_dtype": "float16"`) {
		t.Errorf("%d bytes, float32 has %d", n, full.Size())
	}
}

// A save that fails leaves what was there, and nothing else.
func TestSaveHFFails(t *testing.T) {
	parent := t.TempDir()
	dir := filepath.Join(parent, "model")
	good := randomModel(t, 1)
	if err := SaveHF(t.Context(), dir, good, F32, Card{}); err != nil {
		t.Fatal(err)
	}
	before := files(t, dir)
	var te *TensorError

	large := randomModel(t, 2)
	large.Tensors["block2/unit02/conv3/kernel"].Data[5] = 70000
	if err := SaveHF(t.Context(), dir, large, F16, Card{}); !errors.As(err, &te) || te.Name != "bit.encoder.stages.1.layers.1.conv3.weight" || !errors.Is(err, ErrNotFinite) {
		t.Errorf("70000 as float16: %v", err)
	}
	nan := randomModel(t, 2)
	nan.Tensors["norm/beta"].Data[3] = float32(math.NaN())
	if err := SaveHF(t.Context(), dir, nan, F32, Card{}); !errors.As(err, &te) || te.Name != "norm/beta" || !errors.Is(err, ErrNotFinite) {
		t.Errorf("NaN: %v", err)
	}
	missing := randomModel(t, 2)
	delete(missing.Tensors, "norm/beta")
	if err := SaveHF(t.Context(), dir, missing, F32, Card{}); !errors.Is(err, ErrMissing) {
		t.Errorf("missing tensor: %v", err)
	}
	if err := SaveHF(t.Context(), dir, good, "F64", Card{}); err == nil {
		t.Error("no error for float64")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, path := range []string{dir, filepath.Join(parent, "new")} {
		if err := SaveHF(ctx, path, good, F32, Card{}); !errors.Is(err, context.Canceled) {
			t.Errorf("interrupted: %v", err)
		}
	}
	if _, err := os.Stat(filepath.Join(parent, "new")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("left behind: %v", err)
	}
	if err := SaveHF(t.Context(), filepath.Join(dir, configFile, "below"), good, F32, Card{}); err == nil {
		t.Error("no error for a directory inside a file")
	}
	if err := SaveHF(t.Context(), filepath.Join(dir, configFile), good, F32, Card{}); err == nil {
		t.Error("no error for a file in place of the directory")
	}
	if !reflect.DeepEqual(files(t, dir), before) {
		t.Error("the model that was there has changed")
	}
	if left, err := filepath.Glob(filepath.Join(parent, ".*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// Saving again replaces the model's own files and leaves others alone.
func TestSaveHFReplaces(t *testing.T) {
	parent := t.TempDir()
	dir := filepath.Join(parent, "model")
	first := open(t, fixture.Case(t, "hf-tiny"))
	if err := SaveHF(t.Context(), dir, first, F32, Card{}); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "notes.txt"), []byte("mine"), 0o666); err != nil {
		t.Fatal(err)
	}
	second := randomModel(t, 2)
	if err := SaveHF(t.Context(), dir, second, F32, Card{}); err != nil {
		t.Fatal(err)
	}
	sameTensors(t, open(t, dir).Tensors, second.Tensors)
	left := files(t, dir)
	if left["notes.txt"] != "mine" {
		t.Error("a file that is not the model's is gone")
	}
	if _, ok := left[preprocessorFile]; ok {
		t.Error("the preprocessor of the earlier model is still there")
	}
	if err := fs.WalkDir(os.DirFS(parent), ".", func(path string, d fs.DirEntry, err error) error {
		if strings.HasPrefix(d.Name(), ".") && path != "." {
			t.Errorf("left behind: %s", path)
		}
		return err
	}); err != nil {
		t.Error(err)
	}
}

// A directory that exists may be a mount point, or alone writable: nothing happens beside it.
func TestSaveHFStaysInside(t *testing.T) {
	parent := t.TempDir()
	dir := filepath.Join(parent, "model")
	if err := os.Mkdir(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	long := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
	if err := os.Chtimes(parent, long, long); err != nil {
		t.Fatal(err)
	}
	if err := SaveHF(t.Context(), dir, randomModel(t, 1), F32, Card{}); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(parent); err != nil || !info.ModTime().Equal(long) {
		t.Errorf("the parent directory was changed (%v, error %v)", info.ModTime(), err)
	}
	files, err := os.ReadDir(dir)
	if err != nil || len(files) != 3 {
		t.Errorf("%d entries, error %v, want the 3 files of a model without preprocessor", len(files), err)
	}
}

// The YAML header is valid whatever the texts are, and says what the card says.
func TestCard(t *testing.T) {
	card := Card{
		Name: `yes: "BiT" #1`, Summary: "A small BiT.", License: "apache-2.0", Tags: []string{"tiny", "bit", "no", "1e3", "- x", "a\n---\nb", "{", "'", "@at", "null", "12:30", "\x00", "tab\there", "---", "鳥"},
		Datasets: []string{"zh-plus/tiny-imagenet"}, Data: "100,000 images.", Recipe: "SGD.", Command: "bit pretrain DATA -o OUT\necho ```", Time: 90 * time.Minute, Hardware: "2 cores",
		Results: []Result{
			{Dataset: "Tiny ImageNet: val", Type: "zh-plus/tiny-imagenet", Split: "validation", Name: "Top-1 accuracy", Value: 0.4321, Images: 10000},
			{Dataset: "a|b", Metric: "loss", Value: 2.5},
		},
		Limits: "64 pixels only.",
	}
	dir := filepath.Join(t.TempDir(), "model")
	if err := SaveHF(t.Context(), dir, randomModel(t, 1), F32, card); err != nil {
		t.Fatal(err)
	}
	text := files(t, dir)[cardFile]
	parts := strings.SplitN(text, "---\n", 3)
	if len(parts) != 3 || parts[0] != "" {
		t.Fatalf("no YAML header:\n%s", text)
	}
	var got map[string]any
	if err := yaml.Unmarshal([]byte(parts[1]), &got); err != nil {
		t.Fatalf("%v in\n%s", err, parts[1])
	}
	want := map[string]any{
		"license": "apache-2.0", "library_name": "transformers", "pipeline_tag": "image-classification",
		"tags":     []any{"bit", "vision", "image-classification", "tiny", "no", "1e3", "- x", "a --- b", "{", "'", "@at", "null", "12:30", "tab here", "---", "鳥"},
		"datasets": []any{"zh-plus/tiny-imagenet"}, "metrics": []any{"accuracy", "loss"},
		"model-index": []any{map[string]any{"name": `yes: "BiT" #1`, "results": []any{
			map[string]any{
				"task":    map[string]any{"type": "image-classification", "name": "Image Classification"},
				"dataset": map[string]any{"name": "Tiny ImageNet: val", "type": "zh-plus/tiny-imagenet", "split": "validation"},
				"metrics": []any{map[string]any{"type": "accuracy", "value": 0.4321, "name": "Top-1 accuracy"}},
			},
			map[string]any{
				"task":    map[string]any{"type": "image-classification", "name": "Image Classification"},
				"dataset": map[string]any{"name": "a|b", "type": "a|b"},
				"metrics": []any{map[string]any{"type": "loss", "value": 2.5, "name": "Loss"}},
			},
		}}},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("header\n%v\nwant\n%v", got, want)
	}
	for _, part := range []string{
		"\n# yes: \"BiT\" #1\n", "\nA small BiT.\n", "| Tiny ImageNet: val | validation | 10000 | Top-1 accuracy | 43.21 % |\n", `| a\|b |  |  | Loss | 2.5 |`,
		"\n## Data\n\n100,000 images.\n", "\n## Recipe\n\nSGD.\n", "\n````sh\nbit pretrain DATA -o OUT\necho ```\n````\n", "1h30m0s on 2 cores.", "\n## Limits\n\n64 pixels only.\n",
		"- 3 classes\n", "it rounds the bottleneck width of stage 1 from 4 to 8",
	} {
		if !strings.Contains(parts[2], part) {
			t.Errorf("no %q in\n%s", part, parts[2])
		}
	}
}

func TestLikeTransformers(t *testing.T) {
	for _, v := range resnet.Released() {
		if err := LikeTransformers(v.Config(1000)); err != nil {
			t.Errorf("%v: %v", v, err)
		}
	}
	c := resnet.Variant{Depth: 50, Width: 1}.Config(1000)
	c.Widths = []int{256, 520, 1024, 2048} // a quarter of 520 is 130, which becomes 136 or 128
	if LikeTransformers(c) == nil {
		t.Error("no difference for a bottleneck width of 130")
	}
}

// A network shares its values with the model: nothing is in memory twice.
func TestNetworkSharesValues(t *testing.T) {
	m := randomModel(t, 3)
	net, err := m.Network()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range net.Params() {
		if &p.Value[0] != &m.Tensors[p.Name].Data[0] {
			t.Fatalf("%s was copied", p.Name)
		}
	}
	m.Tensors["norm/beta"].Shape = []int{23}
	var te *TensorError
	if _, err := m.Network(); !errors.As(err, &te) || te.Name != "norm/beta" || !errors.Is(err, ErrShape) {
		t.Errorf("wrong shape: %v", err)
	}
}
