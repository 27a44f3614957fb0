package data_test

import (
	"bytes"
	"encoding/binary"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/bigtransfer/bit/data"
	"github.com/bigtransfer/bit/internal/datatest"
	"github.com/bigtransfer/bit/internal/fuzztest"
)

// writeFiles writes files to a new folder called data and returns it.
func writeFiles(t *testing.T, files map[string][]byte) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "data")
	for name, content := range files {
		datatest.Write(t, filepath.Join(dir, filepath.FromSlash(name)), content)
	}
	return dir
}

func TestBadCIFAR(t *testing.T) {
	record := make([]byte, 3073)
	high := slices.Clone(record)
	high[0] = 10
	names := []byte(strings.Repeat("name\n", 10))
	for _, test := range []struct {
		files map[string][]byte
		want  []string
	}{
		{map[string][]byte{"data_batch_1.bin": record[:3072]}, []string{"data_batch_1.bin", "records of 3073 bytes", "3072 bytes"}},
		{map[string][]byte{"data_batch_1.bin": {}}, []string{"data_batch_1.bin", "found 0 bytes"}},
		{map[string][]byte{"data_batch_1.bin": record, "test_batch.bin": append(record, high...)}, []string{"test_batch.bin", "picture 1 has the label 10"}},
		{map[string][]byte{"data_batch_1.bin": record, "batches.meta.txt": names[:25]}, []string{"batches.meta.txt", "names of 10 classes, found 5"}},
		{map[string][]byte{"train.bin": record, "fine_label_names.txt": names}, []string{"fine_label_names.txt", "names of 100 classes, found 10"}},
		{map[string][]byte{"train.bin": record, "fine_label_names.txt": bytes.Repeat(names, 10)}, []string{"train.bin", "records of 3074 bytes", "CIFAR-100"}},
	} {
		datatest.Refuse(t, writeFiles(t, test.files), test.want...)
	}
}

func TestBadIDX(t *testing.T) {
	images, labels := "train-images-idx3-ubyte", "train-labels-idx1-ubyte"
	good, ok := idx([]int{2, 1, 2}, []byte{1, 2, 3, 4}), idx([]int{2}, []byte{0, 1})
	floats := slices.Clone(good)
	floats[2] = 0x0d
	huge := idx([]int{1 << 31, 1 << 31, 1 << 31}, []byte{1, 2, 3, 4})
	for _, test := range []struct {
		files map[string][]byte
		want  []string
	}{
		{map[string][]byte{images: good}, []string{labels, "not exist"}},
		{map[string][]byte{images: good, labels: ok[:9]}, []string{labels, "expected 2 elements", "found 1 bytes"}},
		{map[string][]byte{images: good[:12], labels: ok}, []string{images, "cut short after 12 bytes"}},
		{map[string][]byte{images: floats, labels: ok}, []string{images, "expected an IDX file of bytes"}},
		{map[string][]byte{images: huge, labels: ok}, []string{images, "found 4 bytes"}},
		{map[string][]byte{images: good, labels: idx([]int{3}, []byte{0, 1, 2})}, []string{"2 pictures, but there are 3 labels"}},
		{map[string][]byte{images: good, labels: good}, []string{labels, "expected one dimension"}},
		{map[string][]byte{images: idx([]int{4}, []byte{1, 2, 3, 4}), labels: ok}, []string{images, "expected pictures x rows x columns"}},
		{map[string][]byte{images: idx([]int{0, 28, 28}, nil), labels: idx([]int{0}, nil)}, []string{images, "no images found"}},
		{map[string][]byte{images + ".gz": []byte("no gzip file"), labels: ok}, []string{images + ".gz", "gzip: invalid header"}},
		{map[string][]byte{images: good, labels: ok, "emnist-" + images: good, "emnist-" + labels: ok}, []string{"two data sets"}},
		{map[string][]byte{images: good, labels: ok, "train-images.idx3-ubyte": good}, []string{"same split"}},
		{map[string][]byte{images: good, labels: ok, "t10k-images-idx3-ubyte": idx([]int{1, 2, 2}, []byte{1, 2, 3, 4}),
			"t10k-labels-idx1-ubyte": idx([]int{1}, []byte{0})}, []string{"1 x 2 x 1, those before 2 x 2 x 1"}},
	} {
		datatest.Refuse(t, writeFiles(t, test.files), test.want...)
	}
}

