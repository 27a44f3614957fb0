package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/bigtransfer/bit"
	"github.com/bigtransfer/bit/calibrate"
	"github.com/bigtransfer/bit/imaging"
	"github.com/bigtransfer/bit/internal/cpu"
	"github.com/bigtransfer/bit/resnet"
)

// modelInfo is what info says of a model.
type modelInfo struct {
	Model        string             `json:"model"`
	Format       string             `json:"format"`
	Variant      string             `json:"variant,omitempty"` // "R50x1", if it is one of the paper's
	Units        []int              `json:"units"`
	StemWidth    int                `json:"stem_width"`
	Widths       []int              `json:"widths"`
	Groups       int                `json:"groups"`
	Parameters   int                `json:"parameters"`
	Input        []int              `json:"input"`                // height, width, channels
	MACs         int64              `json:"multiply_accumulates"` // for one image of that size
	Features     int                `json:"features"`
	Classes      int                `json:"classes"`
	MultiLabel   bool               `json:"multi_label,omitempty"` // a picture can have any number of them
	Labels       []string           `json:"labels,omitempty"`
	Preprocessor *imaging.Processor `json:"preprocessor"`
	Temperature  float64            `json:"temperature,omitempty"` // of bit calibrate
	Unknown      *calibrate.Unknown `json:"unknown,omitempty"`
	SIMD         cpu.Level          `json:"simd"`
}

func (a *app) newInfoCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "info [MODEL] [flags]",
		Short: "Describe a model",
		Long: `Describe a model: its architecture and size, what it costs to run, its labels, how it wants
pictures prepared, and the instruction set that this program uses.

MODEL is what --model of other commands takes: the embedded model (the default), a file, a
folder, or a published model. Of a file the header is read, not the weights. With --json,
all labels are listed.`,
		Example: `  bit info
  bit info BiT-M-R50x1.npz
  bit info --json my-model`,
		Args: wants(0, 1, "at most one MODEL"),
		RunE: a.runE(func(ctx context.Context, args []string) error {
			ref := bit.DefaultModel
			if len(args) > 0 {
				ref = args[0]
			}
			return a.info(ctx, ref, asJSON)
		}),
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print a JSON object")
	return cmd
}

func (a *app) info(ctx context.Context, ref string, asJSON bool) error {
	m, err := a.describeModel(ctx, ref)
	if err != nil {
		return err
	}
	info := describe(m)
	if asJSON {
		e := json.NewEncoder(a.stdout)
		e.SetEscapeHTML(false)
		return e.Encode(info)
	}
	var b strings.Builder
	line := func(name, format string, args ...any) {
		fmt.Fprintf(&b, "%-13s %s\n", name, fmt.Sprintf(format, args...))
	}
	line("model", "%s", info.Model)
	line("format", "%s", info.Format)
	variant := ""
	if info.Variant != "" {
		variant = info.Variant + ": "
	}
	line("architecture", "%spre-activation ResNet, units %v, stem width %d, stage widths %v, %d groups", variant, info.Units, info.StemWidth, info.Widths, info.Groups)
	line("parameters", "%d (%.2f million)", info.Parameters, float64(info.Parameters)/1e6)
	line("cost", "%.4g million multiply-accumulates for an image of %dx%d pixels", float64(info.MACs)/1e6, info.Input[0], info.Input[1])
	line("features", "%d", info.Features)
	any := ""
	if info.MultiLabel {
		any = ", any number of them a picture"
	}
	line("classes", "%d%s: %s", info.Classes, any, someLabels(m))
	line("preprocessing", "%s", describeProcessor(info.Preprocessor))
	if info.Temperature != 0 || info.Unknown != nil {
		line("calibration", "%s", describeCalibration(info.Temperature, info.Unknown))
	}
	line("instructions", "%s", info.SIMD)
	_, err = fmt.Fprint(a.stdout, b.String())
	return err
}

func describe(m *bit.Description) modelInfo {
	c, p, k := m.Config(), m.Processor(), m.Calibration()
	h, w := inputSize(p)
	return modelInfo{
		Model: m.Name(), Format: m.Format(), Variant: variantOf(c),
		Units: c.Depths, StemWidth: c.StemWidth, Widths: c.Widths, Groups: c.Groups,
		Parameters: c.NumParams(), Input: []int{h, w, c.Channels}, MACs: c.MACs(h, w), Features: c.FeatureWidth(),
		Classes: c.Classes, MultiLabel: m.MultiLabel(), Labels: m.Labels(), Preprocessor: p, Temperature: k.Temperature, Unknown: k.Unknown, SIMD: cpu.Active(),
	}
}

// inputSize returns the size of prepared pictures, taking square ones where it depends on the picture.
func inputSize(p *imaging.Processor) (h, w int) {
	const square = 224 // the usual size, if pictures are not resized at all
	w, h = p.OutputSize(square, square)
	return h, w
}

// variantOf returns the paper's name of an architecture, or "".
func variantOf(c resnet.Config) string {
	if v, ok := c.Variant(); ok {
		return v.String()
	}
	return ""
}

// someLabels returns the first labels.
func someLabels(m *bit.Description) string {
	const show = 5
	labels := m.Labels()
	if labels == nil {
		return "without names"
	}
	if len(labels) <= show {
		return strings.Join(labels, "; ")
	}
	return strings.Join(labels[:show], "; ") + "; …"
}

// describeCalibration says in words what bit calibrate has fitted; a temperature of 0 is none.
func describeCalibration(temperature float64, u *calibrate.Unknown) string {
	var parts []string
	if temperature != 0 {
		parts = append(parts, fmt.Sprintf("temperature %.4g", temperature))
	}
	if u != nil {
		parts = append(parts, fmt.Sprintf("unknown below %.4f of the score %s, as at most %.2f %% of pictures of its classes are", u.Threshold, u.Score, 100*u.FalseReject))
	}
	return strings.Join(parts, "; ")
}

// describeProcessor says in words how pictures are prepared.
func describeProcessor(p *imaging.Processor) string {
	var steps []string
	step := func(format string, args ...any) { steps = append(steps, fmt.Sprintf(format, args...)) }
	switch {
	case p.DoResize && p.Size.ShortestEdge != 0:
		step("shorter side to %d pixels (%v)", p.Size.ShortestEdge, p.Resample)
	case p.DoResize && p.Size.LongestEdge != 0:
		step("longer side to %d pixels (%v)", p.Size.LongestEdge, p.Resample)
	case p.DoResize:
		step("squash to %dx%d pixels (%v)", p.Size.Height, p.Size.Width, p.Resample)
	}
	if p.DoCenterCrop && p.DoResize && p.Size.LongestEdge != 0 {
		step("in the middle of a black %dx%d", p.CropHeight, p.CropWidth)
	} else if p.DoCenterCrop {
		step("crop the middle %dx%d", p.CropHeight, p.CropWidth)
	}
	if p.DoRescale {
		factor := fmt.Sprintf("times %.6g", p.RescaleFactor)
		if float32(p.RescaleFactor*255) == 1 {
			factor = "times 1/255"
		}
		steps = append(steps, factor)
	}
	if p.DoNormalize {
		step("minus %v, divided by %v", p.Mean, p.Std)
	}
	return strings.Join(steps, ", ")
}
