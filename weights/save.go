package weights

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/bigtransfer/bit/internal/atomicfile"
	"github.com/bigtransfer/bit/internal/safetensors"
	"github.com/bigtransfer/bit/internal/strictjson"
	"github.com/bigtransfer/bit/resnet"
)

// DType is the element type of a stored tensor, spelled as in a safetensors header.
type DType = safetensors.DType

// The element types that weights are read from and written as. All become float32 in memory.
const (
	F32  = safetensors.F32
	F16  = safetensors.F16
	BF16 = safetensors.BF16
)

// SaveHF writes a model as a Hugging Face model directory that transformers loads as BitForImageClassification:
// config.json, model.safetensors, README.md and, if the model has one, preprocessor_config.json and StatisticsFile. F32
// reads back to the same bits, F16 and BF16 halve the file and leave out StatisticsFile, which belongs to weights of the
// same bits. The same model and card always give the same bytes.
//
// A directory that does not exist appears complete or not at all. In one that exists, the files of the model are
// replaced once all of them are written, each by one rename, and other files stay. What is not complete when ctx ends is
// removed.
func SaveHF(ctx context.Context, dir string, m *Model, dtype DType, card Card) error {
	card.libraryName = "transformers"
	files := []savedFile{
		{configFile, func(w io.Writer) error { return m.writeConfig(w, dtype) }},
		{cardFile, func(w io.Writer) error { return m.writeCard(w, dtype, card, m.hfFacts()) }},
		{tensorsFile, func(w io.Writer) error { return m.writeTensors(w, hfNaming, dtype) }},
	}
	if m.Preprocessor != nil {
		files = append(files, savedFile{preprocessorFile, func(w io.Writer) error { return writeJSON(w, m.Preprocessor) }})
	}
	if m.Statistics != nil && dtype == F32 {
		files = append(files, savedFile{StatisticsFile, m.Statistics})
	}
	return m.saveDir(ctx, dir, dtype, files)
}

// savedFile is one file of a directory that is being written.
type savedFile struct {
	name  string
	write func(io.Writer) error
}

// torchNames are the element types as PyTorch calls them.
var torchNames = map[DType]string{F32: "float32", F16: "float16", BF16: "bfloat16"}

func (m *Model) saveDir(ctx context.Context, dir string, dtype DType, files []savedFile) error {
	err := m.check()
	if err == nil && torchNames[dtype] == "" {
		err = fmt.Errorf("cannot write element type %q, want F32, F16 or BF16", dtype)
	}
	if err == nil {
		err = saveDir(ctx, filepath.Clean(dir), files)
	}
	if err != nil {
		return fmt.Errorf("save %s: %w", dir, err)
	}
	return nil
}

