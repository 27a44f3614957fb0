package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/bigtransfer/bit"
	"github.com/bigtransfer/bit/audit"
	"github.com/bigtransfer/bit/internal/atomicfile"
	"github.com/bigtransfer/bit/report"
)

type auditOptions struct {
	modelOptions
	embedFlags
	dataOptions
	folds  int
	seed   uint64
	csv    string
	report string
	json   bool
}

func (a *app) newAuditCommand() *cobra.Command {
	var o auditOptions
	cmd := &cobra.Command{
		Use:   "audit DATA [flags]",
		Short: "Find wrong labels, duplicates and bad pictures in a data set",
		Long: `Find what is wrong with a data set, in all its splits: labels that its own pictures
contradict, pictures that are there twice, and pictures that cannot be read, are dark,
over-exposed, blurred, or of an odd size. Nothing is changed: the findings are ranked for a
person to look at, the worst of each kind first.

Labels are judged by a head on the model's features, fitted to the other folds of the data:
a picture is listed if it is confidently of another class (confident learning). A picture
counts as a duplicate if its pixels equal those of an earlier one, and as a near duplicate
if it looks the same by a perceptual hash and by the model's features.

` + dataHelp + `

With --json, one line: {"images":…,"classes":[…],"counts":{"label":…,…},"findings":[{"kind":
"label","path":"…","split":"train","class":"…","suggested":"…","same_as":"…","severity":…,
"detail":"…"},…],"labels":{"folds":…,"accuracy":…}}`,
		Example: `  bit audit my-photos
  bit audit my-photos --report audit.html --csv audit.csv
  bit audit --json my-photos | jq '.findings[] | select(.kind == "label") | .path'`,
		Args: wants(1, 1, "one DATA"),
		RunE: a.runE(func(ctx context.Context, args []string) error { return a.audit(ctx, args[0], o) }),
	}
	o.modelOptions.addFlags(cmd)
	f := cmd.Flags()
	f.StringVar(&o.report, "report", "", "HTML file to write the findings to, with pictures")
	f.StringVar(&o.csv, "csv", "", "CSV file to write the findings to")
	f.BoolVar(&o.json, "json", false, "print the findings as JSON")
	f.IntVar(&o.folds, "folds", 0, "parts of the data whose labels are judged by the others (default 5)")
	f.Uint64Var(&o.seed, "seed", 0, "draws the folds")
	o.embedFlags.addFlags(cmd)
	o.dataOptions.addFlags(cmd)
	return cmd
}

func (a *app) audit(ctx context.Context, dir string, o auditOptions) error {
	if o.folds < 0 || o.folds == 1 {
		return usagef("--folds %d: want at least 2", o.folds)
	}
	if err := o.embedFlags.check(); err != nil {
		return err
	}
	m, err := o.modelOptions.open(ctx, a)
	if err != nil {
		return err
	}
	ds, err := o.dataOptions.open(ctx, a, dir, "")
	if err != nil {
		return err
	}
	a.reportSkipped(ds.Skipped)
	total := len(ds.Train) + len(ds.Val) + len(ds.Test)
	line := &status{out: a.stderr}
	r, err := m.Audit(ctx, ds, bit.AuditOptions{
		Options: audit.Options{Folds: o.folds, Seed: o.seed, Workers: o.threads, OnProgress: func(done, total int) {
			if line.due() && done < total {
				line.show(fmt.Sprintf("looking at pictures: %d/%d %3d %%", done, total, 100*done/total))
			}
		}},
		Embed: o.embedFlags.options(o.threads, total, "features", line),
	})
	line.clear()
	if err != nil {
		return fmt.Errorf("%s: %w", dir, err)
	}
	for _, out := range []struct {
		path  string
		write func(w io.Writer) error
	}{
		{o.csv, r.WriteCSV},
		{o.report, func(w io.Writer) error { return report.Audit(ctx, w, ds, r, baseName(dir)) }},
	} {
		if out.path == "" {
			continue
		}
		if err := atomicfile.Replace(out.path, func(w io.Writer) error { return out.write(atomicfile.Until(ctx, w)) }); err != nil {
			return err
		}
		fmt.Fprintf(a.stderr, "wrote %s\n", out.path)
	}
	if o.json {
		e := json.NewEncoder(a.stdout)
		e.SetEscapeHTML(false)
		return e.Encode(r)
	}
	return a.printAudit(r)
}

// mostFindings is how many findings of a kind a person is shown.
const mostFindings = 10

func (a *app) printAudit(r *audit.Report) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%d images of %d classes\n", r.Images, len(r.Classes))
	if r.Labels.Skipped != "" {
		fmt.Fprintf(&b, "labels are not judged: %s\n", r.Labels.Skipped)
	} else {
		fmt.Fprintf(&b, "labels are judged by a head that gets %.1f %% of them right\n", 100*r.Labels.Accuracy)
	}
	shown := map[audit.Kind]int{}
	for _, f := range r.Findings {
		if shown[f.Kind]++; shown[f.Kind] == 1 {
			fmt.Fprintf(&b, "\n%s: %d\n", report.KindTitle(f.Kind), r.Counts[f.Kind])
		}
		switch {
		case shown[f.Kind] < mostFindings || r.Counts[f.Kind] == mostFindings:
			fmt.Fprintf(&b, "  %s  %s", f.Path, f.Detail)
			if f.SameAs != "" {
				fmt.Fprintf(&b, " (%s)", f.SameAs)
			}
			b.WriteByte('\n')
		case shown[f.Kind] == mostFindings:
			fmt.Fprintf(&b, "  and %d more: --csv, --json and --report have all\n", r.Counts[f.Kind]-mostFindings+1)
		}
	}
	if len(r.Findings) == 0 {
		b.WriteString("nothing found\n")
	}
	_, err := io.WriteString(a.stdout, b.String())
	return err
}
