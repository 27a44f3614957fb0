package main

import (
	"cmp"
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/bigtransfer/bit"
	"github.com/bigtransfer/bit/hub"
	"github.com/bigtransfer/bit/models"
	"github.com/bigtransfer/bit/resnet"
	"github.com/bigtransfer/bit/weights"
)

type convertOptions struct {
	to      string
	dtype   string
	license string
}

// dtypes are the values of --dtype.
var dtypes = map[string]weights.DType{"float32": weights.F32, "float16": weights.F16, "bfloat16": weights.BF16}

func (a *app) newConvertCommand() *cobra.Command {
	var o convertOptions
	cmd := &cobra.Command{
		Use:   "convert MODEL OUT [flags]",
		Short: "Write a model in the format of another library",
		Long: `Write a model in the format of another library:
  hf    a folder for transformers' BitForImageClassification
  timm  a folder for timm.create_model("local-dir:OUT")
  npz   an official file of big_transfer, of float32

The parameters keep their bits in float32. Folders get a model card whose metadata says
what is known: licence, base model, data sets and measured scores come from the card of
MODEL, or from the name of an official file. An .npz file holds neither labels nor how
pictures are prepared. What the other library would compute differently is reported.`,
		Example: `  bit convert BiT-M-R50x1-ILSVRC2012.npz bit-hf
  bit convert my-model my-model-timm --to timm --dtype bfloat16
  bit convert my-model my-model.npz`,
		Args: wants(2, 2, "MODEL and OUT"),
		RunE: a.runE(func(ctx context.Context, args []string) error { return a.convert(ctx, args[0], args[1], o) }),
	}
	f := cmd.Flags()
	f.StringVar(&o.to, "to", "", "hf, timm or npz (default npz if OUT ends with .npz, else hf)")
	f.StringVar(&o.dtype, "dtype", "float32", "element type: float32, float16 or bfloat16")
	f.StringVar(&o.license, "license", "", "licence to name in the card, as the hub spells it: apache-2.0, mit, … (default that of MODEL, if it is known)")
	return cmd
}

func (a *app) convert(ctx context.Context, ref, out string, o convertOptions) error {
	dtype, ok := dtypes[o.dtype]
	if !ok {
		return usagef("--dtype %q: want float32, float16 or bfloat16", o.dtype)
	}
	if o.to == "" {
		o.to = "hf"
		if strings.EqualFold(filepath.Ext(out), ".npz") {
			o.to = "npz"
		}
	}
	switch {
	case o.to != "hf" && o.to != "timm" && o.to != "npz":
		return usagef("--to %q: want hf, timm or npz", o.to)
	case o.to == "npz" && dtype != weights.F32:
		return usagef("--dtype %s: an .npz file is of float32", o.dtype)
	}
	m, err := a.openModel(ctx, bit.Opener{}, ref)
	if err != nil {
		return err
	}
	if m.Headless() {
		return fmt.Errorf("%s: %w; fine-tune it first", ref, bit.ErrNoHead)
	}
	boundGarbage(m.Config())
	model := m.Weights()
	if o.to == "npz" {
		if c := m.Config(); c.WSEpsilon != resnet.WSEpsilonOfficial {
			fmt.Fprintf(a.stderr, "note: an .npz file is read with %v added to the variance of filters, where this model has %v; it shows only in filters of a variance near that\n",
				resnet.WSEpsilonOfficial, c.WSEpsilon)
		}
		err = weights.SaveNpz(ctx, out, model)
	} else {
		card := a.cardOf(ref, m)
		if o.license != "" {
			card.License = o.license
		}
		save, like, library := weights.SaveHF, weights.LikeTransformers, "transformers"
		if o.to == "timm" {
			save, like, library = weights.SaveTimm, weights.LikeTimm, "timm"
		}
		if err := like(m.Config()); err != nil {
			fmt.Fprintf(a.stderr, "note: not the same network in %s: %v\n", library, err)
		}
		err = save(ctx, out, model, dtype, card)
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(a.stderr, "wrote %s\n", out)
	return nil
}

// cardOf returns what is known of a model: its own card's metadata, or what the catalogue of published models says.
func (a *app) cardOf(ref string, m *bit.Model) weights.Card {
	name := strings.TrimSuffix(baseName(m.Name()), ".npz")
	card := weights.Card{Name: name}
	dir := ref
	if client := hub.FromEnv(); m.Name() != bit.DefaultModel && !exists(ref) {
		published, err := client.ParseRef(ref)
		if err == nil {
			dir, err = client.Cached(published) // where it was just read from
		}
		if err != nil {
			fmt.Fprintf(a.stderr, "bit: warning: the model's card is not used: %v\n", err)
		}
		name, card.Base = published.String(), published.Repo
	}
	if e := hub.Lookup(name); e != nil {
		if v, ok := m.Config().Variant(); ok && v == e.Variant && m.Config().Classes == e.Classes { // not only called so
			card = publishedCard(e)
		}
	}
	own, err := readCard(dir, m)
	if err != nil {
		fmt.Fprintf(a.stderr, "bit: warning: the model's card is not used: %v\n", err)
	}
	if own.Name != "" {
		card.Name = own.Name
	}
	card.License, card.Base = cmp.Or(own.License, card.License), cmp.Or(own.Base, card.Base)
	card.Tags = own.Tags
	if own.Datasets != nil {
		card.Datasets = own.Datasets
	}
	if own.Results != nil {
		card.Results = own.Results
	}
	card.Summary = fmt.Sprintf("An image classifier for %d classes, converted from %s (%s).", m.Config().Classes, name, m.Format())
	return card
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// readCard reads the card of a model that was read from a folder.
func readCard(dir string, m *bit.Model) (weights.Card, error) {
	switch {
	case m.Name() == bit.DefaultModel:
		embedded, err := fs.Sub(models.FS(), models.Tiny)
		if err != nil {
			return weights.Card{}, err
		}
		return weights.ReadCard(embedded)
	case m.Format() == weights.FormatNpz:
		return weights.Card{}, nil
	}
	if info, err := os.Stat(dir); err == nil && !info.IsDir() {
		dir = filepath.Dir(dir) // a file of tensors
	}
	return weights.ReadCard(os.DirFS(dir))
}

// publishedCard returns what the catalogue says of a model.
func publishedCard(e *hub.Entry) weights.Card {
	card := weights.Card{Name: e.Name, License: e.License.ID, Base: e.Repo}
	for _, data := range []string{e.Upstream, e.Tuned} {
		data, _, _ = strings.Cut(data, " (")
		if id := hubData[data]; id != "" {
			card.Datasets = append(card.Datasets, id)
		}
	}
	if a := e.Accuracy; a != nil {
		card.Results = []weights.Result{{
			Dataset: a.Data, Type: hubData[a.Data], Name: fmt.Sprintf("Top-1 accuracy at %d pixels (%s)", a.Pixels, a.Source), Value: a.Top1 / 100,
		}}
	}
	return card
}

// hubData are the hub's ids of data sets of the catalogue.
var hubData = map[string]string{"ImageNet-1k": "imagenet-1k", "ImageNet-21k": "imagenet-21k", "CIFAR-10": "cifar10"}
