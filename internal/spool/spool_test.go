package spool

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
)

// empty fails unless the folder for temporary files is.
func empty(t *testing.T, dir string) {
	t.Helper()
	if entries, err := os.ReadDir(dir); err != nil || len(entries) > 0 {
		t.Errorf("%d files are left, error %v", len(entries), err)
	}
}

func TestFile(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	t.Setenv("TMP", dir)
	want := bytes.Repeat([]byte("0123456789"), 100_000)
	f, n, err := File(iotest.HalfReader(bytes.NewReader(want)))
	if err != nil {
		t.Fatal(err)
	}
	got := make([]byte, 1000)
	if _, err := f.ReadAt(got, 5000); err != nil || n != int64(len(want)) || !bytes.Equal(got, want[5000:6000]) {
		t.Errorf("%d bytes, error %v, want %d", n, err, len(want))
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
	empty(t, dir)
}

func TestFileErrors(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	t.Setenv("TMP", dir)
	broken := errors.New("broken stream")
	if _, _, err := File(io.MultiReader(strings.NewReader("abc"), iotest.ErrReader(broken))); err != broken {
		t.Errorf("error %v, want that of the stream alone", err)
	}
	empty(t, dir)
	missing := filepath.Join(dir, "missing")
	t.Setenv("TMPDIR", missing)
	t.Setenv("TMP", missing)
	if _, _, err := File(strings.NewReader("abc")); !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), missing) {
		t.Errorf("error %v, want one that names %s", err, missing)
	}
}
