package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/bigtransfer/bit/eval"
	"github.com/bigtransfer/bit/pretrain"
	"github.com/bigtransfer/bit/resnet"
	"github.com/bigtransfer/bit/train"
	"github.com/bigtransfer/bit/weights"
)

type pretrainOptions struct {
	trainingOptions
	dataOptions
	recipe       string
	units        []int
	width        int
	groups       int
	epochs       int
	batch        int
	learningRate float64
	warmUp       int
	size         int
	float16      bool
}

// recipes lists the values of --recipe, the default first.
func recipes() []namedRecipe {
	return []namedRecipe{
		{"tiny-imagenet", pretrain.TinyImageNet64},
		{"bit-s", pretrain.BiTS},
		{"bit-m", pretrain.BiTM},
	}
}

type namedRecipe struct {
	name string
	pretrain.Recipe
}

func (a *app) newPretrainCommand() *cobra.Command {
	var o pretrainOptions
	cmd := &cobra.Command{
		Use:   "pretrain DATA -o OUTPUT [flags]",
		Short: "Train a network from random weights",
		Long: `Train a network from random weights on a large data set, to be fine-tuned later.

` + dataHelp + `

The model is measured on the test split, or else on the validation split, after every
epoch. OUTPUT becomes a folder in Hugging Face's layout, with the run's
checkpoints beside the model.

Ctrl-C saves the run and prints the command that goes on with it. The bits of the model
depend neither on interruptions nor on the number of threads.`,
		Example: `  bit pretrain tiny-imagenet-200 -o BiT-Tiny-R26x0.5 --float16
  bit pretrain imagenet -o my-bit-s --recipe bit-s --units 3,4,6,3 --width 64 --micro-batch 64`,
		Args: wants(1, 1, "one DATA"),
		RunE: a.runE(func(ctx context.Context, args []string) error { return a.pretrain(ctx, args[0], o) }),
	}
	f := cmd.Flags()
	var names []string
	for _, r := range recipes() {
		names = append(names, r.name)
	}
	o.trainingOptions.addFlags(cmd)
	f.StringVar(&o.recipe, "recipe", names[0], "settings to start from: "+strings.Join(names, ", "))
	f.IntSliceVar(&o.units, "units", []int{2, 2, 2, 2}, "bottleneck units of each stage")
	f.IntVar(&o.width, "width", 32, "output channels of the stem; 64 in R50x1")
	f.IntVar(&o.groups, "groups", 32, "groups of GroupNorm")
	f.IntVar(&o.size, "size", 0, "side of the images in pixels (default the recipe's)")
	f.IntVar(&o.epochs, "epochs", 0, "times each image is seen (default the recipe's)")
	f.IntVar(&o.batch, "batch", 0, "images per step (default the recipe's)")
	f.Float64Var(&o.learningRate, "learning-rate", 0, "learning rate after warm-up (default the recipe's, in proportion to the batch)")
	f.IntVar(&o.warmUp, "warm-up", 0, "steps of warm-up (default the recipe's)")
	f.BoolVar(&o.float16, "float16", false, "store the model as float16, in half the space")
	o.dataOptions.addFlags(cmd)
	return cmd
}

// plan applies the flags to the recipe.
func (o *pretrainOptions) plan() (pretrain.Recipe, error) {
	if o.epochs < 0 || o.batch < 0 || o.learningRate < 0 || o.warmUp < 0 || o.size < 0 {
		return pretrain.Recipe{}, usagef("--epochs, --batch, --learning-rate, --warm-up and --size must not be negative")
	}
	for _, r := range recipes() {
		if r.name != o.recipe {
			continue
		}
		p := r.Recipe
		if o.batch > 0 {
			p.PeakRate *= float64(o.batch) / float64(p.Batch)
			p.Batch = o.batch
		}
		override(&p.PeakRate, o.learningRate)
		override(&p.Epochs, o.epochs)
		override(&p.WarmUp, o.warmUp)
		override(&p.Side, o.size)
		return p, nil
	}
	return pretrain.Recipe{}, usagef("--recipe %s: no such recipe", o.recipe)
}

// override sets *v to a flag's value unless that is 0, which means not given.
func override[T int | float64](v *T, flag T) {
	if flag != 0 {
		*v = flag
	}
}

func (o *pretrainOptions) config(classes int) resnet.Config {
	c := resnet.Config{
		Channels: 3, StemWidth: o.width, Depths: o.units, Groups: o.groups, Classes: classes,
		// What transformers computes with, so that the saved model means the same there.
		GNEpsilon: resnet.GNEpsilon, WSEpsilon: resnet.WSEpsilonTimm,
	}
	for stage := range o.units {
		c.Widths = append(c.Widths, 4*o.width<<stage) // 256, 512, 1024, 2048 for a stem of 64
	}
	return c
}

