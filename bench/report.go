package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
)

// report is what a run of the benchmark prints, and with -json writes.
type report struct {
	CPU     string   `json:"cpu"`
	Cores   int      `json:"cores"`
	Results []result `json:"results"`
}

// print writes the report as a table. Speed is the peer's time over ours: above 1, this program is the faster one.
func (r report) print(w io.Writer) error {
	fmt.Fprintf(w, "%s, %d cores\n", r.CPU, r.Cores)
	fmt.Fprintf(w, "%s\n\n", strings.Join(r.programs(), ", "))
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "case\tthreads\tsimd\tours\tpeer\tspeed\tGFLOP/s\terror\tstart\tpeer start\tmemory\tpeer memory\t")
	for _, x := range r.Results {
		mark := ""
		if !x.Peer.Limited {
			mark = "*"
		}
		fmt.Fprintf(t, "%s\t%d\t%s\t%s\t%s%s\t%.2fx\t%.0f\t%.0e\t%s\t%s\t%s\t%s\t\n", x.Case, x.Threads, x.SIMD,
			milliseconds(x.Ours.Median), milliseconds(x.Peer.Median), mark, x.Speed, x.GFLOPS, x.Error,
			milliseconds(x.Ours.Start), milliseconds(x.Peer.Start), megabytes(x.Ours.Memory), megabytes(x.Peer.Memory))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, `
Times are medians. speed: the peer's time over ours. error: the largest difference of the outputs, relative to the
largest. start: from the start of the process to the first logits. memory: peak resident.
* The peer used every instruction set of the machine: nothing limits it to another.
`)
	return err
}

// programs lists what took part.
func (r report) programs() []string {
	var names []string
	for _, x := range r.Results {
		for _, n := range []string{x.Ours.Program, x.Peer.Program} {
			if !slices.Contains(names, n) {
				names = append(names, n)
			}
		}
	}
	return names
}

func milliseconds(seconds float64) string { return fmt.Sprintf("%.1f ms", 1000*seconds) }

func megabytes(bytes int64) string {
	if bytes == 0 {
		return "-"
	}
	return fmt.Sprintf("%d MB", bytes/1e6)
}
