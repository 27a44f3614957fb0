package archive

import (
	"archive/zip"
	"compress/flate"
	"errors"
	"fmt"
	"io"
	"strings"
)

// IsZip reports whether a file that starts with head is a zip file, perhaps an empty one.
func IsZip(head []byte) bool {
	return strings.HasPrefix(string(head), "PK\x03\x04") || strings.HasPrefix(string(head), "PK\x05\x06")
}

// maxRatio is how many bytes one byte of a deflate stream can at most become: 258 bytes of a copy take at least 2 bits.
const maxRatio = 1032

// Zip indexes a zip file.
func Zip(r io.ReaderAt, size int64) (*FS, error) {
	archive := bounded{r, size}
	z, err := zip.NewReader(archive, size)
	if err != nil && !errors.Is(err, zip.ErrInsecurePath) {
		if errors.Is(err, zip.ErrFormat) {
			err = errors.New("it is cut short or damaged: expected a list of its files at the end")
		}
		return nil, fmt.Errorf("zip file of %d bytes: %w", size, err)
	}
	var left []Left
	members := make([]Member, 0, len(z.File))
	for _, f := range z.File {
		if strings.HasSuffix(f.Name, "/") {
			continue
		}
		name, reason := clean(strings.ReplaceAll(f.Name, `\`, "/"))
		m := Member{Name: name, Size: int64(f.UncompressedSize64), file: zipped{f}}
		switch {
		case f.Flags&1 != 0:
			reason = "it is encrypted"
		case !f.Mode().IsRegular():
			reason = "neither a file nor a folder"
		case f.Method != zip.Store && f.Method != zip.Deflate:
			reason = fmt.Sprintf("compressed by method %d, expected 0 (not at all) or 8 (deflate)", f.Method)
		case f.CompressedSize64 > uint64(size) || f.UncompressedSize64/maxRatio > f.CompressedSize64,
			f.Method == zip.Store && f.CompressedSize64 != f.UncompressedSize64:
			return nil, fmt.Errorf("zip file of %d bytes: %s claims to be %d bytes, %d of them packed",
				size, f.Name, f.UncompressedSize64, f.CompressedSize64)
		}
		if reason != "" {
			left = append(left, Left{f.Name, reason})
			continue
		}
		f.Extra, f.Comment = nil, "" // what opening does not need, of perhaps a million files
		members = append(members, m)
	}
	return NewFS(members, left)
}

// zipped is the opener of a file in a zip file.
type zipped struct{ f *zip.File }

func (z zipped) open(m *Member) (io.ReadCloser, error) {
	r, err := z.f.Open()
	if err != nil {
		return nil, zipError(err)
	}
	return zipFile{r}, nil
}

type zipFile struct{ io.ReadCloser }

func (z zipFile) Read(p []byte) (int, error) {
	n, err := z.ReadCloser.Read(p)
	return n, zipError(err)
}

// zipError tells damage from errors of reading the archive.
func zipError(err error) error {
	if _, corrupt := errors.AsType[flate.CorruptInputError](err); corrupt || errors.Is(err, zip.ErrFormat) ||
		errors.Is(err, zip.ErrChecksum) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("%w (%w)", ErrCorrupt, err)
	}
	return err
}
