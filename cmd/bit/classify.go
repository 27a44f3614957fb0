package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"strings"

	"github.com/mattn/go-runewidth"
	"github.com/spf13/cobra"

	"github.com/bigtransfer/bit"
	"github.com/bigtransfer/bit/data"
)

type classifyOptions struct {
	modelOptions
	remoteOptions
	top   int
	batch int
	json  bool
}

func (a *app) newClassifyCommand() *cobra.Command {
	var o classifyOptions
	cmd := &cobra.Command{
		Use:   "classify IMAGE|FOLDER... [flags]",
		Short: "Say what pictures show",
		Long: `Say what pictures show: the most likely classes of each, with their scores in per cent.

Pictures are JPEG, PNG, GIF, BMP, TIFF or WebP files. Folders are searched for them, with
all folders inside but not what links to folders lead to. A file that cannot be read is
reported, the rest go on, and the exit code is 1.

With --json, each file is one line:
  {"file":"…","predictions":[{"label":"…","index":0,"score":0.9},…]}
  {"file":"…","unknown":true,"predictions":[…]}
  {"file":"…","error":"…"}

Scores are calibrated, and pictures that show none of the classes are called unknown, if
bit calibrate has fitted the model for it.`,
		Example: `  bit classify cat.jpg
  bit classify --model my-model --top 1 holiday/
  bit classify --json photos/ > labels.jsonl
  bit classify --model BiT-M-R50x1-ILSVRC2012.npz cat.jpg
  bit classify --server http://127.0.0.1:8080 --model my-model holiday/`,
		Args: wants(1, -1, "at least one IMAGE or FOLDER"),
		RunE: a.runE(func(ctx context.Context, args []string) error { return a.classify(ctx, args, o) }),
	}
	o.modelOptions.addFlags(cmd)
	o.remoteOptions.addFlags(cmd)
	f := cmd.Flags()
	f.IntVar(&o.top, "top", 5, "classes to show for each picture")
	f.IntVar(&o.batch, "batch", 0, "pictures per pass of the network; changes the speed, not the scores (default 16)")
	f.BoolVar(&o.json, "json", false, "print one JSON object a line")
	return cmd
}

func (a *app) classify(ctx context.Context, args []string, o classifyOptions) error {
	if o.top < 1 {
		return usagef("--top %d: want at least 1", o.top)
	}
	if o.batch < 0 {
		return usagef("--batch %d: want at least 1", o.batch)
	}
	classifyFiles, err := o.classifier(ctx, a)
	if err != nil {
		return err
	}
	found := findImages(args)
	var files []string
	for _, f := range found {
		if f.Err == nil {
			files = append(files, f.File)
		}
	}
	show := a.classificationWriter(found, o.json)
	line := &status{out: a.stderr}
	progress := a.stderr.terminal && !a.stdout.terminal // else the results themselves show it
	failed := false
	next := 0 // of found
	// passOver shows the failures that come before the next file.
	passOver := func() error {
		for ; next < len(found) && found[next].Err != nil; next++ {
			failed = true
			if err := show(found[next]); err != nil {
				return err
			}
		}
		return nil
	}
	for r := range classifyFiles(files) {
		if err := passOver(); err != nil {
			return err
		}
		next++
		failed = failed || r.Err != nil
		if r.Err != nil {
			line.clear()
		}
		if err := show(r); err != nil {
			return err
		}
		if progress && line.due() {
			line.show(fmt.Sprintf("%d/%d files", next, len(found)))
		}
	}
	line.clear()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err := passOver(); err != nil {
		return err
	}
	if failed {
		return errReported
	}
	return nil
}

// classifier returns what classifies files: a model here, or a server.
func (o *classifyOptions) classifier(ctx context.Context, a *app) (func(files []string) iter.Seq[bit.FileResult], error) {
	if o.server != "" {
		c, request, err := o.remoteOptions.client(ctx, o.model)
		request.Top = o.top
		return func(files []string) iter.Seq[bit.FileResult] { return classifyRemotely(ctx, c, request, files) }, err
	}
	m, err := o.open(ctx, a)
	return func(files []string) iter.Seq[bit.FileResult] {
		return m.ClassifyFiles(ctx, files, bit.FilesOptions{Top: o.top, Batch: o.batch, Workers: o.threads})
	}, err
}

