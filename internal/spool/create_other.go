//go:build !windows

package spool

import "os"

// create returns a new file that has no name any more.
func create() (*os.File, error) {
	f, err := os.CreateTemp("", "bit-*")
	if err != nil {
		return nil, err
	}
	if err := os.Remove(f.Name()); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}
