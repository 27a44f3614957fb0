package data

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/bigtransfer/bit/hub"
)

// Opener opens data sets with settings of its own. Its zero value is what [Open] uses.
type Opener struct {
	Images string // folder of the pictures that a table names; "" for the folder of the table

	// Columns of a table, by name or, from 1 on, by number. "" finds them, see [Open].
	FileColumn, LabelColumn, SplitColumn string

	LabelSeparator string   // between the labels of a picture that has several; makes the data set multi-label
	Classes        []string // names of the classes in their order, for labels that are numbers or need an order of their own
	MaxSkipped     float64  // share of the pictures, and of a table's rows, that may be unusable; 0 for DefaultMaxSkipped, 1 for any

	MinSide int // least width and height of a picture in pixels; 0 for DefaultMinSide

	// Split lists one split alone: "train", "val" or "test", or "eval" for the one that [Dataset.EvalSplit] gives. The
	// classes are those of the data set, as far as they are known without the other splits. "" lists all.
	Split string

	Hub *hub.Client // brings data sets of a hub; nil for [hub.FromEnv]
}

// DefaultMaxSkipped is the share of a data set's pictures that may be broken, and of a table's rows that may name a file
// that is missing, or have no label. More of them say that something is wrong with the whole, for instance the folder of
// the pictures.
const DefaultMaxSkipped = 0.1

// Open lists the data set at path, a directory or a file, whose layout is told by what is there:
//
//   - class/file: every directory is a class, and all pictures are Train;
//   - split/class/file: with splits train (or training), val (valid, validation, dev) and test (testing, eval), in any
//     case;
//   - Tiny-ImageNet-200: wnids.txt, words.txt, train/<wnid>/images and val/val_annotations.txt;
//   - CIFAR-10 and CIFAR-100 in their binary version: data_batch_*.bin and test_batch.bin, or train.bin and test.bin with
//     their fine labels;
//   - IDX, as MNIST is: train-images-idx3-ubyte and the like, with or without .gz, with classes that are numbers;
//   - WebDataset: shards (.tar) whose pictures have a .cls, .json or .txt file of the same key;
//   - TFRecord: shards of tf.train.Example, with the features of TensorFlow Datasets or TF-slim;
//   - a table (.csv, .tsv, .jsonl, .parquet) of pictures and their labels: the file itself, or a folder in which tables are
//     called labels, annotations or by a split, as in train.csv and test_labels.tsv;
//   - the imagefolder of Python's datasets: metadata.csv, .jsonl or .parquet with a column file_name, in the folder of the
//     pictures or above. The label is a column or else the picture's folder, and the folder's name is the split;
//   - Parquet files with a column of pictures, bytes or a group of bytes and path, and one of labels, and classes as
//     Python's datasets names them: one file, or a folder of them, as in data/train-00000-of-00002.parquet;
//   - any of these in a zip or tar file, read in place, or in a tar.gz or tar.bz2 file, unpacked to a temporary file.
//
// Shards are at the root, with a split as a word of their names, or in folders of the splits; a path may be one of them, or
// a pattern such as train-{000000..000146}.tar. Labels that are numbers are names of classes themselves, unless a file
// classes.txt, classnames.txt, labels.txt or label.labels.txt beside the shards names them, one a line.
//
// A path hf://datasets/org/name, with @revision or /path, is a data set of a hub, of which files are downloaded as they are
// needed; if only a program can read it, what the hub has converted to Parquet. Its cache is that of Python's
// huggingface_hub.
//
// Classes are sorted by directory name. Val and Test may lack classes of Train, not add any; without a training split
// the classes are those of the other two. Class directories may be nested deeper. Pictures are recognised by extension;
// other files, hidden ones and files outside a class directory are listed in Skipped.
//
// A table has a row for each picture. Its first row is a header if no cell of it is the name of a picture. The file is in
// the column called file_name, filename, file, image or the like, or else in the first whose cells are names of pictures;
// the label in that called label, class, category or the like, or else in the only other one; and a column called split
// may say train, val or test. Files are looked for beside the table, or in a folder there called images or like the table;
// an extension may be missing in the table. A table on disk may name files anywhere, by absolute paths or ones with "..".
// Classes are sorted by text, or by value where all are integers. A row whose file is missing or that has no label is
// listed in Skipped. A label that is a list in a .jsonl file makes the data set multi-label, as LabelSeparator does.
func Open(path string) (*Dataset, error) { return Opener{}.Open(path) }

// OpenFS is [Open] for the root of a file system, for instance an opened zip file.
func OpenFS(fsys fs.FS) (*Dataset, error) { return Opener{}.OpenFS(fsys) }