func saveDir(ctx context.Context, dir string, files []savedFile) (err error) {
	if err := os.MkdirAll(filepath.Dir(dir), 0o777); err != nil {
		return err
	}
	// Renames stay on one file system: beside a new directory, but inside one that exists, which may be a mount point
	// or all that may be written to.
	place := filepath.Dir(dir)
	if info, err := os.Stat(dir); err == nil && info.IsDir() {
		place = dir
	}
	temp := filepath.Join(place, fmt.Sprintf(".%s.%08x.tmp", filepath.Base(dir), rand.Uint32()))
	if err := os.Mkdir(temp, 0o777); err != nil {
		return err
	}
	defer func() {
		if rest := os.RemoveAll(temp); err == nil {
			err = rest
		}
	}()
	for _, f := range files {
		err := atomicfile.Replace(filepath.Join(temp, f.name), func(w io.Writer) error { return f.write(atomicfile.Until(ctx, w)) })
		if err != nil {
			return err
		}
	}
	if _, err := os.Lstat(dir); errors.Is(err, fs.ErrNotExist) {
		return os.Rename(temp, dir)
	}
	for _, name := range []string{preprocessorFile, StatisticsFile} { // those of an earlier model must not stay
		if slices.ContainsFunc(files, func(f savedFile) bool { return f.name == name }) {
			continue
		}
		if err := os.Remove(filepath.Join(dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	for _, f := range files {
		if err := os.Rename(filepath.Join(temp, f.name), filepath.Join(dir, f.name)); err != nil {
			return err
		}
	}
	return nil
}

// writeTensors writes model.safetensors, the parameters in the order of the forward pass.
func (m *Model) writeTensors(w io.Writer, n naming, dtype DType) error {
	var tensors []safetensors.Source
	for _, p := range n.params(m.Config) {
		tensors = append(tensors, safetensors.Source{
			Name: p.file, DType: dtype, Shape: p.stored, Values: stored(p, m.Tensors[p.Name].Data, n.oihw),
		})
	}
	err := safetensors.Write(w, map[string]string{"format": "pt"}, tensors)
	var fault *safetensors.Fault
	if errors.As(err, &fault) {
		return tensorError(fault)
	}
	return err
}

// writeConfig writes what transformers' BitConfig reads, the epsilons that its code holds as constants, and the
// calibration.
func (m *Model) writeConfig(w io.Writer, dtype DType) error {
	c := m.Config
	id2label, label2id := strictjson.Object{}, strictjson.Object{}
	at := map[string]int{}
	for i := range c.Classes {
		label := madeUpLabel(i)
		if m.Labels != nil {
			label = m.Labels[i]
		}
		id2label = append(id2label, strictjson.Member{Key: strconv.Itoa(i), Value: label})
		// Two classes may share a label ("crane" in ILSVRC); as in Python, the last one keeps it.
		if j, ok := at[label]; ok {
			label2id[j].Value = i
		} else {
			at[label] = len(label2id)
			label2id = append(label2id, strictjson.Member{Key: label, Value: i})
		}
	}
	stages := []string{"stem"}
	for s := range c.Depths {
		stages = append(stages, fmt.Sprintf("stage%d", s+1))
	}
	return writeJSON(w, slices.Concat(strictjson.Object{
		{Key: "architectures", Value: []string{"BitForImageClassification"}},
		{Key: "bit_gn_epsilon", Value: c.GNEpsilon},
	}, calibrationMembers(m.Calibration), strictjson.Object{
		{Key: wsEpsilonKey, Value: c.WSEpsilon},
		{Key: "depths", Value: c.Depths},
		{Key: "drop_path_rate", Value: 0.0},
		{Key: "embedding_dynamic_padding", Value: false},
		{Key: "embedding_size", Value: c.StemWidth},
		{Key: "global_padding", Value: nil},
		{Key: "hidden_act", Value: "relu"},
		{Key: "hidden_sizes", Value: c.Widths},
		{Key: "id2label", Value: id2label},
		{Key: "label2id", Value: label2id},
		{Key: "layer_type", Value: "preactivation"},
		{Key: "model_type", Value: "bit"},
		{Key: "num_channels", Value: c.Channels},
		{Key: "num_groups", Value: c.Groups},
		{Key: "out_features", Value: nil},
		{Key: "output_stride", Value: 32},
	}, m.problemMember(), strictjson.Object{
		{Key: "stage_names", Value: stages},
		{Key: "torch_dtype", Value: torchNames[dtype]},
		{Key: "width_factor", Value: 1},
	}))
}

func writeJSON(w io.Writer, v any) error {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(v); err != nil {
		return err
	}
	_, err := w.Write(b.Bytes())
	return err
}

// writeCard writes README.md; facts are what only this format has to say.
func (m *Model) writeCard(w io.Writer, dtype DType, card Card, facts []string) error {
	text, err := card.markdown(append([]string{
		fmt.Sprintf("pre-activation ResNet with GroupNorm (%d groups) and weight standardisation, as in Big Transfer (arXiv:1912.11370)", m.Config.Groups),
		fmt.Sprintf("units per stage %v, stem width %d, stage widths %v", m.Config.Depths, m.Config.StemWidth, m.Config.Widths),
		fmt.Sprintf("%d parameters, stored as %s", m.Config.NumParams(), dtype),
		fmt.Sprintf("%d classes", m.Config.Classes),
	}, facts...))
	if err != nil {
		return err
	}
	_, err = w.Write(text)
	return err
}

// epsilonFact says how the epsilon of weight standardisation differs from that of a library, if it does.
func (m *Model) epsilonFact(library string) []string {
	if m.Config.WSEpsilon == resnet.WSEpsilonTimm {
		return nil
	}
	return []string{fmt.Sprintf("weight standardisation adds %v to the variance of a filter (key bit_ws_epsilon); %s always adds %v, "+
		"which shows only in filters of a variance near that", m.Config.WSEpsilon, library, resnet.WSEpsilonTimm)}
}

func (m *Model) hfFacts() []string {
	facts := m.epsilonFact("transformers")
	if err := LikeTransformers(m.Config); err != nil {
		facts = append(facts, fmt.Sprintf("not the same network in transformers: %v", err))
	}
	return facts
}

// LikeTransformers reports why transformers would compute something else from the saved model, or nil. A directory
// that SaveHF writes for such a network still reads back unchanged here.
func LikeTransformers(c resnet.Config) error {
	if err := roundsWidths(c); err != nil {
		return err
	}
	if c.GNEpsilon != resnet.GNEpsilon {
		return fmt.Errorf("its GroupNorm epsilon is %v, this model's %v", resnet.GNEpsilon, c.GNEpsilon)
	}
	return nil
}

// roundsWidths reports a width that transformers (BitEncoder, BitPreActivationBottleneckLayer) and timm
// (PreActBottleneck) would round: every stage's, and a quarter of it, to multiples of 8.
func roundsWidths(c resnet.Config) error {
	for s, width := range c.Widths {
		if r := roundTo8(float64(width)); r != width {
			return fmt.Errorf("it rounds the width of stage %d from %d to %d", s+1, width, r)
		}
		if r := roundTo8(float64(width) / 4); r != c.Mid(s) {
			return fmt.Errorf("it rounds the bottleneck width of stage %d from %d to %d", s+1, c.Mid(s), r)
		}
	}
	return nil
}

// roundTo8 is make_div of transformers' modeling_bit.py.
func roundTo8(v float64) int {
	r := max(8, int(v+4)/8*8)
	if float64(r) < 0.9*v {
		r += 8
	}
	return r
}
