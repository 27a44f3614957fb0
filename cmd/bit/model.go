package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/bigtransfer/bit"
)

// modelOptions are the flags of every command that runs a model.
type modelOptions struct {
	model      string
	resolution int
	threads    int
}

func (o *modelOptions) addFlags(cmd *cobra.Command) {
	addModelFlag(cmd, &o.model)
	f := cmd.Flags()
	f.IntVar(&o.resolution, "resolution", 0, "squash images to this side in pixels (default what the model says, or 480)")
	addThreadsFlag(cmd, &o.threads)
}

func addModelFlag(cmd *cobra.Command, model *string) {
	cmd.Flags().StringVar(model, "model", bit.DefaultModel, "name of the embedded model, an .npz file, or a folder")
}

func (o *modelOptions) open(ctx context.Context) (*bit.Model, error) {
	if o.resolution < 0 {
		return nil, usagef("--resolution %d: want a positive number of pixels", o.resolution)
	}
	if err := checkThreads(o.threads); err != nil {
		return nil, err
	}
	return bit.Opener{Threads: o.threads, Resolution: o.resolution}.Open(ctx, o.model)
}
