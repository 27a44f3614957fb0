package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/bigtransfer/bit/internal/cpu"
)

// options are the command's flags.
type options struct {
	cases, threads, simd, peers, reference string
	scaling, list, json, markdown, worker  bool
	settings                               settings
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	context.AfterFunc(ctx, stop) // a second interrupt ends the program at once
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	if err != nil && ctx.Err() != nil {
		err = errors.New("interrupted") // whatever that made fail
	}
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	var o options
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&o.cases, "cases", "", "run the cases whose name matches this regular expression (default all)")
	flags.StringVar(&o.threads, "threads", "", "numbers of threads (default 1 and, where there are as many cores, 2)")
	flags.StringVar(&o.simd, "simd", "", "SIMD levels: "+levels(cpu.Available())+" (default all with vectors, for -scaling the best)")
	flags.IntVar(&o.settings.runs, "runs", 9, "timed runs of each contender, at least 7")
	flags.Float64Var(&o.settings.tolerance, "tolerance", 1e-4, "largest difference of outputs, relative to the largest output")
	flags.DurationVar(&o.settings.pause, "pause", 50*time.Millisecond, "rest before each turn")
	flags.StringVar(&o.peers, "peers", "bench/peers", "folder of the peers' scripts")
	flags.StringVar(&o.reference, "reference", "", "instead of timing, run every contender on a reference case: a folder with weights.npz and arrays.npz")
	flags.BoolVar(&o.scaling, "scaling", false, "run this program alone on cases that show how time grows with batch, pixels and network")
	flags.BoolVar(&o.json, "json", false, "write JSON, with the time of every run, in place of the table")
	flags.BoolVar(&o.markdown, "markdown", false, "write the table in Markdown")
	flags.BoolVar(&o.list, "list", false, "list the cases")
	flags.BoolVar(&o.worker, workerFlag[1:], false, "answer requests on standard input; the benchmark starts itself this way")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	if o.worker {
		return serve(&ours{}, os.Stdin, stdout)
	}
	all, chooseLevels := cases(), withVectors
	if o.scaling {
		all, chooseLevels = scalingCases(), best
	} else {
		o.settings.peer = peerIn(o.peers)
	}
	if o.list {
		for _, c := range all {
			fmt.Fprintln(stdout, c)
		}
		return nil
	}
	p := plan{settings: o.settings}
	var err error
	if p.cases, err = selectCases(all, o.cases); err != nil {
		return err
	}
	if p.threads, err = parseThreads(o.threads); err != nil {
		return err
	}
	if p.levels, err = parseLevels(o.simd, chooseLevels); err != nil {
		return err
	}
	if p.runs < 7 {
		return fmt.Errorf("%d runs, want at least 7 for a median that means something", p.runs)
	}
	if p.work, err = os.MkdirTemp("", "bit-bench-"); err != nil {
		return err
	}
	defer os.RemoveAll(p.work)
	if o.reference != "" {
		return checkReference(ctx, p.settings, o.peers, o.reference, stdout)
	}
	r, err := p.time(ctx, stderr)
	if err != nil && len(r.Results) == 0 {
		return err
	}
	if o.json {
		return errors.Join(err, r.json(stdout))
	}
	return errors.Join(err, r.print(stdout, o.markdown))
}

// parseThreads returns the numbers of a list, for an empty one 1 and 2 as far as there are cores.
func parseThreads(list string) ([]int, error) {
	if list == "" {
		return []int{1, 2}[:min(2, runtime.NumCPU())], nil
	}
	var threads []int
	for part := range strings.SplitSeq(list, ",") {
		n, err := strconv.Atoi(part)
		if err != nil || n < 1 {
			return nil, fmt.Errorf("-threads %s: %q is no number of threads", list, part)
		}
		if n > runtime.NumCPU() {
			return nil, fmt.Errorf("-threads %s: this machine has %d cores", list, runtime.NumCPU())
		}
		threads = append(threads, n)
	}
	return threads, nil
}

// withVectors leaves out plain Go, unless there is nothing else.
func withVectors(available []cpu.Level) []cpu.Level { return available[min(1, len(available)-1):] }

func best(available []cpu.Level) []cpu.Level { return available[len(available)-1:] }

// parseLevels returns the levels of a list, for an empty one those that choose takes of the machine's.
func parseLevels(list string, choose func([]cpu.Level) []cpu.Level) ([]cpu.Level, error) {
	available := cpu.Available()
	if list == "" {
		return choose(available), nil
	}
	var chosen []cpu.Level
	for part := range strings.SplitSeq(list, ",") {
		found := false
		for _, l := range available {
			if string(l) == part {
				chosen, found = append(chosen, l), true
			}
		}
		if !found {
			return nil, fmt.Errorf("-simd %s: this machine has %s", list, levels(available))
		}
	}
	return chosen, nil
}

func levels(list []cpu.Level) string {
	var names []string
	for _, l := range list {
		names = append(names, string(l))
	}
	return strings.Join(names, ", ")
}