func (a *app) pretrain(ctx context.Context, dir string, o pretrainOptions) error {
	if err := o.check(); err != nil {
		return err
	}
	recipe, err := o.plan()
	if err != nil {
		return err
	}
	ds, err := o.dataOptions.open(ctx, a, dir, "")
	if err != nil {
		return err
	}
	net, err := resnet.NewNetwork(o.config(len(ds.Classes)))
	if err != nil {
		return usageError{err}
	}
	copies := 1 // momentum
	if recipe.EMA > 0 {
		copies++
	}
	memory, err := o.planMemory(train.MemoryRequest{
		Network: net.Config, Side: recipe.Side, Batch: recipe.Batch, Extra: 4 * int64(copies) * int64(net.NumParams()),
	})
	if err != nil {
		return err
	}
	opt := pretrain.Options{Seed: o.seed, MicroBatch: memory.MicroBatch}
	if opt.Options, err = o.options(); err != nil {
		return err
	}
	if err := o.makeOutput(); err != nil {
		return err
	}
	opt.Recompute, opt.CacheBytes = memory.Recompute, memory.Cache
	a.reportSkipped(ds.Skipped)
	split := ""
	if len(ds.Val) > 0 || len(ds.Test) > 0 {
		split, _ = ds.EvalSplit()
	}
	fmt.Fprintf(a.stderr, "network    units %v, stem width %d, %d groups: %.2f million parameters, %.0f million multiply-accumulates at %d px\n",
		net.Depths, net.StemWidth, net.Groups, float64(net.NumParams())/1e6, float64(net.MACs(recipe.Side, recipe.Side))/1e6, recipe.Side)
	fmt.Fprintf(a.stderr, "data       %s\n", describeData(dir, ds))
	fmt.Fprintf(a.stderr, "recipe     %s\n", describeRecipe(recipe, len(ds.Train)))
	fmt.Fprintf(a.stderr, "machine    %s, %s\n", describeMachine(o.threads), memory)
	a.warnOfMemory(memory.Bytes)

	log := newTrainingLog(a.stderr, len(ds.Train), recipe.Batch, split)
	log.attach(&opt.Options)
	result, err := pretrain.Run(ctx, net, ds, recipe, opt)
	log.finish()
	if err != nil {
		return err
	}
	a.reportSkipped(result.Skipped)
	dtype := weights.F32
	if o.float16 {
		dtype = weights.F16
	}
	card := weights.Card{
		Name:     baseName(o.output),
		Summary:  fmt.Sprintf("An image classifier for %d classes, trained from random weights.", len(ds.Classes)),
		Datasets: []string{baseName(dir)},
		Data:     describeData(dir, ds),
		Recipe:   describeRecipe(recipe, len(ds.Train)),
		Command:  a.command(),
		Time:     log.took(),
		Hardware: describeMachine(o.threads),
		Results:  cardResults(baseName(dir), split, result.Eval),
		Limits: fmt.Sprintf("It knows the %d classes of its training data and no others: a picture of anything else gets one of them, "+
			"sometimes with a high score. It saw images of %d pixels a side. It has not been examined for bias.", len(ds.Classes), recipe.Side),
	}
	if err := weights.SaveHF(context.WithoutCancel(ctx), o.output, weights.FromNetwork(net, ds.Classes, recipe.Processor()), dtype, card); err != nil {
		return err
	}
	fmt.Fprintf(a.stderr, "wrote %s\n", o.output)
	return a.printScores(split, result.Eval, o.json)
}

// describeRecipe says everything that a run depends on besides network, data and seed.
func describeRecipe(r pretrain.Recipe, images int) string {
	course := "cosine to 0"
	if r.Drops != nil {
		course = fmt.Sprintf("divided by 10 after epochs %v", r.Drops)
	}
	text := fmt.Sprintf("%d epochs = %d steps of %d images; %s; %s loss; SGD with momentum %v, weight decay %v, learning rate %v after %d steps of warm-up, %s",
		r.Epochs, r.Steps(images), r.Batch, r.Pipeline(), r.Loss, r.Momentum, r.WeightDecay, r.PeakRate, r.WarmUp, course)
	if r.ClipNorm > 0 {
		text += fmt.Sprintf("; gradient norm at most %v", r.ClipNorm)
	}
	if r.Smoothing > 0 {
		text += fmt.Sprintf("; label smoothing %v", r.Smoothing)
	}
	if r.EMA > 0 {
		text += fmt.Sprintf("; weights averaged with decay %v", r.EMA)
	}
	return text + "."
}

// cardResults lists the scores of a run for its model card.
func cardResults(dataset, split string, r eval.Result) []weights.Result {
	if r.Images == 0 {
		return nil
	}
	if split == "val" {
		split = "validation"
	}
	return []weights.Result{
		{Dataset: dataset, Split: split, Name: "Top-1 accuracy", Value: r.Top1, Images: r.Images},
		{Dataset: dataset, Split: split, Name: "Top-5 accuracy", Value: r.Top5, Images: r.Images},
	}
}

// printScores prints the outcome of a run or an evaluation. Without images to evaluate on there is nothing to print.
func (a *app) printScores(split string, r eval.Result, asJSON bool) error {
	if r.Images == 0 {
		return nil
	}
	if asJSON {
		return json.NewEncoder(a.stdout).Encode(r)
	}
	_, err := fmt.Fprintf(a.stdout, "%s: %s\n", split, scores(r))
	return err
}
