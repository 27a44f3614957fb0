package weights

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"

	"github.com/bigtransfer/bit/imaging"
	"github.com/bigtransfer/bit/internal/strictjson"
	"github.com/bigtransfer/bit/resnet"
)

// SaveTimm writes a model as timm does (timm/models/_hub.py, save_for_hf), so that timm.create_model("local-dir:…"), or
// "hf-hub:…" once it is there, loads it where [LikeTimm] has nothing against it: config.json, model.safetensors and
// README.md. The model must say how pictures are prepared, in a way that timm has too. Otherwise it is like [SaveHF].
func SaveTimm(ctx context.Context, dir string, m *Model, dtype DType, card Card) error {
	pretrained, err := timmPretrainedCfg(m)
	if err != nil {
		return fmt.Errorf("save %s: %w", dir, err)
	}
	card.libraryName = "timm"
	return m.saveDir(ctx, dir, dtype, []savedFile{
		{configFile, func(w io.Writer) error { return m.writeTimmConfig(w, pretrained) }},
		{cardFile, func(w io.Writer) error { return m.writeCard(w, dtype, card, m.timmFacts()) }},
		{tensorsFile, func(w io.Writer) error { return m.writeTensors(w, timmNaming, dtype) }},
	})
}

// timmArchitecture returns timm's name of a network and the arguments by which it differs from what timm makes by that
// name, nil if it does not.
func timmArchitecture(c resnet.Config) (string, strictjson.Object) {
	args := strictjson.Object{}
	name, base := "", resnet.Config{}
	for _, v := range resnet.Released() { // of these timm has a function each
		b := v.Config(c.Classes)
		same := slices.Equal(b.Depths, c.Depths)
		if name == "" || same && !slices.Equal(base.Depths, c.Depths) || same && slices.Equal(b.Widths, c.Widths) {
			name, base = fmt.Sprintf("resnetv2_%dx%d_bit", v.Depth, v.Width), b
		}
	}
	if !slices.Equal(base.Depths, c.Depths) {
		args = append(args, strictjson.Member{Key: "layers", Value: c.Depths})
	}
	// timm multiplies both by the width of the name.
	if !slices.Equal(base.Widths, c.Widths) || base.StemWidth != c.StemWidth {
		width := base.StemWidth / 64
		channels := make([]float64, len(c.Widths))
		for i, n := range c.Widths {
			channels[i] = float64(n) / float64(width)
		}
		args = append(args, strictjson.Member{Key: "channels", Value: channels}, strictjson.Member{Key: "stem_chs", Value: float64(c.StemWidth) / float64(width)})
	}
	if c.Channels != base.Channels {
		args = append(args, strictjson.Member{Key: "in_chans", Value: c.Channels})
	}
	if len(args) == 0 {
		return name, nil
	}
	return name, args
}

// LikeTimm reports why timm would not load the saved model, or compute something else from it, or nil. A directory that
// SaveTimm writes for such a network still reads back unchanged here.
func LikeTimm(c resnet.Config) error {
	if err := roundsWidths(c); err != nil {
		return err
	}
	depths := false
	for _, v := range resnet.Released() {
		depths = depths || slices.Equal(v.Config(c.Classes).Depths, c.Depths)
	}
	switch {
	case !depths:
		return fmt.Errorf("it has no BiT of units %v", c.Depths)
	case c.Groups != releasedGroups:
		return fmt.Errorf("its GroupNorm has %d groups, this model's %d", releasedGroups, c.Groups)
	case c.GNEpsilon != resnet.GNEpsilon:
		return fmt.Errorf("its GroupNorm epsilon is %v, this model's %v", resnet.GNEpsilon, c.GNEpsilon)
	case roundTo8(float64(c.StemWidth)) != c.StemWidth:
		return fmt.Errorf("it rounds the stem's width from %d to %d", c.StemWidth, roundTo8(float64(c.StemWidth)))
	}
	return nil
}

func (m *Model) timmFacts() []string {
	facts := m.epsilonFact("timm")
	if err := LikeTimm(m.Config); err != nil {
		facts = append(facts, fmt.Sprintf("not the same network in timm: %v", err))
	}
	return facts
}

