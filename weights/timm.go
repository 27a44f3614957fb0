package weights

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/bigtransfer/bit/calibrate"
	"github.com/bigtransfer/bit/imaging"
	"github.com/bigtransfer/bit/resnet"
)

// timmConfig is the part of timm's config.json that decides what is computed (timm/models/_hub.py,
// save_config_for_hf). The architecture itself follows from the tensors. The last ones are our own keys, as in hfConfig.
type timmConfig struct {
	Architecture string                     `json:"architecture"`
	NumClasses   *int                       `json:"num_classes"`
	GlobalPool   string                     `json:"global_pool"`
	ProblemType  string                     `json:"problem_type"` // ours
	ModelArgs    map[string]json.RawMessage `json:"model_args"`
	Pretrained   timmPretrained             `json:"pretrained_cfg"`
	timmLabels
	Groups    int     `json:"bit_num_groups"`
	WSEpsilon float64 `json:"bit_ws_epsilon"`
	GNEpsilon float64 `json:"bit_gn_epsilon"`
	calibrationConfig
}

// timmPretrained says how pictures are prepared. What it lacks has the defaults of timm/data/config.py.
type timmPretrained struct {
	InputSize     []int     `json:"input_size"` // channels, height, width
	Interpolation string    `json:"interpolation"`
	CropPct       float64   `json:"crop_pct"`
	CropMode      string    `json:"crop_mode"`
	Mean          []float64 `json:"mean"`
	Std           []float64 `json:"std"`
	timmLabels
}

// timmLabels are the names of the classes: as a list, or as an object by index, of names that label_descriptions may
// make readable.
type timmLabels struct {
	LabelNames        timmNames         `json:"label_names"`
	LabelDescriptions map[string]string `json:"label_descriptions"`
}

type timmNames []string

func (l *timmNames) UnmarshalJSON(text []byte) error {
	if text[0] != '{' {
		return json.Unmarshal(text, (*[]string)(l))
	}
	var byIndex map[string]string
	if err := json.Unmarshal(text, &byIndex); err != nil {
		return err
	}
	*l = make([]string, len(byIndex))
	for i := range *l {
		name, ok := byIndex[strconv.Itoa(i)]
		if !ok {
			return fmt.Errorf("%d names but none for class %d", len(byIndex), i)
		}
		(*l)[i] = name
	}
	return nil
}

// readable returns the names as people read them, nil if there are none.
func (l timmLabels) readable() []string {
	labels := slices.Clone([]string(l.LabelNames))
	for i, name := range labels {
		if text := l.LabelDescriptions[name]; text != "" {
			labels[i] = text
		}
	}
	return labels
}

// timmBiT matches the architectures that are BiT, the deprecated ones too. Others share its names of tensors but not its
// convolutions: resnetv2_50_gn has no weight standardisation.
var timmBiT = regexp.MustCompile(`^resnetv2_\d+x\d+_bit(m?)(_|$)`)

