package data

import (
	"bufio"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// shard is one of the files that a data set of packed pictures is cut into.
type shard struct {
	fsys  fs.FS
	name  string // in fsys
	split string
	file  *packedFile // of a shard that is open already, or nil
}

// open opens a shard for reading at any place.
func (s shard) open() (*packedFile, error) {
	if s.file != nil {
		return s.file, nil
	}
	var unpack func(io.Reader) (io.Reader, error)
	if strings.HasSuffix(strings.ToLower(s.name), ".gz") {
		unpack = gunzip
	}
	return openPacked(s.fsys, s.name, unpack)
}

func gunzip(r io.Reader) (io.Reader, error) { return gzip.NewReader(bufio.NewReader(r)) }

// shards returns the files at the root, or else in the folders of the splits, that have such a name.
func (l *lister) shards(is func(name string) bool) []shard {
	peek := &lister{fsys: l.fsys}
	dirs, files, err := peek.read(".")
	if err != nil {
		return nil
	}
	var found []shard
	add := func(dir, split string, files []string) {
		for _, name := range files {
			if is(name) {
				s := shard{fsys: l.fsys, name: path.Join(dir, name), split: split}
				if s.split == "" {
					s.split = splitInName(name)
				}
				found = append(found, s)
			}
		}
	}
	add(".", "", files)
	if len(found) > 0 {
		return found
	}
	for _, dir := range dirs {
		if split := splitOf(dir); split != "" {
			if _, files, err := peek.read(dir); err == nil {
				add(dir, split, files)
			}
		}
	}
	return found
}

// maxBraces bounds how many files a pattern may mean.
const maxBraces = 100_000

// expandBraces returns the paths that a pattern means: {000..009} stands for each of the numbers, as wide as the first,
// and {train,val} for each of the texts.
func expandBraces(pattern string) ([]string, error) {
	before, rest, ok := strings.Cut(pattern, "{")
	if !ok {
		return []string{pattern}, nil
	}
	inside, after, ok := strings.Cut(rest, "}")
	if !ok {
		return nil, fmt.Errorf("the pattern %s has a { without a }", pattern)
	}
	tails, err := expandBraces(after)
	if err != nil {
		return nil, err
	}
	options := strings.Split(inside, ",")
	if from, to, isRange := strings.Cut(inside, ".."); isRange {
		first, err1 := strconv.Atoi(from)
		last, err2 := strconv.Atoi(to)
		if err1 != nil || err2 != nil || first < 0 || last < first || last-first >= maxBraces {
			return nil, fmt.Errorf("the pattern {%s}: expected a range of numbers such as {000000..000009}, of at most %d", inside, maxBraces)
		}
		options = options[:0]
		for n := first; n <= last; n++ {
			options = append(options, fmt.Sprintf("%0*d", len(from), n))
		}
	}
	if len(options)*len(tails) > maxBraces {
		return nil, fmt.Errorf("the pattern %s means more than %d files", pattern, maxBraces)
	}
	var all []string
	for _, o := range options {
		for _, t := range tails {
			all = append(all, before+o+t)
		}
	}
	return all, nil
}

// openPattern lists the shards that a pattern of braces means.
func (o Opener) openPattern(pattern string) (*Dataset, error) {
	paths, err := expandBraces(filepath.ToSlash(pattern))
	if err != nil {
		return nil, err
	}
	root, _, _ := strings.Cut(filepath.ToSlash(pattern), "{")
	root = root[:strings.LastIndex(root, "/")+1]
	l := newDirLister(o, filepath.Clean(filepath.FromSlash(root)))
	shards := make([]shard, len(paths))
	for i, p := range paths {
		name := strings.TrimPrefix(p, root)
		split := splitInName(path.Base(name))
		if split == "" {
			split = splitInName(path.Dir(name))
		}
		shards[i] = shard{fsys: l.fsys, name: name, split: split}
	}
	list := l.webDatasetOf
	if isTFRecord(shards[0]) {
		list = l.tfRecordOf
	}
	return l.completed(list(shards))
}

// completed completes a data set that was listed without an error.
func (l *lister) completed(d *Dataset, err error) (*Dataset, error) {
	if err != nil {
		return nil, err
	}
	l.complete(d)
	return d, nil
}

// classFiles are the names that files of class names have beside shards.
var classFiles = []string{"classes.txt", "classnames.txt", "labels.txt", "label.labels.txt"}

// classNames returns the names of the classes from a file beside the shards, if there is one. A line is a name, or a
// number, a colon and the name of that number.
func (l *lister) classNames() ([]string, error) {
	if l.opener.Classes != nil {
		return l.opener.Classes, nil
	}
	_, files, err := (&lister{fsys: l.fsys}).read(".")
	if err != nil {
		return nil, err
	}
	names := classFiles
	for _, file := range files {
		if strings.HasSuffix(file, ".labels.txt") { // of a feature of another name
			names = append(names[:len(names):len(names)], file)
		}
	}
	for _, file := range names {
		if slices.Contains(files, file) {
			return l.readClassNames(file)
		}
	}
	return nil, nil
}

func (l *lister) readClassNames(file string) ([]string, error) {
	var classes []string
	numbered := true
	err := l.lines(file, func(line string) error {
		line = strings.TrimSpace(line)
		number, _, ok := strings.Cut(line, ":")
		n, err := strconv.Atoi(number)
		numbered = numbered && ok && err == nil && n == len(classes)
		classes = append(classes, line)
		return nil
	})
	if err == nil && len(classes) == 0 {
		err = fmt.Errorf("%s: expected the names of classes, found none", file)
	}
	if numbered {
		for i, line := range classes {
			_, classes[i], _ = strings.Cut(line, ":")
		}
	}
	return classes, err
}

// shardBuilder makes a data set of the pictures in shards.
type shardBuilder struct {
	l       *lister
	d       *Dataset
	source  *packed
	labels  *labeler
	total   int
	skipped int
	first   string // reason of the first that was skipped
}

func (l *lister) newShardBuilder() (*shardBuilder, error) {
	classes, err := l.classNames()
	if err != nil {
		return nil, err
	}
	b := &shardBuilder{l: l, d: &Dataset{}, source: &packed{decode: decodeFile}}
	b.d.Source = b.source
	b.labels, err = newLabeler(classes)
	return b, err
}

// skip passes over a sample that cannot be used.
func (b *shardBuilder) skip(path, reason string) {
	b.l.skip(path, reason)
	b.total++
	if b.skipped++; b.skipped == 1 {
		b.first = path + ": " + reason
	}
}

// put adds a picture with its labels, which are names or numbers of classes.
func (b *shardBuilder) put(split, path string, at int64, labels []string) error {
	b.total++
	e := Example{Path: path, At: at, Label: NoLabel}
	if len(labels) != 1 {
		b.d.MultiLabel = true
		e.Labels = []int32{}
	}
	for _, text := range labels {
		label, err := b.labels.number(text)
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		if e.Label == NoLabel {
			e.Label = int(label)
		}
		if len(labels) != 1 && !slices.Contains(e.Labels, label) {
			e.Labels = append(e.Labels, label)
		}
	}
	if slices.Sort(e.Labels); len(e.Labels) > 0 {
		e.Label = int(e.Labels[0])
	}
	b.d.add(split, e)
	return nil
}

// finish returns the data set.
func (b *shardBuilder) finish() (*Dataset, error) {
	if b.total == 0 {
		return nil, ErrNoImages
	}
	if err := b.l.opener.tooManySkipped(b.skipped, b.total, b.first, ""); err != nil {
		return nil, err
	}
	if len(b.d.Train)+len(b.d.Val)+len(b.d.Test) == 0 {
		return nil, errors.New(b.first)
	}
	if b.d.MultiLabel {
		for _, split := range [][]Example{b.d.Train, b.d.Val, b.d.Test} {
			for i := range split {
				if e := &split[i]; e.Labels == nil {
					e.Labels = []int32{int32(e.Label)}
				}
			}
		}
	}
	b.labels.finish(b.d)
	return b.d, nil
}
