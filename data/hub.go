package data

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/bigtransfer/bit/hub"
)

// isHub reports whether a reference is that of a data set of a hub.
func isHub(ref string) bool { return strings.HasPrefix(ref, "hf://") }

// convertedRevision is the branch to which the hub converts the data sets that only a program can read.
const convertedRevision = "refs/convert/parquet"

// hubFiles is a data set of a hub as a file system. Files are downloaded when they are opened, into the cache that
// Python's huggingface_hub shares.
type hubFiles struct {
	ctx  context.Context
	d    *hub.Dataset
	dirs map[string][]fs.DirEntry // sorted by name
	size map[string]int64         // of files
}

func newHubFiles(ctx context.Context, d *hub.Dataset) *hubFiles {
	h := &hubFiles{ctx: ctx, d: d, dirs: map[string][]fs.DirEntry{".": nil}, size: map[string]int64{}}
	for _, f := range d.Files {
		if !fs.ValidPath(f.Path) {
			continue
		}
		h.size[f.Path] = f.Size
		h.add(path.Dir(f.Path), hubEntry{path.Base(f.Path), f.Size, 0o444})
	}
	for _, entries := range h.dirs {
		slices.SortFunc(entries, func(a, b fs.DirEntry) int { return cmp.Compare(a.Name(), b.Name()) })
	}
	return h
}

// add adds an entry to a folder, and the folder to its own.
func (h *hubFiles) add(dir string, e hubEntry) {
	if _, known := h.dirs[dir]; !known && dir != "." {
		h.dirs[dir] = nil
		h.add(path.Dir(dir), hubEntry{path.Base(dir), 0, fs.ModeDir | 0o555})
	}
	h.dirs[dir] = append(h.dirs[dir], e)
}

