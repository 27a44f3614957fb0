package main

import (
	"context"
	"fmt"
	"os"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/bigtransfer/bit"
	"github.com/bigtransfer/bit/hub"
	"github.com/bigtransfer/bit/resnet"
)

// modelOptions are the flags of every command that runs a model.
type modelOptions struct {
	model      string
	resolution int
	threads    int
}

func (o *modelOptions) addFlags(cmd *cobra.Command) {
	addModelFlag(cmd, &o.model)
	addResolutionFlag(cmd, &o.resolution)
	addThreadsFlag(cmd, &o.threads)
}

func addResolutionFlag(cmd *cobra.Command, resolution *int) {
	cmd.Flags().IntVar(resolution, "resolution", 0, "squash images to this side in pixels (default what the model says, or 480)")
}

func addModelFlag(cmd *cobra.Command, model *string) {
	cmd.Flags().StringVar(model, "model", bit.DefaultModel, "embedded model, .npz file, folder, or what is downloaded: a name of bit models, org/name, https URL")
}

func (o *modelOptions) open(ctx context.Context, a *app) (*bit.Classifier, error) {
	opener, err := opener(o.resolution, o.threads)
	if err != nil {
		return nil, err
	}
	return a.openClassifier(ctx, opener, o.model)
}

// opener returns what opens models with the settings of the flags --resolution and --threads.
func opener(resolution, threads int) (bit.Opener, error) {
	if resolution < 0 {
		return bit.Opener{}, usagef("--resolution %d: want a positive number of pixels", resolution)
	}
	return bit.Opener{Threads: threads, Resolution: resolution}, checkThreads(threads)
}

// maxGarbage is about the memory, in bytes, that what is no longer used may take beside a model. Go's own rule is as much
// as is in use, which of a large model are gigabytes; collecting more often costs little, since weights are not searched.
const maxGarbage = 256 << 20

// openClassifier opens a model that is neither trained nor saved, and bounds the garbage beside it.
func (a *app) openClassifier(ctx context.Context, o bit.Opener, ref string) (*bit.Classifier, error) {
	line := a.downloading(&o)
	m, err := o.OpenClassifier(ctx, ref)
	line.clear()
	if err != nil {
		return nil, err
	}
	boundGarbage(m.Config())
	a.reportWarnings(&m.Description)
	return m, nil
}

// describeModel reads what is known of a model without its weights.
func (a *app) describeModel(ctx context.Context, ref string) (*bit.Description, error) {
	var o bit.Opener
	line := a.downloading(&o)
	m, err := o.Describe(ctx, ref)
	line.clear()
	if err != nil {
		return nil, err
	}
	a.reportWarnings(m)
	return m, nil
}

// reportWarnings says what seemed odd in a model's file.
func (a *app) reportWarnings(m *bit.Description) {
	for _, w := range m.Warnings() {
		fmt.Fprintf(a.stderr, "bit: warning: %s\n", w)
	}
}

// openModel opens a model to train it or to save it.
func (a *app) openModel(ctx context.Context, o bit.Opener, ref string) (*bit.Model, error) {
	line := a.downloading(&o)
	m, err := o.Open(ctx, ref)
	line.clear()
	if err != nil {
		return nil, err
	}
	a.reportWarnings(&m.Description)
	return m, nil
}

// downloading makes an opener show its downloads in the line that it returns.
func (a *app) downloading(o *bit.Opener) *status {
	o.Hub = hub.FromEnv()
	line := &status{out: a.stderr}
	o.Hub.Progress = newDownloadLog(line).show
	return line
}

func boundGarbage(models ...resnet.Config) {
	if os.Getenv("GOGC") != "" {
		return
	}
	params := 1
	for _, c := range models {
		params += c.NumParams()
	}
	debug.SetGCPercent(max(1, min(100, 100*maxGarbage/(4*params))))
}
