// Package spool keeps streams in files without a name, for readers that must go back and forth in them.
package spool

import (
	"errors"
	"fmt"
	"io"
	"os"
)

// File copies what r holds to a file in the folder for temporary ones (TMPDIR), which is gone once it is closed or
// forgotten, or the program ends, in whatever way. It returns the file and its size. An error of r is returned as it is.
func File(r io.Reader) (*os.File, int64, error) {
	f, err := create()
	if err != nil {
		return nil, 0, fmt.Errorf("unpack: %w", err)
	}
	n, err := io.Copy(f, source{r})
	if err != nil {
		f.Close()
		if read, ok := errors.AsType[readError](err); ok {
			return nil, 0, read.error
		}
		return nil, 0, fmt.Errorf("unpack to %s after %d bytes: %w", os.TempDir(), n, err)
	}
	return f, n, nil
}

// source marks errors of reading, to tell them from those of writing.
type source struct{ io.Reader }

type readError struct{ error }

func (s source) Read(p []byte) (int, error) {
	n, err := s.Reader.Read(p)
	if err != nil && err != io.EOF {
		err = readError{err}
	}
	return n, err
}
