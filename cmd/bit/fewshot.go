package main

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/bigtransfer/bit"
	"github.com/bigtransfer/bit/data"
	"github.com/bigtransfer/bit/fewshot"
	"github.com/bigtransfer/bit/probe"
	"github.com/bigtransfer/bit/train"
	"github.com/bigtransfer/bit/transfer"
)

type fewshotOptions struct {
	modelOptions
	embedFlags
	dataOptions
	output       string
	methods      []string
	shots        []int
	seeds        string
	lambda       float64
	steps        int
	trainBatch   int
	learningRate float64
	resize, crop int
	judge        int
	plot         string
	json, csv    bool
}

func (a *app) newFewshotCommand() *cobra.Command {
	var o fewshotOptions
	cmd := &cobra.Command{
		Use:   "fewshot DATA [flags]",
		Short: "Measure a model with a few training pictures of each class",
		Long: `Measure a model with a few training pictures of each class, over several draws, and print
lowest ← median → highest top-1 accuracy, as the tables of the BiT code do.

  probe     ridge regression on the frozen features, penalty 1024, standardised by the
            pictures drawn: the few-shot evaluation of BiT's authors (fewshot_lsr)
  finetune  the whole network, by BiT-HyperRule or as --steps, --train-batch,
            --learning-rate, --resize and --crop say
  scratch   the same from random weights

DATA is split/class/file: pictures are drawn from train, and test (else val) judges. For
one seed fewer pictures are some of the more; a class that has too few gives all it has.

With -o each run is kept in a JSON file when it ends: the same command goes on with it, and
other shots, seeds and methods can be added. --plot draws a .png, .svg or .pdf.`,
		Example: `  bit fewshot cifar10
  bit fewshot cifar10 --method probe,finetune,scratch --shots 1,5,10,25 --seeds 0..2 \
      --steps 60 --train-batch 64 --crop 64 --judge 2000 -o cifar10.json --plot cifar10.svg`,
		Args: wants(1, 1, "one DATA"),
		RunE: a.runE(func(ctx context.Context, args []string) error { return a.fewshot(ctx, args[0], o) }),
	}
	f := cmd.Flags()
	f.StringSliceVar(&o.methods, "method", []string{string(fewshot.Probe)}, "probe, finetune, scratch, or several of them with commas")
	f.IntSliceVar(&o.shots, "shots", fewshot.DefaultShots(), "training pictures of each class")
	f.StringVar(&o.seeds, "seeds", "0..4", "seeds of the draws: a range, or a list with commas")
	f.StringVarP(&o.output, "output", "o", "", "JSON file to keep the runs in, and to go on with (default none)")
	f.StringVar(&o.plot, "plot", "", "file to draw the outcome to: .png, .svg or .pdf")
	f.BoolVar(&o.json, "json", false, "print runs and summaries as JSON")
	f.BoolVar(&o.csv, "csv", false, "print the runs as CSV")
	o.modelOptions.addFlags(cmd)
	f.Float64Var(&o.lambda, "lambda", probe.DefaultLambda, "penalty of the probe")
	f.IntVar(&o.steps, "steps", 0, "steps of training (default the rule's)")
	f.IntVar(&o.trainBatch, "train-batch", 0, "pictures in a step of training (default the rule's)")
	f.Float64Var(&o.learningRate, "learning-rate", 0, "learning rate of training after warm-up (default 0.003 for a batch of 512, in proportion)")
	f.IntVar(&o.crop, "crop", 0, "side of training and evaluation images in pixels (default the rule's)")
	f.IntVar(&o.resize, "resize", 0, "side of training images before the random crop (default by --crop)")
	f.IntVar(&o.judge, "judge", 0, "judge finetune and scratch on at most this many pictures, evenly spread (default all)")
	o.embedFlags.addFlags(cmd)
	o.dataOptions.addFlags(cmd)
	return cmd
}

