package data

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/bigtransfer/bit/internal/parquetfile"
)

// parquetFile is a Parquet file in a folder.
type parquetFile struct {
	path  string
	split string // of its name or folder, or ""
	set   string // folder that holds its data set, without those of splits
}

// maxParquetDepth is how deep Parquet files lie: in set/split/file, as the hub converts data sets.
const maxParquetDepth = 2

// parquetFiles returns the Parquet files of a folder, in order. Folders without one among their first entries are passed
// over: those of pictures may have a million.
func (l *lister) parquetFiles(dir string, depth int) ([]parquetFile, error) {
	f, err := l.fsys.Open(dir)
	if err != nil {
		return nil, err
	}
	d, ok := f.(fs.ReadDirFile)
	if !ok {
		f.Close()
		return nil, nil
	}
	const first = 64
	entries, err := d.ReadDir(first)
	f.Close()
	if err != nil && err != io.EOF {
		return nil, err
	}
	isOne := func(e fs.DirEntry) bool { return strings.EqualFold(path.Ext(e.Name()), parquetExt) }
	if dir != "." && !slices.ContainsFunc(entries, func(e fs.DirEntry) bool { return isOne(e) || e.IsDir() }) {
		return nil, nil
	}
	peek := lister{fsys: l.fsys}
	dirs, files, err := peek.read(dir)
	if err != nil {
		return nil, err
	}
	var found []parquetFile
	for _, name := range files {
		if strings.EqualFold(path.Ext(name), parquetExt) {
			found = append(found, placeParquet(path.Join(dir, name)))
		}
	}
	if depth == maxParquetDepth {
		return found, nil
	}
	for _, name := range dirs {
		inside, err := l.parquetFiles(path.Join(dir, name), depth+1)
		if err != nil {
			return nil, err
		}
		found = append(found, inside...)
	}
	return found, nil
}

// placeParquet tells from a path to which split of which data set a file belongs. The hub calls a split partial-train of
// which it has not converted all.
func placeParquet(p string) parquetFile {
	f := parquetFile{path: p, split: splitInName(p)}
	var set []string
	for dir := range strings.SplitSeq(path.Dir(p), "/") {
		if split := splitOf(strings.TrimPrefix(dir, "partial-")); split != "" {
			f.split = split
		} else {
			set = append(set, dir)
		}
	}
	f.set = path.Join(set...)
	return f
}

// hasParquet reports whether a folder holds Parquet files with pictures, or which cannot be read.
func (l *lister) hasParquet() bool {
	files, err := l.parquetFiles(".", 0)
	if err != nil || len(files) == 0 {
		return false
	}
	_, err = l.openShard(l.wantedFiles(files)[0].path, new(parquetfile.Cache))
	_, none := errors.AsType[*noPicturesError](err)
	return !none
}

// wantedFiles returns the files of the split that is wanted, so that others need not be downloaded, and those that may have
// rows of it.
func (l *lister) wantedFiles(files []parquetFile) []parquetFile {
	wanted := l.opener.Split
	if wanted == "eval" {
		wanted = splitTrain
		for _, split := range []string{splitTest, splitVal} {
			if slices.ContainsFunc(files, func(f parquetFile) bool { return f.split == split }) {
				wanted = split
				break
			}
		}
	}
	var kept []parquetFile
	for _, f := range files {
		if wanted == "" || f.split == wanted || f.split == "" {
			kept = append(kept, f)
		}
	}
	if kept == nil {
		return files
	}
	return kept
}

// parquet lists a folder of Parquet files.
func (l *lister) parquet() (*Dataset, error) {
	files, err := l.parquetSet()
	if err != nil {
		return nil, err
	}
	b := newParquetBuilder(l)
	for _, f := range l.wantedFiles(files) {
		if err := b.add(f.path, f.split); err != nil {
			return nil, fmt.Errorf("%s: %w", f.path, err)
		}
	}
	return b.finish()
}

// parquetSet returns the Parquet files of a folder, which must be of one data set.
func (l *lister) parquetSet() ([]parquetFile, error) {
	files, err := l.parquetFiles(".", 0)
	if err != nil {
		return nil, err
	}
	var sets []string
	for _, f := range files {
		if !slices.Contains(sets, f.set) {
			sets = append(sets, f.set)
		}
	}
	if len(sets) > 1 {
		if !slices.Contains(sets, "default") {
			return nil, fmt.Errorf("it holds several data sets, of which one must be named by its folder: %s", strings.Join(sets, ", "))
		}
		files = slices.DeleteFunc(files, func(f parquetFile) bool { return f.set != "default" })
	}
	l.skipMissingShards(files)
	return files, nil
}

var shardName = regexp.MustCompile(`^(.*-)(\d{1,9})-of-(\d{1,9})(\.\w+)$`)

// skipMissingShards lists what should be there by the names of the others, as after a download that was not finished.
func (l *lister) skipMissingShards(files []parquetFile) {
	const most = 1000
	have := map[string]bool{}
	for _, f := range files {
		have[f.path] = true
	}
	for _, f := range files {
		m := shardName.FindStringSubmatch(f.path)
		if m == nil {
			continue
		}
		n, err := strconv.Atoi(m[3])
		if err != nil || n > most {
			continue
		}
		for i := range n {
			name := fmt.Sprintf("%s%0*d-of-%s%s", m[1], len(m[2]), i, m[3], m[4])
			if !have[name] {
				have[name] = true
				l.skip(name, "missing, by the names of the others")
			}
		}
	}
}
