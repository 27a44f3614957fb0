package data

import (
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
)

const (
	splitTrain = "train"
	splitVal   = "val"
	splitTest  = "test"
)

// splitOf returns which split a directory of that name holds, or "".
func splitOf(dir string) string {
	switch strings.ToLower(dir) {
	case "train", "training":
		return splitTrain
	case "val", "valid", "validation", "dev":
		return splitVal
	case "test", "testing", "eval", "evaluation":
		return splitTest
	}
	return ""
}

// IsImageName reports whether a file name ends like one of the formats that package imaging decodes.
func IsImageName(name string) bool {
	switch strings.ToLower(path.Ext(name)) {
	case ".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".gif", ".bmp", ".tif", ".tiff", ".webp":
		return true
	}
	return false
}

const (
	reasonNoClass  = "image outside of a class directory"
	reasonNotImage = "not an image by its extension"
)

// macResources is the folder of resource forks that macOS adds to zip files.
const macResources = "__MACOSX"

// lister walks a file system and notes what it leaves out.
type lister struct {
	fsys    fs.FS
	dir     string // where fsys lies on disk, if it does
	opener  Opener
	skipped []Skipped
}

func (l *lister) skip(path, reason string) {
	l.skipped = append(l.skipped, Skipped{Path: path, Reason: reason})
}

// folders lists class/file or split/class/file.
func (l *lister) folders() (*Dataset, error) {
	dirs, files, err := l.read(".")
	if err != nil {
		return nil, err
	}
	l.skipLoose(".", files)
	d := &Dataset{}
	bySplit, err := l.splits(dirs)
	if err != nil {
		return nil, err
	}
	if bySplit != nil {
		return d, l.listSplits(d, bySplit)
	}
	if len(dirs) == 0 {
		return nil, fmt.Errorf("%w: expected directories class/file or train|val|test/class/file%s", ErrNoImages, l.found())
	}
	d.Classes = dirs
	d.Train, err = l.listClasses(".", dirs, dirs, true)
	return d, err
}

// found tells a user whose pictures lie in no class directory where they are.
func (l *lister) found() string {
	for _, s := range l.skipped {
		if s.Reason == reasonNoClass {
			return fmt.Sprintf(", found %s outside of them", s.Path)
		}
	}
	return ""
}

// splits returns the directory of each split if dirs, those of the root, are splits, and nil if they are classes.
// A class may be called "train" or "test": a split is told from it by holding directories.
func (l *lister) splits(dirs []string) (map[string]string, error) {
	bySplit := map[string]string{}
	var others []string
	for _, dir := range dirs {
		name := splitOf(dir)
		if name != "" {
			peek := lister{fsys: l.fsys}
			inside, _, err := peek.read(dir)
			if err != nil {
				return nil, err
			}
			if len(inside) == 0 {
				name = ""
			}
		}
		if name == "" {
			others = append(others, dir)
			continue
		}
		if first, twice := bySplit[name]; twice {
			return nil, fmt.Errorf("both %q and %q are names of the %s split", first, dir, name)
		}
		bySplit[name] = dir
	}
	if bySplit[splitTrain] == "" && len(others) > 0 || len(bySplit) == 0 {
		return nil, nil
	}
	for _, dir := range others {
		// Directories of annotations are usual beside the splits; pictures there have no label that is known here.
		images, err := l.images(nil, dir, 0)
		if err != nil {
			return nil, err
		}
		if len(images) > 0 {
			return nil, fmt.Errorf("%q is a split, but %q beside it holds %d images and no classes: "+
				"expected class/file or train|val|test/class/file throughout", bySplit[splitTrain], dir, len(images))
		}
	}
	return bySplit, nil
}

