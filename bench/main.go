package main

import (
	"context"
	"encoding/json"
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
	"github.com/bigtransfer/bit/internal/machine"
)

// options are the command's flags.
type options struct {
	cases, threads, simd, reference string
	list, json, worker              bool
	settings                        settings
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	if ctx.Err() != nil {
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
	flags.StringVar(&o.threads, "threads", "1,2", "numbers of threads")
	flags.StringVar(&o.simd, "simd", "", "SIMD levels: "+levels(cpu.Available())+" (default the best)")
	flags.IntVar(&o.settings.runs, "runs", 9, "timed runs of each contender, at least 7")
	flags.Float64Var(&o.settings.tolerance, "tolerance", 1e-4, "largest difference of outputs, relative to the largest output")
	flags.DurationVar(&o.settings.pause, "pause", 50*time.Millisecond, "rest before each turn")
	flags.StringVar(&o.settings.peers, "peers", "bench/peers", "folder of the peers' scripts")
	flags.StringVar(&o.reference, "reference", "", "instead of timing, run every contender on a reference case: a folder with weights.npz and arrays.npz")
	flags.BoolVar(&o.json, "json", false, "write JSON, with the time of every run, in place of the table")
	flags.BoolVar(&o.list, "list", false, "list the cases")
	flags.BoolVar(&o.worker, workerFlag[1:], false, "answer requests on standard input; the benchmark starts itself this way")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	switch {
	case o.worker:
		return serve(&ours{}, os.Stdin, stdout)
	case o.list:
		for _, c := range cases() {
			fmt.Fprintln(stdout, c)
		}
		return nil
	}
	var err error
	if o.settings.work, err = os.MkdirTemp("", "bit-bench-"); err != nil {
		return err
	}
	defer os.RemoveAll(o.settings.work)
	if o.reference != "" {
		return checkReference(ctx, o.settings, o.reference, stdout)
	}
	r, err := o.timeAll(ctx, stderr)
	if err != nil {
		return err
	}
	if o.json {
		e := json.NewEncoder(stdout)
		e.SetIndent("", "  ")
		return e.Encode(r)
	}
	return r.print(stdout)
}

// timeAll runs every chosen case.
func (o options) timeAll(ctx context.Context, progress io.Writer) (report, error) {
	r := report{CPU: machine.CPU(), Cores: runtime.NumCPU()}
	chosen, err := selectCases(o.cases)
	if err != nil {
		return r, err
	}
	threads, err := parseThreads(o.threads)
	if err != nil {
		return r, err
	}
	simd, err := parseLevels(o.simd)
	if err != nil {
		return r, err
	}
	if o.settings.runs < 7 {
		return r, fmt.Errorf("%d runs, want at least 7 for a median that means something", o.settings.runs)
	}
	// Barriers between threads suffer most: PyTorch has been seen to take 20 times as long beside one busy process.
	if l := load(); l > 0.5 {
		fmt.Fprintf(progress, "warning: other programs are running (load %.1f); all times will be too long, the peers' on several threads most of all\n", l)
	}
	for i, c := range chosen {
		fmt.Fprintf(progress, "%s (%d of %d)\n", c, i+1, len(chosen))
		net, err := randomNetwork(c.Config)
		if err != nil {
			return r, err
		}
		f, err := writeNetwork(o.settings.work, "network", net)
		if err != nil {
			return r, err
		}
		for _, level := range simd {
			for _, n := range threads {
				res, err := match(ctx, o.settings, c, f, n, level)
				if err != nil {
					return r, err
				}
				fmt.Fprintf(progress, "  %d threads, %s: ours %s, peer %s\n", n, level, milliseconds(res.Ours.Median), milliseconds(res.Peer.Median))
				r.Results = append(r.Results, res)
			}
		}
		if err := f.remove(); err != nil {
			return r, err
		}
	}
	return r, nil
}

func parseThreads(list string) ([]int, error) {
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

// parseLevels returns the levels of a list, the best one for an empty list.
func parseLevels(list string) ([]cpu.Level, error) {
	available := cpu.Available()
	if list == "" {
		return available[len(available)-1:], nil
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
