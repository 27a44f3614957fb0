package main

import (
	"context"
	"encoding/json"
	"fmt"
	"image/png"
	"io"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/bigtransfer/bit"
	"github.com/bigtransfer/bit/imaging"
	"github.com/bigtransfer/bit/internal/atomicfile"
)

type explainOptions struct {
	modelOptions
	remoteOptions
	class string
	out   string
	json  bool
}

func (a *app) newExplainCommand() *cobra.Command {
	var o explainOptions
	cmd := &cobra.Command{
		Use:   "explain IMAGE [flags]",
		Short: "Show which parts of a picture speak for a class",
		Long: `Show which parts of a picture speak for a class, and which against it.

The network ends in a mean over positions and a linear head, so a class's logit is exactly
its bias plus one contribution of each position: about one for 32 x 32 pixels of the
network's input. Those numbers are printed as a grid, in the layout of the picture. A
larger --resolution gives a finer grid.

With --output, the picture is drawn in grey, orange where it speaks for the class and blue
where it speaks against it; what the model does not see of it is dark.

With --json, one line:
  {"file":"…","class":{"label":"…","index":0,"score":0.9,"logit":7.1,"bias":0.1},
   "contributions":[[0.3,…],…],"origin":[0.5,0.5],"step":[32,32],
   "view":[0,0,224,224],"width":224,"height":224,"predictions":[…]}
The contribution in row y and column x belongs to what surrounds the point
origin + (x, y) · step of the picture, in its pixels; view is the part of the picture that
the model sees: left, top, right, bottom.`,
		Example: `  bit explain cat.jpg -o why.png
  bit explain cat.jpg --class "Egyptian cat" --resolution 256
  bit explain --model my-model --json photo.jpg`,
		Args: wants(1, 1, "one IMAGE"),
		RunE: a.runE(func(ctx context.Context, args []string) error { return a.explain(ctx, args[0], o) }),
	}
	o.modelOptions.addFlags(cmd)
	o.remoteOptions.addFlags(cmd)
	f := cmd.Flags()
	f.StringVar(&o.class, "class", "", "class to explain, by name (default the most likely one)")
	f.StringVarP(&o.out, "output", "o", "", "PNG file to draw the picture to, with what speaks for and against the class")
	f.BoolVar(&o.json, "json", false, "print the numbers as JSON")
	return cmd
}

func (a *app) explain(ctx context.Context, file string, o explainOptions) error {
	if ext := filepath.Ext(o.out); o.out != "" && !strings.EqualFold(ext, ".png") {
		return usagef("--output %s: want the name of a .png file", o.out)
	}
	img, err := imaging.DecodeFile(file)
	if err != nil {
		return err
	}
	e, err := o.explanation(ctx, a, file, img)
	if err != nil {
		return err
	}
	if err := context.Cause(ctx); err != nil {
		return err
	}
	if o.out != "" {
		overlay := e.Overlay(img)
		err := atomicfile.Replace(o.out, func(w io.Writer) error { return png.Encode(atomicfile.Until(ctx, w), overlay) })
		if err != nil {
			return err
		}
		fmt.Fprintf(a.stderr, "wrote %s\n", o.out)
	}
	if o.json {
		return a.writeExplanation(file, e)
	}
	return a.printExplanation(file, e)
}

// explanation asks a model here, or a server.
func (o *explainOptions) explanation(ctx context.Context, a *app, file string, img *imaging.Image) (*bit.Explanation, error) {
	if o.server != "" {
		c, request, err := o.remoteOptions.client(ctx, o.model)
		if err != nil {
			return nil, err
		}
		return explainRemotely(ctx, c, request, file, o.class)
	}
	m, err := o.open(ctx, a)
	if err != nil {
		return nil, err
	}
	class := -1
	if o.class != "" {
		if class, err = m.Class(o.class); err != nil {
			return nil, fmt.Errorf("the model %s: %w", m.Name(), err)
		}
	}
	e, err := m.Explain(img, class)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return e, nil
}

// printExplanation prints the sum and the grid of its parts.
func (a *app) printExplanation(file string, e *bit.Explanation) error {
	var b strings.Builder
	positive, negative := 0.0, 0.0
	for _, v := range e.Map {
		if v > 0 {
			positive += float64(v)
		} else {
			negative += float64(v)
		}
	}
	fmt.Fprintf(&b, "%s  %.2f %%  %s\n", file, 100*score(e), e.Label)
	if e.Unknown {
		fmt.Fprintf(&b, "%s\n", unknownText)
	}
	fmt.Fprintf(&b, "logit %.4f = %.4f for + %.4f against + %.4f bias, of %d x %d positions:\n", e.Logit, positive, negative, e.Bias, e.W, e.H)
	for y := range e.H {
		for x := range e.W {
			fmt.Fprintf(&b, " %8.4f", e.Map[y*e.W+x])
		}
		b.WriteByte('\n')
	}
	_, err := io.WriteString(a.stdout, b.String())
	return err
}

// score returns that of the class explained.
func score(e *bit.Explanation) float32 {
	for _, p := range e.Predictions {
		if p.Index == e.Class {
			return p.Score
		}
	}
	return 0
}

func (a *app) writeExplanation(file string, e *bit.Explanation) error {
	type class struct {
		bit.Prediction
		Logit float32 `json:"logit"`
		Bias  float32 `json:"bias"`
	}
	rows := make([][]float32, e.H)
	for y := range rows {
		rows[y] = e.Map[y*e.W:][:e.W]
	}
	enc := json.NewEncoder(a.stdout)
	enc.SetEscapeHTML(false)
	return enc.Encode(struct {
		File          string           `json:"file"`
		Unknown       bool             `json:"unknown,omitempty"`
		Class         class            `json:"class"`
		Contributions [][]float32      `json:"contributions"`
		Origin        [2]float64       `json:"origin"`
		Step          [2]float64       `json:"step"`
		View          [4]float64       `json:"view"`
		Width         int              `json:"width"`
		Height        int              `json:"height"`
		Predictions   []bit.Prediction `json:"predictions"`
	}{
		file, e.Unknown, class{bit.Prediction{Label: e.Label, Index: e.Class, Score: score(e)}, e.Logit, e.Bias}, rows, e.Origin, e.Step,
		[4]float64{e.View.X0, e.View.Y0, e.View.X1, e.View.Y1}, e.Width, e.Height, e.Predictions[:min(5, len(e.Predictions))],
	})
}
