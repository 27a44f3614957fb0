package main

import (
	"context"
	"fmt"
	"math"
	"strings"

	"github.com/spf13/cobra"

	"github.com/bigtransfer/bit"
	"github.com/bigtransfer/bit/data"
	"github.com/bigtransfer/bit/transfer"
	"github.com/bigtransfer/bit/weights"
)

type finetuneOptions struct {
	trainingOptions
	model string
	dataOptions
	fromScratch      bool
	examplesPerClass int
	steps            int
	batch            int
	learningRate     float64
	resize, crop     int
	mixup            float64
	noFlip           bool
}

func (a *app) newFinetuneCommand() *cobra.Command {
	var o finetuneOptions
	cmd := &cobra.Command{
		Use:   "finetune DATA -o OUTPUT [flags]",
		Short: "Train a model on your own pictures",
		Long: `Train a model on your own pictures, by BiT-HyperRule unless flags say otherwise.

` + dataHelp + `

The rule sets everything by the number of training images and their size:

  fewer than 20,000 images   500 steps, no mixup
  fewer than 500,000         10,000 steps, mixup 0.1
  more                       20,000 steps, mixup 0.1

in batches of 512 at learning rate 0.003, which warms up over the first steps and is then
divided by ten three times. Images of fewer than 96x96 pixels are resized to 160 and
cropped to 128, larger ones to 512 and 480. On a laptop, shorten it: --steps keeps the
shape of the schedule, --crop makes images smaller.

OUTPUT becomes a folder in Hugging Face's layout, which --model of every command takes,
with the run's checkpoints beside the model. Ctrl-C saves the run and prints the command
that goes on with it. The bits of the model depend neither on interruptions nor on the
number of threads.`,
		Example: `  bit finetune my-photos -o my-model
  bit finetune my-photos -o my-model --steps 100 --batch 64 --crop 64
  bit finetune cifar10 -o cifar10-5-shot --examples-per-class 5 --seed 1
  bit finetune my-photos -o big-model --model BiT-M-R50x1.npz`,
		Args: wants(1, 1, "one DATA"),
		RunE: a.runE(func(ctx context.Context, args []string) error { return a.finetune(ctx, args[0], o) }),
	}
	o.trainingOptions.addFlags(cmd)
	addModelFlag(cmd, &o.model)
	f := cmd.Flags()
	f.IntVar(&o.steps, "steps", 0, "length of training; warm-up and drops keep their share of it (default the rule's)")
	f.IntVar(&o.batch, "batch", 0, "images per step (default 512)")
	f.Float64Var(&o.learningRate, "learning-rate", 0, "learning rate after warm-up (default 0.003 for a batch of 512, in proportion)")
	f.IntVar(&o.crop, "crop", 0, "side of training and evaluation images in pixels (default the rule's)")
	f.IntVar(&o.resize, "resize", 0, "side of training images before the random crop (default in the rule's proportion to --crop)")
	f.Float64Var(&o.mixup, "mixup", 0, "alpha of mixup, negative for none (default the rule's)")
	f.BoolVar(&o.noFlip, "no-flip", false, "do not mirror images: for digits, text and whatever has a left and a right")
	f.IntVar(&o.examplesPerClass, "examples-per-class", 0, "train on this many images of each class, drawn by --seed (default all)")
	f.BoolVar(&o.fromScratch, "from-scratch", false, "start from random weights, to see what the pretrained ones are worth")
	o.dataOptions.addFlags(cmd)
	return cmd
}

// sizes checks the numbers and returns --resize and --crop. A crop alone is resized for in the rule's proportion: 160 to 128 up to there, 512
// to 480 above.
func (o *finetuneOptions) sizes() (resize, crop int, err error) {
	switch {
	case o.steps < 0 || o.batch < 0 || o.learningRate < 0 || o.resize < 0 || o.crop < 0 || o.examplesPerClass < 0:
		return 0, 0, usagef("--steps, --batch, --learning-rate, --resize, --crop and --examples-per-class must not be negative")
	case o.resize != 0 && o.resize < o.crop:
		return 0, 0, usagef("--crop %d does not fit into --resize %d", o.crop, o.resize)
	case o.resize != 0 && o.crop == 0:
		return 0, 0, usagef("--resize needs --crop, the side of the images that the network sees")
	case o.crop == 0 || o.resize != 0:
		return o.resize, o.crop, nil
	}
	of, to := transfer.Resolution(1, 1) // of small images
	if o.crop > to {
		of, to = transfer.Resolution(math.MaxInt16, math.MaxInt16)
	}
	return int(math.Round(float64(o.crop) * float64(of) / float64(to))), o.crop, nil
}

