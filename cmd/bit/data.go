package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/bigtransfer/bit/data"
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
const dataHelp = `DATA is a folder class/file or train|val|test/class/file, the unpacked Tiny-ImageNet-200,
or a table (.csv, .tsv, .jsonl) with a row for each picture, as in file_name,label, or a
folder of such tables and of pictures.`

func (o *dataOptions) addFlags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&o.images, "images", "", "folder of the pictures that a table names (default that of the table)")
	f.StringVar(&o.fileColumn, "file-column", "", "column of a table that names the pictures, by name or number (default found by its name)")
	f.StringVar(&o.labelColumn, "label-column", "", "column of a table or parquet file with the labels, by name or number (default found by its name)")
	f.StringVar(&o.splitColumn, "split-column", "", "column of a table with train, val or test (default split, if there is one)")
	f.StringVar(&o.labelSeparator, "label-separator", "", "what stands between several labels of a picture, which may then have any number of them")
	f.StringVar(&o.classes, "classes", "", "file of the classes' names in their order, one a line or JSON, where labels are numbers")
	f.Float64Var(&o.maxSkipped, "max-skipped", data.DefaultMaxSkipped, "share of a table's rows that may be unusable, from 0 to 1")
}

// opener returns what opens data sets with the settings of the flags.
func (o *dataOptions) opener() (data.Opener, error) {
	opener := data.Opener{
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
	opener, err := o.opener()
	if err != nil {
		return nil, err
	}
	opener.Split = split
	return opener.OpenContext(ctx, ref)
}
