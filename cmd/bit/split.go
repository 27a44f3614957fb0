package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/bigtransfer/bit/data"
)

// holdOutFlag is --hold-out, of commands that learn from DATA.
type holdOutFlag struct {
	share float64
	given func() bool
}

func (h *holdOutFlag) add(cmd *cobra.Command) {
	f := cmd.Flags()
	f.Float64Var(&h.share, "hold-out", data.DefaultHoldOut, "share of the training images to validate on, drawn by --seed, where there is neither a validation nor a test split or, if given, no validation split; 0 for none")
	h.given = func() bool { return f.Changed("hold-out") }
}

func (h *holdOutFlag) check() error {
	if !(h.share >= 0 && h.share < 1) {
		return usagef("--hold-out %v: want a share between 0 and 1, or 0", h.share)
	}
	return nil
}

// ensureSplit makes a validation split of a data set that has none, tells of it, and returns the data in words.
func (a *app) ensureSplit(ctx context.Context, dir string, ds *data.Dataset, h holdOutFlag, o data.SplitOptions) (about string, err error) {
	if h.share == 0 {
		ds.JoinSplit()
		return describeData(dir, ds), nil
	}
	o.Fraction, o.BesideTest = h.share, h.given()
	line := &status{out: a.stderr}
	of := len(ds.Train)
	o.OnProgress = func(done int) {
		if line.due() && done < of {
			line.show(fmt.Sprintf("looking for pictures that are alike: %d/%d", done, of))
		}
	}
	all := *ds
	r, err := ds.EnsureSplit(ctx, o)
	line.clear()
	if err != nil || r.Held == 0 {
		return describeData(dir, ds), err
	}
	all.Train, all.Val = append(append([]data.Example(nil), ds.Train...), ds.Val...), nil
	about = describeData(dir, &all) + fmt.Sprintf(" Held out to validate on: %d of the training images, drawn by seed %d.", r.Held, r.Seed)
	switch {
	case r.Unsaved != nil:
		fmt.Fprintf(a.stderr, "the split is not written down: %v\n", r.Unsaved)
	case r.New > 0 && r.File != "":
		fmt.Fprintf(a.stderr, "the split is written to %s (%d pictures, %d of them like another, which is on the same side)\n", r.File, r.New, r.Alike)
	}
	return about, nil
}
