package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/bigtransfer/bit"
	"github.com/bigtransfer/bit/weights"
)

// defaultTolerance is what float32 arithmetic in another order leaves of a float64 reference, with room to spare.
const defaultTolerance = 1e-4

type verifyOptions struct {
	resolution int
	data       string
	parityOptions
}

func (a *app) newVerifyCommand() *cobra.Command {
	var o verifyOptions
	cmd := &cobra.Command{
		Use:   "verify MODEL [REFERENCE] [flags]",
		Short: "Compare a model's outputs with those of a reference",
		Long: `Compare a model's outputs with those of a reference, or with what is published of it.

REFERENCE is an .npz file with inputs x0, x1, … (float32, N C H W, prepared as the network
wants them) and the logits0, logits1, … that another implementation computed from them
(N classes, float32 or float64); or an .onnx file that bit export made of the model, which
is run in ONNX Runtime on pictures and their mirror images. The largest absolute and
relative error of each is printed. Relative means: to the largest absolute value of the
logits.

Without REFERENCE, MODEL is a published model, or a file of the name of one, and is held to
what is published of it: of google/bit-50 the label and the first logits for one picture,
which is downloaded, or named with --image; of others the top-1 accuracy on the data set
that --data names, prepared as for the published number, and within a bound that is
printed.`,
		Example: `  bit verify google/bit-50
  bit verify BiT-M-R50x1-ILSVRC2012 --data imagenet
  bit verify BiT-M-R50x1.npz reference.npz
  bit verify my-model reference.npz --tolerance 1e-5
  bit verify my-model my-model.onnx --image holiday/`,
		Args: wants(1, 2, "MODEL and perhaps REFERENCE"),
		RunE: a.runE(func(ctx context.Context, args []string) error {
			if len(args) == 1 {
				return a.verifyPublished(ctx, args[0], o)
			}
			return a.verify(ctx, args[0], args[1], o)
		}),
	}
	addResolutionFlag(cmd, &o.resolution)
	o.parityOptions.addFlags(cmd)
	cmd.Flags().StringVar(&o.data, "data", "", "data set on which to measure the published accuracy, as bit evaluate takes it")
	return cmd
}

// deviation is how far a model's logits for one input are from the reference's.
type deviation struct {
	Input    string  `json:"input"`
	Shape    []int   `json:"shape"`    // N C H W
	Absolute float64 `json:"absolute"` // largest difference
	Relative float64 `json:"relative"` // Absolute over the largest reference logit
	OK       bool    `json:"ok"`

	Float64 *fromFloat64 `json:"float64,omitempty"`
}

// fromFloat64 is how far two float32 programs are from float64, relative to the largest logit.
type fromFloat64 struct {
	Here        float64 `json:"here"`
	ONNXRuntime float64 `json:"onnx_runtime"`
}

