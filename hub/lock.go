package hub

import (
	"context"
	"os"
	"path/filepath"
	"time"
)

// lockPace is how often a lock that another process holds is tried.
const lockPace = 50 * time.Millisecond

// lock takes the lock file at path, as Python's filelock does, and returns what releases it. The file stays: removing it
// would let a third process lock a new one while a second still waits for the old.
func lock(ctx context.Context, path string) (release func(), err error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		return nil, err
	}
	for {
		f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o664)
		if err != nil {
			return nil, err
		}
		got, err := tryLock(f)
		if err != nil {
			f.Close()
			return nil, err
		}
		if got && sameFile(f, path) {
			return func() { f.Close() }, nil // closing releases
		}
		f.Close() // locked by another, or a file that its holder has removed since
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-time.After(lockPace):
		}
	}
}

func sameFile(f *os.File, path string) bool {
	a, err := f.Stat()
	if err != nil {
		return false
	}
	b, err := os.Stat(path)
	return err == nil && os.SameFile(a, b)
}