func (a *app) finetune(ctx context.Context, dir string, o finetuneOptions) error {
	if err := o.check(); err != nil {
		return err
	}
	resize, crop, err := o.sizes()
	if err != nil {
		return err
	}
	m, err := a.openModel(ctx, bit.Opener{Threads: o.threads}, o.model)
	if err != nil {
		return err
	}
	ds, err := o.dataOptions.open(ctx, a, dir, "")
	if err != nil {
		return err
	}
	a.reportSkipped(ds.Skipped)
	about := describeData(dir, ds)
	if o.examplesPerClass != 0 {
		if ds.Train, err = data.FewShot(ds.Train, ds.Classes, o.examplesPerClass, o.seed); err != nil {
			return fmt.Errorf("%s: %w", dir, err)
		}
		about += fmt.Sprintf(" Trained on %d of them, %d of each class, drawn by seed %d.", len(ds.Train), o.examplesPerClass, o.seed)
	}
	cfg := transfer.Config{
		Steps: o.steps, Batch: o.batch, LearningRate: o.learningRate, Resize: resize, Crop: crop,
		MixupAlpha: o.mixup, NoFlip: o.noFlip, Seed: o.seed,
	}
	plan, err := transfer.NewPlan(ds, cfg)
	if err != nil {
		return err
	}
	memory, err := o.planMemory(m.Config(), plan.Crop, plan.Batch, 2) // momentum, and the model as it was
	if err != nil {
		return err
	}
	cfg.MicroBatch = memory.MicroBatch
	if cfg.Options, err = o.options(); err != nil {
		return err
	}
	cfg.Recompute = memory.Recompute
	if o.fromScratch {
		if m, err = m.Untrained(o.seed); err != nil {
			return err
		}
	}
	a.printPlan(m, about, plan, cfg, o, memory)
	split := ""
	if len(ds.Val) > 0 || len(ds.Test) > 0 {
		split, _ = ds.EvalSplit()
	}
	log := newTrainingLog(a.stderr, len(ds.Train), plan.Batch, split)
	log.attach(&cfg.Options)
	tuned, result, err := bit.FineTuneOn(ctx, m, ds, cfg)
	log.finish()
	if err != nil {
		return err
	}
	a.reportSkipped(result.Skipped)
	card := weights.Card{
		Name:     baseName(o.output),
		Summary:  fmt.Sprintf("An image classifier for %d classes, %s.", len(ds.Classes), o.origin()),
		Datasets: []string{baseName(dir)},
		Data:     about,
		Recipe:   strings.Join(describePlan(plan, cfg), "; ") + ".",
		Command:  a.command(),
		Time:     log.took(),
		Hardware: describeMachine(o.threads),
		Results:  cardResults(baseName(dir), result.Split, result.Eval),
		Limits: fmt.Sprintf("It knows the %d classes of its training data and no others: a picture of anything else gets one of them, "+
			"sometimes with a high score. It has not been examined for bias.", len(ds.Classes)),
	}
	if err := tuned.Save(o.output, card); err != nil {
		return err
	}
	fmt.Fprintf(a.stderr, "wrote %s; use it with:\n  bit classify --model %s IMAGE\n", o.output, quote(o.output))
	return a.printScores(result.Split, result.Eval, o.json)
}

// origin says what the weights were before training.
func (o *finetuneOptions) origin() string {
	if o.fromScratch {
		return fmt.Sprintf("the network of %s trained from random weights", baseName(o.model))
	}
	return "fine-tuned from " + baseName(o.model)
}

// printPlan shows every number of a run before it begins.
func (a *app) printPlan(m *bit.Model, about string, p transfer.Plan, cfg transfer.Config, o finetuneOptions, memory memoryPlan) {
	c := m.Config()
	fmt.Fprintf(a.stderr, "model      %s: units %v, stem width %d, %.2f million parameters\n", o.origin(), c.Depths, c.StemWidth, float64(c.NumParams())/1e6)
	fmt.Fprintf(a.stderr, "data       %s\n", about)
	for i, text := range describePlan(p, cfg) {
		name := ""
		if i == 0 {
			name = "recipe"
		}
		fmt.Fprintf(a.stderr, "%-10s %s\n", name, text)
	}
	fmt.Fprintf(a.stderr, "machine    %s, %s\n", describeMachine(o.threads), memory)
}

// describePlan says everything that a run depends on besides network, data and seed.
func describePlan(p transfer.Plan, cfg transfer.Config) []string {
	s := p.Schedule
	flip, mixup := "|flip_lr", "no mixup"
	if cfg.NoFlip {
		flip = ""
	}
	if p.MixupAlpha > 0 {
		mixup = fmt.Sprintf("mixup with alpha %v", p.MixupAlpha)
	}
	size := ""
	if p.Width > 0 {
		size = fmt.Sprintf("images of typically %dx%d pixels: ", p.Width, p.Height)
	}
	return []string{
		fmt.Sprintf("%sresize(%d)|random_crop(%d)%s, evaluated at %d pixels", size, p.Resize, p.Crop, flip, p.Crop),
		fmt.Sprintf("%d steps of %d images, %.3g epochs", s.Total, p.Batch, float64(s.Total)*float64(p.Batch)/float64(p.Examples)),
		fmt.Sprintf("SGD with momentum %v, learning rate %.3g after %d steps of warm-up, divided by 10 after steps %v", transfer.Momentum, p.LearningRate, s.WarmUp, s.Drops),
		mixup,
	}
}
