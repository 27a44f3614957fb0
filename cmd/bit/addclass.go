package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/bigtransfer/bit"
	"github.com/bigtransfer/bit/calibrate"
	"github.com/bigtransfer/bit/data"
	"github.com/bigtransfer/bit/weights"
)

type addClassOptions struct {
	embedFlags
	output  string
	extend  bool
	threads int
}

func (a *app) newAddClassCommand() *cobra.Command {
	var o addClassOptions
	cmd := &cobra.Command{
		Use:   "add-class MODEL NAME IMAGES... [flags]",
		Short: "Add a class to a model of bit probe, without the pictures of its other classes",
		Long: `Add a class to a model that "bit probe" made, without the pictures of its other classes.

MODEL holds statistics of them (statistics.safetensors), which the new pictures join: the
result is the model that "bit probe" would make of all pictures at once, in a second.

IMAGES are files and folders, which are searched. MODEL is changed in place, each of its
files by one rename once all are written, or stays as it is if -o names another folder.`,
		Example: `  bit add-class my-model otter photos/otter-*.jpg
  bit add-class my-model otter photos/otters -o my-new-model
  bit add-class my-model cat more-cats --extend`,
		Args: wants(3, -1, "a model, the name of a class, and images"),
		RunE: a.runE(func(ctx context.Context, args []string) error { return a.addClass(ctx, args[0], args[1], args[2:], o) }),
	}
	f := cmd.Flags()
	f.StringVarP(&o.output, "output", "o", "", "folder to write the model to (default MODEL itself)")
	f.BoolVar(&o.extend, "extend", false, "add pictures to a class that the model has")
	addThreadsFlag(cmd, &o.threads)
	o.embedFlags.addFlags(cmd)
	return cmd
}

func (a *app) addClass(ctx context.Context, ref, class string, paths []string, o addClassOptions) error {
	if err := o.embedFlags.check(); err != nil {
		return err
	}
	if err := checkThreads(o.threads); err != nil {
		return err
	}
	if strings.TrimSpace(class) == "" {
		return usagef("the class has an empty name")
	}
	if err := checkNoModel(o.output); err != nil {
		return err
	}
	output := o.output
	if output == "" {
		if info, err := os.Stat(ref); err != nil || !info.IsDir() {
			return fmt.Errorf("%s is no folder that can be changed; write another model with -o", ref)
		}
		output = ref
	}
	m, err := a.openModel(ctx, bit.Opener{Threads: o.threads}, ref)
	if err != nil {
		return err
	}
	if known := slices.Contains(m.Labels(), class); known && !o.extend {
		return fmt.Errorf("%s has the class %q already; --extend adds pictures to it", ref, class)
	} else if !known && o.extend {
		return fmt.Errorf("%s has no class %q to extend", ref, class)
	}
	if m.Calibration() != (calibrate.Calibration{}) {
		fmt.Fprintf(a.stderr, "note: the calibration of %s is that of its old head and is not kept; bit calibrate fits another one\n", ref)
	}
	start := time.Now()
	pictures, examples := data.ListPictures(data.Opener{}.Pictures(ctx, paths...))
	line := &status{out: a.stderr}
	tuned, r, err := m.AddExamples(ctx, class, pictures, examples, bit.ProbeOptions{
		Embed: o.embedFlags.options(o.threads, len(examples), "features", line),
	})
	line.clear()
	a.reportSkipped(r.Skipped)
	if err != nil {
		return fmt.Errorf("%s: %w", ref, err)
	}
	took := time.Since(start)
	a.reportFit(r, took)
	card, err := weights.ReadCard(os.DirFS(ref))
	if err != nil {
		card = weights.Card{}
	}
	about := probeCard(output, tuned.Labels(), fmt.Sprintf("That of the model before, and %d pictures of the class %s.", len(examples)-len(r.Skipped), class), r)
	about.Base, about.License, about.Datasets = card.Base, card.License, card.Datasets
	about.Summary = fmt.Sprintf("An image classifier for %d classes: a closed-form head, extended by the class %s.", len(tuned.Labels()), class)
	about.Command, about.Time, about.Hardware = a.command(), took.Round(time.Second), describeMachine(o.threads)
	if err := tuned.Save(output, about); err != nil {
		return err
	}
	fmt.Fprintf(a.stderr, "wrote %s: %d classes\n", output, len(tuned.Labels()))
	fmt.Fprintf(a.stdout, "leave one out: top-1 %.2f %%  on %d images\n", 100*r.LeaveOneOut, r.LeftOut)
	return nil
}
