package data_test

import (
	"bytes"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/bigtransfer/bit/data"
	"github.com/bigtransfer/bit/internal/fuzztest"
)

// The files of testdata/parquet are written by Apache Arrow's implementation in Rust, see write.mjs there.
const parquetDir = "testdata/parquet"

// small opens data sets of pictures of 3 x 2 pixels, however many of them are broken.
var small = data.Opener{MinSide: 1, MaxSkipped: 1}

// checkPicture checks that the picture of an example is that of a row as write.mjs makes it.
func checkPicture(t *testing.T, src data.Source, e data.Example, row int) {
	t.Helper()
	img, err := src.Image(e)
	if err != nil {
		t.Errorf("%s: %v", e.Path, err)
		return
	}
	want := bytes.Repeat([]byte{byte(row), byte(255 - row), byte(7 * row)}, 6)
	if img.W != 3 || img.H != 2 || !bytes.Equal(img.Pix, want) {
		t.Errorf("%s: %d x %d pixels %v, want those of row %d: %v", e.Path, img.W, img.H, img.Pix[:3], row, want[:3])
	}
}

// A folder of shards, as the hub has them: pages, row groups and files in any order, to many goroutines.
func TestParquetFolder(t *testing.T) {
	d, err := small.Open(filepath.Join(parquetDir, "hub"))
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(len(d.Train), len(d.Val), len(d.Test), d.Classes); got != "200 0 40 [zebra ape bee]" {
		t.Fatalf("got %s", got)
	}
	if got := d.Train[151].Path; got != "data/train-00001-of-00002.parquet#1" {
		t.Errorf("an example is called %s", got)
	}
	all := slices.Concat(d.Train, d.Test)
	order := rand.New(rand.NewPCG(1, 2)).Perm(len(all))
	var running sync.WaitGroup
	for worker := range 8 {
		running.Go(func() {
			for k := worker; k < 2*len(order); k += 8 {
				row := order[k%len(order)]
				checkPicture(t, d, all[row], row)
			}
		})
	}
	running.Wait()
	for row, e := range all {
		if e.Label != row%3 || e.Labels != nil {
			t.Errorf("%s has the label %d, want %d", e.Path, e.Label, row%3)
		}
	}
}

func TestParquetFiles(t *testing.T) {
	d, err := small.Open(filepath.Join(parquetDir, "plain.parquet"))
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(len(d.Train), len(d.Val), len(d.Test), d.Classes, d.Train[1]); got != "25 25 50 [frog newt] {plain.parquet#4 4 1 []}" {
		t.Errorf("bytes, text and a split: %s", got)
	}
	for i, e := range d.Train {
		if i == 10 {
			if _, err := d.Image(e); !isBroken(err) || !strings.Contains(err.Error(), "null") {
				t.Errorf("a row without a picture: %v", err)
			}
			continue
		}
		checkPicture(t, d, e, 4*i)
	}

	d, err = small.Open(filepath.Join(parquetDir, "lists.parquet"))
	if err != nil {
		t.Fatal(err)
	}
	if !d.MultiLabel || !slices.Equal(d.Classes, []string{"sun", "sea", "air"}) {
		t.Errorf("lists of labels: %v %q", d.MultiLabel, d.Classes)
	}
	if got, want := showAll(d.Train[:3]), []string{"lists.parquet#0=[]", "lists.parquet#1=[2]", "lists.parquet#2=[0 1]"}; !slices.Equal(got, want) {
		t.Errorf("lists of labels: %q, want %q", got, want)
	}
	checkPicture(t, d, d.Train[29], 29)
	if _, err := d.Image(d.Train[7]); !isBroken(err) || !strings.Contains(err.Error(), "beside.png") {
		t.Errorf("a picture that is not beside its file: %v", err)
	}

	// One that only names the pictures is a table.
	dir := t.TempDir()
	copyFile(t, filepath.Join(parquetDir, "metadata.parquet"), filepath.Join(dir, "list.parquet"))
	for _, name := range []string{"a.png", "b.png", "c.png"} {
		write(t, filepath.Join(dir, name), nil)
	}
	d, err = small.Open(filepath.Join(dir, "list.parquet"))
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(show(d.Train), show(d.Test), d.Classes); got != "[a.png=0 b.png=1] [c.png=0] [x y]" {
		t.Errorf("a table: %s", got)
	}
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	content, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	write(t, to, content)
}

// counted counts the files that are opened.
type counted struct {
	fs.FS
	mu     sync.Mutex
	opened map[string]int
}

func (c *counted) Open(name string) (fs.File, error) {
	c.mu.Lock()
	c.opened[name]++
	c.mu.Unlock()
	return c.FS.Open(name)
}

