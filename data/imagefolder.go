package data

import (
	"fmt"
	"io/fs"
	"path"
)

// metadataNames are the tables that say what pictures of a folder are, and of folders in it, in the layout that Python's
// datasets calls imagefolder (huggingface.co/docs/datasets/image_dataset).
var metadataNames = []string{"metadata.csv", "metadata.jsonl", "metadata" + parquetExt}

// metadata is such a table.
type metadata struct {
	path  string
	split string // that its folder is called by, or ""
}

// metadataFiles returns those at the root or, if there is none, in the folders below, two deep at most: data/train.
func (l *lister) metadataFiles() ([]metadata, error) {
	found, err := l.metadataIn(".", "")
	if found != nil || err != nil {
		return found, err
	}
	peek := lister{fsys: l.fsys}
	dirs, _, err := peek.read(".")
	if err != nil {
		return nil, err
	}
	for _, dir := range dirs {
		in, err := l.metadataIn(dir, splitOf(dir))
		if err != nil {
			return nil, err
		}
		found = append(found, in...)
		if dir != "data" || in != nil {
			continue
		}
		below, _, err := peek.read(dir)
		if err != nil {
			return nil, err
		}
		for _, sub := range below {
			in, err := l.metadataIn(path.Join(dir, sub), splitOf(sub))
			if err != nil {
				return nil, err
			}
			found = append(found, in...)
		}
	}
	return found, nil
}

func (l *lister) metadataIn(dir, split string) ([]metadata, error) {
	var found []metadata
	for _, name := range metadataNames {
		p := path.Join(dir, name)
		if info, err := fs.Stat(l.fsys, p); err == nil && info.Mode().IsRegular() {
			found = append(found, metadata{p, split})
		}
	}
	if len(found) > 1 {
		return nil, fmt.Errorf("%s and %s: expected one", found[0].path, found[1].path)
	}
	return found, nil
}

// isImageFolder reports whether there is such a table, or more than there should be.
func (l *lister) isImageFolder() bool {
	found, err := l.metadataFiles()
	if len(found) == 0 || err != nil {
		return err != nil
	}
	names, err := l.isTable(found[0].path, false)
	return names || err != nil
}

// imageFolder lists the layout. The label is a column of the table or else the folder that a picture is in; the split is
// that of the table's folder, a column, or the first folder of the file's name. Pictures that no table names are skipped.
func (l *lister) imageFolder() (*Dataset, error) {
	found, err := l.metadataFiles()
	if err != nil {
		return nil, err
	}
	b := newTableBuilder(l)
	b.byFolder = true
	for _, m := range found {
		if err := b.add(m.path, m.split); err != nil {
			return nil, fmt.Errorf("%s: %w", m.path, err)
		}
	}
	for _, m := range found {
		images, err := (&lister{fsys: l.fsys}).images(nil, path.Dir(m.path), 0)
		if err != nil {
			return nil, err
		}
		for _, p := range images {
			if _, named := b.seen[p]; !named && !b.skipped[p] {
				l.skip(p, "not named in "+m.path)
			}
		}
	}
	return b.finish()
}
