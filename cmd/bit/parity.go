package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"path/filepath"
	"runtime"
	"slices"

	"github.com/spf13/cobra"

	"github.com/bigtransfer/bit"
	"github.com/bigtransfer/bit/data"
	"github.com/bigtransfer/bit/examples"
	"github.com/bigtransfer/bit/imaging"
	"github.com/bigtransfer/bit/internal/float64net"
	"github.com/bigtransfer/bit/internal/onnxruntime"
	"github.com/bigtransfer/bit/onnx"
	"github.com/bigtransfer/bit/resnet"
)

// parityOptions say how an ONNX file is compared with the model it was made from.
type parityOptions struct {
	images    []string
	tolerance float64
	threads   int
	json      bool
	float64   bool
}

func (o *parityOptions) addFlags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringArrayVar(&o.images, "image", nil, "picture or folder of pictures to run an ONNX file on; may be repeated (default one of a cat)")
	f.Float64Var(&o.tolerance, "tolerance", defaultTolerance, "largest relative error that passes")
	f.BoolVar(&o.float64, "float64", false, "compute an ONNX file's network here in double precision too, and judge the file by that; slow")
	addThreadsFlag(cmd, &o.threads)
	f.BoolVar(&o.json, "json", false, "print one JSON object a line")
}

func (o *parityOptions) check() error {
	if !(o.tolerance >= 0) {
		return usagef("--tolerance %v: want at least 0", o.tolerance)
	}
	return checkThreads(o.threads)
}

// parity runs an ONNX file in ONNX Runtime, and the model it was made from here, on pictures in batches with their mirror
// images, and compares the logits.
//
// Rounding grows with depth: of untrained networks with the units of R50, R101 and R152 at half their width, on 64 pixels,
// ONNX Runtime is off by 0.9e-5, 3.1e-5 and 6.9e-5 of the largest logit and this program by 1.7e-5, 9.6e-5 and 1.5e-4,
// against float64. So two right programs may differ by more than the tolerance; with --float64, for which net has the
// weights, the file is judged by its distance from float64: within the tolerance, or no farther than this program's.
func (a *app) parity(ctx context.Context, m *bit.Classifier, net *resnet.Network, path string, o parityOptions) error {
	threads := o.threads
	if threads == 0 {
		threads = runtime.GOMAXPROCS(0)
	}
	pictures := data.Opener{}.Pictures(ctx, o.images...)
	if len(o.images) == 0 {
		example := func() (*imaging.Image, error) { return imaging.Decode(examples.Cat) }
		pictures = slices.Values([]data.Picture{{Name: "the example", Image: example}})
	}
	session, err := onnxruntime.Open(ctx, path, threads)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	defer session.Close()
	failed, n := 0, 0
	for p := range pictures {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		n++
		name := filepath.Base(p.Name)
		im, err := p.Image()
		if err != nil {
			return err
		}
		d, err := comparePicture(ctx, m, net, session, im)
		if err != nil {
			return fmt.Errorf("%s: %s: %w", path, name, err)
		}
		d.Input = name
		d.OK = d.Relative <= o.tolerance
		if e := d.Float64; e != nil {
			d.OK = e.ONNXRuntime <= max(o.tolerance, e.Here)
		}
		if !d.OK {
			failed++
		}
		if err := a.printDeviation(d, o.json); err != nil {
			return err
		}
	}
	switch {
	case failed > 0 && o.float64:
		return fmt.Errorf("%s: %d of %d pictures deviate from float64 by more than %v of the largest logit, and by more than here", path, failed, n, o.tolerance)
	case failed > 0:
		return fmt.Errorf("%s: %d of %d pictures deviate by more than %v of the largest logit; in deep networks that can be rounding, which --float64 tells from a mistake",
			path, failed, n, o.tolerance)
	}
	fmt.Fprintf(a.stderr, "checked in ONNX Runtime %s\n", session.Version)
	return nil
}

// comparePicture runs both sides on a picture and its mirror image.
func comparePicture(ctx context.Context, m *bit.Classifier, net *resnet.Network, session *onnxruntime.Session, im *imaging.Image) (deviation, error) {
	classes := m.Config().Classes
	mirrored := im.Clone()
	mirrored.FlipHorizontal()
	var ours []float32
	var exact []float64 // in float64, if net is not nil
	var theirs []byte   // the input of ONNX Runtime
	var shape []int
	for _, picture := range []*imaging.Image{im, mirrored} {
		pixels, x, logits, err := runPicture(m, picture)
		if err != nil {
			return deviation{}, err
		}
		ours = append(ours, logits...)
		if net != nil {
			logits, err := float64net.Logits(ctx, net, x, 1, pixels.H, pixels.W)
			if err != nil {
				return deviation{}, err
			}
			exact = append(exact, logits...)
		}
		switch onnx.Input(session.Input) {
		case onnx.Images:
			shape = []int{2, 3, pixels.H, pixels.W}
			theirs = appendPlanes(theirs, x)
		case onnx.Pixels:
			shape = []int{2, pixels.H, pixels.W, 3}
			theirs = append(theirs, pixels.Pix...)
		default:
			return deviation{}, fmt.Errorf("its input is %q: expected a model written by bit export", session.Input)
		}
	}
	logits, err := session.Run(shape, theirs)
	if err != nil {
		return deviation{}, err
	}
	if len(logits) != len(ours) {
		return deviation{}, fmt.Errorf("%d logits, want 2 times %d", len(logits), classes)
	}
	d, err := difference(logits, widen(ours))
	if err != nil || net == nil {
		d.Shape = shape
		return d, err
	}
	here, err := difference(widen(ours), exact)
	if err != nil {
		return deviation{}, err
	}
	there, err := difference(logits, exact)
	d.Shape, d.Float64 = shape, &fromFloat64{Here: here.Relative, ONNXRuntime: there.Relative}
	return d, err
}

// runPicture runs a model on a picture, and returns what it has made of it on the way: pixels, numbers, logits.
func runPicture(m *bit.Classifier, picture *imaging.Image) (*imaging.Image, []float32, []float32, error) {
	p := m.Processor()
	pixels, err := p.Transform(new(imaging.Resizer), picture)
	if err != nil {
		return nil, nil, nil, err
	}
	x := make([]float32, len(pixels.Pix))
	p.Normalizer().Normalize(x, pixels)
	logits, err := m.Logits(x, 1, pixels.H, pixels.W)
	return pixels, x, logits, err
}

// appendPlanes appends the bytes of x, H W 3, channel by channel.
func appendPlanes(b []byte, x []float32) []byte {
	b = slices.Grow(b, 4*len(x))
	for c := range 3 {
		for i := c; i < len(x); i += 3 {
			b = binary.LittleEndian.AppendUint32(b, math.Float32bits(x[i]))
		}
	}
	return b
}

func widen(xs []float32) []float64 {
	ys := make([]float64, len(xs))
	for i, x := range xs {
		ys[i] = float64(x)
	}
	return ys
}
