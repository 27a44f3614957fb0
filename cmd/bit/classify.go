package main

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/mattn/go-runewidth"
	"github.com/spf13/cobra"

	"github.com/bigtransfer/bit"
	"github.com/bigtransfer/bit/data"
	"github.com/bigtransfer/bit/results"
)

type classifyOptions struct {
	modelOptions
	remoteOptions
	dataOptions
	classifyInput
	top      int
	batch    int
	json     bool
	output   string
	format   string
	resume   bool
	features bool
}

func (a *app) newClassifyCommand() *cobra.Command {
	var o classifyOptions
	cmd := &cobra.Command{
		Use:   "classify PICTURES... [flags]",
		Short: "Say what pictures show",
		Long: `Say what pictures show: the most likely classes of each, with their scores in per cent.

PICTURES are JPEG, PNG, GIF, BMP, TIFF or WebP files; folders, which are searched for them
with all folders inside but not what links to folders lead to; patterns in quotes, as in
'photos/**/*.jpg'; tables (.csv, .tsv, .jsonl) that name them; zip and tar files, Parquet
files and whatever else is DATA of other commands; data sets of a hub, as in
hf://datasets/org/name; or - for a picture on standard input. What cannot be read is
reported, the rest go on, and the exit code is 1.

With --json, each picture is one line:
  {"file":"…","predictions":[{"label":"…","index":0,"score":0.9},…]}
  {"file":"…","unknown":true,"predictions":[…]}
  {"file":"…","error":"…"}

Scores are calibrated, and pictures that show none of the classes are called unknown, if
bit calibrate has fitted the model for it.

OUTPUT is a file of JSON lines, CSV or Parquet by its name: .jsonl, .csv, .parquet. A run
that was stopped, however, leaves what was done, and --resume does the rest. Any number
of pictures takes the same memory.`,
		Example: `  bit classify cat.jpg
  bit classify --model my-model --top 1 holiday/
  bit classify --json photos/ > labels.jsonl
  bit classify photos.zip 'more/**/*.png' -o labels.csv
  find /archive -name '*.jpg' | bit classify --files-from - -o labels.parquet --resume
  bit classify hf://datasets/huggingface/cats-image
  bit classify --model BiT-M-R50x1-ILSVRC2012.npz cat.jpg
  bit classify --server http://127.0.0.1:8080 --model my-model holiday/`,
		Args: wants(0, -1, "PICTURES"),
		RunE: a.runE(func(ctx context.Context, args []string) error { return a.classify(ctx, args, o) }),
	}
	o.modelOptions.addFlags(cmd)
	o.remoteOptions.addFlags(cmd)
	f := cmd.Flags()
	f.IntVar(&o.top, "top", 5, "classes to show for each picture")
	f.IntVar(&o.batch, "batch", 0, "pictures per pass of the network; changes the speed, not the scores (default 16)")
	f.BoolVar(&o.json, "json", false, "print one JSON object a line; the same as --format jsonl")
	f.StringVarP(&o.output, "output", "o", "", "file to write the results to, instead of showing them")
	f.StringVar(&o.format, "format", "", "jsonl, csv or parquet (default by the name of the output file)")
	f.BoolVar(&o.resume, "resume", false, "go on with the output file, if it is there: what is in it is not done again")
	f.BoolVar(&o.features, "features", false, "add the features that the network's last layer sees; in JSON lines and Parquet")
	o.classifyInput.addFlags(cmd)
	o.dataOptions.addPictureFlags(cmd)
	return cmd
}

// check reports flags that make no sense.
func (o *classifyOptions) check(args []string) error {
	if o.json && o.format == "" {
		o.format = results.JSONL
	}
	switch {
	case len(args) == 0 && o.filesFrom == "":
		return usagef("expected PICTURES or --files-from, found 0 arguments")
	case o.top < 1:
		return usagef("--top %d: want at least 1", o.top)
	case o.batch < 0:
		return usagef("--batch %d: want at least 1", o.batch)
	case o.json && o.format != results.JSONL:
		return usagef("--json and --format %s: want one of them", o.format)
	case !slices.Contains([]string{"", results.JSONL, results.CSV, results.Parquet}, o.format):
		return usagef("--format %s: want jsonl, csv or parquet", o.format)
	case o.output == "" && o.format == results.Parquet:
		return usagef("--format parquet needs --output: the end of such a file says what is in it")
	case o.output == "" && o.resume:
		return usagef("--resume needs --output, the file to go on with")
	case o.features && o.server != "":
		return usagef("--features are not what a server gives: leave out --server")
	case o.features && o.output == "" && o.format != results.JSONL:
		return usagef("--features needs --json or --output")
	}
	return o.classifyInput.check(args)
}

