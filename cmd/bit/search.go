package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/bigtransfer/bit/hub"
)

func (a *app) newSearchCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "search [TEXT] [flags]",
		Short: "Search the Hugging Face hub for BiT models",
		Long: `Search the Hugging Face hub for BiT models whose name contains TEXT, fine-tuned ones among
them: those of transformers with model_type bit, and those of timm named resnetv2_*_bit*.
The most downloaded come first. What is found can be given to --model and "bit pull".`,
		Example: `  bit search flowers
  bit search --json`,
		Args: wants(0, 1, "at most one TEXT"),
		RunE: a.runE(func(ctx context.Context, args []string) error { return a.search(ctx, strings.Join(args, ""), asJSON) }),
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object a line")
	return cmd
}

func (a *app) search(ctx context.Context, text string, asJSON bool) error {
	c := hub.FromEnv()
	list, err := c.Search(ctx, text)
	if err != nil {
		return err
	}
	if asJSON {
		enc := json.NewEncoder(a.stdout)
		enc.SetEscapeHTML(false)
		for _, f := range list {
			if err := enc.Encode(f); err != nil {
				return err
			}
		}
		return nil
	}
	if len(list) == 0 {
		return fmt.Errorf("%s has no BiT model with %q in its name", c.Endpoint, text)
	}
	w := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "NAME\tLIBRARY\tDOWNLOADS\tLIKES")
	for _, f := range list {
		fmt.Fprintf(w, "%s\t%s\t%d\t%d\n", f.ID, printable(f.Library), f.Downloads, f.Likes)
	}
	return w.Flush()
}

// printable is a cell of a table that someone else has written.
func printable(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return -1
		}
		return r
	}, s)
	if s == "" {
		return "-"
	}
	return s
}