// What is asked of one split reads no other.
func TestParquetSplit(t *testing.T) {
	for split, want := range map[string]string{"eval": "0 40", "test": "0 40", "train": "200 0"} {
		files := &counted{FS: os.DirFS(filepath.Join(parquetDir, "hub")), opened: map[string]int{}}
		d, err := data.Opener{Split: split, MinSide: 1, MaxSkipped: 1}.OpenFS(files)
		if err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprint(len(d.Train), len(d.Test)); got != want {
			t.Errorf("%s: %s examples, want %s", split, got, want)
		}
		for name := range files.opened {
			if other := map[bool]string{true: "test-", false: "train-"}[split == "train"]; strings.Contains(name, other) {
				t.Errorf("%s: %s is opened", split, name)
			}
		}
	}
}

func TestParquetFolders(t *testing.T) {
	at := func(t *testing.T, names ...string) string {
		dir := t.TempDir()
		for _, name := range names {
			copyFile(t, filepath.Join(parquetDir, "hub/data/test-00000-of-00001.parquet"), filepath.Join(dir, name))
		}
		return dir
	}
	for _, test := range []struct {
		files []string
		want  string // counts of the splits and of what is skipped, or a part of the error
	}{
		{[]string{"default/train/0000.parquet", "default/partial-validation/0000.parquet"}, "40 40 0 0"},
		{[]string{"plain_text/train-00000-of-00001.parquet", "plain_text/test-00000-of-00001.parquet"}, "40 0 40 0"},
		{[]string{"a.parquet", "b.parquet"}, "80 0 0 0"},
		{[]string{"train-00001-of-00003.parquet"}, "40 0 0 2"},
		{[]string{"small/train/0.parquet", "large/train/0.parquet"}, "several data sets, of which one must be named by its folder: large, small"},
		{[]string{"default/train/0.parquet", "other/train/0.parquet"}, "40 0 0 0"},
	} {
		d, err := data.Open(at(t, test.files...))
		got := fmt.Sprint(err)
		if err == nil {
			got = fmt.Sprint(len(d.Train), len(d.Val), len(d.Test), len(d.Skipped))
		}
		if !strings.Contains(got, test.want) {
			t.Errorf("%q: %s, want %s", test.files, got, test.want)
		}
	}
	// Results beside classes are no data set.
	dir := t.TempDir()
	write(t, filepath.Join(dir, "cat/1.png"), nil)
	copyFile(t, filepath.Join(parquetDir, "metadata.parquet"), filepath.Join(dir, "results.parquet"))
	if d, err := data.Open(dir); err != nil || fmt.Sprint(show(d.Train)) != "[cat/1.png=0]" {
		t.Errorf("classes beside a Parquet file: %v, %v", d, err)
	}
}

func TestParquetErrors(t *testing.T) {
	whole, err := os.ReadFile(filepath.Join(parquetDir, "plain.parquet"))
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name    string
		content []byte
		opener  data.Opener
		want    string
	}{
		{"cut short", whole[:len(whole)-100], data.Opener{}, "it may be cut short"},
		{"only magic", []byte("PAR1PAR1"), data.Opener{}, "not a sound Parquet file"},
		{"metadata longer than the file", append(whole[:len(whole)-8:len(whole)-8], 0xff, 0xff, 0xff, 0x7f, 'P', 'A', 'R', '1'), data.Opener{}, "not a sound Parquet file"},
		{"a column that is not there", whole, data.Opener{LabelColumn: "genus"}, `no label column "genus", its columns are: species, split`},
		{"no pictures in that column", whole, data.Opener{FileColumn: "image"}, "no column holds pictures"},
		{"other classes", whole, data.Opener{Classes: []string{"toad"}}, `the class "newt"`},
	} {
		path := filepath.Join(t.TempDir(), "x.parquet")
		write(t, path, test.content)
		if _, err := test.opener.Open(path); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", test.name, err, test.want)
		}
	}
}

// FuzzParquet changes bytes of files. Whatever they then say, listing them ends soon and takes little memory.
func FuzzParquet(f *testing.F) {
	for _, name := range []string{"plain.parquet", "lists.parquet", "metadata.parquet", "hub/data/test-00000-of-00001.parquet"} {
		content, err := os.ReadFile(filepath.Join(parquetDir, name))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(content)
	}
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, content []byte) {
		path := filepath.Join(dir, "x.parquet")
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		var d *data.Dataset
		var err error
		fuzztest.Within(t, len(content), func() { d, err = data.Open(path) })
		if err != nil {
			return
		}
		for _, e := range d.Train[:min(5, len(d.Train))] {
			d.Image(e)
		}
	})
}