// findImages lists the files to classify: arguments as they are, and the pictures inside folders in lexical order, by
// their extension. Links to files are followed, and an argument that is one to a folder. Pipes and devices count only
// where they are named themselves, since reading one may never end. What cannot be looked at is in the list with its
// error.
func findImages(args []string) []bit.FileResult {
	var found []bit.FileResult
	for _, arg := range args {
		info, err := os.Stat(arg)
		if err != nil || !info.IsDir() {
			found = append(found, bit.FileResult{File: arg, Err: err})
			continue
		}
		before := len(found)
		root := arg
		if !os.IsPathSeparator(root[len(root)-1]) {
			root += string(filepath.Separator) // else WalkDir does not look into a link
		}
		filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			switch {
			case err != nil:
				found = append(found, bit.FileResult{File: path, Err: err})
			case path != root && strings.HasPrefix(d.Name(), "."):
				if d.IsDir() {
					return filepath.SkipDir
				}
			case data.IsImageName(d.Name()) && mayBeFile(path, d):
				found = append(found, bit.FileResult{File: path})
			}
			return nil
		})
		if len(found) == before {
			found = append(found, bit.FileResult{File: arg, Err: fmt.Errorf("%s: %w", arg, data.ErrNoImages)})
		}
	}
	return found
}

// mayBeFile reports whether an entry of a folder is a file, or a link to one or to nowhere, which is to be reported.
func mayBeFile(path string, d fs.DirEntry) bool {
	mode := d.Type()
	if mode&fs.ModeSymlink != 0 {
		info, err := os.Stat(path)
		return err != nil || info.Mode().IsRegular()
	}
	return mode.IsRegular()
}

// classificationWriter returns the function that shows one result: as JSON, as bars in a terminal, or as a line for
// each class in a pipe.
func (a *app) classificationWriter(files []bit.FileResult, asJSON bool) func(bit.FileResult) error {
	if asJSON {
		return a.writeJSON
	}
	write := a.writeBars
	if !a.stdout.terminal {
		column := 0
		for _, f := range files {
			column = max(column, runewidth.StringWidth(f.File))
		}
		write = func(r bit.FileResult) error { return a.writeLines(r, column) }
	}
	return func(r bit.FileResult) error {
		if r.Err != nil {
			_, err := fmt.Fprintf(a.stderr, "bit: %v\n", r.Err)
			return err
		}
		return write(r)
	}
}

// writeJSON writes a line of JSON. The error does not repeat the file's name.
func (a *app) writeJSON(r bit.FileResult) error {
	e := json.NewEncoder(a.stdout)
	e.SetEscapeHTML(false)
	if r.Err != nil {
		message := strings.TrimPrefix(r.Err.Error(), r.File+": ")
		if pathError, ok := errors.AsType[*fs.PathError](r.Err); ok && pathError.Path == r.File {
			message = pathError.Err.Error()
		}
		return e.Encode(struct {
			File  string `json:"file"`
			Error string `json:"error"`
		}{r.File, message})
	}
	return e.Encode(struct {
		File        string           `json:"file"`
		Unknown     bool             `json:"unknown,omitempty"`
		Predictions []bit.Prediction `json:"predictions"`
	}{r.File, r.Unknown, r.Predictions})
}

// unknownText stands where a label would, for a picture that shows none of the classes.
const unknownText = "unknown: none of the classes"

// writeLines writes "file  81.20 %  label" for each class, in columns.
func (a *app) writeLines(r bit.FileResult, column int) error {
	if r.Unknown {
		if _, err := fmt.Fprintf(a.stdout, "%s  %8s  %s\n", runewidth.FillRight(r.File, column), "", unknownText); err != nil {
			return err
		}
	}
	for _, p := range r.Predictions {
		if _, err := fmt.Fprintf(a.stdout, "%s  %6.2f %%  %s\n", runewidth.FillRight(r.File, column), 100*p.Score, p.Label); err != nil {
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
func (a *app) writeBars(r bit.FileResult) error {
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
	fmt.Fprintf(&b, "%s%s%s\n", bold, r.File, plain)
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
