package data

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/bmatcuk/doublestar/v4"

	"github.com/bigtransfer/bit/imaging"
	"github.com/bigtransfer/bit/internal/archive"
)

// Picture is a picture of a stream, labelled or not.
type Picture struct {
	Name  string                         // as it was named: a path, a cell of a table, "shard.parquet#17"
	File  string                         // its path on disk, if it is a file of its own there; else ""
	Image func() (*imaging.Image, error) // reads and decodes it; errors name it
}

// FilePicture is the picture in a file.
func FilePicture(file string) Picture {
	return Picture{Name: file, File: file, Image: func() (*imaging.Image, error) { return imaging.DecodeFile(file) }}
}

// failedPicture stands where pictures cannot be listed.
func failedPicture(name string, err error) Picture {
	return Picture{Name: name, Image: func() (*imaging.Image, error) { return nil, err }}
}

// sourcePicture is the picture of an example.
func sourcePicture(name, file string, src Source, e Example) Picture {
	return Picture{Name: name, File: file, Image: func() (*imaging.Image, error) {
		img, err := src.Image(e)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		return img, nil
	}}
}

// Pictures gives the pictures of what refs name, in order, as they are found: it keeps no list, and labels do not matter.
// A reference is
//
//   - a picture file, whatever its name;
//   - a folder: the pictures in it and below in lexical order, by their extension. Hidden files, and folders that links lead
//     to, are passed over; if there is none, a data set's that [Open] finds there;
//   - a table or a Parquet file: the pictures of its rows; an archive: those in it; another file that [Open] knows;
//   - "hf://datasets/org/name", with @revision or /path: the pictures of a data set of a hub, file after file, of which the
//     next one is downloaded meanwhile;
//   - a pattern, where no file has that name: * and ? within a name, ** over folders, [a-z] and {a,b}.
//
// What cannot be listed is a picture whose Image returns why, and the rest goes on. Opener's Split chooses one where names
// of files tell it.
func (o Opener) Pictures(ctx context.Context, refs ...string) iter.Seq[Picture] {
	return func(yield func(Picture) bool) {
		for _, ref := range refs {
			if ctx.Err() != nil || !o.pictures(ctx, ref, yield) {
				return
			}
		}
	}
}

// pictures yields those of one reference, and returns false if it should stop.
func (o Opener) pictures(ctx context.Context, ref string, yield func(Picture) bool) bool {
	if isHub(ref) {
		return o.hubPictures(ctx, ref, yield)
	}
	info, err := os.Stat(ref)
	switch {
	case errors.Is(err, fs.ErrNotExist) && strings.ContainsAny(ref, "*?[{"):
		return o.matching(ctx, ref, err, yield)
	case err != nil:
		return yield(failedPicture(ref, err))
	case info.IsDir():
		return o.inFolder(ctx, ref, yield)
	case info.Mode().IsRegular():
		return o.inFile(ctx, ref, yield)
	}
	return yield(FilePicture(ref)) // a pipe or device is read once
}

// matching yields the pictures of the files and folders that a pattern matches.
func (o Opener) matching(ctx context.Context, pattern string, notFound error, yield func(Picture) bool) bool {
	base, rest := doublestar.SplitPattern(filepath.ToSlash(pattern))
	more, found := true, false
	err := doublestar.GlobWalk(os.DirFS(filepath.FromSlash(base)), rest, func(p string, d fs.DirEntry) error {
		if strings.HasPrefix(path.Base(p), ".") && p != "." {
			return nil
		}
		name := filepath.Join(filepath.FromSlash(base), filepath.FromSlash(p))
		if d.IsDir() && strings.HasSuffix(rest, "**") || !d.IsDir() && strings.Contains(rest, "**") && !IsImageName(p) {
			return nil // it matches what is in it, too
		}
		found = true
		if more = ctx.Err() == nil && o.pictures(ctx, name, yield); !more {
			return fs.SkipAll
		}
		return nil
	})
	switch {
	case !more:
		return false
	case err != nil && !errors.Is(err, fs.SkipAll):
		return yield(failedPicture(pattern, fmt.Errorf("%s: %w", pattern, err)))
	case !found:
		return yield(failedPicture(pattern, notFound))
	}
	return true
}

