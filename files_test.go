package bit

import (
	"context"
	"errors"
	"fmt"
	"image/color"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/bigtransfer/bit/imaging"
)

// manyFiles writes n pictures of three sizes, with a broken and a missing one in between, and returns their paths.
func manyFiles(t *testing.T, n int) []string {
	dir := t.TempDir()
	var files []string
	for i := range n {
		f := filepath.Join(dir, fmt.Sprintf("%02d.png", i))
		switch {
		case i%7 == 3:
			if err := os.WriteFile(f, []byte("\x89PNG\r\n\x1a\n and no more"), 0o666); err != nil {
				t.Fatal(err)
			}
		case i%7 == 5:
			// missing
		default:
			writePicture(t, f, 20+i%3, 30, color.Gray{uint8(10 * i)})
		}
		files = append(files, f)
	}
	return files
}

func TestClassifyFiles(t *testing.T) {
	files := manyFiles(t, 25)
	m := tiny(t)
	// Pictures keep their size with this one, so that inputs of several sizes follow each other.
	sized := tiny(t)
	sized.processor.DoResize, sized.processor.DoCenterCrop = false, false
	for _, m := range []*Model{m, sized} {
		var want [][]Prediction
		for _, f := range files {
			p, _ := m.ClassifyFile(f, 2)
			want = append(want, p)
		}
		for _, o := range []FilesOptions{{}, {Batch: 1, Workers: 1}, {Batch: 4, Workers: 3}, {Batch: 100, Workers: 8}} {
			o.Top = 2
			i := 0
			for r := range m.ClassifyFiles(t.Context(), files, o) {
				if r.File != files[i] || !slices.Equal(r.Predictions, want[i]) {
					t.Fatalf("%+v: result %d is %s %v, want %s %v", o, i, r.File, r.Predictions, files[i], want[i])
				}
				switch {
				case i%7 == 3 && !errors.Is(r.Err, imaging.ErrTruncated) && !errors.Is(r.Err, imaging.ErrCorrupt):
					t.Errorf("a broken file: %v", r.Err)
				case i%7 == 5 && !errors.Is(r.Err, fs.ErrNotExist):
					t.Errorf("a missing file: %v", r.Err)
				case i%7 != 3 && i%7 != 5 && r.Err != nil:
					t.Error(r.Err)
				}
				i++
			}
			if i != len(files) {
				t.Errorf("%+v: %d results, want %d", o, i, len(files))
			}
		}
	}
}

func TestClassifyFilesStops(t *testing.T) {
	files := manyFiles(t, 60)
	m := tiny(t)
	for range m.ClassifyFiles(t.Context(), nil, FilesOptions{}) {
		t.Error("a result for no file")
	}
	seen := 0
	for range m.ClassifyFiles(t.Context(), files, FilesOptions{Batch: 2}) {
		if seen++; seen == 3 {
			break // must not leave goroutines behind; the next loop would find the model busy or the race detector a race
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	seen = 0
	for range m.ClassifyFiles(ctx, files, FilesOptions{Batch: 2}) {
		if seen++; seen == 2 {
			cancel()
		}
	}
	if seen >= len(files)/2 {
		t.Errorf("%d results after the context was cancelled at 2", seen)
	}
}