// Open implements [fs.FS].
func (h *hubFiles) Open(name string) (fs.File, error) {
	if entries, isDir := h.dirs[name]; isDir {
		return &hubDir{hubEntry{path.Base(name), 0, fs.ModeDir | 0o555}, entries}, nil
	}
	if _, ok := h.size[name]; !ok {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	at, err := h.d.Get(h.ctx, name)
	if err != nil {
		return nil, &fs.PathError{Op: "download", Path: name, Err: err}
	}
	return os.Open(at)
}

// Stat implements [fs.StatFS], without a download.
func (h *hubFiles) Stat(name string) (fs.FileInfo, error) {
	if size, ok := h.size[name]; ok {
		return hubEntry{path.Base(name), size, 0o444}, nil
	}
	if _, ok := h.dirs[name]; ok {
		return hubEntry{path.Base(name), 0, fs.ModeDir | 0o555}, nil
	}
	return nil, &fs.PathError{Op: "stat", Path: name, Err: fs.ErrNotExist}
}

// ReadDir implements [fs.ReadDirFS].
func (h *hubFiles) ReadDir(name string) ([]fs.DirEntry, error) {
	entries, ok := h.dirs[name]
	if !ok {
		return nil, &fs.PathError{Op: "readdir", Path: name, Err: fs.ErrNotExist}
	}
	return slices.Clone(entries), nil
}

// hubEntry describes a file or folder.
type hubEntry struct {
	name string
	size int64
	mode fs.FileMode
}

func (e hubEntry) Name() string               { return e.name }
func (e hubEntry) Size() int64                { return e.size }
func (e hubEntry) Mode() fs.FileMode          { return e.mode }
func (e hubEntry) Type() fs.FileMode          { return e.mode.Type() }
func (e hubEntry) ModTime() time.Time         { return time.Time{} }
func (e hubEntry) IsDir() bool                { return e.mode.IsDir() }
func (e hubEntry) Sys() any                   { return nil }
func (e hubEntry) Info() (fs.FileInfo, error) { return e, nil }

// hubDir is an open folder.
type hubDir struct {
	hubEntry
	left []fs.DirEntry
}

func (d *hubDir) Stat() (fs.FileInfo, error) { return d.hubEntry, nil }
func (d *hubDir) Close() error               { return nil }
func (d *hubDir) Read([]byte) (int, error) {
	return 0, &fs.PathError{Op: "read", Path: d.name, Err: errors.New("is a folder")}
}

// ReadDir implements [fs.ReadDirFile].
func (d *hubDir) ReadDir(n int) ([]fs.DirEntry, error) {
	if n <= 0 {
		n = len(d.left)
	} else if len(d.left) == 0 {
		return nil, io.EOF
	}
	some := d.left[:min(n, len(d.left))]
	d.left = d.left[len(some):]
	return slices.Clone(some), nil
}

// openHub finds a data set of a hub. It returns its files, or the one file on disk that the reference names.
func (o Opener) openHub(ctx context.Context, ref string) (files fs.FS, file string, err error) {
	client := o.Hub
	if client == nil {
		client = hub.FromEnv()
	}
	parsed, err := client.ParseDataset(ref)
	if err != nil {
		return nil, "", err
	}
	d, err := client.Dataset(ctx, parsed)
	if err != nil {
		return nil, "", err
	}
	// What only a program can read, the hub may have converted.
	if parsed.Revision == hub.DefaultRevision && !slices.ContainsFunc(d.Files, hasPictures) {
		converted := parsed
		converted.Revision = convertedRevision
		if c, err := client.Dataset(ctx, converted); err == nil {
			d = c
		} else if ctx.Err() != nil {
			return nil, "", err
		}
	}
	if len(d.Files) == 1 && d.Files[0].Path == parsed.Path {
		file, err := d.Get(ctx, parsed.Path)
		return nil, file, err
	}
	all := newHubFiles(ctx, d)
	if parsed.Path == "" {
		return all, "", nil
	}
	files, err = fs.Sub(all, parsed.Path)
	return files, "", err
}

// hasPictures reports whether a file is a picture or may hold or name some.
func hasPictures(f hub.File) bool {
	switch strings.ToLower(path.Ext(f.Path)) {
	case parquetExt, ".zip", ".tar", ".tgz", ".gz", ".tfrecord":
		return true
	}
	return IsImageName(f.Path)
}

// openHubDataset lists a data set of a hub.
func (o Opener) openHubDataset(ctx context.Context, ref string) (*Dataset, error) {
	files, file, err := o.openHub(ctx, ref)
	switch {
	case err != nil:
		return nil, err
	case file != "":
		return o.openFile(file)
	}
	return o.openRoot(&lister{fsys: files, opener: o})
}

// hubPictures yields the pictures of a data set of a hub.
func (o Opener) hubPictures(ctx context.Context, ref string, yield func(Picture) bool) bool {
	fail := func(err error) bool { return yield(failedPicture(ref, err)) }
	files, file, err := o.openHub(ctx, ref)
	if err != nil {
		return fail(err)
	}
	base := strings.TrimSuffix(ref, "/")
	if file != "" {
		renamed := func(p Picture) bool {
			if rest, ok := strings.CutPrefix(p.Name, file); ok {
				p.Name = base + rest
			}
			return yield(p)
		}
		return o.inFile(ctx, file, renamed)
	}
	name := func(p string) string { return base + "/" + p }
	l := &lister{fsys: files, opener: o}
	if shards, err := l.parquetSet(); err == nil && len(shards) > 0 {
		return o.hubShards(ctx, l, l.wantedFiles(shards), name, yield)
	} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fail(fmt.Errorf("%s: %w", ref, err))
	}
	found := false
	more := walkImages(ctx, files, func(p string) bool {
		found = true
		return yield(sourcePicture(name(p), "", Files{files}, Example{Path: p}))
	})
	if found || !more {
		return more
	}
	return o.inDataset(ctx, ref, ref, nil, func(p Picture) bool {
		p.Name = base + strings.TrimPrefix(filepath.ToSlash(p.Name), path.Clean(ref))
		return yield(p)
	})
}

// hubShards yields the rows of Parquet files. While those of one are used the next is downloaded.
func (o Opener) hubShards(ctx context.Context, l *lister, shards []parquetFile, name func(string) string, yield func(Picture) bool) bool {
	ctx, cancel := context.WithCancel(ctx)
	type opened struct {
		shard *parquetShard
		err   error
	}
	b := newParquetBuilder(l)
	next := make(chan opened) // holds none, so that one file is ahead and no more
	done := make(chan struct{})
	defer func() { cancel(); <-done }()
	go func() {
		defer close(done)
		defer close(next)
		for _, f := range shards {
			s, err := l.openShard(f.path, &b.cache)
			select {
			case next <- opened{s, err}:
			case <-ctx.Done():
				return
			}
		}
	}()
	for i := 0; i < len(shards); i++ {
		s, ok := <-next
		switch {
		case !ok:
			return false
		case s.err != nil:
			if !yield(failedPicture(name(shards[i].path), fmt.Errorf("%s: %w", name(shards[i].path), s.err))) {
				return false
			}
		case !b.rows(s.shard, name, yield):
			return false
		}
	}
	return true
}
