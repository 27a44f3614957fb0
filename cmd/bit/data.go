package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/bigtransfer/bit/data"
	"github.com/bigtransfer/bit/hub"
)

// dataOptions are the flags of every command that takes DATA.
type dataOptions struct {
	images         string
	fileColumn     string
	labelColumn    string
	splitColumn    string
	labelSeparator string
	classes        string // file
	maxSkipped     float64
}

// dataHelp says what DATA may be, in the help of those commands.
const dataHelp = `DATA is a folder class/file or train|val|test/class/file; a table (.csv, .tsv, .jsonl) of
pictures and labels, or a folder of such tables; Parquet files or an imagefolder as Python's
datasets writes them; WebDataset or TFRecord shards; CIFAR, MNIST or Tiny-ImageNet-200 as
published; any of these in a zip or tar file; or hf://datasets/org/name, with @revision or
/path, a data set of a hub.`

func (o *dataOptions) addFlags(cmd *cobra.Command) {
	o.addPictureFlags(cmd)
	f := cmd.Flags()
	f.StringVar(&o.labelColumn, "label-column", "", "column of a table or parquet file with the labels, by name or number (default found by its name)")
	f.StringVar(&o.splitColumn, "split-column", "", "column of a table with train, val or test (default split, if there is one)")
	f.StringVar(&o.labelSeparator, "label-separator", "", "what stands between several labels of a picture, which may then have any number of them")
	f.StringVar(&o.classes, "classes", "", "file of the classes' names in their order, one a line or JSON, where labels are numbers")
	f.Float64Var(&o.maxSkipped, "max-skipped", data.DefaultMaxSkipped, "share of the pictures, and of a table's rows, that may be unusable, from 0 to 1")
}

// addPictureFlags adds those that matter where labels do not.
func (o *dataOptions) addPictureFlags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&o.images, "images", "", "folder of the pictures that a table names (default that of the table)")
	f.StringVar(&o.fileColumn, "file-column", "", "column of a table that names the pictures, or of a Parquet file that holds them, by name or number (default found by its name)")
}

// opener returns what opens data sets with the settings of the flags, and shows downloads in a line.
func (o *dataOptions) opener(line *status) (data.Opener, error) {
	client := hub.FromEnv()
	client.Progress = newDownloadLog(line).show
	opener := data.Opener{
		Hub:    client,
		Images: o.images, FileColumn: o.fileColumn, LabelColumn: o.labelColumn, SplitColumn: o.splitColumn,
		LabelSeparator: o.labelSeparator, MaxSkipped: o.maxSkipped,
	}
	if !(o.maxSkipped >= 0 && o.maxSkipped <= 1) {
		return opener, usagef("--max-skipped %v: want a share from 0 to 1", o.maxSkipped)
	}
	if o.maxSkipped == 0 {
		opener.MaxSkipped = -1 // the zero value is the default
	}
	var err error
	if o.classes != "" {
		opener.Classes, err = data.ReadClasses(o.classes)
	}
	return opener, err
}

// open opens a data set: all of it, or only what a split needs, where split is train, val, test, or eval for that by which
// a model is judged.
func (o *dataOptions) open(ctx context.Context, a *app, ref, split string) (*data.Dataset, error) {
	line := &status{out: a.stderr}
	opener, err := o.opener(line)
	if err != nil {
		return nil, err
	}
	opener.Split = split
	defer line.clear()
	return opener.OpenContext(ctx, ref)
}
