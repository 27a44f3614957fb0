package data

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
)

// Opener opens data sets with settings of its own. Its zero value is what [Open] uses.
type Opener struct{}

// Open lists the data set at path, a directory or a file, whose layout is told by what is there:
//
//   - class/file: every directory is a class, and all pictures are Train;
//   - split/class/file: with splits train (or training), val (valid, validation, dev) and test (testing, eval), in any
//     case;
//   - Tiny-ImageNet-200: wnids.txt, words.txt, train/<wnid>/images and val/val_annotations.txt.
//
// Classes are sorted by directory name. Val and Test may lack classes of Train, not add any; without a training split
// the classes are those of the other two. Class directories may be nested deeper. Pictures are recognised by extension;
// other files, hidden ones and files outside a class directory are listed in Skipped.
func Open(path string) (*Dataset, error) { return Opener{}.Open(path) }

// OpenFS is [Open] for the root of a file system, for instance an opened zip file.
func OpenFS(fsys fs.FS) (*Dataset, error) { return Opener{}.OpenFS(fsys) }

// Open is the function [Open] with o's settings.
func (o Opener) Open(path string) (*Dataset, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("data set: %w", err)
	}
	var d *Dataset
	if info.IsDir() {
		d, err = o.OpenFS(os.DirFS(path))
	} else {
		d, err = o.openFile(path)
	}
	if err != nil {
		return nil, fmt.Errorf("data set %s: %w", path, err)
	}
	return d, nil
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
	{"folders", func(*lister) bool { return true }, (*lister).folders},
}

// OpenFS is the function [OpenFS] with o's settings.
func (o Opener) OpenFS(fsys fs.FS) (*Dataset, error) {
	l := &lister{fsys: fsys, opener: o}
	for _, layout := range layouts {
		if !layout.is(l) {
			continue
		}
		d, err := layout.open(l)
		if err != nil {
			return nil, err
		}
		if d.Source == nil {
			d.Source = Files{fsys}
		}
		d.Skipped = append(d.Skipped, l.skipped...)
		return d, nil
	}
	panic("data: no layout")
}

// fileFormat is a data set in a file.
type fileFormat struct {
	name string
	is   func(name string, head []byte) bool // tells it by the first bytes, or by the name where they say nothing
	open func(o Opener, path string) (*Dataset, error)
}

// fileFormats are tried in this order.
var fileFormats = []fileFormat{}

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
