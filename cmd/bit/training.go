package main

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"github.com/bigtransfer/bit/data"
	"github.com/bigtransfer/bit/internal/cpu"
	"github.com/bigtransfer/bit/train"
)

// trainingOptions are the flags that finetune and pretrain share.
type trainingOptions struct {
	output     string
	resume     bool
	seed       uint64
	threads    int
	microBatch int
	memory     string // for the whole run, "" for no limit
	budget     int64  // memory in bytes, once checked
	cacheMiB   int64
	cacheSet   func() bool // by the user
	json       bool
}

func (o *trainingOptions) addFlags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVarP(&o.output, "output", "o", "", "folder to write the model to (required)")
	f.BoolVar(&o.resume, "resume", false, "go on with the run whose checkpoint is in the output folder")
	f.Uint64Var(&o.seed, "seed", 0, "seed of everything random")
	addThreadsFlag(cmd, &o.threads)
	f.IntVar(&o.microBatch, "micro-batch", 0, "most images in memory at once; changes only how sums are rounded (default what --memory holds)")
	f.StringVar(&o.memory, "memory", "", "memory for the whole run, such as 4GB; kept by smaller micro-batches, then by computing maps again (default 4 GiB for activations and what the rest needs)")
	f.Int64Var(&o.cacheMiB, "cache", 1024, "memory for decoded pictures, in MiB; with --memory a quarter of it at most")
	o.cacheSet = func() bool { return f.Changed("cache") }
	f.BoolVar(&o.json, "json", false, "print the final scores as JSON")
	if err := cmd.MarkFlagRequired("output"); err != nil {
		panic(err)
	}
}

// checkpointDir is where a run keeps its checkpoints, inside its output folder.
const checkpointDir = "checkpoints"

// options returns the settings of the training loop, and an error if the output folder holds something that the run
// would overwrite.
func (o *trainingOptions) options() (train.Options, error) {
	dir := filepath.Join(o.output, checkpointDir)
	last := filepath.Join(dir, train.LastFile)
	switch _, err := os.Stat(last); {
	case err == nil && !o.resume:
		return train.Options{}, fmt.Errorf("%s is the checkpoint of a run; add --resume to go on with it, or choose another output folder", last)
	case err != nil && !errors.Is(err, os.ErrNotExist):
		return train.Options{}, err
	case err != nil:
		model := filepath.Join(o.output, "config.json")
		if _, err := os.Stat(model); err == nil {
			return train.Options{}, fmt.Errorf("the output folder holds a model already: %s; choose another one", model)
		}
	}
	if err := os.MkdirAll(dir, 0o777); err != nil { // now rather than after an hour
		return train.Options{}, fmt.Errorf("output folder: %w", err)
	}
	cache := o.cacheMiB << 20
	if cache <= 0 {
		cache = -1
	}
	return train.Options{Threads: o.threads, CacheBytes: cache, Dir: dir}, nil
}

// reportSkipped tells of pictures that took no part in a run.
func (a *app) reportSkipped(skipped []data.Skipped) {
	const show = 10
	for i, s := range skipped {
		if i == show {
			fmt.Fprintf(a.stderr, "skipped %d more\n", len(skipped)-show)
			break
		}
		fmt.Fprintf(a.stderr, "skipped %s: %s\n", s.Path, s.Reason)
	}
}

// check reports a flag that makes no sense.
func (o *trainingOptions) check() error {
	if o.microBatch < 0 {
		return usagef("--micro-batch %d: want at least 1", o.microBatch)
	}
	if o.memory != "" {
		budget, err := humanize.ParseBytes(o.memory)
		if err != nil || budget == 0 || budget > math.MaxInt64 {
			return usagef("--memory %s: want a size such as 4GB or 900MB", o.memory)
		}
		o.budget = int64(budget)
	}
	return checkThreads(o.threads)
}

// describeData says in words what a model was trained on.
func describeData(dir string, ds *data.Dataset) string {
	text := fmt.Sprintf("%s: %d classes, %d training images", baseName(dir), len(ds.Classes), len(ds.Train))
	if len(ds.Val) > 0 {
		text += fmt.Sprintf(", %d validation images", len(ds.Val))
	}
	if len(ds.Test) > 0 {
		text += fmt.Sprintf(", %d test images", len(ds.Test))
	}
	return text + "."
}

// describeMachine says what a training time was measured on.
func describeMachine(threads int) string {
	if threads <= 0 {
		threads = runtime.GOMAXPROCS(0)
	}
	return fmt.Sprintf("%d threads (%s/%s, %s kernels)", threads, runtime.GOOS, runtime.GOARCH, cpu.Active())
}

// baseName is the last element of a path, which names a data set or model in a card.
func baseName(path string) string { return filepath.Base(filepath.Clean(path)) }
