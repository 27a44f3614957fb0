package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/bigtransfer/bit"
	"github.com/bigtransfer/bit/imaging"
	"github.com/bigtransfer/bit/internal/onnxruntime"
	"github.com/bigtransfer/bit/onnx"
	"github.com/bigtransfer/bit/resnet"
)

type exportOptions struct {
	preprocess  bool
	dynamicSize bool
	resolution  int
	external    bool
	check       bool
	parity      parityOptions
}

func (a *app) newExportCommand() *cobra.Command {
	var o exportOptions
	cmd := &cobra.Command{
		Use:   "export MODEL OUT.onnx [flags]",
		Short: "Write a model for ONNX Runtime and other engines",
		Long: `Write a model as an ONNX file, for ONNX Runtime and other engines.

The file takes any number of pictures at a time: "images", float32 [N,channels,height,width],
prepared as the model wants them, or with --preprocess "pixels", uint8 [N,height,width,3],
RGB that the file scales and normalises itself. They are of the size that the model's
preparation makes, or that of --resolution; with --dynamic-size, and where the preparation
keeps the aspect ratio, of any size. What comes out is "logits", float32 [N,classes].

The labels and the preparation are in the file's metadata: "labels", a JSON array, and
"preprocessor_config", in the form of Hugging Face's file of that name. A model of 2 GiB or
more has its weights in OUT.onnx.data.

The file is then run in ONNX Runtime on a picture and its mirror image, and its logits are
compared with those of this program. That needs Node.js and its package onnxruntime-node;
without them a line says that nothing was checked, and with --check it is an error.`,
		Example: `  bit export BiT-M-R50x1-ILSVRC2012.npz bit.onnx
  bit export my-model bit.onnx --preprocess
  bit export my-model bit.onnx --dynamic-size --check --image photo.jpg`,
		Args: wants(2, 2, "MODEL and OUT.onnx"),
	}
	cmd.RunE = a.runE(func(ctx context.Context, args []string) error {
		return a.export(ctx, args[0], args[1], o, cmd.Flags().Changed("check"))
	})
	f := cmd.Flags()
	f.BoolVar(&o.preprocess, "preprocess", false, "take 8-bit RGB, scaled and normalised inside")
	f.BoolVar(&o.dynamicSize, "dynamic-size", false, "take images of any size")
	addResolutionFlag(cmd, &o.resolution)
	f.BoolVar(&o.external, "external-data", false, "put the weights into OUT.onnx.data whatever their size")
	f.BoolVar(&o.check, "check", true, "run the file in ONNX Runtime (default where that is found)")
	o.parity.addFlags(cmd)
	return cmd
}

func (a *app) export(ctx context.Context, ref, path string, o exportOptions, asked bool) error {
	input := onnx.Images
	if o.preprocess {
		input = onnx.Pixels
	}
	if err := o.parity.check(); err != nil {
		return err
	}
	opener, err := opener(o.resolution, o.parity.threads)
	if err != nil {
		return err
	}
	m, err := a.openModel(ctx, opener, ref)
	if err != nil {
		return err
	}
	boundGarbage(m.Config())
	settings := onnx.Options{Input: input, External: o.external}
	if err := saveONNX(ctx, m, path, settings, o.dynamicSize); err != nil {
		return err
	}
	if !o.check {
		return nil
	}
	var net *resnet.Network
	if o.parity.float64 {
		net = m.Network()
	}
	err = a.parity(ctx, m.Classifier, net, path, o.parity)
	if errors.Is(err, onnxruntime.ErrNotFound) && !asked {
		fmt.Fprintf(a.stderr, "not checked: %v\n", err)
		return nil
	}
	return err
}

// saveONNX writes a model with its preparation and its metadata.
func saveONNX(ctx context.Context, m *bit.Model, path string, o onnx.Options, dynamicSize bool) (err error) {
	o.Processor = m.Processor()
	if !dynamicSize && fixedSize(o.Processor) {
		o.Height, o.Width = inputSize(o.Processor)
	}
	if o.Metadata, err = onnxMetadata(m.Classifier, o.Input); err != nil {
		return err
	}
	if err := onnx.Save(ctx, path, m.Network(), o); err != nil {
		return fmt.Errorf("export %s: %w", path, err)
	}
	return nil
}

// fixedSize reports whether prepared pictures are all of one size.
func fixedSize(p *imaging.Processor) bool {
	return p.DoCenterCrop || p.DoResize && p.Size.ShortestEdge == 0
}

// onnxMetadata is what a program that uses an exported model needs to know.
func onnxMetadata(m *bit.Classifier, input onnx.Input) (map[string]string, error) {
	p := m.Processor()
	outside := *p // what the caller does
	outside.DoRescale, outside.DoNormalize = p.DoRescale && input == onnx.Images, p.DoNormalize && input == onnx.Images
	meta := map[string]string{"model": baseName(m.Name()), "preprocessing": describeProcessor(&outside)}
	if v := variantOf(m.Config()); v != "" {
		meta["variant"] = v
	}
	processor, err := marshal(p)
	if err != nil {
		return nil, err
	}
	meta["preprocessor_config"] = processor
	if m.Labels() != nil {
		if meta["labels"], err = marshal(m.Labels()); err != nil {
			return nil, err
		}
	}
	return meta, nil
}

// marshal returns v as JSON text.
func marshal(v any) (string, error) {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return strings.TrimSuffix(b.String(), "\n"), err
}