func (a *app) classify(ctx context.Context, args []string, o classifyOptions) error {
	if err := o.check(args); err != nil {
		return err
	}
	classify, err := o.classifier(ctx, a)
	if err != nil {
		return err
	}
	line := &status{out: a.stderr}
	opener, err := o.dataOptions.opener(line)
	if err != nil {
		return err
	}
	pictures := o.classifyInput.pictures(ctx, a, opener, args)
	if o.output == "" {
		show, pictures, err := a.classificationWriter(pictures, o)
		if err != nil {
			return err
		}
		return a.showResults(ctx, classify(pictures), show, line, 0, false)
	}
	file, err := o.openOutput()
	if err != nil {
		return err
	}
	if file.Len() > 0 {
		fmt.Fprintf(a.stderr, "%s has %d results; going on\n", o.output, file.Len())
	}
	err = a.showResults(ctx, classify(file.Missing(pictures)), file.Write, line, file.Len(), true)
	done := err == nil || errors.Is(err, errReported)
	if closeErr := file.Close(done); closeErr != nil {
		return closeErr
	}
	if !done && ctx.Err() != nil {
		fmt.Fprintf(a.stderr, "To go on:\n  %s\n", a.resumeCommand())
	}
	return err
}

// openOutput opens the output file.
func (o *classifyOptions) openOutput() (*results.File, error) {
	file, err := results.Open(o.output, results.Options{Format: o.format, Top: o.top, Features: o.features, Resume: o.resume})
	if exists, ok := errors.AsType[*results.ExistsError](err); ok {
		return nil, fmt.Errorf("%w: add --resume to go on with it, or name another file", exists)
	}
	return file, err
}

// showResults shows results as they come, and how many there were. The error is errReported if some failed.
func (a *app) showResults(ctx context.Context, all iter.Seq[bit.Result], show func(bit.Result) error, line *status, n int, toFile bool) error {
	progress := a.stderr.terminal && !a.stdout.terminal // else the results themselves show it
	failed, start, before := 0, time.Now(), n
	for r := range all {
		if n++; r.Err != nil {
			failed++
			line.clear()
			if toFile && failed <= 10 {
				fmt.Fprintf(a.stderr, "bit: %v\n", r.Err)
			}
		}
		if err := show(r); err != nil {
			return err
		}
		if progress && line.due() {
			line.show(fmt.Sprintf("%d pictures  %.0f a second", n, float64(n-before)/time.Since(start).Seconds()))
		}
	}
	line.clear()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if failed > 0 && toFile {
		fmt.Fprintf(a.stderr, "bit: %d of %d pictures could not be classified\n", failed, n-before)
	}
	if failed > 0 {
		return errReported
	}
	return nil
}

// classifier returns what classifies pictures: a model here, or a server.
func (o *classifyOptions) classifier(ctx context.Context, a *app) (func(iter.Seq[data.Picture]) iter.Seq[bit.Result], error) {
	if o.server != "" {
		c, request, err := o.remoteOptions.client(ctx, o.model)
		request.Top = o.top
		return func(pictures iter.Seq[data.Picture]) iter.Seq[bit.Result] {
			return classifyRemotely(ctx, c, request, pictures)
		}, err
	}
	m, err := o.modelOptions.open(ctx, a)
	return func(pictures iter.Seq[data.Picture]) iter.Seq[bit.Result] {
		return m.ClassifyPictures(ctx, pictures, bit.ClassifyOptions{Top: o.top, Features: o.features, Batch: o.batch, Workers: o.threads})
	}, err
}