// parseSeeds reads "0..4" or "0,3,7".
func parseSeeds(text string) ([]uint64, error) {
	bad := usagef("--seeds %s: want a range such as 0..4, or a list such as 0,3,7", text)
	if first, last, ok := strings.Cut(text, ".."); ok {
		from, err := strconv.ParseUint(first, 10, 64)
		to, err2 := strconv.ParseUint(last, 10, 64)
		if err != nil || err2 != nil || from > to || to-from >= 10_000 {
			return nil, bad
		}
		var list []uint64
		for seed := from; len(list) < int(to-from)+1; seed++ {
			list = append(list, seed)
		}
		return list, nil
	}
	var list []uint64
	for word := range strings.SplitSeq(text, ",") {
		seed, err := strconv.ParseUint(word, 10, 64)
		if err != nil || slices.Contains(list, seed) {
			return nil, bad
		}
		list = append(list, seed)
	}
	return list, nil
}

// config checks the flags.
func (o *fewshotOptions) config() (fewshot.Config, error) {
	c := fewshot.Config{Shots: o.shots, Lambda: o.lambda, Judge: o.judge}
	if o.json && o.csv {
		return c, usagef("--json or --csv, not both")
	}
	if o.lambda < 0 || o.judge < 0 {
		return c, usagef("--lambda and --judge must not be negative")
	}
	for _, m := range o.methods {
		if !slices.Contains(fewshot.Methods(), fewshot.Method(m)) {
			return c, usagef("--method %s: want probe, finetune or scratch", m)
		}
		c.Methods = append(c.Methods, fewshot.Method(m))
	}
	for _, k := range o.shots {
		if k < 1 {
			return c, usagef("--shots %d: want at least 1", k)
		}
	}
	if ext := strings.ToLower(filepath.Ext(o.plot)); o.plot != "" && !slices.Contains(fewshot.PlotFormats(), ext) {
		return c, usagef("--plot %s: want a name that ends in one of %q", o.plot, fewshot.PlotFormats())
	}
	if o.steps < 0 || o.trainBatch < 0 || o.learningRate < 0 || o.crop < 0 {
		return c, usagef("--steps, --train-batch, --learning-rate and --crop must not be negative")
	}
	if err := checkSizes(o.resize, o.crop); err != nil {
		return c, err
	}
	c.Train = transfer.Config{
		Steps: o.steps, Batch: o.trainBatch, LearningRate: o.learningRate, Resize: o.resize, Crop: o.crop,
		Options: train.Options{Threads: o.threads},
	}
	if o.crop != 0 && o.resize == 0 {
		c.Train.Resize = transfer.ResizeFor(o.crop)
	}
	var err error
	if c.Seeds, err = parseSeeds(o.seeds); err != nil {
		return c, err
	}
	return c, o.embedFlags.check()
}