func (m *Model) writeTimmConfig(w io.Writer, pretrained strictjson.Object) error {
	c := m.Config
	name, args := timmArchitecture(c)
	o := strictjson.Object{
		{Key: "architecture", Value: name},
		{Key: "num_classes", Value: c.Classes},
		{Key: "num_features", Value: c.FeatureWidth()},
		{Key: "global_pool", Value: "avg"},
	}
	if m.Labels != nil {
		o = append(o, strictjson.Member{Key: "label_names", Value: m.Labels})
	}
	if args != nil {
		o = append(o, strictjson.Member{Key: "model_args", Value: args})
	}
	// timm passes over these keys of ours; its code holds the first three as constants.
	o = append(o, strictjson.Object{
		{Key: "bit_gn_epsilon", Value: c.GNEpsilon},
		{Key: "bit_num_groups", Value: c.Groups},
	}...)
	o = append(o, calibrationMembers(m.Calibration)...)
	o = append(o, strictjson.Object{
		{Key: wsEpsilonKey, Value: c.WSEpsilon},
		{Key: "pretrained_cfg", Value: pretrained},
	}...)
	o = append(o, m.problemMember()...)
	return writeJSON(w, o)
}

// timmPretrainedCfg says how pictures are prepared, as timm's PretrainedCfg does: the shorter side, or with crop_mode
// "squash" both, to floor(size/crop_pct), the centre of that size, values of 0 to 1, minus mean, divided by std.
func timmPretrainedCfg(m *Model) (strictjson.Object, error) {
	if m.Preprocessor == nil {
		return nil, errors.New("timm's config.json says how pictures are prepared, and this model does not")
	}
	p := *m.Preprocessor
	if err := p.Validate(); err != nil {
		return nil, err
	}
	mode, resized, size := "center", p.Size.ShortestEdge, p.CropHeight
	if resized == 0 {
		mode, resized = "squash", p.Size.Height
		if !p.DoCenterCrop {
			size = resized
		}
	}
	square := (p.Size.ShortestEdge != 0 || p.Size.Height == p.Size.Width) && (!p.DoCenterCrop || p.CropHeight == p.CropWidth)
	switch {
	case p.Size.LongestEdge != 0:
		return nil, errors.New("timm fills pictures up with the mean of their colours, this model's preparation with black")
	case !p.DoResize:
		return nil, errors.New("timm always resizes pictures, this model's preparation does not")
	case p.Size.ShortestEdge != 0 && !p.DoCenterCrop:
		return nil, errors.New("timm crops pictures to one size, this model's preparation does not")
	case !square:
		return nil, errors.New("timm prepares square pictures, this model's are not")
	case size > resized:
		return nil, fmt.Errorf("timm crops what it has resized, this model's preparation pads %d pixels to %d", resized, size)
	}
	pct := float64(size) / float64(resized)
	for int(math.Floor(float64(size)/pct)) < resized {
		pct = math.Nextafter(pct, 0)
	}
	var mean, std [3]float64
	for c := range mean { // timm always divides by 255
		scale := 255.0
		if p.DoRescale {
			scale *= p.RescaleFactor
		}
		std[c] = 1
		if p.DoNormalize {
			mean[c], std[c] = p.Mean[c], p.Std[c]
		}
		if float32(scale) != 1 { // 255 times 1/255 need not be 1
			mean[c], std[c] = mean[c]/scale, std[c]/scale
		}
	}
	interpolation := map[imaging.Filter]string{
		imaging.Nearest: "nearest", imaging.Lanczos: "lanczos", imaging.Bilinear: "bilinear", imaging.Bicubic: "bicubic",
		imaging.Box: "box", imaging.Hamming: "hamming",
	}[p.Resample]
	return strictjson.Object{
		{Key: "custom_load", Value: false},
		{Key: "input_size", Value: []int{m.Config.Channels, size, size}},
		{Key: "fixed_input_size", Value: false},
		{Key: "interpolation", Value: interpolation},
		{Key: "crop_pct", Value: pct},
		{Key: "crop_mode", Value: mode},
		{Key: "mean", Value: mean},
		{Key: "std", Value: std},
		{Key: "num_classes", Value: m.Config.Classes},
		{Key: "pool_size", Value: []int{(size + 31) / 32, (size + 31) / 32}},
		{Key: "first_conv", Value: "stem.conv"},
		{Key: "classifier", Value: "head.fc"},
	}, nil
}
