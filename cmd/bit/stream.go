package main

import (
	"io"
	"os"

	"golang.org/x/term"
)

// stream is standard output or standard error.
type stream struct {
	io.Writer
	terminal bool // whether a person is looking at it
	fd       int
}

func newStream(f *os.File) *stream {
	fd := int(f.Fd())
	return &stream{Writer: f, terminal: term.IsTerminal(fd) && os.Getenv("TERM") != "dumb", fd: fd}
}

// width returns the columns of the terminal, and a usual number where it does not say or there is none.
func (s *stream) width() int {
	if s.terminal {
		if w, _, err := term.GetSize(s.fd); err == nil && w > 0 {
			return w
		}
	}
	return 80
}

// color reports whether to use colours (https://no-color.org).
func (s *stream) color() bool { return s.terminal && os.Getenv("NO_COLOR") == "" }
