package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/bigtransfer/bit"
	"github.com/bigtransfer/bit/batch"
	"github.com/bigtransfer/bit/data"
	"github.com/bigtransfer/bit/transfer"
)

// resizeFlag is the value of --resize: a framing, a side in pixels, or both with a comma between them.
type resizeFlag struct {
	framing transfer.Framing
	side    int
}

// String shows nothing for the default, which the help describes.
func (f *resizeFlag) String() string {
	switch {
	case f.framing == transfer.Squash && f.side == 0:
		return ""
	case f.side == 0:
		return f.framing.String()
	}
	return fmt.Sprintf("%v,%d", f.framing, f.side)
}

// Type is what the help calls the value.
func (f *resizeFlag) Type() string { return "string" }

// Set reads the value.
func (f *resizeFlag) Set(text string) error {
	var names []string
	for _, framing := range transfer.Framings() {
		names = append(names, framing.String())
	}
	seen := map[bool]bool{} // whether a number was given, and a name
	for word := range strings.SplitSeq(text, ",") {
		side, err := strconv.Atoi(word)
		known := false
		for _, framing := range transfer.Framings() {
			if word == framing.String() {
				f.framing, known = framing, true
			}
		}
		number := err == nil && side > 0
		if number {
			f.side = side
		}
		if number == known || seen[number] {
			return fmt.Errorf("want %s, a number of pixels, or both as in pad,80", strings.Join(names, ", "))
		}
		seen[number] = true
	}
	return nil
}

// check reports a flag that makes no sense.
func (o *finetuneOptions) check() error {
	switch {
	case o.steps < 0 || o.batch < 0 || o.learningRate < 0 || o.crop < 0 || o.examplesPerClass < 0 || o.patience < 0 || o.evaluateEvery < 0:
		return usagef("--steps, --batch, --learning-rate, --crop, --examples-per-class, --patience and --evaluate-every must not be negative")
	case o.timeLimit <= 0:
		return usagef("--time-limit %v: want a time such as 90m or 8h", o.timeLimit)
	case o.sampling != batch.Natural.String() && o.sampling != batch.Balanced.String():
		return usagef("--sampling %s: want natural or balanced", o.sampling)
	}
	if _, err := transfer.ParsePreset(o.preset); err != nil {
		return usagef("--preset %s: want rule or lite", o.preset)
	}
	if err := checkSizes(o.resize.side, o.crop); err != nil {
		return err
	}
	if err := o.holdOut.check(); err != nil {
		return err
	}
	return o.trainingOptions.check()
}

// checkSizes checks the sides of training images before and after the random crop; 0 is the default.
func checkSizes(resize, crop int) error {
	switch {
	case resize < 0:
		return usagef("--resize %d: want a number of pixels", resize)
	case resize != 0 && resize < crop:
		return usagef("--crop %d does not fit into --resize %d", crop, resize)
	case resize != 0 && crop == 0:
		return usagef("--resize %d needs --crop, the side of the images that the network sees", resize)
	}
	return nil
}

// splitData makes a validation split where there is none, applies --examples-per-class, and says in words what there is.
func (a *app) splitData(ctx context.Context, r *finetuneRun) error {
	o, ds := r.o, r.ds
	about, err := a.ensureSplit(ctx, r.dir, ds, o.holdOut, data.SplitOptions{
		ScanOptions: data.ScanOptions{Workers: o.threads}, Seed: o.seed, NoSave: o.dryRun,
	})
	if err != nil {
		return err
	}
	r.about = about
	if o.examplesPerClass != 0 {
		if ds.Train, err = data.FewShot(ds.Train, ds.Classes, o.examplesPerClass, o.seed); err != nil {
			return err
		}
		r.about += fmt.Sprintf(" Trained on %d of them, %d of each class, drawn by seed %d.", len(ds.Train), o.examplesPerClass, o.seed)
	}
	if o.patience > 0 && len(ds.Val) == 0 {
		return usagef("--patience needs a validation split: have a folder val, or give --hold-out 0.1")
	}
	return nil
}

// config returns the settings of the flags for a model and a data set.
func (o *finetuneOptions) config(m *bit.Model, ds *data.Dataset) (transfer.Config, error) {
	cfg := transfer.Config{
		Steps: o.steps, Batch: o.batch, LearningRate: o.learningRate, Framing: o.resize.framing, Resize: o.resize.side, Crop: o.crop,
		MixupAlpha: o.mixup, NoFlip: o.noFlip, Seed: o.seed, Patience: o.patience, MicroBatch: o.microBatch, Memory: o.budget,
	}
	cfg.CacheBytes, cfg.EvaluateEvery, cfg.Threads = o.cacheBytes(), o.evaluateEvery, o.threads
	var err error
	if cfg.Preset, err = transfer.ParsePreset(o.preset); err != nil {
		return cfg, usageError{err}
	}
	if cfg.Frozen, err = m.Config().ParseFrozen(o.freeze); err != nil {
		return cfg, usagef("--freeze %v", err)
	}
	if o.sampling == batch.Balanced.String() {
		cfg.Sampling = batch.Balanced
	}
	switch o.classWeights {
	case "none":
	case "balanced":
		cfg.ClassWeights = transfer.BalancedWeights(ds)
	default:
		if cfg.ClassWeights, err = readClassWeights(o.classWeights, ds.Classes); err != nil {
			return cfg, fmt.Errorf("--class-weights %s: %w", o.classWeights, err)
		}
	}
	return cfg, nil
}

// readClassWeights reads a file of lines CLASS,WEIGHT; a tab will do for the comma. Every class must have one.
func readClassWeights(path string, classes []string) ([]float64, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("want none, balanced or a file: %w", err)
	}
	defer f.Close()
	weights := map[string]float64{}
	lines := bufio.NewScanner(f)
	for number := 1; lines.Scan(); number++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" {
			continue
		}
		at := strings.LastIndexAny(line, ",\t")
		if at < 0 {
			return nil, fmt.Errorf("line %d: %q, want CLASS,WEIGHT", number, line)
		}
		class := strings.TrimSpace(line[:at])
		w, err := strconv.ParseFloat(strings.TrimSpace(line[at+1:]), 64)
		if err != nil {
			return nil, fmt.Errorf("line %d: the weight of %q is %q, want a number", number, class, strings.TrimSpace(line[at+1:]))
		}
		if _, twice := weights[class]; twice {
			return nil, fmt.Errorf("line %d: %q has a weight already", number, class)
		}
		weights[class] = w
	}
	if err := lines.Err(); err != nil {
		return nil, err
	}
	list := make([]float64, len(classes))
	for k, class := range classes {
		w, ok := weights[class]
		if !ok {
			return nil, fmt.Errorf("no weight for the class %q", class)
		}
		list[k] = w
		delete(weights, class)
	}
	for class := range weights {
		return nil, &data.UnknownClassError{Class: class, Where: "the file", Known: classes}
	}
	return list, nil
}