// openTimm reads what belongs to a config.json of timm.
func openTimm(dir string, text []byte, t *tensorFiles) (*Model, error) {
	in := func(err error) error { return fmt.Errorf("%s/%s: %w", dir, configFile, err) }
	c := timmConfig{Groups: releasedGroups, WSEpsilon: resnet.WSEpsilonTimm, GNEpsilon: resnet.GNEpsilon}
	if err := json.Unmarshal(text, &c); err != nil {
		return nil, in(err)
	}
	switch {
	case !timmBiT.MatchString(c.Architecture):
		return nil, in(fmt.Errorf("%w: architecture is %q, want one like \"resnetv2_50x1_bit\"", ErrUnsupported, c.Architecture))
	case c.GlobalPool != "" && c.GlobalPool != "avg":
		return nil, in(fmt.Errorf("%w: global_pool is %q, want \"avg\"", ErrUnsupported, c.GlobalPool))
	}
	m := &Model{Format: FormatTimm, MultiLabel: c.ProblemType == multiLabelProblem}
	n, err := recognise(t.entries)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", t.name, err)
	}
	if !n.timm {
		return nil, fmt.Errorf("%s: %w: its tensors are named as transformers does, but %s is that of timm (architecture %q)", t.name, ErrFormat, configFile, c.Architecture)
	}
	if m.Config, err = n.infer(t.name, t.entries); err != nil {
		return nil, err
	}
	m.Config.Groups, m.Config.GNEpsilon, m.Config.WSEpsilon = c.Groups, c.GNEpsilon, c.WSEpsilon
	if err := m.Config.Validate(); err != nil {
		return nil, in(err)
	}
	if m.Preprocessor, err = c.Pretrained.processor(m.Config.Channels); err != nil {
		return nil, in(fmt.Errorf("pretrained_cfg: %w", err))
	}
	if m.Calibration, err = c.calibration(); err != nil {
		return nil, in(err)
	}
	if n.headless(t.entries) {
		m.Calibration = calibrate.Calibration{}
	} else {
		if c.NumClasses != nil && *c.NumClasses != m.Config.Classes {
			return nil, in(fmt.Errorf("num_classes is %d, but the head in %s has %d outputs", *c.NumClasses, t.name, m.Config.Classes))
		}
		for _, l := range []timmLabels{c.timmLabels, c.Pretrained.timmLabels} {
			if m.Labels == nil {
				m.Labels = l.readable()
			}
		}
		if m.Labels != nil && len(m.Labels) != m.Config.Classes {
			return nil, in(fmt.Errorf("label_names has %d names for %d classes", len(m.Labels), m.Config.Classes))
		}
	}
	if c.ModelArgs == nil { // which may change any width or depth
		m.warnOfName(c.Architecture)
	}
	return m.load(t, n)
}

// processor returns timm's evaluation transform: the shorter side to size/crop_pct, then the centre.
func (c timmPretrained) processor(channels int) (*imaging.Processor, error) {
	if channels != 3 {
		return nil, nil // pictures have 3
	}
	if c.InputSize == nil {
		c.InputSize = []int{3, 224, 224}
	}
	if c.CropPct == 0 {
		c.CropPct = 0.875
	}
	if c.Interpolation == "" {
		c.Interpolation = "bicubic"
	}
	filters := map[string]imaging.Filter{
		"nearest": imaging.Nearest, "lanczos": imaging.Lanczos, "bilinear": imaging.Bilinear, "bicubic": imaging.Bicubic,
		"box": imaging.Box, "hamming": imaging.Hamming,
		"random": imaging.Bilinear, // in training; str_to_interp_mode gives this in evaluation
	}
	filter, ok := filters[strings.ToLower(c.Interpolation)]
	switch {
	case !ok:
		return nil, fmt.Errorf("%w: interpolation is %q", ErrUnsupported, c.Interpolation)
	case len(c.InputSize) != 3 || c.InputSize[0] != 3 || c.InputSize[1] != c.InputSize[2] || c.InputSize[1] < 1:
		return nil, fmt.Errorf("%w: input_size is %v, want 3 channels and a square", ErrUnsupported, c.InputSize)
	case !(c.CropPct > 0 && c.CropPct <= 1):
		return nil, fmt.Errorf("%w: crop_pct is %v, want more than 0 and at most 1", ErrUnsupported, c.CropPct)
	case c.CropMode != "" && c.CropMode != "center" && c.CropMode != "squash":
		return nil, fmt.Errorf("%w: crop_mode is %q, want \"center\" or \"squash\"", ErrUnsupported, c.CropMode)
	}
	p := imaging.Crop(int(float64(c.InputSize[1])/c.CropPct), c.InputSize[1], filter)
	p.Mean, p.Std = [3]float64{0.485, 0.456, 0.406}, [3]float64{0.229, 0.224, 0.225} // IMAGENET_DEFAULT_MEAN, _STD
	if c.CropMode == "squash" {
		p.Size = imaging.Size{Height: p.Size.ShortestEdge, Width: p.Size.ShortestEdge}
	}
	for _, s := range []struct {
		key  string
		from []float64
		to   *[3]float64
	}{{"mean", c.Mean, &p.Mean}, {"std", c.Std, &p.Std}} {
		if s.from == nil {
			continue
		}
		if len(s.from) != 3 {
			return nil, fmt.Errorf("%s has %d values, want 3", s.key, len(s.from))
		}
		*s.to = [3]float64(s.from)
	}
	return p, p.Validate()
}
