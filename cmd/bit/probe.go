package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/bigtransfer/bit"
	"github.com/bigtransfer/bit/data"
	"github.com/bigtransfer/bit/weights"
)

// embedFlags are the flags of every command that computes features.
type embedFlags struct {
	batch   int
	noCache bool
}

func (o *embedFlags) addFlags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.IntVar(&o.batch, "batch", 0, "pictures per pass of the network; changes the speed, not the features (default 32)")
	f.BoolVar(&o.noCache, "no-cache", false, "compute all features again, and keep none on disk")
}

// options returns the options of embedding, which show their progress in a line.
func (o *embedFlags) options(threads, total int, what string, line *status) bit.EmbedOptions {
	start := time.Now()
	first := -1
	return bit.EmbedOptions{Batch: o.batch, Workers: threads, NoCache: o.noCache, OnProgress: func(done int) {
		if first < 0 {
			first, start = done, time.Now()
		}
		if !line.due() || done >= total || done == first {
			return
		}
		rate := float64(done-first) / time.Since(start).Seconds()
		left := time.Duration(float64(total-done) / rate * float64(time.Second))
		line.show(fmt.Sprintf("%s: %d/%d pictures %3d %%  %.0f/s  %s left", what, done, total, 100*done/total, rate, duration(left)))
	}}
}

func (o *embedFlags) check() error {
	if o.batch < 0 {
		return usagef("--batch %d: want at least 1", o.batch)
	}
	return nil
}

type probeOptions struct {
	holdOut holdOutFlag
	modelOptions
	embedFlags
	dataOptions
	output           string
	lambda           float64
	neighbours       int
	examplesPerClass int
	seed             uint64
	json             bool
}

func (a *app) newProbeCommand() *cobra.Command {
	var o probeOptions
	cmd := &cobra.Command{
		Use:   "probe DATA [flags]",
		Short: "Teach a model your own classes in seconds, without training",
		Long: `Teach a model your own classes in seconds: a linear classifier in closed form on the
features of the network, which stays as it is. This is ridge regression on standardised
features, as in the few-shot evaluation of BiT's authors; "bit finetune" trains the whole
network, which takes longer and is usually better.

DATA is what "bit finetune" takes. The head is fitted to its training pictures; the test
split, or else the validation split, judges it. Accuracy by leaving one out needs no split:
it is what the head says of each training picture when it has not seen that one. It also
chooses the penalty, unless --lambda gives it.

OUTPUT becomes an ordinary model for every other command. With it are statistics of the
training pictures, so that "bit add-class" adds a class without them.

Features are kept in $BIT_CACHE (default: the user's cache folder, bit/features), at most
2 GiB, by the content of the pictures: the second time takes a moment.

With --json, the last line is an object with examples, classes, lambda, leave_one_out,
and, if there is a split to judge on, split, top1, top5, loss, images and neighbours.`,
		Example: `  bit probe my-photos -o my-model
  bit probe my-photos --neighbours 5
  bit probe cifar10 --lambda 1024 --examples-per-class 10 --seed 1`,
		Args: wants(1, 1, "one DATA"),
		RunE: a.runE(func(ctx context.Context, args []string) error { return a.probe(ctx, args[0], o) }),
	}
	f := cmd.Flags()
	f.StringVarP(&o.output, "output", "o", "", "folder to write the model to (default none: only measure)")
	o.modelOptions.addFlags(cmd)
	f.Float64Var(&o.lambda, "lambda", 0, "penalty of the ridge regression; 1024 is that of BiT's authors (default the best by leaving one out)")
	f.IntVar(&o.neighbours, "neighbours", 0, "also measure a vote of this many nearest neighbours")
	f.IntVar(&o.examplesPerClass, "examples-per-class", 0, "learn from this many pictures of each class, drawn by --seed (default all)")
	f.Uint64Var(&o.seed, "seed", 0, "seed of the draws")
	o.holdOut.add(cmd)
	o.embedFlags.addFlags(cmd)
	o.dataOptions.addFlags(cmd)
	f.BoolVar(&o.json, "json", false, "print the outcome as JSON")
	return cmd
}

