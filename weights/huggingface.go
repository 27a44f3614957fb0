package weights

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"strconv"

	"github.com/bigtransfer/bit/calibrate"
	"github.com/bigtransfer/bit/imaging"
	"github.com/bigtransfer/bit/internal/strictjson"
	"github.com/bigtransfer/bit/resnet"
)

// Names of the files in a model directory beside the tensors.
const (
	configFile       = "config.json"
	preprocessorFile = "preprocessor_config.json" // transformers'; timm has this in config.json
	cardFile         = "README.md"
)

// StatisticsFile is the file of a model directory that holds the statistics of a closed-form head.
const StatisticsFile = "statistics.safetensors"

// hfConfig is the part of a config.json (transformers BitConfig) that decides what is computed. A field that is not
// there keeps the default of transformers. The two epsilons and the calibration are our own keys, which
// transformers carries along unread: its code fixes the epsilons at the values of newHFConfig.
type hfConfig struct {
	ModelType               string            `json:"model_type"`
	NumChannels             int               `json:"num_channels"`
	EmbeddingSize           int               `json:"embedding_size"`
	HiddenSizes             []int             `json:"hidden_sizes"`
	Depths                  []int             `json:"depths"`
	LayerType               string            `json:"layer_type"`
	HiddenAct               string            `json:"hidden_act"`
	GlobalPadding           *string           `json:"global_padding"`
	NumGroups               int               `json:"num_groups"`
	EmbeddingDynamicPadding bool              `json:"embedding_dynamic_padding"`
	OutputStride            int               `json:"output_stride"`
	WidthFactor             float64           `json:"width_factor"`
	ID2Label                map[string]string `json:"id2label"`
	ProblemType             string            `json:"problem_type"`
	WSEpsilon               float64           `json:"bit_ws_epsilon"`
	GNEpsilon               float64           `json:"bit_gn_epsilon"`
	calibrationConfig
}

// multiLabelProblem is what transformers calls classes of which a picture can have any number (configuration_utils.py,
// problem_type; its loss is then BCEWithLogitsLoss). timm has no such key and passes over it.
const multiLabelProblem = "multi_label_classification"

// problemMember is the key that says so, if it is so.
func (m *Model) problemMember() strictjson.Object {
	if !m.MultiLabel {
		return nil
	}
	return strictjson.Object{{Key: "problem_type", Value: multiLabelProblem}}
}

// newHFConfig returns the defaults of transformers (models/bit/configuration_bit.py).
func newHFConfig() hfConfig {
	return hfConfig{
		NumChannels: 3, EmbeddingSize: 64, HiddenSizes: []int{256, 512, 1024, 2048}, Depths: []int{3, 4, 6, 3},
		LayerType: "preactivation", HiddenAct: "relu", NumGroups: 32, OutputStride: 32, WidthFactor: 1,
		WSEpsilon: resnet.WSEpsilonTimm, GNEpsilon: resnet.GNEpsilon,
	}
}

// supported reports the first field that asks for a network other than BiT.
func (c hfConfig) supported() error {
	unsupported := func(field string, found, want any) error {
		return fmt.Errorf("%w: %s is %v, want %v", ErrUnsupported, field, found, want)
	}
	switch {
	case c.ModelType != "bit":
		return unsupported("model_type", strconv.Quote(c.ModelType), `"bit"`)
	case c.LayerType != "preactivation":
		return unsupported("layer_type", strconv.Quote(c.LayerType), `"preactivation"`)
	case c.HiddenAct != "relu":
		return unsupported("hidden_act", strconv.Quote(c.HiddenAct), `"relu"`)
	case c.GlobalPadding != nil:
		return unsupported("global_padding", strconv.Quote(*c.GlobalPadding), "null")
	case c.EmbeddingDynamicPadding:
		return unsupported("embedding_dynamic_padding", true, false)
	case c.OutputStride != 32:
		return unsupported("output_stride", c.OutputStride, 32)
	case c.WidthFactor != 1:
		return unsupported("width_factor", c.WidthFactor, 1)
	}
	return nil
}