func (a *app) verify(ctx context.Context, ref, reference string, o verifyOptions) error {
	if err := o.check(); err != nil {
		return err
	}
	if o.data != "" {
		return usagef("--data: a published accuracy is measured without REFERENCE")
	}
	opener, err := opener(o.resolution, o.threads)
	if err != nil {
		return err
	}
	exported := strings.EqualFold(filepath.Ext(reference), ".onnx")
	var arrays map[string]weights.Array
	if !exported {
		if arrays, err = weights.ReadNpz(reference); err != nil {
			return err
		}
	}
	if o.float64 {
		if !exported {
			return usagef("--float64: REFERENCE is an .npz file, whose logits are the yardstick")
		}
		m, err := a.openModel(ctx, opener, ref) // which keeps its weights
		if err != nil {
			return err
		}
		return a.parity(ctx, m.Classifier, m.Network(), reference, o.parityOptions)
	}
	m, err := a.openClassifier(ctx, opener, ref)
	if err != nil {
		return err
	}
	if exported {
		return a.parity(ctx, m, nil, reference, o.parityOptions)
	}
	failed, n := 0, 0
	for ; ; n++ {
		x, ok := arrays[fmt.Sprintf("x%d", n)]
		if !ok {
			break
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		d, err := deviate(m, x, arrays, n)
		if err != nil {
			return fmt.Errorf("%s: %w", reference, err)
		}
		if d.OK = d.Relative <= o.tolerance; !d.OK {
			failed++
		}
		if err := a.printDeviation(d, o.json); err != nil {
			return err
		}
	}
	left := beyond(arrays, n)
	switch {
	case n > 0 && left != "":
		return fmt.Errorf("%s: there is %s but no x%d", reference, left, n)
	case n == 0:
		return fmt.Errorf("%s: expected inputs x0, x1, … and logits0, logits1, …, found no x0", reference)
	case failed > 0:
		return fmt.Errorf("%d of %d inputs deviate by more than %v of the largest logit", failed, n, o.tolerance)
	}
	return nil
}

// beyond returns the name of an input or output with the number n or a higher one, or "": a gap in the numbers must not
// hide what comes after it.
func beyond(arrays map[string]weights.Array, n int) string {
	for _, name := range slices.Sorted(maps.Keys(arrays)) {
		for _, prefix := range []string{"x", "logits"} {
			if digits, ok := strings.CutPrefix(name, prefix); ok {
				if i, err := strconv.Atoi(digits); err == nil && i >= n {
					return name
				}
			}
		}
	}
	return ""
}

func (a *app) printDeviation(d deviation, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(a.stdout).Encode(d)
	}
	verdict := "ok"
	if !d.OK {
		verdict = "FAIL"
	}
	exact := ""
	if e := d.Float64; e != nil {
		exact = fmt.Sprintf("  from float64: here %.3e, ONNX Runtime %.3e", e.Here, e.ONNXRuntime)
	}
	_, err := fmt.Fprintf(a.stdout, "%-4s %-16s absolute %.3e  relative %.3e%s  %s\n", d.Input, fmt.Sprint(d.Shape), d.Absolute, d.Relative, exact, verdict)
	return err
}

// deviate runs input n of a reference.
func deviate(m *bit.Classifier, x weights.Array, arrays map[string]weights.Array, n int) (deviation, error) {
	c := m.Config()
	input, output := fmt.Sprintf("x%d", n), fmt.Sprintf("logits%d", n)
	if x.Float32 == nil {
		return deviation{}, fmt.Errorf("%s: expected float32, found another type of shape %v", input, x.Shape)
	}
	if len(x.Shape) != 4 || x.Shape[1] != c.Channels {
		return deviation{}, fmt.Errorf("%s: expected float32 of shape (N, %d, H, W), found shape %v", input, c.Channels, x.Shape)
	}
	want, ok := arrays[output]
	if !ok {
		return deviation{}, fmt.Errorf("there is %s but no %s", input, output)
	}
	images := x.Shape[0]
	if len(want.Shape) != 2 || want.Shape[0] != images || want.Shape[1] != c.Classes {
		return deviation{}, fmt.Errorf("%s: expected shape (%d, %d), found %v", output, images, c.Classes, want.Shape)
	}
	got, err := m.Logits(toNHWC(x.Float32, x.Shape), images, x.Shape[2], x.Shape[3])
	if err != nil {
		return deviation{}, fmt.Errorf("%s: %w", input, err)
	}
	d, err := difference(widen(got), want.Float64s())
	if err != nil {
		return deviation{}, fmt.Errorf("%s: %w", output, err)
	}
	d.Input, d.Shape = input, x.Shape
	return d, nil
}

// difference compares logits with those of a reference.
func difference(got, want []float64) (deviation, error) {
	var d deviation
	largest := 0.0
	for i, w := range want {
		diff := math.Abs(got[i] - w)
		if math.IsNaN(diff) || math.IsInf(diff, 0) {
			return d, fmt.Errorf("value %d is %v, and %v in the reference: not comparable", i, got[i], w)
		}
		d.Absolute, largest = max(d.Absolute, diff), max(largest, math.Abs(w))
	}
	if d.Relative = d.Absolute; largest > 0 { // all logits 0: an absolute error is all there is
		d.Relative /= largest
	}
	return d, nil
}

// toNHWC rearranges x from N C H W.
func toNHWC(x []float32, shape []int) []float32 {
	n, c, pixels := shape[0], shape[1], shape[2]*shape[3]
	y := make([]float32, len(x))
	for image := range n {
		from, to := x[image*c*pixels:], y[image*c*pixels:]
		for channel := range c {
			for p := range pixels {
				to[p*c+channel] = from[channel*pixels+p]
			}
		}
	}
	return y
}
