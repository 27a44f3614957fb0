package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/bigtransfer/bit/data"
	"github.com/bigtransfer/bit/features"
)

type embedOptions struct {
	modelOptions
	embedFlags
	dataOptions
	remoteOptions
	output string
	split  string
}

func (a *app) newEmbedCommand() *cobra.Command {
	var o embedOptions
	cmd := &cobra.Command{
		Use:   "embed DATA | IMAGES... -o FILE [flags]",
		Short: "Write the features of pictures for other programs",
		Long: `Write the features of pictures for other programs: the vector that the network's last
layer sees, which says what a picture shows and serves for search, clusters and other
classifiers.

The argument is a data set, as "bit finetune" takes it, or pictures and folders of pictures
without labels. FILE says the format by its ending:

  .npz      NumPy: features float32 [N, D], labels int64 [N] (-1: none), paths and
            splits [N], classes [C]
  .npy      NumPy: the features alone; paths, splits and labels go to a .csv file beside it
  .parquet  columns path, split, label, class, and features as a list of floats

Features are kept on disk by the content of the pictures, as with "bit probe".`,
		Example: `  bit embed my-photos -o my-photos.parquet
  bit embed holiday/ --model BiT-M-R50x1 -o holiday.npz
  bit embed --server http://127.0.0.1:8080 holiday/*.jpg -o holiday.npz`,
		Args: wants(1, -1, "a data set or images"),
		RunE: a.runE(func(ctx context.Context, args []string) error { return a.embed(ctx, args, o) }),
	}
	f := cmd.Flags()
	f.StringVarP(&o.output, "output", "o", "", "file to write: .npz, .npy or .parquet (required)")
	f.StringVar(&o.split, "split", "", "of a data set: train, val or test (default all)")
	o.modelOptions.addFlags(cmd)
	o.embedFlags.addFlags(cmd)
	o.dataOptions.addFlags(cmd)
	o.remoteOptions.addFlags(cmd)
	if err := cmd.MarkFlagRequired("output"); err != nil {
		panic(err)
	}
	return cmd
}

// embedPart is the examples of one split.
type embedPart struct {
	split    string
	examples []data.Example
}

func (a *app) embed(ctx context.Context, args []string, o embedOptions) error {
	if ext := strings.ToLower(filepath.Ext(o.output)); !slices.Contains(features.Formats(), ext) {
		return usagef("--output %s: want a name that ends in one of %q", o.output, features.Formats())
	}
	if err := o.embedFlags.check(); err != nil {
		return err
	}
	if info, err := os.Stat(filepath.Dir(o.output)); err != nil || !info.IsDir() { // now rather than after an hour
		return fmt.Errorf("--output %s: no folder %s", o.output, filepath.Dir(o.output))
	}
	if o.server != "" {
		return a.embedByServer(ctx, args, o)
	}
	m, err := o.modelOptions.open(ctx, a)
	if err != nil {
		return err
	}
	src, parts, classes, err := a.toEmbed(ctx, args, o)
	if err != nil {
		return err
	}
	total := 0
	for _, p := range parts {
		total += len(p.examples)
	}
	t := &features.Table{Width: m.Config().FeatureWidth(), Classes: classes}
	line := &status{out: a.stderr}
	start := time.Now()
	cached, before := 0, 0
	var cacheErr error
	eo := o.embedFlags.options(o.threads, total, "features", line)
	show := eo.OnProgress
	for _, p := range parts {
		eo.OnProgress = func(done int) { show(before + done) }
		e, skipped, err := m.Embed(ctx, src, p.examples, eo)
		line.clear()
		a.reportSkipped(skipped)
		if err != nil {
			return err
		}
		var paths []string
		for _, at := range e.Index {
			paths = append(paths, p.examples[at].Path)
		}
		t.Append(p.split, paths, e.Labels(p.examples), e.Features)
		before += len(p.examples)
		cached += e.Cached
		cacheErr = errors.Join(cacheErr, e.CacheErr)
	}
	if len(t.Paths) == 0 {
		return fmt.Errorf("%s: %w that can be decoded", args[0], data.ErrNoImages)
	}
	if err := t.Save(o.output); err != nil {
		return err
	}
	if cacheErr != nil {
		fmt.Fprintf(a.stderr, "bit: warning: the features are not kept: %v\n", cacheErr)
	}
	fmt.Fprintf(a.stderr, "wrote %s: %d features of %d pictures in %.2f s, %d of them cached\n", o.output, t.Width, len(t.Paths), time.Since(start).Seconds(), cached)
	return nil
}

// embedByServer is embed for pictures by a server, which keeps no features.
func (a *app) embedByServer(ctx context.Context, args []string, o embedOptions) error {
	if o.split != "" {
		return usagef("--split is for a data set: a server takes pictures")
	}
	c, request, err := o.remoteOptions.client(ctx, o.model)
	if err != nil {
		return err
	}
	opener, err := o.dataOptions.opener(&status{out: a.stderr})
	if err != nil {
		return err
	}
	line := &status{out: a.stderr}
	start := time.Now()
	t, err := embedRemotely(ctx, c, request, opener.Pictures(ctx, args...), func(done int) {
		if line.due() {
			line.show(fmt.Sprintf("features of %d pictures", done))
		}
	})
	line.clear()
	if err != nil {
		return err
	}
	if err := t.Save(o.output); err != nil {
		return err
	}
	fmt.Fprintf(a.stderr, "wrote %s: %d features of %d pictures in %.2f s\n", o.output, t.Width, len(t.Paths), time.Since(start).Seconds())
	return nil
}

// toEmbed returns the examples of a data set, if the only argument is one, else those of the pictures that are named.
func (a *app) toEmbed(ctx context.Context, args []string, o embedOptions) (data.Source, []embedPart, []string, error) {
	if len(args) == 1 && !isPicture(args[0]) {
		ds, err := o.dataOptions.open(ctx, a, args[0], o.split)
		if err == nil {
			a.reportSkipped(ds.Skipped)
			all := []embedPart{{"train", ds.Train}, {"val", ds.Val}, {"test", ds.Test}}
			if o.split != "" {
				name, examples, err := chooseSplit(ds, o.split)
				if err != nil {
					return nil, nil, nil, fmt.Errorf("%s: %w", args[0], err)
				}
				all = []embedPart{{name, examples}}
			}
			return ds.Source, all, ds.Classes, nil
		}
		if !errors.Is(err, data.ErrNoImages) || o.split != "" {
			return nil, nil, nil, err
		}
	}
	if o.split != "" {
		return nil, nil, nil, usagef("--split is for a data set")
	}
	opener, err := o.dataOptions.opener(&status{out: a.stderr})
	if err != nil {
		return nil, nil, nil, err
	}
	pictures, examples := data.ListPictures(opener.Pictures(ctx, args...))
	return pictures, []embedPart{{"", examples}}, nil, nil
}

// isPicture reports whether a path is a file that has a picture's name.
func isPicture(path string) bool {
	info, err := os.Stat(path)
	return err == nil && !info.IsDir() && data.IsImageName(path)
}
