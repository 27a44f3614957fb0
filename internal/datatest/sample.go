// Package datatest is, for tests, what every reader of a data set must pass: a sample of real pictures is written in the
// reader's format, and must come back as it is in the form of folders, whatever is done to the files in between.
package datatest

import (
	"bytes"
	"image"
	"image/color"
	"image/png"
	"os"
	"path"
	"path/filepath"
	"testing"

	"github.com/bigtransfer/bit/imaging"
	"github.com/bigtransfer/bit/internal/fixture"
)

// Splits are the names of the splits of a sample.
var Splits = []string{"train", "val", "test"}

// Picture is one labelled picture.
type Picture struct {
	Name  string // unique, without an extension
	Split string
	Label int            // index into Sample.Classes
	File  []byte         // a PNG file
	Image *imaging.Image // its pixels
}

// Sample is a small data set of real pictures.
type Sample struct {
	Classes  []string
	Pictures []Picture // in no order that any format would give them
}

// NewSample returns six pictures of 32 px for each of the ten classes of CIFAR-10: 3 to train, 1 to validate and 2 to
// test. With gray they have no colour.
func NewSample(t testing.TB, gray bool) *Sample {
	t.Helper()
	root := fixture.Data(t, "cifar10-mini")
	classes, err := os.ReadDir(filepath.Join(root, "train"))
	if err != nil {
		t.Fatal(err)
	}
	s := &Sample{}
	for label, class := range classes {
		s.Classes = append(s.Classes, class.Name())
		files, err := filepath.Glob(filepath.Join(root, "train", class.Name(), "*.png"))
		if err != nil || len(files) < 6 {
			t.Fatalf("%d pictures of class %s, error %v", len(files), class.Name(), err)
		}
		for i, split := range []string{"test", "train", "val", "train", "test", "train"} {
			s.Pictures = append(s.Pictures, newPicture(t, files[i], split, label, gray))
		}
	}
	return s
}

func newPicture(t testing.TB, file, split string, label int, gray bool) Picture {
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Base(file)
	p := Picture{Name: name[:len(name)-len(".png")], Split: split, Label: label, File: content}
	if gray {
		m, err := png.Decode(bytes.NewReader(content))
		if err != nil {
			t.Fatal(err)
		}
		g := image.NewGray(m.Bounds())
		for y := range g.Rect.Dy() {
			for x := range g.Rect.Dx() {
				g.Set(x, y, color.GrayModel.Convert(m.At(x, y)))
			}
		}
		var buf bytes.Buffer
		if err := png.Encode(&buf, g); err != nil {
			t.Fatal(err)
		}
		p.File = buf.Bytes()
	}
	if p.Image, err = imaging.Decode(p.File); err != nil {
		t.Fatal(err)
	}
	return p
}

// Only returns the pictures of some splits, in a sample of its own.
func (s *Sample) Only(splits ...string) *Sample {
	some := &Sample{Classes: s.Classes}
	for _, p := range s.Pictures {
		for _, split := range splits {
			if p.Split == split {
				some.Pictures = append(some.Pictures, p)
			}
		}
	}
	return some
}

// WithoutSplits returns the sample with all pictures to train.
func (s *Sample) WithoutSplits() *Sample {
	c := &Sample{Classes: s.Classes, Pictures: append([]Picture(nil), s.Pictures...)}
	for i := range c.Pictures {
		c.Pictures[i].Split = "train"
	}
	return c
}

// FolderPath returns where a picture lies in the form of folders: split/class/name.png.
func (s *Sample) FolderPath(p Picture) string {
	return path.Join(p.Split, s.Classes[p.Label], p.Name+".png")
}

// WriteFolders writes the sample as folders below dir, at the paths that path gives.
func (s *Sample) WriteFolders(t testing.TB, dir string, path func(Picture) string) {
	t.Helper()
	for _, p := range s.Pictures {
		Write(t, filepath.Join(dir, filepath.FromSlash(path(p))), p.File)
	}
}

// Write writes a file, and its folder.
func Write(t testing.TB, path string, content []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, content, 0o666); err != nil {
		t.Fatal(err)
	}
}
