package data

import (
	"errors"
	"io/fs"

	"github.com/bigtransfer/bit/imaging"
	"github.com/bigtransfer/bit/internal/archive"
)

// Source gives the pictures of a data set, in any order and to any number of goroutines at once.
type Source interface {
	// Image decodes the picture of an example, upright, in RGB; it belongs to the caller. A [*BrokenError] says that it
	// was read and cannot be decoded: it is passed over and listed. Any other error, of a file that vanished or a disk
	// that fails, ends what is being done.
	Image(e Example) (*imaging.Image, error)
}

// BrokenError says that a picture was read and is none that can be decoded. It does not name the picture.
type BrokenError struct{ Err error }

func (e *BrokenError) Error() string { return e.Err.Error() }
func (e *BrokenError) Unwrap() error { return e.Err }

// Files is the source of pictures that are files of a file system, at the paths of their examples.
type Files struct{ FS fs.FS }

// Image is that of [Source].
func (f Files) Image(e Example) (*imaging.Image, error) {
	img, err := imaging.DecodeFS(f.FS, e.Path)
	if err == nil {
		return img, nil
	}
	if _, unread := errors.AsType[*fs.PathError](err); unread && !errors.Is(err, archive.ErrCorrupt) {
		return nil, err
	}
	return nil, &BrokenError{err}
}