func (a *app) fewshot(ctx context.Context, dir string, o fewshotOptions) error {
	c, err := o.config()
	if err != nil {
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
	ds, err := o.dataOptions.open(ctx, a, dir, "")
	if err != nil {
		return err
	}
	a.reportSkipped(ds.Skipped)
	if o.output != "" {
		store, err := fewshot.OpenStore(o.output, o.settings(dir, ds, m, c))
		if err != nil {
			return err
		}
		c.Done, c.OnRun = store.Runs(), store.Add
	}
	line := &status{out: a.stderr}
	a.followFewshot(&c, line)
	c.Embed = o.embedFlags.options(o.threads, pictures(ds, c), "features", line)
	runs, skipped, err := fewshot.Measure(ctx, m, ds, c)
	line.clear()
	a.reportSkipped(skipped)
	if err != nil {
		if o.output != "" && ctx.Err() != nil {
			fmt.Fprintf(a.stderr, "%d runs are in %s; the same command goes on with it\n", len(runs), o.output)
		}
		return err
	}
	// What a file has besides, of other methods and shots, stays there; all its draws of these count.
	runs = slices.DeleteFunc(runs, func(r fewshot.Run) bool {
		return !slices.Contains(c.Methods, r.Method) || !slices.Contains(c.Shots, r.Shots)
	})
	list := fewshot.Summarise(runs)
	if o.plot != "" {
		if err := fewshot.WritePlot(o.plot, fmt.Sprintf("%s, %s", baseName(dir), baseName(o.model)), list); err != nil {
			return err
		}
	}
	return a.printFewshot(runs, list, o)
}

// settings are what all runs of a file have in common.
func (o *fewshotOptions) settings(dir string, ds *data.Dataset, m *bit.Model, c fewshot.Config) map[string]string {
	split, judged := ds.EvalSplit()
	return map[string]string{
		"data":          fmt.Sprintf("%s: %d classes, %d training images, %d %s images", baseName(dir), len(ds.Classes), len(ds.Train), len(judged), split),
		"model":         fmt.Sprintf("%s, %d features", baseName(m.Name()), m.Config().FeatureWidth()),
		"resolution":    fmt.Sprint(o.resolution),
		"lambda":        fmt.Sprint(c.Lambda),
		"steps":         fmt.Sprint(c.Train.Steps),
		"batch":         fmt.Sprint(c.Train.Batch),
		"learning rate": fmt.Sprint(c.Train.LearningRate),
		"resize":        fmt.Sprint(c.Train.Resize),
		"crop":          fmt.Sprint(c.Train.Crop),
		"judge":         fmt.Sprint(c.Judge),
	}
}

// pictures is about how many features the probes need.
func pictures(ds *data.Dataset, c fewshot.Config) int {
	_, judged := ds.EvalSplit()
	most := 0
	for _, k := range c.Shots {
		most = max(most, k)
	}
	return len(judged) + min(len(ds.Train), most*len(ds.Classes)*len(c.Seeds))
}

// followFewshot shows each run, as a line that stays.
func (a *app) followFewshot(c *fewshot.Config, line *status) {
	keep := c.OnRun
	c.OnRun = func(r fewshot.Run) error {
		if keep != nil {
			if err := keep(r); err != nil {
				return err
			}
		}
		line.println("%s, %d of each class, seed %d: top-1 %.2f %% on %d images in %s", r.Method, r.Shots, r.Seed, 100*r.Top1, r.Images,
			time.Duration(r.Seconds*float64(time.Second)).Round(10*time.Millisecond))
		return nil
	}
	step := func(method fewshot.Method, shots int, seed uint64) func(train.Progress) {
		return func(p train.Progress) {
			if line.due() {
				line.show(fmt.Sprintf("%s, %d of each class, seed %d: step %d/%d  loss %.3f", method, shots, seed, p.Step, p.Total, p.Loss))
			}
		}
	}
	var current func(train.Progress)
	c.OnJob = func(method fewshot.Method, shots int, seed uint64) { current = step(method, shots, seed) }
	c.Train.OnStep = func(p train.Progress) { current(p) }
}

func (a *app) printFewshot(runs []fewshot.Run, list []fewshot.Summary, o fewshotOptions) error {
	switch {
	case o.json:
		return json.NewEncoder(a.stdout).Encode(struct {
			Summaries []fewshot.Summary `json:"summaries"`
			Runs      []fewshot.Run     `json:"runs"`
		}{list, runs})
	case o.csv:
		w := csv.NewWriter(a.stdout)
		w.Write([]string{"method", "shots", "seed", "top1", "examples", "images", "seconds"})
		for _, r := range runs {
			w.Write([]string{string(r.Method), strconv.Itoa(r.Shots), strconv.FormatUint(r.Seed, 10), strconv.FormatFloat(r.Top1, 'g', -1, 64),
				strconv.Itoa(r.Examples), strconv.Itoa(r.Images), strconv.FormatFloat(r.Seconds, 'f', 3, 64)})
		}
		w.Flush()
		return w.Error()
	}
	return fewshot.WriteTable(a.stdout, list)
}
