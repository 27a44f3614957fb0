package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/bigtransfer/bit"
	"github.com/bigtransfer/bit/calibrate"
	"github.com/bigtransfer/bit/data"
	"github.com/bigtransfer/bit/weights"
)

type calibrateOptions struct {
	dataOptions
	split       string
	unknownRate float64
	others      string
	output      string
	threads     int
	batch       int
	json        bool
}

func (a *app) newCalibrateCommand() *cobra.Command {
	var o calibrateOptions
	cmd := &cobra.Command{
		Use:   "calibrate MODEL DATA [flags]",
		Short: "Make a model's scores mean what they say",
		Long: `Make a model's scores mean what they say, by labelled pictures that it was not trained on:
the validation split of DATA, else its test split, else all of it.

A temperature divides the logits, so that of the pictures with a score of 80 % about 80 %
are right. It changes no prediction. What it is worth is measured by cross-validation; if
that is not more than its standard error, as with few pictures, the scores stay as they
are.

With --unknown-rate, pictures with less evidence for any class than that share of the
pictures of DATA are called unknown from then on. With --others, a folder of pictures of
none of the classes, it is measured how many of those still pass.

Both are kept in MODEL, a folder of transformers or timm, in keys of its config.json that
other programs pass over, and classify, evaluate and explain use them. What was there of an
earlier calibration is replaced. finetune, probe and add-class make a head without; a
conversion keeps them, except to .npz, which has no place for them.

` + dataHelp + `

With --json, one line:
  {"temperature":{"temperature":…,"images":…,"loss_before":…,"loss_after":…,"ece_before":…,
   "ece_after":…,"gain_error":…,"pays":true},"unknown":{"score":"…","threshold":…,
   "false_reject_rate":…},"others":{"images":…,"false_accept_rate":…,"auroc":…}}`,
		Example: `  bit calibrate my-model my-photos
  bit calibrate my-model my-photos --unknown-rate 0.05 --others holiday/
  bit calibrate BiT-M-R50x1-ILSVRC2012 imagenet -o calibrated`,
		Args: wants(2, 2, "MODEL and DATA"),
		RunE: a.runE(func(ctx context.Context, args []string) error { return a.calibrate(ctx, args[0], args[1], o) }),
	}
	f := cmd.Flags()
	f.Float64Var(&o.unknownRate, "unknown-rate", 0, "share of the pictures of known classes, from 0 to 1, that may be called unknown (default no picture is)")
	f.StringVar(&o.others, "others", "", "folder of pictures of none of the classes, to measure the threshold on")
	f.StringVar(&o.split, "split", "", "train, val or test (default val, else test, else everything)")
	f.StringVarP(&o.output, "output", "o", "", "folder to write the calibrated model to (default MODEL is changed)")
	f.IntVar(&o.batch, "batch", 0, "pictures per pass of the network; changes the speed, not the result (default 32)")
	addThreadsFlag(cmd, &o.threads)
	f.BoolVar(&o.json, "json", false, "print the outcome as JSON")
	o.dataOptions.addFlags(cmd)
	return cmd
}

// calibration is the outcome of bit calibrate.
type calibration struct {
	Temperature struct {
		calibrate.TemperatureFit
		Pays bool `json:"pays"`
	} `json:"temperature"`
	Unknown *calibrate.Unknown `json:"unknown,omitempty"`
	Others  *othersResult      `json:"others,omitempty"`
}

// othersResult is what a threshold does to pictures of none of the classes.
type othersResult struct {
	Images      int     `json:"images"`
	FalseAccept float64 `json:"false_accept_rate"` // fraction that is not called unknown
	AUROC       float64 `json:"auroc"`             // of the score, against the pictures that the threshold was fitted on
}

// unknownScore is the score that tells unknown pictures best, see docs/JUDGEMENT.md.
const unknownScore = calibrate.Energy

