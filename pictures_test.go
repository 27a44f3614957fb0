package bit

import (
	"context"
	"errors"
	"fmt"
	"image/color"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/bigtransfer/bit/data"
	"github.com/bigtransfer/bit/imaging"
)

// filePictures is the stream of pictures in files.
func filePictures(files []string) iter.Seq[data.Picture] {
	return func(yield func(data.Picture) bool) {
		for _, f := range files {
			if !yield(data.FilePicture(f)) {
				return
			}
		}
	}
}

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

func TestClassifyPictures(t *testing.T) {
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
		for _, o := range []ClassifyOptions{{}, {Batch: 1, Workers: 1}, {Batch: 4, Workers: 3}, {Batch: 100, Workers: 8}} {
			o.Top = 2
			i := 0
			for r := range m.ClassifyPictures(t.Context(), filePictures(files), o) {
				if r.Name != files[i] || !slices.Equal(r.Predictions, want[i]) {
					t.Fatalf("%+v: result %d is %s %v, want %s %v", o, i, r.Name, r.Predictions, files[i], want[i])
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

// Features come with the classes, and are those of the picture alone.
func TestClassifyPicturesFeatures(t *testing.T) {
	m := tiny(t)
	files := manyFiles(t, 20)
	for r := range m.ClassifyPictures(t.Context(), filePictures(files), ClassifyOptions{Top: 1, Features: true, Batch: 3}) {
		if r.Err != nil {
			continue
		}
		img, err := imaging.DecodeFile(r.Name)
		if err != nil {
			t.Fatal(err)
		}
		want, err := m.Features(t.Context(), img)
		if err != nil || !slices.Equal(r.Features, want[0]) || len(r.Predictions) != 1 {
			t.Errorf("%s: features %v, want %v, error %v", r.Name, r.Features[:2], want[0][:2], err)
		}
	}
}

func TestClassifyPicturesStops(t *testing.T) {
	files := manyFiles(t, 60)
	m := tiny(t)
	for range m.ClassifyPictures(t.Context(), filePictures(nil), ClassifyOptions{}) {
		t.Error("a result for no file")
	}
	seen := 0
	for range m.ClassifyPictures(t.Context(), filePictures(files), ClassifyOptions{Batch: 2}) {
		if seen++; seen == 3 {
			break // must not leave goroutines behind; the next loop would find the model busy or the race detector a race
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	seen = 0
	for range m.ClassifyPictures(ctx, filePictures(files), ClassifyOptions{Batch: 2}) {
		if seen++; seen == 2 {
			cancel()
		}
	}
	if seen >= len(files)/2 {
		t.Errorf("%d results after the context was cancelled at 2", seen)
	}
}