// labels returns the class names in order, or nil if the configuration only has the names that transformers makes up.
func (c hfConfig) labels() ([]string, error) {
	if len(c.ID2Label) == 0 {
		return nil, nil
	}
	labels := make([]string, len(c.ID2Label))
	given := false
	for i := range labels {
		label, ok := c.ID2Label[strconv.Itoa(i)]
		if !ok {
			return nil, fmt.Errorf("id2label has %d labels but none for class %d", len(labels), i)
		}
		labels[i] = label
		given = given || label != madeUpLabel(i)
	}
	if !given {
		return nil, nil
	}
	return labels, nil
}

// madeUpLabel is what transformers calls a class without a name (configuration_utils.py).
func madeUpLabel(class int) string { return fmt.Sprintf("LABEL_%d", class) }

// openHF reads what belongs to a config.json of transformers.
func openHF(dir string, fsys fs.FS, text []byte, t *tensorFiles) (*Model, error) {
	in := func(file string, err error) error { return fmt.Errorf("%s/%s: %w", dir, file, err) }
	c := newHFConfig()
	if err := json.Unmarshal(text, &c); err != nil {
		return nil, in(configFile, err)
	}
	if err := c.supported(); err != nil {
		return nil, in(configFile, err)
	}
	m := &Model{Format: FormatHuggingFace, MultiLabel: c.ProblemType == multiLabelProblem, Config: resnet.Config{
		Channels: c.NumChannels, StemWidth: c.EmbeddingSize, Widths: c.HiddenSizes, Depths: c.Depths,
		Groups: c.NumGroups, GNEpsilon: c.GNEpsilon, WSEpsilon: c.WSEpsilon,
	}}
	var err error
	if m.Labels, err = c.labels(); err != nil {
		return nil, in(configFile, err)
	}
	if m.Calibration, err = c.calibration(); err != nil {
		return nil, in(configFile, err)
	}
	if m.Preprocessor, err = readPreprocessor(fsys); err != nil {
		return nil, in(preprocessorFile, err)
	}
	n, err := recognise(t.entries)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", t.name, err)
	}
	if n.timm {
		return nil, fmt.Errorf("%s: %w: its tensors are named as timm does, but %s is that of transformers (model_type %q)", t.name, ErrFormat, configFile, c.ModelType)
	}
	if n.headless(t.entries) {
		m.Config.Classes, m.Labels, m.Calibration = 1, nil, calibrate.Calibration{}
	} else if m.Config.Classes, err = c.classes(t); err != nil {
		return nil, in(configFile, err)
	}
	if err := m.Config.Validate(); err != nil {
		return nil, in(configFile, err)
	}
	units := 0
	for _, depth := range m.Config.Depths { // before that many names are made
		if units += min(depth, len(t.entries)+1); units > len(t.entries) {
			return nil, in(configFile, fmt.Errorf("depths %v are more units than %s has tensors, %d", m.Config.Depths, t.name, len(t.entries)))
		}
	}
	return m.load(t, n)
}

// classes returns the number of classes: that of the labels, else that of the head.
func (c hfConfig) classes(t *tensorFiles) (int, error) {
	if len(c.ID2Label) > 0 {
		return len(c.ID2Label), nil
	}
	for _, name := range []string{resnet.HeadBias, resnet.HeadKernel} {
		for _, e := range t.entries {
			if e.name == hfNaming.outerKey(name) && len(e.shape) > 0 && e.shape[0] > 0 {
				return e.shape[0], nil
			}
		}
	}
	return 0, fmt.Errorf("no id2label, and no classifier in %s to count the classes by", t.name)
}

// readPreprocessor returns the image processor, or nil if there is none.
func readPreprocessor(fsys fs.FS) (*imaging.Processor, error) {
	text, err := fs.ReadFile(fsys, preprocessorFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if err := strictjson.CheckKeys(text); err != nil {
		return nil, err
	}
	p := new(imaging.Processor)
	if err := json.Unmarshal(text, p); err != nil {
		return nil, err
	}
	return p, nil
}