// Fashion-MNIST is told from MNIST by nothing: its classes' names are given.
func TestNumberedClasses(t *testing.T) {
	dir := writeFiles(t, map[string][]byte{
		"train-images-idx3-ubyte": idx([]int{2, 1, 2}, []byte{1, 2, 3, 4}),
		"train-labels-idx1-ubyte": idx([]int{2}, []byte{0, 2}),
	})
	names := []string{"top", "trouser", "pullover", "dress"}
	d, err := data.Opener{Classes: names}.Open(dir)
	if err != nil || !slices.Equal(d.Classes, names) || d.Train[1].Label != 2 {
		t.Errorf("classes %q, error %v", d.Classes, err)
	}
	if _, err := (data.Opener{Classes: names[:2]}).Open(dir); err == nil || !strings.Contains(err.Error(), "a label 2, expected one of the 2 classes") {
		t.Errorf("two names for three classes: error %v", err)
	}
}

func TestBadArchives(t *testing.T) {
	for name, test := range map[string]struct {
		content []byte
		want    []string
	}{
		"cut.tar.gz":    {[]byte("\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\x01"), []string{"cut.tar.gz", "cut short"}},
		"bad.tar.gz":    {[]byte("\x1f\x8b\x07"), []string{"bad.tar.gz", "cut short"}},
		"bad.tar.bz2":   {[]byte("BZh9 but no more"), []string{"bad.tar.bz2", "bzip2"}},
		"cut.zip":       {[]byte("PK\x03\x04 and some more"), []string{"cut.zip", "list of its files"}},
		"empty.zip":     {append([]byte("PK\x05\x06"), make([]byte, 18)...), []string{"empty.zip", "no images found"}},
		"text.txt":      {[]byte("no archive"), []string{"text.txt", "expected a directory", "zip", "tar"}},
		"picture.tar":   {append([]byte("\x89PNG\r\n\x1a\n"), make([]byte, 1000)...), []string{"picture.tar", "expected a directory"}},
		"nothing.tar":   {nil, []string{"nothing.tar", "a file of 0 bytes"}},
		"bomb.gz":       {[]byte("\x1f\x8b\x08"), []string{"bomb.gz", "expected a directory"}},
		"binary.tar.gz": {[]byte("\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\x03\x00\x00\x00\x00\x00\x00\x00\x00\x00"), []string{"binary.tar.gz", "cut short"}},
	} {
		path := filepath.Join(t.TempDir(), name)
		datatest.Write(t, path, test.content)
		datatest.Refuse(t, path, test.want...)
	}
}

// fuzzFiles opens a data set of the given files and decodes some of its pictures.
func fuzzFiles(t *testing.T, files map[string][]byte) {
	fsys, size := fstest.MapFS{}, 0
	for name, content := range files {
		fsys[name] = &fstest.MapFile{Data: content}
		size += len(content)
	}
	fuzztest.Within(t, size, func() {
		d, err := data.OpenFS(fsys)
		if err != nil {
			return
		}
		for _, e := range slices.Concat(d.Train, d.Val, d.Test) {
			if e.Label != data.NoLabel && (e.Label < 0 || e.Label >= len(d.Classes)) {
				t.Fatalf("label %d of %d classes", e.Label, len(d.Classes))
			}
		}
		if len(d.Train) > 0 {
			d.Image(d.Train[0])
			d.Image(d.Train[len(d.Train)-1])
		}
	})
}

func FuzzCIFAR(f *testing.F) {
	f.Add(make([]byte, 2*3073), []byte("a\nb\nc\nd\ne\nf\ng\nh\ni\nj\n"))
	f.Fuzz(func(t *testing.T, batch, names []byte) {
		fuzzFiles(t, map[string][]byte{"data_batch_1.bin": batch, "batches.meta.txt": names})
	})
}

func FuzzIDX(f *testing.F) {
	f.Add(idx([]int{2, 1, 2}, []byte{1, 2, 3, 4}), idx([]int{2}, []byte{0, 1}))
	f.Add(idx([]int{1, 2, 1, 3}, []byte{1, 2, 3, 4, 5, 6}), binary.BigEndian.AppendUint32(nil, 0x801))
	f.Fuzz(func(t *testing.T, images, labels []byte) {
		fuzzFiles(t, map[string][]byte{"train-images-idx3-ubyte": images, "train-labels-idx1-ubyte": labels})
	})
}
