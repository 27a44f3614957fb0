package atomicfile

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
)

func write(text string, err error) func(io.Writer) error {
	return func(w io.Writer) error {
		io.WriteString(w, text)
		return err
	}
}

// expect fails unless the folder holds this one file with this content.
func expect(t *testing.T, path, want string) {
	t.Helper()
	got, err := os.ReadFile(path)
	if err != nil || string(got) != want {
		t.Errorf("content %q, error %v, want %q", got, err, want)
	}
	if entries, err := os.ReadDir(filepath.Dir(path)); err != nil || len(entries) != 1 {
		t.Errorf("%d files, error %v, want 1", len(entries), err)
	}
}

func TestReplace(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path+".tmp", []byte("left by a kill, and longer"), 0o666); err != nil {
		t.Fatal(err)
	}
	if err := Replace(path, write("first", nil)); err != nil {
		t.Fatal(err)
	}
	expect(t, path, "first")
	full := errors.New("no space left on device")
	if err := Replace(path, write("sec", full)); !errors.Is(err, full) {
		t.Errorf("error %v, want %v", err, full)
	}
	expect(t, path, "first")
	if err := Replace(path, write("second", nil)); err != nil {
		t.Fatal(err)
	}
	expect(t, path, "second")
}

func TestUntil(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	if err := Replace(path, write("old", nil)); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	stop := errors.New("stop")
	err := Replace(path, func(w io.Writer) error {
		w = Until(ctx, w)
		if _, err := io.WriteString(w, "new"); err != nil {
			t.Errorf("before the end: %v", err)
		}
		cancel(stop)
		_, err := io.WriteString(w, "newer")
		return err
	})
	if !errors.Is(err, stop) {
		t.Errorf("error %v, want %v", err, stop)
	}
	expect(t, path, "old")
}