func (a *app) probe(ctx context.Context, dir string, o probeOptions) error {
	if o.lambda < 0 || o.neighbours < 0 || o.examplesPerClass < 0 {
		return usagef("--lambda, --neighbours and --examples-per-class must not be negative")
	}
	if err := o.embedFlags.check(); err != nil {
		return err
	}
	if err := o.holdOut.check(); err != nil {
		return err
	}
	if err := checkNoModel(o.output); err != nil {
		return err
	}
	opener, err := opener(o.resolution, o.threads)
	if err != nil {
		return err
	}
	m, err := a.openModel(ctx, opener, o.model)
	if err != nil {
		return err
	}
	start := time.Now()
	ds, err := o.dataOptions.open(ctx, a, dir, "")
	if err != nil {
		return err
	}
	a.reportSkipped(ds.Skipped)
	about, err := a.ensureSplit(ctx, dir, ds, o.holdOut, data.SplitOptions{ScanOptions: data.ScanOptions{Workers: o.threads}, Seed: o.seed})
	if err != nil {
		return fmt.Errorf("%s: %w", dir, err)
	}
	if o.examplesPerClass != 0 {
		if ds.Train, err = data.FewShot(ds.Train, ds.Classes, o.examplesPerClass, o.seed); err != nil {
			return fmt.Errorf("%s: %w", dir, err)
		}
		about += fmt.Sprintf(" Fitted to %d of them, %d of each class, drawn by seed %d.", len(ds.Train), o.examplesPerClass, o.seed)
	}
	line := &status{out: a.stderr}
	pictures := len(ds.Train)
	if len(ds.Val) > 0 || len(ds.Test) > 0 {
		_, judged := ds.EvalSplit()
		pictures += len(judged)
	}
	tuned, r, err := m.Probe(ctx, ds, bit.ProbeOptions{
		Lambda: o.lambda, Neighbours: o.neighbours, Embed: o.embedFlags.options(o.threads, pictures, "features", line),
	})
	line.clear()
	a.reportSkipped(r.Skipped)
	if err != nil {
		return err
	}
	took := time.Since(start)
	a.reportFit(r, took)
	if o.output != "" {
		card := probeCard(o.output, ds.Classes, about, r)
		card.Summary = fmt.Sprintf("An image classifier for %d classes: a closed-form head on the features of %s.", len(ds.Classes), baseName(o.model))
		card.Datasets, card.Command, card.Time, card.Hardware = []string{baseName(dir)}, a.command(), took.Round(time.Second), describeMachine(o.threads)
		card.Results = cardResults(baseName(dir), r.Split, r.Eval)
		if err := tuned.Save(o.output, card); err != nil {
			return err
		}
		fmt.Fprintf(a.stderr, "wrote %s; use it with:\n  bit classify --model %s IMAGE\n", o.output, quote(o.output))
	}
	return a.printProbe(r, len(ds.Classes), o)
}

// checkNoModel reports a model that an output folder holds already, before it costs time.
func checkNoModel(output string) error {
	model := filepath.Join(output, "config.json")
	if _, err := os.Stat(model); output != "" && err == nil {
		return fmt.Errorf("the output folder holds a model already: %s; choose another one", model)
	} else if output != "" && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// reportFit tells a person what was fitted.
func (a *app) reportFit(r bit.ProbeResult, took time.Duration) {
	fmt.Fprintf(a.stderr, "fitted to %d pictures with penalty %.4g in %.2f s; features of %d pictures were cached\n", r.Examples, r.Lambda, took.Seconds(), r.Cached)
	if r.CacheErr != nil {
		fmt.Fprintf(a.stderr, "bit: warning: the features are not kept: %v\n", r.CacheErr)
	}
}

// probeCard is the card of a model with a closed-form head.
func probeCard(output string, classes []string, about string, r bit.ProbeResult) weights.Card {
	return weights.Card{
		Name: baseName(output),
		Data: about,
		Recipe: fmt.Sprintf("Ridge regression on standardised features of the frozen network, targets of +1 and -1, penalty %.4g, fitted to %d pictures; "+
			"accuracy %.2f %% on %d of them by leaving one out, which also chose the scale of the logits.", r.Lambda, r.Examples, 100*r.LeaveOneOut, r.LeftOut),
		Limits: fmt.Sprintf("It knows the %d classes of its training data and no others: a picture of anything else gets one of them, "+
			"sometimes with a high score. It has not been examined for bias.", len(classes)),
	}
}

func (a *app) printProbe(r bit.ProbeResult, classes int, o probeOptions) error {
	if o.json {
		out := struct {
			Examples    int      `json:"examples"`
			Classes     int      `json:"classes"`
			Lambda      float64  `json:"lambda"`
			LeaveOneOut float64  `json:"leave_one_out"`
			Split       string   `json:"split,omitempty"`
			Top1        *float64 `json:"top1,omitempty"`
			Top5        *float64 `json:"top5,omitempty"`
			Loss        *float64 `json:"loss,omitempty"`
			Images      int      `json:"images,omitempty"`
			Neighbours  *float64 `json:"neighbours,omitempty"`
		}{Examples: r.Examples, Classes: classes, Lambda: r.Lambda, LeaveOneOut: r.LeaveOneOut, Split: r.Split}
		if r.Split != "" {
			out.Top1, out.Top5, out.Loss, out.Images = &r.Eval.Top1, &r.Eval.Top5, &r.Eval.Loss, r.Eval.Images
			if o.neighbours > 0 {
				out.Neighbours = &r.Neighbours
			}
		}
		return json.NewEncoder(a.stdout).Encode(out)
	}
	fmt.Fprintf(a.stdout, "leave one out: top-1 %.2f %%  on %d images\n", 100*r.LeaveOneOut, r.LeftOut)
	if r.Split == "" {
		return nil
	}
	fmt.Fprintf(a.stdout, "%s: %s\n", r.Split, scores(r.Eval))
	if o.neighbours > 0 {
		fmt.Fprintf(a.stdout, "%s, %d neighbours: top-1 %.2f %%\n", r.Split, o.neighbours, 100*r.Neighbours)
	}
	return nil
}
