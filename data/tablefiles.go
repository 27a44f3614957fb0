package data

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"

	"github.com/bigtransfer/bit/imaging"
)

// newDirLister returns a lister of a folder on disk.
func newDirLister(o Opener, dir string) *lister {
	return &lister{fsys: os.DirFS(dir), dir: dir, opener: o}
}

// localFiles is the source of pictures that are files anywhere on disk: paths with slashes, absolute or from dir.
type localFiles struct{ dir string }

func (f localFiles) path(name string) string {
	name = filepath.FromSlash(name)
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(f.dir, name)
}

// Image is that of [Source].
func (f localFiles) Image(e Example) (*imaging.Image, error) {
	dir, base := filepath.Split(f.path(e.Path))
	return Files{os.DirFS(filepath.Clean(dir))}.Image(Example{Path: base})
}

// locator finds the files that a table names.
type locator struct {
	fsys   fs.FS
	dir    string // where fsys lies on disk, or ""
	base   string // folder in it of the table, or of the pictures where Images says so
	folder string // in base, that the names leave out
	suffix string // extension that the names lack
}

// newLocator returns one for the pictures of a table of that name, of which some names are given. Where Images does not
// say where they are, it is the first of a few usual places in which the most of them are.
func (l *lister) newLocator(tableName string, sample []string) *locator {
	at := &locator{fsys: l.fsys, dir: l.dir, base: path.Dir(tableName)}
	if l.opener.Images != "" {
		at.fsys, at.dir, at.base = os.DirFS(l.opener.Images), l.opener.Images, "."
	}
	stem := strings.TrimSuffix(path.Base(tableName), path.Ext(tableName))
	folders := []string{".", "images", "imgs", "img", "data", stem}
	if split := splitInName(tableName); split != "" {
		folders = append(folders, split, split+"_images", "images/"+stem, "images/"+split)
	}
	best, most := *at, -1
	for _, suffix := range []string{"", ".jpg", ".png", ".jpeg", ".JPEG", ".JPG", ".tif", ".webp"} {
		for _, folder := range folders {
			try := *at
			try.folder, try.suffix = folder, suffix
			n := 0
			for _, name := range sample {
				if _, err := try.find(name); err == nil {
					n++
				}
			}
			if n > most {
				best, most = try, n
			}
			if most == len(sample) {
				return &best
			}
		}
	}
	return &best
}

// source gives the pictures that find finds.
func (at *locator) source() Source {
	if at.dir != "" {
		return localFiles{at.dir}
	}
	return Files{at.fsys}
}

// errClimbs says that a name leads out of a folder that is not on disk, or was written by a stranger.
var errClimbs = errors.New("it leads out of the data set's folder")

// path returns the path of the file that a table names.
func (at *locator) path(name string) (string, error) {
	name = filepath.ToSlash(name) + at.suffix
	if filepath.IsAbs(filepath.FromSlash(name)) {
		if at.dir == "" {
			return "", errClimbs
		}
		return path.Clean(name), nil
	}
	if strings.HasPrefix(path.Clean(name), "../") { // from the table
		name = path.Join(at.base, name)
	} else {
		name = path.Join(at.base, at.folder, name)
	}
	if at.dir == "" && !fs.ValidPath(name) {
		return "", errClimbs
	}
	return name, nil
}

// find returns the path of the file that a table names, if it is there. A table written on Windows has backslashes.
func (at *locator) find(name string) (string, error) {
	p, err := at.path(name)
	if err != nil {
		return "", err
	}
	if err = at.stat(p); err != nil && strings.Contains(name, `\`) {
		if q, err := at.path(strings.ReplaceAll(name, `\`, "/")); err == nil && at.stat(q) == nil {
			return q, nil
		}
	}
	return p, err
}

func (at *locator) stat(p string) error {
	var info fs.FileInfo
	var err error
	if at.dir != "" {
		info, err = os.Stat(localFiles{at.dir}.path(p))
	} else {
		info, err = fs.Stat(at.fsys, p)
	}
	if err == nil && info.IsDir() {
		err = errors.New("a folder, expected a file")
	}
	if cause, ok := errors.AsType[*fs.PathError](err); ok { // which names a path that is not the table's
		err = cause.Err
	}
	return err
}

// findAll finds the files of many rows, on several goroutines, since a network's file system takes its time for each.
func (at *locator) findAll(rows []tableRow) {
	const workers, piece = 16, 256
	var running sync.WaitGroup
	pieces := make(chan []tableRow)
	for range workers {
		running.Go(func() {
			for some := range pieces {
				for i := range some {
					r := &some[i]
					if p, err := at.find(r.example.Path); err != nil {
						r.reason = err.Error()
					} else {
						r.example.Path = p
					}
				}
			}
		})
	}
	for len(rows) > 0 {
		n := min(piece, len(rows))
		pieces <- rows[:n]
		rows = rows[n:]
	}
	close(pieces)
	running.Wait()
}

// tooManySkipped returns an error if more rows cannot be used than may be.
func (o Opener) tooManySkipped(skipped, rows int, first string, at string) error {
	limit := o.MaxSkipped
	if limit == 0 {
		limit = DefaultMaxSkipped
	}
	limit = max(0, limit)
	if float64(skipped) <= limit*float64(rows) {
		return nil
	}
	return fmt.Errorf("%d of its %d rows cannot be used, more than %v %%: the first is %s%s", skipped, rows, 100*limit, first, at)
}
