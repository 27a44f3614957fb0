// Package atomicfile writes files that are there whole or not at all.
package atomicfile

import (
	"bufio"
	"context"
	"io"
	"os"
	"path/filepath"
)

// Replace writes a file so that, whatever happens, path holds either its old content or all of the new.
func Replace(path string, write func(io.Writer) error) (err error) {
	temp := path + ".tmp" // a fixed name: what a kill leaves behind, the next save overwrites
	f, err := os.Create(temp)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			f.Close()
			os.Remove(temp)
		}
	}()
	w := bufio.NewWriterSize(f, 1<<18)
	if err = write(w); err != nil {
		return err
	}
	if err = w.Flush(); err != nil {
		return err
	}
	if err = f.Sync(); err != nil {
		return err
	}
	if err = f.Close(); err != nil {
		return err
	}
	if err = os.Rename(temp, path); err != nil {
		return err
	}
	// The rename itself survives a power cut only when the directory is synced. Some systems cannot sync one, and
	// there the file is as safe as they allow.
	if dir, openErr := os.Open(filepath.Dir(path)); openErr == nil {
		dir.Sync()
		dir.Close()
	}
	return nil
}

// Until returns a writer to w that fails once ctx is done, with its cause.
func Until(ctx context.Context, w io.Writer) io.Writer { return until{ctx, w} }

type until struct {
	ctx context.Context
	w   io.Writer
}

func (u until) Write(p []byte) (int, error) {
	if u.ctx.Err() != nil {
		return 0, context.Cause(u.ctx)
	}
	return u.w.Write(p)
}
