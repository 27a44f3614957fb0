package data

import (
	"crypto/sha256"
	"io"
)

// Digester is a [Source] that can tell pictures apart without decoding them.
type Digester interface {
	// Digest returns the SHA-256 of what the picture of an example is decoded from: pictures of the same digest are the
	// same. Its errors are those of failing to read.
	Digest(e Example) ([sha256.Size]byte, error)
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
