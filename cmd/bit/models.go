package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/bigtransfer/bit/hub"
)

// modelEntry is what models says of a published model.
type modelEntry struct {
	hub.Entry
	Variant string `json:"variant"`
	Cached  string `json:"cached,omitempty"` // where it lies
}

func (a *app) newModelsCommand() *cobra.Command {
	var all, asJSON bool
	cmd := &cobra.Command{
		Use:   "models [flags]",
		Short: "List the published models",
		Long: `List the published models: network, data, classes, size, licence, published accuracy, and
whether they are here. A name is what --model and "bit pull" take. No server is asked.

A size with ~ follows from the number of parameters, others are published. The accuracy is
the top-1 on the data that the model was fine-tuned on, with the side of the images; "bit
verify NAME" holds a model to it. With --json, where licence and numbers are stated, and
how the images were prepared.`,
		Example: `  bit models
  bit models --all --json`,
		Args: wants(0, 0, "no arguments"),
		RunE: a.runE(func(ctx context.Context, args []string) error { return a.models(all, asJSON) }),
	}
	f := cmd.Flags()
	f.BoolVar(&all, "all", false, "also the 285 models fine-tuned on the tasks of VTAB-1k")
	f.BoolVar(&asJSON, "json", false, "print one JSON object a line")
	return cmd
}

func (a *app) models(all, asJSON bool) error {
	c := hub.FromEnv()
	var list []modelEntry
	hidden := 0
	for _, e := range hub.Catalog() {
		m := modelEntry{Entry: e, Variant: e.Variant.String()}
		if ref, err := c.ParseRef(e.Name); err == nil {
			m.Cached, _ = c.Cached(ref) // "" if it is not there
		}
		if e.Task != "" && !all && m.Cached == "" {
			hidden++
			continue
		}
		list = append(list, m)
	}
	if asJSON {
		enc := json.NewEncoder(a.stdout)
		enc.SetEscapeHTML(false)
		for _, m := range list {
			if err := enc.Encode(m); err != nil {
				return err
			}
		}
		return nil
	}
	w := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "NAME\tNETWORK\tPRE-TRAINED ON\tTHEN\tCLASSES\tSIZE\tLICENCE\tTOP-1\tHERE")
	for _, m := range list {
		size, top1, here := megabytes(m.Size), "", ""
		if m.Computed {
			size = "~" + size
		}
		if m.Accuracy != nil {
			top1 = fmt.Sprintf("%s %% at %d px", strconv.FormatFloat(m.Accuracy.Top1, 'f', -1, 64), m.Accuracy.Pixels)
		}
		if m.Cached != "" {
			here = "yes"
		}
		cells := []string{m.Name, m.Variant, m.Upstream, m.Tuned, strconv.Itoa(m.Classes), size, m.License.ID, top1, here}
		for i := range cells {
			if cells[i] == "" {
				cells[i] = "-"
			}
		}
		fmt.Fprintln(w, strings.Join(cells, "\t"))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if hidden > 0 {
		fmt.Fprintf(a.stderr, "%d more with --all: BiT-M-…-run{0,1,2}-TASK, fine-tuned on the 19 tasks of VTAB-1k\n", hidden)
	}
	return nil
}