// classificationWriter returns the function that shows one result: in a format, as bars in a terminal, or as a line for
// each class in a pipe. The pictures are those that it gets.
func (a *app) classificationWriter(pictures iter.Seq[data.Picture], o classifyOptions) (func(bit.Result) error, iter.Seq[data.Picture], error) {
	if o.format != "" {
		show, err := results.NewWriter(a.stdout, results.Options{Format: o.format, Top: o.top})
		return show, pictures, err
	}
	write := a.writeBars
	if !a.stdout.terminal {
		column := 0
		first, all := ahead(pictures, 1000)
		for _, p := range first {
			column = max(column, runewidth.StringWidth(p.Name))
		}
		pictures = all
		write = func(r bit.Result) error {
			column = max(column, runewidth.StringWidth(r.Name))
			return a.writeLines(r, column)
		}
	}
	return func(r bit.Result) error {
		if r.Err != nil {
			_, err := fmt.Fprintf(a.stderr, "bit: %v\n", r.Err)
			return err
		}
		return write(r)
	}, pictures, nil
}

// ahead returns the first pictures of a stream, n at most, and a stream of all of them, which is for one use.
func ahead(pictures iter.Seq[data.Picture], n int) ([]data.Picture, iter.Seq[data.Picture]) {
	next, stop := iter.Pull(pictures)
	var first []data.Picture
	for len(first) < n {
		p, ok := next()
		if !ok {
			break
		}
		first = append(first, p)
	}
	return first, func(yield func(data.Picture) bool) {
		defer stop()
		for _, p := range first {
			if !yield(p) {
				return
			}
		}
		for p, ok := next(); ok; p, ok = next() {
			if !yield(p) {
				return
			}
		}
	}
}

// unknownText stands where a label would, for a picture that shows none of the classes.
const unknownText = "unknown: none of the classes"

// writeLines writes "file  81.20 %  label" for each class, in columns.
func (a *app) writeLines(r bit.Result, column int) error {
	if r.Unknown {
		if _, err := fmt.Fprintf(a.stdout, "%s  %8s  %s\n", runewidth.FillRight(r.Name, column), "", unknownText); err != nil {
			return err
		}
	}
	for _, p := range r.Predictions {
		if _, err := fmt.Fprintf(a.stdout, "%s  %6.2f %%  %s\n", runewidth.FillRight(r.Name, column), 100*p.Score, p.Label); err != nil {
			return err
		}
	}
	return nil
}

const (
	indent    = 2
	scoreText = 9  // columns of " 100.00 %"
	widestBar = 40 // columns
)

// writeBars writes the file and below it label, bar and score of each class, within the terminal's width. Labels get
// what they need, up to half of it.
func (a *app) writeBars(r bit.Result) error {
	width := a.stdout.width()
	label := 0
	for _, p := range r.Predictions {
		label = max(label, runewidth.StringWidth(p.Label))
	}
	label = min(label, max(8, width/2))
	room := min(widestBar, width-1-indent-label-1-scoreText)
	bold, tint, plain := "", "", ""
	if a.stdout.color() {
		bold, tint, plain = "\x1b[1m", "\x1b[36m", "\x1b[0m"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s%s%s\n", bold, r.Name, plain)
	if r.Unknown {
		fmt.Fprintf(&b, "%s%s\n", strings.Repeat(" ", indent), unknownText)
	}
	for _, p := range r.Predictions {
		b.WriteString(strings.Repeat(" ", indent))
		b.WriteString(runewidth.FillRight(runewidth.Truncate(p.Label, label, "…"), label))
		if room >= 4 {
			fmt.Fprintf(&b, " %s%s%s", tint, bar(p.Score, room), plain)
		}
		fmt.Fprintf(&b, " %6.2f %%\n", 100*p.Score)
	}
	_, err := fmt.Fprint(a.stdout, b.String())
	return err
}

// bar draws a share of a number of columns, to an eighth of a column.
func bar(share float32, columns int) string {
	eighths := int(share*float32(8*columns) + 0.5)
	full := min(eighths/8, columns)
	text := strings.Repeat("█", full)
	if part := eighths % 8; part > 0 && full < columns {
		text += string([]rune(" ▏▎▍▌▋▊▉")[part])
		full++
	}
	return text + strings.Repeat(" ", columns-full)
}
