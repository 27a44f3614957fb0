package spool

import (
	"os"

	"golang.org/x/sys/windows"
)

// create returns a new file that the system removes when its last handle is closed.
func create() (*os.File, error) {
	named, err := os.CreateTemp("", "bit-*")
	if err != nil {
		return nil, err
	}
	path := named.Name()
	if err := named.Close(); err != nil {
		return nil, err
	}
	name, err := windows.UTF16PtrFromString(path)
	if err != nil {
		return nil, err
	}
	handle, err := windows.CreateFile(name, windows.GENERIC_READ|windows.GENERIC_WRITE, 0, nil, windows.OPEN_EXISTING,
		windows.FILE_ATTRIBUTE_TEMPORARY|windows.FILE_FLAG_DELETE_ON_CLOSE, 0)
	if err != nil {
		os.Remove(path)
		return nil, &os.PathError{Op: "open", Path: path, Err: err}
	}
	return os.NewFile(uintptr(handle), path), nil
}
