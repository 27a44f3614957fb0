// Package archive reads the files in zip and tar files in place: an index of them is a file system.
package archive

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"
	"time"
)

var (
	// ErrCorrupt means that a file in an archive was read and is damaged: its checksum is wrong or it does not unpack.
	ErrCorrupt = errors.New("damaged in the archive")
	// ErrChanged means that the archive has become shorter since it was opened.
	ErrChanged = errors.New("the archive has changed since it was opened")
)

// Member is a file in an archive.
type Member struct {
	Name string // slash-separated, and valid for package fs
	Size int64  // in bytes, unpacked
	file opener
}

// opener opens the content of a member.
type opener interface {
	open(m *Member) (io.ReadCloser, error)
}

// Left is what is in an archive and not read, and why.
type Left struct{ Name, Reason string }

// span is the opener of a member whose bytes lie in the archive as they are.
type span struct {
	r      io.ReaderAt
	offset int64
}

func (s span) open(m *Member) (io.ReadCloser, error) {
	return spanFile{io.NewSectionReader(s.r, s.offset, m.Size)}, nil
}

// spanFile is a file that can be read at any place.
type spanFile struct{ *io.SectionReader }

func (spanFile) Close() error { return nil }

// Span returns where in the archive the member's bytes lie, if they lie there as they are.
func (m *Member) Span() (offset int64, ok bool) {
	s, ok := m.file.(span)
	return s.offset, ok
}

// bounded is the bytes of an archive. That they end early is an error of its own, since the index was whole.
type bounded struct {
	r    io.ReaderAt
	size int64
}

func (b bounded) ReadAt(p []byte, at int64) (int, error) {
	if at < 0 || at >= b.size {
		return 0, io.EOF
	}
	end := false
	if int64(len(p)) > b.size-at {
		p, end = p[:b.size-at], true
	}
	n, err := b.r.ReadAt(p, at)
	switch {
	case n < len(p) && (err == nil || err == io.EOF || err == io.ErrUnexpectedEOF):
		return n, ErrChanged
	case n == len(p) && end:
		return n, io.EOF
	case n == len(p):
		return n, nil
	}
	return n, err
}

// clean returns the path of a file within an archive as package fs wants it, or why there is none.
func clean(name string) (cleaned, reason string) {
	name = strings.TrimLeft(name, "/")
	for _, part := range strings.Split(name, "/") {
		if part == ".." {
			return "", "its path leads out of the archive"
		}
	}
	name = path.Clean(name)
	if !fs.ValidPath(name) || name == "." || strings.ContainsRune(name, 0) {
		return "", "its path is not valid"
	}
	return name, ""
}

// info describes a member or a folder.
type info struct {
	name string
	size int64
	mode fs.FileMode
}

func (i info) Name() string               { return i.name }
func (i info) Size() int64                { return i.size }
func (i info) Mode() fs.FileMode          { return i.mode }
func (i info) Type() fs.FileMode          { return i.mode.Type() }
func (i info) ModTime() time.Time         { return time.Time{} }
func (i info) IsDir() bool                { return i.mode.IsDir() }
func (i info) Sys() any                   { return nil }
func (i info) Info() (fs.FileInfo, error) { return i, nil }
func (i info) String() string             { return fmt.Sprintf("%s, %d bytes", i.name, i.size) }
