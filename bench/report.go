package main

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/bigtransfer/bit/internal/cpu"
	"github.com/bigtransfer/bit/internal/machine"
)

// report is what a run of the benchmark prints, and with -json writes.
type report struct {
	Time    time.Time        `json:"time"`
	CPU     string           `json:"cpu"`
	Cores   int              `json:"cores"`
	Limits  []machine.Limits `json:"limits"` // one for each number of threads and SIMD level
	Results []result         `json:"results"`
}

// limit takes in a measurement of the machine. The best of a run counts, for all results alike.
func (r *report) limit(l machine.Limits) {
	best := r.limits(l.Threads, l.SIMD)
	if best == nil {
		r.Limits = append(r.Limits, l)
		return
	}
	best.GFLOPS, best.CopyGBs = max(best.GFLOPS, l.GFLOPS), max(best.CopyGBs, l.CopyGBs)
}

// limits returns what was measured of the machine for a number of threads and a level, nil if nothing was.
func (r *report) limits(threads int, level cpu.Level) *machine.Limits {
	i := slices.IndexFunc(r.Limits, func(l machine.Limits) bool { return l.Threads == threads && l.SIMD == level })
	if i < 0 {
		return nil
	}
	return &r.Limits[i]
}

// finish computes what depends on the machine's limits, which may still rise while cases are run.
func (r *report) finish() {
	for i := range r.Results {
		x := &r.Results[i]
		x.GFLOPS = x.FLOPs / x.Ours.Median / 1e9
		if l := r.limits(x.Threads, x.SIMD); l != nil {
			x.PeakShare = x.GFLOPS / l.GFLOPS
			x.CopyShare = x.Traffic / x.Ours.Median / 1e9 / l.CopyGBs
		}
	}
}

// table is rows of cells, the first one being the heading.
type table [][]string

// limitsTable shows the machine.
func (r *report) limitsTable() table {
	t := table{{"threads", "simd", "multiply-adds", "copy"}}
	for _, l := range r.Limits {
		t = append(t, []string{fmt.Sprint(l.Threads), string(l.SIMD), fmt.Sprintf("%.0f GFLOP/s", l.GFLOPS), fmt.Sprintf("%.1f GB/s", l.CopyGBs)})
	}
	return t
}

// peersTable compares. Ratios are the peer's time over ours: above 1, this program is the faster one.
func (r *report) peersTable() table {
	t := table{{"case", "threads", "simd", "ours", "peer", "peer / ours", "GFLOP/s", "peak", "copy", "error", "start", "peer's", "memory", "peer's"}}
	for _, x := range r.Results {
		mark := ""
		if !x.Peer.Limited {
			mark = "*"
		}
		t = append(t, []string{x.Case, fmt.Sprint(x.Threads), string(x.SIMD),
			milliseconds(x.Ours.Median), milliseconds(x.Peer.Median) + mark, fmt.Sprintf("%.2f", x.Speed),
			fmt.Sprintf("%.0f", x.GFLOPS), percent(x.PeakShare), percent(x.CopyShare), fmt.Sprintf("%.0e", x.Error),
			milliseconds(x.Ours.Start), milliseconds(x.Peer.Start), megabytes(x.Ours.Memory), megabytes(x.Peer.Memory)})
	}
	return t
}

// aloneTable shows how this program's time grows.
func (r *report) aloneTable() table {
	t := table{{"case", "threads", "simd", "time", "an image", "MMAC", "ns / MMAC", "GFLOP/s", "peak", "copy", "start", "memory"}}
	for _, x := range r.Results {
		n := float64(x.Batch)
		t = append(t, []string{x.Case, fmt.Sprint(x.Threads), string(x.SIMD),
			milliseconds(x.Ours.Median), milliseconds(x.Ours.Median / n), fmt.Sprintf("%.0f", x.MACs/n/1e6),
			fmt.Sprintf("%.0f", 1e9*x.Ours.Median/(x.MACs/1e6)), fmt.Sprintf("%.0f", x.GFLOPS), percent(x.PeakShare), percent(x.CopyShare),
			milliseconds(x.Ours.Start), megabytes(x.Ours.Memory)})
	}
	return t
}

const notes = `
Times are medians. GFLOP/s: ours, counted as direct convolution; Winograd's method multiplies less, so that the share of
the peak can pass 100 %. copy: the share of the copy bandwidth if no map stays in a cache from one layer to the next.
start: from the start of the process to the first logits. memory: peak resident.
`

const peerNotes = `error: the largest difference of the outputs, relative to the largest.
`

const starNote = `* The peer used wider vectors than ours: nothing limits it.
`

// print writes the report as text, for people or, in markdown, for documents.
func (r *report) print(w io.Writer, markdown bool) error {
	write := table.text
	if markdown {
		write = table.markdown
	}
	results, notes := r.aloneTable, notes
	if len(r.Results) > 0 && r.Results[0].Peer != nil {
		results, notes = r.peersTable, notes+peerNotes
		if slices.ContainsFunc(r.Results, func(x result) bool { return !x.Peer.Limited }) {
			notes += starNote
		}
	}
	_, err := fmt.Fprintf(w, "%s, %d cores, %s. %s.\n\n%s\n%s%s", r.CPU, r.Cores, r.Time.Format(time.DateOnly),
		strings.Join(r.programs(), ", "), write(r.limitsTable()), write(results()), notes)
	return err
}

// json writes everything.
func (r *report) json(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(r)
}

// programs lists what took part.
func (r *report) programs() []string {
	var names []string
	add := func(s *side) {
		if s != nil && !slices.Contains(names, s.Program) {
			names = append(names, s.Program)
		}
	}
	for _, x := range r.Results {
		add(&x.Ours)
		add(x.Peer)
	}
	return names
}

// text aligns the columns.
func (t table) text() string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', tabwriter.AlignRight)
	for _, row := range t {
		fmt.Fprintln(w, strings.Join(row, "\t")+"\t")
	}
	w.Flush() // into memory
	return b.String()
}

// markdown draws the lines of GitHub's tables.
func (t table) markdown() string {
	var b strings.Builder
	for i, row := range t {
		fmt.Fprintf(&b, "| %s |\n", strings.ReplaceAll(strings.Join(row, " | "), "*", `\*`))
		if i == 0 {
			fmt.Fprintln(&b, strings.Repeat("| --- ", len(row))+"|")
		}
	}
	return b.String()
}

func milliseconds(seconds float64) string {
	if seconds < 0.1 {
		return fmt.Sprintf("%.1f ms", 1000*seconds)
	}
	return fmt.Sprintf("%.0f ms", 1000*seconds)
}

func percent(share float64) string { return fmt.Sprintf("%.0f %%", 100*share) }

func megabytes(bytes int64) string {
	if bytes == 0 {
		return "-"
	}
	return fmt.Sprintf("%d MB", bytes/1e6)
}
