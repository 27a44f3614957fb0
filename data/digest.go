package data

import (
	"crypto/sha256"
	"errors"
	"io"
	"os"
	"path/filepath"

	"github.com/bigtransfer/bit/internal/parquetfile"
)

// Digester is a [Source] that can tell pictures apart without decoding them.
type Digester interface {
	// Digest returns the SHA-256 of what the picture of an example is decoded from: pictures of the same digest are the
	// same. Its errors are those of failing to read, and [errors.ErrUnsupported] of a picture that it cannot tell.
	Digest(e Example) ([sha256.Size]byte, error)
}

// Digest is that of [Digester], of the source.
func (d *Dataset) Digest(e Example) (digest [sha256.Size]byte, err error) {
	if src, ok := d.Source.(Digester); ok {
		return src.Digest(e)
	}
	return digest, errors.ErrUnsupported
}

// Digest is that of [Digester]: of the file's bytes.
func (f Files) Digest(e Example) (digest [sha256.Size]byte, err error) {
	file, err := f.FS.Open(e.Path)
	if err != nil {
		return digest, err
	}
	defer file.Close()
	h := sha256.New()
	if _, err := io.Copy(h, file); err != nil {
		return digest, err
	}
	h.Sum(digest[:0])
	return digest, nil
}

// Digest is that of [Digester].
func (f localFiles) Digest(e Example) ([sha256.Size]byte, error) {
	dir, base := filepath.Split(f.path(e.Path))
	return Files{os.DirFS(filepath.Clean(dir))}.Digest(Example{Path: base})
}

// Digest is that of [Digester], of the bytes in a row.
func (p *parquetPictures) Digest(e Example) (digest [sha256.Size]byte, err error) {
	s := p.shards[e.At/rowsPerFile]
	b, err := s.file.Bytes(*s.bytes, e.At%rowsPerFile)
	if err == nil && b == nil || errors.Is(err, parquetfile.ErrCorrupt) { // a picture that is only named, or none
		err = errors.ErrUnsupported
	}
	if err != nil {
		return digest, err
	}
	return sha256.Sum256(b), nil
}

// Digest is that of [Digester], of the bytes of a file of its own.
func (l PictureList) Digest(e Example) (digest [sha256.Size]byte, err error) {
	if file := l[e.At].File; file != "" {
		return localFiles{"."}.Digest(Example{Path: filepath.ToSlash(file)})
	}
	return digest, errors.ErrUnsupported
}
