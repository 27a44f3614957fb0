package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"github.com/bigtransfer/bit"
	"github.com/bigtransfer/bit/data"
	"github.com/bigtransfer/bit/eval"
	"github.com/bigtransfer/bit/internal/atomicfile"
	"github.com/bigtransfer/bit/report"
	"github.com/bigtransfer/bit/train"
)

type evaluateOptions struct {
	modelOptions
	dataOptions
	split string
	batch int
	json  bool
	page  string
}

func (a *app) newEvaluateCommand() *cobra.Command {
	var o evaluateOptions
	cmd := &cobra.Command{
		Use:   "evaluate DATA [flags]",
		Short: "Measure a model on labelled pictures",
		Long: `Measure a model on labelled pictures: accuracy, precision and recall of every class,
confusions, and how far its scores are to be trusted.

` + dataHelp + `

Its test split is used, else its validation split, else all of it. Classes
are matched to the model's labels by name; DATA may lack some of them.

The calibration error is the mean distance between a picture's score and how often scores
like it are right, in 15 bins; bit calibrate lowers it. If the pictures of DATA have several
labels each, a class is predicted where its score is at least 50 %.

With --json, the last line is an object of all numbers, in fractions of 1:
  {"top1":…,"top5":…,"loss":…,"images":…,"macro_precision":…,"macro_recall":…,"macro_f1":…,
   "balanced_accuracy":…,"brier":…,"ece":…,"reliability":[{"images":…,"confidence":…,
   "accuracy":…},…],"confusion":[{"true":…,"predicted":…,"images":…},…],"classes":[{"index":…,
   "label":"…","images":…,"predicted":…,"precision":…,"recall":…,"f1":…},…]}
and "calibrated", "temperature", "unknown_rate" of a calibrated model. Of several labels:
"mean_average_precision", "micro_precision", "micro_recall", "micro_f1", and
"average_precision" in "classes".`,
		Example: `  bit evaluate tiny-imagenet-200
  bit evaluate --model my-model --split val my-photos
  bit evaluate --model my-model my-photos --report report.html`,
		Args: wants(1, 1, "one DATA"),
		RunE: a.runE(func(ctx context.Context, args []string) error { return a.evaluate(ctx, args[0], o) }),
	}
	o.modelOptions.addFlags(cmd)
	f := cmd.Flags()
	f.StringVar(&o.split, "split", "", "train, val or test (default test, else val, else everything)")
	f.IntVar(&o.batch, "batch", 0, "pictures per pass of the network; changes the speed, not the scores (default 32)")
	f.BoolVar(&o.json, "json", false, "print the scores as JSON")
	f.StringVar(&o.page, "report", "", "HTML file to write a page to: confusions, calibration, the surest mistakes with pictures")
	o.dataOptions.addFlags(cmd)
	return cmd
}

func (a *app) evaluate(ctx context.Context, dir string, o evaluateOptions) error {
	if o.batch < 0 {
		return usagef("--batch %d: want at least 1", o.batch)
	}
	if !slices.Contains([]string{"", "train", "val", "test"}, o.split) {
		return usagef("--split %s: want train, val or test", o.split)
	}
	m, err := o.modelOptions.open(ctx, a)
	if err != nil {
		return err
	}
	r, err := a.measure(ctx, m, dir, o)
	if err != nil {
		return err
	}
	if o.page != "" {
		page := report.Evaluation{
			Model: m, Data: baseName(dir), Split: r.split, Metrics: r.Metrics, Source: r.ds, Examples: r.examples, History: a.historyOf(o.model),
		}
		if err := atomicfile.Replace(o.page, func(w io.Writer) error { return page.Write(ctx, atomicfile.Until(ctx, w)) }); err != nil {
			return err
		}
		fmt.Fprintf(a.stderr, "wrote %s\n", o.page)
	}
	if o.json {
		return json.NewEncoder(a.stdout).Encode(r.Metrics)
	}
	return a.printMetrics(r.split, r.Metrics)
}

// historyOf reads the course of the run that trained a model, if its folder has one.
func (a *app) historyOf(ref string) train.History {
	f, err := os.Open(filepath.Join(ref, train.HistoryFile))
	if err != nil {
		return train.History{} // most models have none
	}
	defer f.Close()
	h, err := train.ReadHistory(f)
	if err != nil {
		fmt.Fprintf(a.stderr, "bit: warning: %s: %v\n", f.Name(), err)
	}
	return h
}

// measurement is what a split says about a model.
type measurement struct {
	eval.Metrics
	split    string // its name
	ds       *data.Dataset
	examples []data.Example // that Metrics.Outcomes are of
}

// measure runs a model on a split of a data set.
func (a *app) measure(ctx context.Context, m *bit.Classifier, dir string, o evaluateOptions) (measurement, error) {
	fail := func(err error) (measurement, error) { return measurement{}, err }
	ds, err := o.dataOptions.open(ctx, a, dir, cmp.Or(o.split, "eval"))
	if err != nil {
		return fail(err)
	}
	if err := a.matchClasses(ds, m); err != nil {
		return fail(fmt.Errorf("%s does not fit the model %s: %w", dir, m.Name(), err))
	}
	split, examples, err := chooseSplit(ds, o.split)
	if err != nil {
		return fail(fmt.Errorf("%s: %w", dir, err))
	}
	a.reportSkipped(ds.Skipped)
	line := &status{out: a.stderr}
	result, skipped, err := m.Evaluate(ctx, ds, examples, bit.EvaluateOptions{
		Batch: o.batch, Workers: o.threads, OnProgress: imageProgress(line, split, len(examples)),
	})
	line.clear()
	a.reportSkipped(skipped)
	return measurement{result, split, ds, examples}, err
}

// matchClasses numbers the labels of ds as the model does. The folders of ImageNet are named by WordNet ids. A model whose
// file has no labels is taken to have the classes of ds in their order, if it has as many.
func (a *app) matchClasses(ds *data.Dataset, m *bit.Classifier) error {
	if ids := m.WordNetIDs(); ids != nil {
		if ds.Relabel(ids) == nil {
			return nil
		}
		if err := ds.Relabel(m.Labels()); err == nil || len(ds.Classes) != m.Config().Classes {
			return err
		}
	} else if m.Labels() != nil {
		return ds.Relabel(m.Labels())
	}
	if have, want := len(ds.Classes), m.Config().Classes; have != want {
		return fmt.Errorf("the model's %d classes have no names, and the data set has %d", want, have)
	}
	fmt.Fprintf(a.stderr, "the model's file does not name its %d classes; taking those of the data set in their order\n", len(ds.Classes))
	return nil
}

// chooseSplit returns the examples of a split, or those to judge a model by if name is "".
func chooseSplit(ds *data.Dataset, name string) (string, []data.Example, error) {
	var examples []data.Example
	switch name {
	case "":
		name, examples = ds.EvalSplit()
	case "train":
		examples = ds.Train
	case "val":
		examples = ds.Val
	case "test":
		examples = ds.Test
	}
	if len(examples) == 0 {
		return "", nil, fmt.Errorf("%w in the %s split", data.ErrNoImages, name)
	}
	return name, examples, nil
}