// Open is the function [Open] with o's settings.
func (o Opener) Open(path string) (*Dataset, error) { return o.OpenContext(context.Background(), path) }

// OpenContext is Open for what takes time. The data set's pictures are read under ctx too.
func (o Opener) OpenContext(ctx context.Context, path string) (*Dataset, error) {
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	d, err := o.openPath(ctx, path)
	if err == nil {
		err = o.finish(d, path)
	}
	if err != nil {
		return nil, fmt.Errorf("data set %s: %w", path, err)
	}
	return d, nil
}

// openPath lists what a path names.
func (o Opener) openPath(ctx context.Context, path string) (*Dataset, error) {
	if isHub(path) {
		return o.openHubDataset(ctx, path)
	}
	info, err := os.Stat(path)
	switch {
	case err != nil && strings.Contains(path, "{"):
		return o.openPattern(path)
	case err != nil:
		return nil, err
	case info.IsDir():
		return o.openRoot(&lister{fsys: os.DirFS(path), dir: path, opener: o})
	}
	return o.openFile(path)
}

// finish does what all data sets that are opened have in common, whatever they are. root is "" where there is no path.
func (o Opener) finish(d *Dataset, root string) error {
	d.root = root
	d.Source = newGuard(d, o)
	if err := d.applySplit(); err != nil {
		return err
	}
	return d.keepSplit(o.Split)
}

// layout is a way to arrange a data set in a directory.
type layout struct {
	name string
	is   func(l *lister) bool // tells it by the names at the root and the first bytes of files
	open func(l *lister) (*Dataset, error)
}

// layouts are tried in this order. Folders of classes are what everything else is.
var layouts = []layout{
	{"Tiny-ImageNet-200", (*lister).isTinyImageNet, (*lister).tinyImageNet},
	{"CIFAR", (*lister).isCIFAR, (*lister).cifar},
	{"IDX", (*lister).isIDX, (*lister).idx},
	{"WebDataset", (*lister).isWebDataset, (*lister).webDataset},
	{"TFRecord", (*lister).isTFRecords, (*lister).tfRecords},
	{"imagefolder of Python's datasets", (*lister).isImageFolder, (*lister).imageFolder},
	{"tables", (*lister).hasTables, (*lister).tables},
	{"Parquet files", (*lister).hasParquet, (*lister).parquet},
	{"folders", func(*lister) bool { return true }, (*lister).folders},
}

// OpenFS is the function [OpenFS] with o's settings.
func (o Opener) OpenFS(fsys fs.FS) (*Dataset, error) {
	d, err := o.openRoot(&lister{fsys: fsys, opener: o})
	if err == nil {
		err = o.finish(d, "")
	}
	if err != nil {
		return nil, err
	}
	return d, nil
}

func (o Opener) openRoot(l *lister) (*Dataset, error) {
	for _, layout := range layouts {
		if !layout.is(l) {
			continue
		}
		d, err := layout.open(l)
		if err != nil {
			return nil, err
		}
		l.complete(d)
		return d, nil
	}
	panic("data: no layout")
}

// complete gives a data set what all have that a lister lists.
func (l *lister) complete(d *Dataset) {
	if d.Source == nil {
		d.Source = Files{l.fsys}
	}
	d.Skipped = append(d.Skipped, l.skipped...)
}

// fileFormat is a data set in a file.
type fileFormat struct {
	name string
	is   func(name string, head []byte) bool // tells it by the first bytes, or by the name where they say nothing
	open func(o Opener, path string) (*Dataset, error)
}

// fileFormats are tried in this order.
var fileFormats = []fileFormat{
	{"zip", isZip, Opener.openZip},
	{"tar", isTar, Opener.openTar},
	{"tar.gz, tar.bz2", isPackedTar, Opener.openPackedTar},
	{"TFRecord", isTFRecordFile, Opener.openTFRecord},
	{"Parquet", isParquet, Opener.openParquetFile},
	{"table (.csv, .tsv, .jsonl)", isTableFile, Opener.openTable},
}

// headLen is how many of a file's first bytes tell its format: those up to the magic of a tar file.
const headLen = 512

// openFile lists a data set that is a file.
func (o Opener) openFile(path string) (*Dataset, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	head := make([]byte, headLen)
	n, err := io.ReadFull(f, head)
	f.Close()
	if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
		return nil, err
	}
	names := make([]string, len(fileFormats))
	for i, format := range fileFormats {
		if format.is(path, head[:n]) {
			return format.open(o, path)
		}
		names[i] = format.name
	}
	return nil, fmt.Errorf("expected a directory%s, found a file of %d bytes or more", strings.Join(append([]string{""}, names...), ", "), n)
}