// inFolder yields the pictures in a folder on disk.
func (o Opener) inFolder(ctx context.Context, dir string, yield func(Picture) bool) bool {
	root := dir
	if !os.IsPathSeparator(root[len(root)-1]) {
		root += string(filepath.Separator) // else WalkDir does not look into a link
	}
	more, found := true, false
	filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			found = true
			more = yield(failedPicture(p, err))
		case p != root && strings.HasPrefix(d.Name(), "."):
			if d.IsDir() {
				return filepath.SkipDir
			}
		case IsImageName(d.Name()) && mayBeFile(p, d):
			found = true
			more = yield(FilePicture(p))
		}
		if !more || ctx.Err() != nil {
			more = false
			return filepath.SkipAll
		}
		return nil
	})
	if found || !more {
		return more
	}
	return o.inDataset(ctx, dir, dir, fmt.Errorf("%s: %w", dir, ErrNoImages), yield)
}

// mayBeFile reports whether an entry of a folder is a file, or a link to one or to nowhere, which is to be reported. Pipes
// and devices count only where they are named themselves, since reading one may never end.
func mayBeFile(path string, d fs.DirEntry) bool {
	mode := d.Type()
	if mode&fs.ModeSymlink != 0 {
		info, err := os.Stat(path)
		return err != nil || info.Mode().IsRegular()
	}
	return mode.IsRegular()
}

// inDataset yields the pictures of a data set at a path, or one that fails if there is none: with that error if it is given.
func (o Opener) inDataset(ctx context.Context, ref, dir string, none error, yield func(Picture) bool) bool {
	o.MaxSkipped = 1
	d, err := o.OpenContext(ctx, ref)
	if err != nil {
		if none != nil {
			err = none
		}
		return yield(failedPicture(ref, err))
	}
	for _, split := range [][]Example{d.Train, d.Val, d.Test} {
		for _, e := range split {
			if !yield(sourcePicture(filepath.Join(dir, filepath.FromSlash(e.Path)), "", d, e)) {
				return false
			}
		}
	}
	return true
}

// inFile yields the pictures in a file on disk.
func (o Opener) inFile(ctx context.Context, file string, yield func(Picture) bool) bool {
	if IsImageName(file) {
		return yield(FilePicture(file))
	}
	head, err := readHead(file)
	if err != nil {
		return yield(failedPicture(file, err))
	}
	dir := filepath.Dir(file)
	switch {
	case isTableFile(file, head):
		return o.inTable(newDirLister(o, dir), filepath.Base(file), file, yield)
	case isParquet(file, head):
		return o.inParquet(dir, filepath.Base(file), file, yield)
	case isZip(file, head):
		index, err := openIndex(file, archive.Zip)
		return o.inArchive(ctx, index, err, file, yield)
	case isTar(file, head):
		index, err := openIndex(file, indexTar)
		return o.inArchive(ctx, index, err, file, yield)
	case isPackedTar(file, head):
		f, size, err := unpackTar(file)
		var index *archive.FS
		if err == nil {
			index, err = indexTar(f, size)
		}
		return o.inArchive(ctx, index, err, file, yield)
	}
	for _, format := range fileFormats {
		if format.is(file, head) {
			return o.inDataset(ctx, file, file, nil, yield)
		}
	}
	return yield(FilePicture(file))
}

// inArchive yields the picture files of an archive, or those of the data set in it if there is none.
func (o Opener) inArchive(ctx context.Context, index *archive.FS, err error, file string, yield func(Picture) bool) bool {
	if err != nil {
		return yield(failedPicture(file, fmt.Errorf("%s: %w", file, err)))
	}
	found := false
	more := walkImages(ctx, index, func(p string) bool {
		found = true
		return yield(sourcePicture(path.Join(filepath.ToSlash(file), p), "", Files{index}, Example{Path: p}))
	})
	if found || !more {
		return more
	}
	return o.inDataset(ctx, file, file, nil, yield)
}

// walkImages calls use for the picture files of a file system until it returns false.
func walkImages(ctx context.Context, fsys fs.FS, use func(p string) bool) bool {
	err := fs.WalkDir(fsys, ".", func(p string, d fs.DirEntry, err error) error {
		switch {
		case err != nil || ctx.Err() != nil:
			return fs.SkipAll
		case p != "." && strings.HasPrefix(d.Name(), "."):
			if d.IsDir() {
				return fs.SkipDir
			}
		case !d.IsDir() && IsImageName(p) && !use(p):
			return errStop
		}
		return nil
	})
	return err == nil && ctx.Err() == nil
}