// listSplits lists the splits whose directories are given into d.
func (l *lister) listSplits(d *Dataset, bySplit map[string]string) error {
	inside := map[string][]string{}
	for name, dir := range bySplit {
		dirs, files, err := l.read(dir)
		if err != nil {
			return err
		}
		l.skipLoose(dir, files)
		inside[name] = dirs
	}
	d.Classes = inside[splitTrain]
	if bySplit[splitTrain] == "" {
		d.Classes = slices.Concat(inside[splitVal], inside[splitTest])
		slices.Sort(d.Classes)
		d.Classes = slices.Compact(d.Classes)
	}
	for _, s := range []struct {
		name string
		to   *[]Example
	}{{splitTrain, &d.Train}, {splitVal, &d.Val}, {splitTest, &d.Test}} {
		dir, ok := bySplit[s.name]
		if !ok {
			continue
		}
		examples, err := l.listClasses(dir, inside[s.name], d.Classes, s.name == splitTrain)
		if err != nil {
			return err
		}
		if len(examples) == 0 {
			return fmt.Errorf("split %q: %w", dir, ErrNoImages)
		}
		*s.to = examples
	}
	return nil
}

// listClasses lists the class directories dirs of parent. Their labels are the indices in classes, which is sorted.
// full says that none of them may be empty.
func (l *lister) listClasses(parent string, dirs, classes []string, full bool) ([]Example, error) {
	var examples []Example
	var paths []string
	for _, dir := range dirs {
		label, ok := slices.BinarySearch(classes, dir)
		if !ok {
			return nil, &UnknownClassError{Class: dir, Where: fmt.Sprintf("split %q", parent), Known: classes}
		}
		var err error
		paths, err = l.images(paths[:0], path.Join(parent, dir), 0)
		if err != nil {
			return nil, err
		}
		if len(paths) == 0 && full {
			return nil, &EmptyClassError{Dir: path.Join(parent, dir)}
		}
		for _, p := range paths {
			examples = append(examples, Example{Path: p, Label: label})
		}
	}
	return examples, nil
}

// maxNesting bounds how deep directories are followed below a class.
const maxNesting = 32

// images appends to paths those of the pictures in dir and below, sorted by name within each directory.
func (l *lister) images(paths []string, dir string, depth int) ([]string, error) {
	if depth > maxNesting {
		return nil, fmt.Errorf("%s: directories are nested more than %d deep", dir, maxNesting)
	}
	dirs, files, err := l.read(dir)
	if err != nil {
		return nil, err
	}
	for _, name := range files {
		if p := path.Join(dir, name); IsImageName(name) {
			paths = append(paths, p)
		} else {
			l.skip(p, reasonNotImage)
		}
	}
	for _, name := range dirs {
		if paths, err = l.images(paths, path.Join(dir, name), depth+1); err != nil {
			return nil, err
		}
	}
	return paths, nil
}

// skipLoose notes files that lie where only directories count.
func (l *lister) skipLoose(dir string, files []string) {
	for _, name := range files {
		reason := reasonNotImage
		if IsImageName(name) {
			reason = reasonNoClass
		}
		l.skip(path.Join(dir, name), reason)
	}
}

// read returns the names in dir, sorted, links resolved. It leaves out hidden names (among them the "._x.jpg" that
// macOS writes beside x.jpg), names that a path of package fs cannot hold, and links that lead nowhere.
func (l *lister) read(dir string) (dirs, files []string, err error) {
	entries, err := fs.ReadDir(l.fsys, dir)
	if err != nil {
		return nil, nil, err
	}
	for _, e := range entries {
		name, full := e.Name(), path.Join(dir, e.Name())
		isDir, isFile := e.IsDir(), e.Type().IsRegular()
		switch {
		case name == splitName:
			continue // ours, and perhaps that of a part of the data set
		case strings.HasPrefix(name, "."), name == macResources:
			l.skip(full, "hidden")
			continue
		case !fs.ValidPath(name):
			l.skip(full, "name is not valid UTF-8")
			continue
		case e.Type()&fs.ModeSymlink != 0:
			info, err := fs.Stat(l.fsys, full)
			if err != nil {
				l.skip(full, "link leads nowhere")
				continue
			}
			isDir, isFile = info.IsDir(), info.Mode().IsRegular()
		}
		switch {
		case isDir:
			dirs = append(dirs, name)
		case isFile:
			files = append(files, name)
		default:
			l.skip(full, "neither a file nor a directory")
		}
	}
	return dirs, files, nil
}
