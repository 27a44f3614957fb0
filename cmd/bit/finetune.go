package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/bigtransfer/bit"
	"github.com/bigtransfer/bit/data"
	"github.com/bigtransfer/bit/eval"
	"github.com/bigtransfer/bit/resnet"
	"github.com/bigtransfer/bit/transfer"
	"github.com/bigtransfer/bit/weights"
)

type finetuneOptions struct {
	trainingOptions
	model string
	dataOptions
	fromScratch      bool
	examplesPerClass int
	holdOut          holdOutFlag
	preset           string
	timeLimit        time.Duration
	timeLimitSet     func() bool // by the user
	dryRun           bool
	steps            int
	batch            int
	learningRate     float64
	resize           resizeFlag
	crop             int
	mixup            float64
	noFlip           bool
	freeze           string
	classWeights     string
	sampling         string
	patience         int
	evaluateEvery    int
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
cropped to 128, larger ones to 512 and 480.

Every number, the memory and the time that it is expected to take are shown before the
run; --dry-run shows them and ends. --preset lite is for small machines: the same steps in
batches of 128 at learning rate 0.001, and images no larger than the model knows. Other
flags win over the preset.

With a validation split (val, or --hold-out), the model is measured on it ten times and
the best weights are kept; the test split only judges the outcome. Without either, a tenth
of every class is held out, pictures that look alike on one side, and written down in
bit-split.json beside the data, where every command finds it the next time.

OUTPUT becomes a folder in Hugging Face's layout, which --model of every command takes,
with the run's checkpoints, history.jsonl and TensorBoard's logs beside the model. Ctrl-C
saves the run and prints the command that goes on with it. The bits of the model depend
neither on interruptions nor on the number of threads.`,
		Example: `  bit finetune my-photos -o my-model
  bit finetune my-photos -o my-model --preset lite
  bit finetune my-photos -o my-model --dry-run --json
  bit finetune skewed -o my-model --hold-out 0.1 --patience 3 --class-weights balanced
  bit finetune cifar10 -o cifar10-5-shot --examples-per-class 5 --seed 1
  bit finetune my-photos -o big-model --model BiT-M-R50x1.npz --freeze block3`,
		Args: wants(1, 1, "one DATA"),
		RunE: a.runE(func(ctx context.Context, args []string) error { return a.finetune(ctx, args[0], o) }),
	}
	o.trainingOptions.addFlags(cmd)
	addModelFlag(cmd, &o.model)
	f := cmd.Flags()
	f.StringVar(&o.preset, "preset", "rule", "settings to begin with: rule or lite")
	f.DurationVar(&o.timeLimit, "time-limit", time.Hour, "propose --preset lite if the run is expected to take longer; if given, do not start such a run")
	o.timeLimitSet = func() bool { return f.Changed("time-limit") }
	f.BoolVar(&o.dryRun, "dry-run", false, "show what would be done, how long it would take and in how much memory; with --json as JSON")
	f.IntVar(&o.steps, "steps", 0, "length of training; warm-up and drops keep their share of it (default the rule's)")
	f.IntVar(&o.batch, "batch", 0, "images per step (default the preset's)")
	f.Float64Var(&o.learningRate, "learning-rate", 0, "learning rate after warm-up (default the preset's, in proportion to the batch)")
	f.IntVar(&o.crop, "crop", 0, "side of training and evaluation images in pixels (default the preset's)")
	f.Var(&o.resize, "resize", "how pictures become squares: squash (the rule), crop or pad; or the side of training images before the random crop (default by --crop); or both: pad,80")
	f.Float64Var(&o.mixup, "mixup", 0, "alpha of mixup, negative for none (default the rule's)")
	f.BoolVar(&o.noFlip, "no-flip", false, "do not mirror images: for digits, text and whatever has a left and a right")
	f.StringVar(&o.freeze, "freeze", "nothing", "part of the network to leave as it is, from the input on: stem, block1 to block4, or body for all but the head")
	f.StringVar(&o.classWeights, "class-weights", "none", "weights of the classes in the loss: none, balanced to make up for rare classes, or a file of lines CLASS,WEIGHT")
	f.StringVar(&o.sampling, "sampling", "natural", "how often training sees a class: natural, or balanced for all equally often")
	o.holdOut.add(cmd)
	f.IntVar(&o.patience, "patience", 0, "end after so many evaluations on the validation split that were not the best (default never)")
	f.IntVar(&o.evaluateEvery, "evaluate-every", 0, "steps between evaluations (default a tenth of the run with a validation split, else only at the end)")
	f.IntVar(&o.examplesPerClass, "examples-per-class", 0, "train on this many images of each class, drawn by --seed (default all)")
	f.BoolVar(&o.fromScratch, "from-scratch", false, "start from random weights, to see what the pretrained ones are worth")
	o.dataOptions.addFlags(cmd)
	cmd.PreRun = func(*cobra.Command, []string) {
		if o.dryRun { // nothing is written
			delete(cmd.Flag("output").Annotations, cobra.BashCompOneRequiredFlag)
		}
	}
	return cmd
}

// finetuneRun is a run that is about to begin.
type finetuneRun struct {
	o     finetuneOptions
	dir   string // of the data
	ds    *data.Dataset
	about string // the data in words
	model *bit.Model
	cfg   transfer.Config
	plan  transfer.Plan
}

func (a *app) finetune(ctx context.Context, dir string, o finetuneOptions) error {
	if err := o.check(); err != nil {
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
	r := &finetuneRun{o: o, dir: dir, ds: ds, model: m}
	if err := a.splitData(ctx, r); err != nil {
		return fmt.Errorf("%s: %w", dir, err)
	}
	if r.cfg, err = o.config(m, ds); err != nil {
		return err
	}
	if r.plan, err = bit.PlanFineTune(m, ds, r.cfg); err != nil {
		return o.keepMemory(err)
	}
	if o.dryRun {
		return a.showPlan(ctx, r)
	}
	options, err := o.options()
	if err != nil {
		return err
	}
	options.EvaluateEvery = o.evaluateEvery
	r.cfg.Options = options
	if o.fromScratch {
		if r.model, err = m.Untrained(o.seed); err != nil {
			return err
		}
	}
	if err := o.keepMemory(nil); err != nil {
		return err
	}
	r.print(a.stderr)
	a.warnOfMemory(r.plan.Memory.Bytes)
	if r.plan.Frozen == resnet.FrozenBody {
		fmt.Fprintln(a.stderr, "only the head is trained; bit probe finds the best one for the same features in seconds")
	}
	if err := a.announceTime(ctx, r); err != nil {
		return err
	}
	if err := o.makeOutput(); err != nil {
		return err
	}
	return a.train(ctx, r)
}

// train makes the run and saves what becomes of it.
func (a *app) train(ctx context.Context, r *finetuneRun) error {
	o, ds := r.o, r.ds
	split := ""
	if len(ds.Val) > 0 {
		split = "val"
	} else if len(ds.Test) > 0 {
		split = "test"
	}
	log := newTrainingLog(a.stderr, len(ds.Train), r.plan.Batch, split)
	log.attach(&r.cfg.Options)
	r.cfg.OnJudge = func(split string, images int) { log.println("judging by %d images of the %s split", images, split) }
	tuned, result, err := bit.FineTuneOn(ctx, r.model, ds, r.cfg)
	log.finish()
	if err != nil {
		return err
	}
	a.reportSkipped(result.Skipped)
	if result.Stopped {
		fmt.Fprintf(a.stderr, "stopped after step %d: %d evaluations were not better\n", result.Steps, o.patience)
	}
	if r.plan.KeepBest && result.BestStep < result.Steps {
		fmt.Fprintf(a.stderr, "kept the weights of step %d, the best on the validation split\n", result.BestStep)
	}
	card := weights.Card{
		Name:     baseName(o.output),
		Summary:  fmt.Sprintf("An image classifier for %d classes, %s.", len(ds.Classes), o.origin()),
		Datasets: []string{baseName(r.dir)},
		Data:     r.about,
		Recipe:   strings.Join(r.describe(), "; ") + ".",
		Command:  a.command(),
		Time:     log.took(),
		Hardware: describeMachine(o.threads),
		Results:  cardResults(baseName(r.dir), result.Split, result.Eval),
		Limits: fmt.Sprintf("It knows the %d classes of its training data and no others: a picture of anything else gets one of them, "+
			"sometimes with a high score. It has not been examined for bias.", len(ds.Classes)),
	}
	if err := tuned.Save(o.output, card); err != nil {
		return err
	}
	fmt.Fprintf(a.stderr, "wrote %s; use it with:\n  bit classify --model %s IMAGE\n", o.output, quote(o.output))
	if result.MultiLabel == nil {
		return a.printScores(result.Split, result.Eval, o.json)
	}
	return a.printMultiLabel(result.Split, result.Eval, *result.MultiLabel, o.json)
}

// printMultiLabel prints the outcome where pictures have several labels.
func (a *app) printMultiLabel(split string, r eval.Result, m eval.MultiLabel, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(a.stdout).Encode(struct {
			eval.Result
			eval.MultiLabel
		}{r, m})
	}
	_, err := fmt.Fprintf(a.stdout, "%s: mean average precision %.2f %%  micro F1 %.2f %%  loss %.4f  on %d images\n", split, 100*m.MAP, 100*m.MicroF1, r.Loss, r.Images)
	return err
}

// origin says what the weights were before training.
func (o *finetuneOptions) origin() string {
	if o.fromScratch {
		return fmt.Sprintf("the network of %s trained from random weights", baseName(o.model))
	}
	return "fine-tuned from " + baseName(o.model)
}