func (a *app) calibrate(ctx context.Context, ref, dir string, o calibrateOptions) error {
	switch {
	case o.batch < 0:
		return usagef("--batch %d: want at least 1", o.batch)
	case o.unknownRate < 0 || o.unknownRate >= 1:
		return usagef("--unknown-rate %v: want a share of pictures above 0 and below 1", o.unknownRate)
	case o.others != "" && o.unknownRate == 0:
		return usagef("--others needs --unknown-rate, the threshold to measure")
	}
	opener, err := opener(0, o.threads)
	if err != nil {
		return err
	}
	if info, err := os.Stat(ref); o.output == "" && (err != nil || !info.IsDir()) {
		return usagef("%s is no folder that could keep a calibration: name one with --output", ref)
	}
	m, err := a.openModel(ctx, opener, ref)
	if err != nil {
		return err
	}
	m.SetCalibration(calibrate.Calibration{}) // the logits are the same, and so is what is said of them before
	ds, err := o.dataOptions.open(ctx, a, dir, o.split)
	if err != nil {
		return err
	}
	if m.MultiLabel() {
		return fmt.Errorf("%s: its classes are questions of their own, and calibration is for a choice of one", ref)
	}
	if ds.MultiLabel {
		return fmt.Errorf("%s: its pictures have several labels, and calibration is for one", dir)
	}
	if err := a.matchClasses(ds, m.Classifier); err != nil {
		return fmt.Errorf("%s does not fit the model %s: %w", dir, ref, err)
	}
	a.reportSkipped(ds.Skipped)
	if o.split == "" && len(ds.Val) > 0 {
		o.split = "val"
	}
	split, examples, err := chooseSplit(ds, o.split)
	if err != nil {
		return fmt.Errorf("%s: %w", dir, err)
	}
	switch split {
	case "test":
		fmt.Fprintf(a.stderr, "note: %s has no validation split; what is fitted on its test split cannot be judged by it\n", dir)
	case "train":
		fmt.Fprintf(a.stderr, "note: what is fitted on pictures that the model was trained on trusts it too much\n")
	}
	known, err := a.logitsOf(ctx, m.Classifier, ds, examples, split, o)
	if err != nil {
		return err
	}
	var result calibration
	var k calibrate.Calibration
	classes := m.Config().Classes
	labels := make([]int32, len(known.Index))
	for i, at := range known.Index {
		labels[i] = int32(examples[at].Label)
	}
	if result.Temperature.TemperatureFit, err = calibrate.FitTemperature(known.Logits, labels, classes); err != nil {
		return fmt.Errorf("%s: %w", dir, err)
	}
	if result.Temperature.Pays = result.Temperature.TemperatureFit.Pays(); result.Temperature.Pays {
		k.Temperature = result.Temperature.Temperature
	}
	if o.unknownRate > 0 {
		u, err := calibrate.FitUnknown(known.Logits, classes, unknownScore, o.unknownRate)
		if err != nil {
			return fmt.Errorf("%s: %w", dir, err)
		}
		k.Unknown, result.Unknown = &u, &u
	}
	if o.others != "" {
		if result.Others, err = a.measureOthers(ctx, m.Classifier, known.Logits, *result.Unknown, o); err != nil {
			return err
		}
	}
	if err := a.saveCalibration(ctx, m, ref, k, o); err != nil {
		return err
	}
	if o.json {
		return json.NewEncoder(a.stdout).Encode(result)
	}
	return a.printCalibration(split, result)
}

// logitsOf runs the network on examples and shows how far it is.
func (a *app) logitsOf(ctx context.Context, m *bit.Classifier, src data.Source, examples []data.Example, what string, o calibrateOptions) (bit.DataLogits, error) {
	line := &status{out: a.stderr}
	out, err := m.LogitsOf(ctx, src, examples, bit.EvaluateOptions{
		Batch: o.batch, Workers: o.threads, OnProgress: imageProgress(line, what, len(examples)),
	})
	line.clear()
	a.reportSkipped(out.Skipped)
	return out, err
}

func (a *app) measureOthers(ctx context.Context, m *bit.Classifier, known []float32, u calibrate.Unknown, o calibrateOptions) (*othersResult, error) {
	pictures, examples := data.ListPictures(data.Opener{}.Pictures(ctx, o.others))
	out, err := a.logitsOf(ctx, m, pictures, examples, "others", o)
	if err != nil {
		return nil, err
	}
	classes := m.Config().Classes
	return &othersResult{
		Images: len(out.Index), FalseAccept: 1 - u.Rejected(out.Logits, classes),
		AUROC: calibrate.AUROC(calibrate.ScoresOf(known, classes, u.Score), calibrate.ScoresOf(out.Logits, classes, u.Score)),
	}, nil
}

func (a *app) saveCalibration(ctx context.Context, m *bit.Model, ref string, k calibrate.Calibration, o calibrateOptions) error {
	if o.output == "" {
		return weights.SaveCalibration(ref, k)
	}
	if err := m.SetCalibration(k); err != nil {
		return err
	}
	return weights.SaveHF(ctx, o.output, m.Weights(), weights.F32, a.cardOf(ref, m))
}

func (a *app) printCalibration(split string, c calibration) error {
	t := c.Temperature
	fmt.Fprintf(a.stdout, "temperature %.4g, fitted on %d images of %s\n", t.Temperature, t.Images, split)
	fmt.Fprintf(a.stdout, "cross-validated: loss %.4f before, %.4f after, a gain of %.4f ± %.4f; calibration error %.2f %% before, %.2f %% after\n",
		t.LossBefore, t.LossAfter, t.LossBefore-t.LossAfter, t.GainError, 100*t.ECEBefore, 100*t.ECEAfter)
	if !t.Pays {
		fmt.Fprintln(a.stdout, "that does not pay: the scores stay as they are")
	}
	if u := c.Unknown; u != nil {
		fmt.Fprintf(a.stdout, "unknown below %.4f of the score %s, as at most %.2f %% of pictures of known classes are\n", u.Threshold, u.Score, 100*u.FalseReject)
	}
	if others := c.Others; others != nil {
		fmt.Fprintf(a.stdout, "of %d others %.2f %% pass for known; of a known picture and another, the score is right in %.1f %% (chance: 50 %%)\n",
			others.Images, 100*others.FalseAccept, 100*others.AUROC)
	}
	return nil
}