// inTable yields the pictures that a table names, by the names that it has for them.
func (o Opener) inTable(l *lister, name, ref string, yield func(Picture) bool) bool {
	fail := func(err error) bool { return yield(failedPicture(ref, fmt.Errorf("%s: %w", ref, err))) }
	t, err := l.openTable(name)
	if err != nil {
		return fail(err)
	}
	names, first, err := t.head()
	if err != nil {
		return fail(err)
	}
	c, err := o.findColumns(names, first)
	if err != nil {
		return fail(err)
	}
	var sample []string
	err = t.rows([]int{c.file}, func(_ int, cells []cell) error {
		if sample = append(sample, strings.Clone(cells[0].text())); len(sample) == sampleSize {
			return errStop
		}
		return nil
	})
	if err != nil && err != errStop {
		return fail(err)
	}
	at := l.newLocator(name, sample)
	src := at.source()
	more := true
	err = t.rows([]int{c.file}, func(place int, cells []cell) error {
		text := strings.Clone(cells[0].text())
		p, err := at.find(text)
		switch {
		case text == "":
			more = yield(failedPicture(ref, fmt.Errorf("%s: %s names no file", ref, t.place(place))))
		case err != nil:
			more = yield(failedPicture(text, fmt.Errorf("%s: %w", text, err)))
		case at.dir != "":
			more = yield(sourcePicture(text, localFiles{at.dir}.path(p), src, Example{Path: p}))
		default:
			more = yield(sourcePicture(text, "", src, Example{Path: p}))
		}
		if !more {
			return errStop
		}
		return nil
	})
	if err != nil && err != errStop {
		return fail(err)
	}
	return more
}

// inParquet yields the rows of a Parquet file in a folder: their pictures, or those that they name.
func (o Opener) inParquet(dir, base, ref string, yield func(Picture) bool) bool {
	b := newParquetBuilder(newDirLister(o, dir))
	s, err := b.l.openShard(base, &b.cache)
	if _, none := errors.AsType[*noPicturesError](err); none {
		return o.inTable(b.l, base, ref, yield)
	}
	if err != nil {
		return yield(failedPicture(ref, fmt.Errorf("%s: %w", ref, err)))
	}
	return b.rows(s, func(row string) string { return filepath.Join(dir, row) }, yield)
}

// rows yields the pictures of a file, labelled or not, and returns false if it should stop.
func (b *parquetBuilder) rows(s *parquetShard, name func(row string) string, yield func(Picture) bool) bool {
	src := &parquetPictures{shards: []*parquetShard{s}, beside: b.source.beside}
	for row := range s.file.Rows() {
		if !yield(sourcePicture(name(fmt.Sprintf("%s#%d", s.name, row)), "", src, Example{At: row})) {
			return false
		}
	}
	return true
}

// readHead returns the first bytes of a file, which tell its format.
func readHead(file string) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	head := make([]byte, headLen)
	n, err := io.ReadFull(f, head)
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		err = nil
	}
	return head[:n], err
}

// PictureList is the source of listed pictures: an example's At is the index of its own.
type PictureList []Picture

// ListPictures returns the pictures of a stream, and examples of them without labels.
func ListPictures(pictures iter.Seq[Picture]) (PictureList, []Example) {
	var list PictureList
	var examples []Example
	for p := range pictures {
		examples = append(examples, Example{Path: filepath.ToSlash(p.Name), At: int64(len(list)), Label: NoLabel})
		list = append(list, p)
	}
	return list, examples
}

// Image is that of [Source].
func (l PictureList) Image(e Example) (*imaging.Image, error) {
	img, err := l[e.At].Image()
	if err == nil {
		return img, nil
	}
	if _, unread := errors.AsType[*fs.PathError](err); unread {
		return nil, err
	}
	if text, named := strings.CutPrefix(err.Error(), l[e.At].Name+": "); named {
		err = errors.New(text)
	}
	return nil, &BrokenError{err}
}
