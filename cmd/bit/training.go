package main

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"github.com/bigtransfer/bit/data"
	"github.com/bigtransfer/bit/internal/cpu"
	"github.com/bigtransfer/bit/internal/machine"
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
	logs       string
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
	f.StringVar(&o.logs, "logs", "", "folder for TensorBoard's event files, none for no such files (default logs in the output folder)")
	f.BoolVar(&o.json, "json", false, "print the final scores as JSON")
	if err := cmd.MarkFlagRequired("output"); err != nil {
		panic(err)
	}
}

// checkpointDir is where a run keeps its checkpoints, inside its output folder, and logsDir where it keeps its event files
// unless --logs says otherwise.
const (
	checkpointDir = "checkpoints"
	logsDir       = "logs"
)

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
	logs := o.logs
	switch logs {
	case "":
		logs = filepath.Join(o.output, logsDir)
	case "none":
		logs = ""
	}
	return train.Options{
		Threads: o.threads, CacheBytes: o.cacheBytes(), Dir: dir,
		History: filepath.Join(o.output, train.HistoryFile), Events: logs,
	}, nil
}

// makeOutput makes the output folder, now rather than after an hour.
func (o *trainingOptions) makeOutput() error {
	if err := os.MkdirAll(filepath.Join(o.output, checkpointDir), 0o777); err != nil {
		return fmt.Errorf("output folder: %w", err)
	}
	return nil
}

// cacheBytes returns --cache as train.Options.CacheBytes has it.
func (o *trainingOptions) cacheBytes() int64 {
	switch {
	case !o.cacheSet():
		return 0
	case o.cacheMiB <= 0:
		return -1
	}
	return o.cacheMiB << 20
}

// planMemory chooses how a run keeps to --memory, and makes the program keep to it.
func (o *trainingOptions) planMemory(r train.MemoryRequest) (train.MemoryPlan, error) {
	r.Budget, r.MicroBatch, r.Cache = o.budget, o.microBatch, o.cacheBytes()
	p, err := train.PlanMemory(r)
	return p, o.keepMemory(err)
}

// keepMemory makes the program keep to --memory once a plan for it was made, or says what is wrong with the flag.
func (o *trainingOptions) keepMemory(err error) error {
	if _, ok := errors.AsType[*train.MemoryError](err); ok {
		return fmt.Errorf("--memory %s: %w (--cache)", o.memory, err)
	}
	if err == nil && o.budget > 0 {
		debug.SetMemoryLimit(o.budget) // what is no longer used is collected in time
	}
	return err
}

// warnOfMemory says so if a run is expected to take more memory than there is.
func (a *app) warnOfMemory(bytes int64) {
	if free := machine.FreeMemory(); free > 0 && bytes > free {
		fmt.Fprintf(a.stderr, "this may take %s of memory, and %s are free; --memory keeps a run to what it is given\n",
			humanize.Bytes(uint64(bytes)), humanize.Bytes(uint64(free)))
	}
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
