package archive

import (
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
)

// FS is the files of an archive as a file system. Its files implement io.ReaderAt where the archive stores them
// unpacked. It is safe for concurrent use.
type FS struct {
	members []Member // sorted by compareNames, each name once
	Left    []Left   // what was left out
}

var _ interface {
	fs.ReadDirFS
	fs.StatFS
} = (*FS)(nil)

// compareNames sorts paths so that what is in a folder follows it directly: a slash comes before all other bytes.
func compareNames(a, b string) int {
	n := min(len(a), len(b))
	for i := range n {
		if a[i] != b[i] {
			switch {
			case a[i] == '/':
				return -1
			case b[i] == '/':
				return 1
			}
			return int(a[i]) - int(b[i])
		}
	}
	return len(a) - len(b)
}

// NewFS indexes the members of an archive, a slice that is the index's from then on, and notes what was left out. Of two
// with one name the later counts, as it does when they are unpacked.
func NewFS(members []Member, left []Left) (*FS, error) {
	slices.SortStableFunc(members, func(a, b Member) int { return compareNames(a.Name, b.Name) })
	kept := members[:0]
	for i, m := range members {
		if i+1 < len(members) && members[i+1].Name == m.Name {
			left = append(left, Left{m.Name, "the archive has a later file of this name"})
			continue
		}
		if n := len(kept); n > 0 && strings.HasPrefix(m.Name, kept[n-1].Name+"/") {
			return nil, fmt.Errorf("%s is both a file and a folder", kept[n-1].Name)
		}
		kept = append(kept, m)
	}
	clear(members[len(kept):])
	return &FS{members: kept, Left: left}, nil
}

// within returns the range of members in a folder and below.
func (f *FS) within(dir string) (from, to int) {
	if dir == "." {
		return 0, len(f.members)
	}
	from, _ = slices.BinarySearchFunc(f.members, dir+"/", func(m Member, name string) int { return compareNames(m.Name, name) })
	return from, f.after(from, dir+"/")
}

// after returns the first member from the given one on that does not start with prefix.
func (f *FS) after(from int, prefix string) int {
	n, _ := slices.BinarySearchFunc(f.members[from:], prefix, func(m Member, prefix string) int {
		if strings.HasPrefix(m.Name, prefix) {
			return -1
		}
		return 1
	})
	return from + n
}

// find returns the member at a path, or whether it is a folder.
func (f *FS) find(op, name string) (m *Member, dir bool, err error) {
	if !fs.ValidPath(name) {
		return nil, false, &fs.PathError{Op: op, Path: name, Err: fs.ErrInvalid}
	}
	if i, ok := slices.BinarySearchFunc(f.members, name, func(m Member, name string) int { return compareNames(m.Name, name) }); ok {
		return &f.members[i], false, nil
	}
	if from, to := f.within(name); from < to || name == "." {
		return nil, true, nil
	}
	return nil, false, &fs.PathError{Op: op, Path: name, Err: fs.ErrNotExist}
}

const (
	fileMode = 0o444
	dirMode  = fs.ModeDir | 0o555
)

// Stat is that of [fs.StatFS].
func (f *FS) Stat(name string) (fs.FileInfo, error) {
	m, dir, err := f.find("stat", name)
	if err != nil {
		return nil, err
	}
	if dir {
		return info{name: path.Base(name), mode: dirMode}, nil
	}
	return info{path.Base(name), m.Size, fileMode}, nil
}

// Open is that of [fs.FS].
func (f *FS) Open(name string) (fs.File, error) {
	m, isDir, err := f.find("open", name)
	if err != nil {
		return nil, err
	}
	if isDir {
		return &dir{fsys: f, name: name}, nil
	}
	r, err := m.file.open(m)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	i := info{path.Base(name), m.Size, fileMode}
	if s, ok := r.(spanFile); ok {
		return &randomFile{s, i}, nil
	}
	return &file{r, i}, nil
}

// ReadDir is that of [fs.ReadDirFS].
func (f *FS) ReadDir(name string) ([]fs.DirEntry, error) {
	m, _, err := f.find("readdir", name)
	if err != nil {
		return nil, err
	}
	if m != nil {
		return nil, &fs.PathError{Op: "readdir", Path: name, Err: fmt.Errorf("not a folder")}
	}
	prefix := ""
	if name != "." {
		prefix = name + "/"
	}
	var entries []fs.DirEntry
	from, to := f.within(name)
	for i := from; i < to; {
		rest := f.members[i].Name[len(prefix):]
		sub, _, isDir := strings.Cut(rest, "/")
		if !isDir {
			entries = append(entries, info{rest, f.members[i].Size, fileMode})
			i++
			continue
		}
		entries = append(entries, info{name: sub, mode: dirMode})
		i = f.after(i, prefix+sub+"/")
	}
	// What lies in a folder comes before "folder-2", but package fs sorts by name.
	slices.SortFunc(entries, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	return entries, nil
}

// file is an opened member.
type file struct {
	io.ReadCloser
	info info
}

func (f *file) Stat() (fs.FileInfo, error) { return f.info, nil }

// randomFile is an opened member that is stored as it is.
type randomFile struct {
	spanFile
	info info
}

func (f *randomFile) Stat() (fs.FileInfo, error) { return f.info, nil }

// dir is an opened folder.
type dir struct {
	fsys    *FS
	name    string
	entries []fs.DirEntry
	read    bool
}

func (d *dir) Stat() (fs.FileInfo, error) { return info{name: path.Base(d.name), mode: dirMode}, nil }
func (d *dir) Close() error               { return nil }
func (d *dir) Read([]byte) (int, error) {
	return 0, &fs.PathError{Op: "read", Path: d.name, Err: fmt.Errorf("is a folder")}
}

// ReadDir is that of [fs.ReadDirFile].
func (d *dir) ReadDir(n int) ([]fs.DirEntry, error) {
	if !d.read {
		entries, err := d.fsys.ReadDir(d.name)
		if err != nil {
			return nil, err
		}
		d.entries, d.read = entries, true
	}
	if n <= 0 {
		n = len(d.entries)
	} else if len(d.entries) == 0 {
		return nil, io.EOF
	}
	n = min(n, len(d.entries))
	some := d.entries[:n:n]
	d.entries = d.entries[n:]
	return some, nil
}
