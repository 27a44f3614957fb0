package data

import (
	"bufio"
	"bytes"
	"compress/bzip2"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/bigtransfer/bit/internal/archive"
	"github.com/bigtransfer/bit/internal/spool"
)

func isZip(_ string, head []byte) bool { return archive.IsZip(head) }
func isTar(_ string, head []byte) bool { return archive.IsTar(head) }

// isPackedTar tells a tar file that is packed as a whole by its name, since its first bytes say only how.
func isPackedTar(name string, head []byte) bool {
	name = strings.ToLower(name)
	gz, bz := bytes.HasPrefix(head, []byte("\x1f\x8b")), bytes.HasPrefix(head, []byte("BZh"))
	for _, end := range []string{".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tbz"} {
		if (gz || bz) && strings.HasSuffix(name, end) {
			return true
		}
	}
	return false
}

// openZip lists the data set in a zip file.
func (o Opener) openZip(path string) (*Dataset, error) {
	index, err := openIndex(path, archive.Zip)
	if err != nil {
		return nil, err
	}
	return o.openArchive(index)
}

// openIndex opens an archive and reads what is in it.
func openIndex(path string, index func(io.ReaderAt, int64) (*archive.FS, error)) (*archive.FS, error) {
	f, size, err := openSized(path)
	if err != nil {
		return nil, err
	}
	files, err := index(f, size)
	if err != nil {
		f.Close()
	}
	return files, err
}

// indexTar reads what is in a tar file.
func indexTar(r io.ReaderAt, size int64) (*archive.FS, error) {
	members, left, err := archive.TarMembers(r, size)
	if err != nil {
		return nil, err
	}
	return archive.NewFS(members, left)
}

// openTar lists the data set in a tar file.
func (o Opener) openTar(path string) (*Dataset, error) { return o.openTarBy(openSized, path) }

// openPackedTar lists the data set in a tar file that is packed as a whole. Such a stream can only be read from its start,
// so it is unpacked to a temporary file, and each opening takes as long as unpacking.
func (o Opener) openPackedTar(path string) (*Dataset, error) { return o.openTarBy(unpackTar, path) }

// openTarBy lists the data set in a tar file that open opens.
func (o Opener) openTarBy(open func(path string) (*os.File, int64, error), path string) (*Dataset, error) {
	f, size, err := open(path)
	if err != nil {
		return nil, err
	}
	d, err := o.openTarFile(path, f, size)
	if err != nil {
		f.Close()
	}
	return d, err
}

// unpackTar unpacks a tar file to a temporary one.
func unpackTar(path string) (f *os.File, size int64, err error) {
	in, err := os.Open(path)
	if err != nil {
		return nil, 0, err
	}
	defer in.Close()
	buffered := bufio.NewReaderSize(in, 1<<20)
	var r io.Reader
	if head, _ := buffered.Peek(2); string(head) == "BZ" {
		r = bzip2.NewReader(buffered)
	} else if r, err = gzip.NewReader(buffered); err != nil {
		return nil, 0, streamError(err)
	}
	f, size, err = spool.File(r)
	return f, size, streamError(err)
}

// streamError says in words what the end of a packed stream means.
func streamError(err error) error {
	if err == io.EOF || errors.Is(err, io.ErrUnexpectedEOF) {
		return errors.New("it is cut short within the packed stream")
	}
	return err
}

// openTarFile lists a tar file: a shard of a WebDataset, or an archive of something else.
func (o Opener) openTarFile(path string, r io.ReaderAt, size int64) (*Dataset, error) {
	members, left, err := archive.TarMembers(r, size)
	if err != nil {
		return nil, err
	}
	if hasSamples(members) {
		dir, name := filepath.Split(path)
		l := newDirLister(o, filepath.Clean(dir))
		open := &packedFile{name: name, size: size, held: r}
		return l.completed(l.webDatasetOf([]shard{{name: name, split: splitInName(name), file: open}}))
	}
	index, err := archive.NewFS(members, left)
	if err != nil {
		return nil, err
	}
	return o.openArchive(index)
}

func openSized(path string) (*os.File, int64, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, 0, err
	}
	info, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, 0, err
	}
	return f, info.Size(), nil
}

// openArchive lists the data set in an archive. The one folder that holds everything, as most archives have it, is
// looked through.
func (o Opener) openArchive(index *archive.FS) (*Dataset, error) {
	var fsys fs.FS = index
	top := "."
	for range maxNesting {
		sub := wrapper(fsys)
		if sub == "" {
			break
		}
		inside, err := fs.Sub(fsys, sub)
		if err != nil {
			return nil, err
		}
		fsys, top = inside, path.Join(top, sub)
	}
	d, err := o.openRoot(&lister{fsys: fsys, opener: o})
	if err != nil {
		if top != "." {
			err = fmt.Errorf("%s: %w", top, err)
		}
		return nil, err
	}
	for _, l := range index.Left {
		d.Skipped = append(d.Skipped, Skipped{Path: l.Name, Reason: l.Reason})
	}
	return d, nil
}

// wrapper returns the name of the folder that holds all of a file system and is no part of the data set: neither a split
// nor a class.
func wrapper(fsys fs.FS) string {
	l := &lister{fsys: fsys}
	dirs, files, err := l.read(".")
	if err != nil {
		return ""
	}
	if len(dirs) != 1 || len(files) > 0 {
		return ""
	}
	sub, err := fs.Sub(fsys, dirs[0])
	if err != nil {
		return ""
	}
	inside := &lister{fsys: sub}
	for _, layout := range layouts[:len(layouts)-1] {
		if layout.is(inside) {
			return dirs[0]
		}
	}
	if below, _, err := inside.read("."); err != nil || len(below) == 0 || splitOf(dirs[0]) != "" {
		return ""
	}
	return dirs[0]
}
