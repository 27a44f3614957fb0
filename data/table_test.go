package data_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"unicode/utf16"

	"github.com/bigtransfer/bit/data"
)

// with adds files with content to a tree.
func with(fsys fstest.MapFS, content ...string) fstest.MapFS {
	for i := 0; i < len(content); i += 2 {
		fsys[content[i]] = &fstest.MapFile{Data: []byte(content[i+1])}
	}
	return fsys
}

// showAll writes examples as "path=label" or, of several labels, "path=[1 2]".
func showAll(examples []data.Example) []string {
	s := show(examples)
	for i, e := range examples {
		if e.Labels != nil || e.Label == data.NoLabel {
			s[i] = fmt.Sprintf("%s=%v", e.Path, e.Labels)
		}
	}
	return s
}

func TestTables(t *testing.T) {
	pictures := func() fstest.MapFS { return tree("a.jpg", "b.png", "images/c.jpg", "images/d.jpg") }
	for _, test := range []struct {
		name             string
		files            fstest.MapFS
		opener           data.Opener
		classes          []string
		train, val, test []string
		skipped          int
	}{
		{
			name:    "header",
			files:   with(pictures(), "labels.csv", "file_name,label\na.jpg,dog\nb.png,cat\n"),
			classes: []string{"cat", "dog"},
			train:   []string{"a.jpg=1", "b.png=0"},
		}, {
			name:    "no header",
			files:   with(pictures(), "labels.csv", "a.jpg,dog\nb.png,cat"),
			classes: []string{"cat", "dog"},
			train:   []string{"a.jpg=1", "b.png=0"},
		}, {
			name:    "byte order mark, CRLF, quotes, spaces, blank lines",
			files:   with(pictures(), "labels.csv", "\ufeffLabel , Filename\r\n\"big, red\"\"s\", a.jpg\r\n\r\ncat,\"b.png\"\r\n"),
			opener:  data.Opener{},
			classes: []string{`big, red"s`, "cat"},
			train:   []string{"a.jpg=0", "b.png=1"},
		}, {
			name:    "semicolons",
			files:   with(pictures(), "annotations.csv", "file;class;weight\na.jpg;x;0,5\nb.png;y;1,5\n"),
			classes: []string{"x", "y"},
			train:   []string{"a.jpg=0", "b.png=1"},
		}, {
			name:    "tabs and a split column",
			files:   with(pictures(), "labels.tsv", "image\tcategory\tsplit\na.jpg\tx\ttrain\nb.png\ty\tVALID\nimages/c.jpg\tx\ttest\n"),
			classes: []string{"x", "y"},
			train:   []string{"a.jpg=0"},
			val:     []string{"b.png=1"},
			test:    []string{"images/c.jpg=0"},
		}, {
			name:    "integers by value",
			files:   with(pictures(), "labels.csv", "path,y\na.jpg,10\nb.png,9\nimages/c.jpg,-1\n"),
			classes: []string{"-1", "9", "10"},
			train:   []string{"a.jpg=2", "b.png=1", "images/c.jpg=0"},
		}, {
			name:    "integers with names",
			files:   with(pictures(), "labels.csv", "path,y\na.jpg,2\nb.png,0\n"),
			opener:  data.Opener{Classes: []string{"zebra", "ape", "bee"}},
			classes: []string{"zebra", "ape", "bee"},
			train:   []string{"a.jpg=2", "b.png=0"},
		}, {
			name:    "a folder of images, no extensions, backslashes",
			files:   with(pictures(), "labels.csv", "id,breed\nc,pug\nd,chow\n"),
			classes: []string{"chow", "pug"},
			train:   []string{"images/c.jpg=1", "images/d.jpg=0"},
		}, {
			name:    "backslashes",
			files:   with(pictures(), "labels.csv", `images\c.jpg,x`+"\n"+`images\d.jpg,y`+"\n"),
			classes: []string{"x", "y"},
			train:   []string{"images/c.jpg=0", "images/d.jpg=1"},
		}, {
			name: "a table for each split, as competitions have them",
			files: with(tree("train/1.png", "train/2.png", "test/3.png"), "train.csv", "image_id,target\n1.png,b\n2.png,a\n",
				"test.csv", "image_id\n3.png\n", "sample_submission.csv", "image_id,target\n3.png,a\n"),
			classes: []string{"a", "b"},
			train:   []string{"train/1.png=1", "train/2.png=0"},
			skipped: 1,
		}, {
			name: "validation and test",
			files: with(pictures(), "trainLabels.csv", "a.jpg,x\n", "val_labels.csv", "b.png,y\n",
				"test-set.jsonl", `{"file_name":"images/c.jpg","label":"x"}`),
			classes: []string{"x", "y"},
			train:   []string{"a.jpg=0"},
			val:     []string{"b.png=1"},
			test:    []string{"images/c.jpg=0"},
		}, {
			name: "JSON lines",
			files: with(pictures(), "labels.jsonl",
				"{\"width\": 3, \"file_name\": \"a.jpg\", \"label\": 7}\n\n{\"label\": \"caf\\u00e9\", \"file_name\": \"b.png\"}\n"),
			classes: []string{"7", "café"},
			train:   []string{"a.jpg=0", "b.png=1"},
		}, {
			name:    "several labels",
			files:   with(pictures(), "labels.csv", "file,tags\na.jpg,sun|sea\nb.png,\nimages/c.jpg,sea| sea |air\n"),
			opener:  data.Opener{LabelSeparator: "|"},
			classes: []string{"air", "sea", "sun"},
			train:   []string{"a.jpg=[1 2]", "b.png=[]", "images/c.jpg=[0 1]"},
		}, {
			name: "lists of labels",
			files: with(pictures(), "labels.ndjson", `{"file":"a.jpg","labels":["x","y"]}
{"file":"b.png","labels":[]}
{"file":"images/c.jpg","labels":["y"]}`),
			classes: []string{"x", "y"},
			train:   []string{"a.jpg=[0 1]", "b.png=[]", "images/c.jpg=[1]"},
		}, {
			name:    "a row for each label",
			files:   with(pictures(), "labels.csv", "a.jpg,x\na.jpg,y\nb.png,y\n"),
			opener:  data.Opener{LabelSeparator: "|"},
			classes: []string{"x", "y"},
			train:   []string{"a.jpg=[0 1]", "b.png=[1]"},
		}, {
			name:    "columns chosen",
			files:   with(pictures(), "labels.csv", "file,label,other,part\nx.jpg,1,a.jpg,test\nx.jpg,2,b.png,train\n"),
			opener:  data.Opener{FileColumn: "OTHER", LabelColumn: "2", SplitColumn: "part"},
			classes: []string{"1", "2"},
			train:   []string{"b.png=1"},
			test:    []string{"a.jpg=0"},
		}, {
			name: "missing files, no label, twice",
			files: with(pictures(), "labels.csv",
				"a.jpg,x\nb.png,y\nimages/c.jpg,x\nnowhere.jpg,x\nimages/d.jpg,\na.jpg,x\nimages,x\n"),
			opener:  data.Opener{MaxSkipped: 0.5},
			classes: []string{"x", "y"},
			train:   []string{"a.jpg=0", "b.png=1", "images/c.jpg=0"},
			skipped: 4,
		}, {
			name:    "one split",
			files:   with(pictures(), "labels.csv", "a.jpg,x,train\nb.png,y,test\n"),
			opener:  data.Opener{SplitColumn: "3"},
			classes: []string{"x", "y"},
			train:   []string{"a.jpg=0"},
			test:    []string{"b.png=1"},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			d, err := test.opener.OpenFS(test.files)
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range []struct {
				what      string
				got, want []string
			}{
				{"classes", d.Classes, test.classes},
				{"train", showAll(d.Train), test.train},
				{"val", showAll(d.Val), test.val},
				{"test", showAll(d.Test), test.test},
			} {
				if !slices.Equal(c.got, c.want) {
					t.Errorf("%s: got %q, want %q", c.what, c.got, c.want)
				}
			}
			if len(d.Skipped) != test.skipped {
				t.Errorf("skipped %q, want %d", d.Skipped, test.skipped)
			}
		})
	}
}

func TestTableErrors(t *testing.T) {
	for _, test := range []struct {
		name, table, content string
		opener               data.Opener
		want                 []string // parts of the message
	}{
		{"empty", "labels.csv", "", data.Opener{}, []string{"labels.csv", "empty"}},
		{"only a header", "labels.csv", "file,label\n", data.Opener{}, []string{"no rows"}},
		{"a row is short", "labels.csv", "a.jpg,x\na.jpg\n", data.Opener{}, []string{"line 2", "1 cells"}},
		{"an open quote", "labels.csv", "a.jpg,x\n\"a.jpg,x\n", data.Opener{}, []string{"line 2", "quote"}},
		{"no labels", "labels.csv", "file,width,height\na.jpg,3,4\n", data.Opener{}, []string{"no column of labels", "file, width, height"}},
		{"no such column", "labels.csv", "file,label\na.jpg,3\n", data.Opener{LabelColumn: "klass"}, []string{`label column "klass"`, "file, label"}},
		{"no column of files", "labels.csv", "x,label\n1,2\n", data.Opener{}, []string{"names pictures", "x, label"}},
		{"an odd split", "labels.csv", "file,label,split\na.jpg,x,foo\n", data.Opener{}, []string{"line 2", `"foo"`, "train, val or test"}},
		{"no file name", "labels.csv", "file,label\na.jpg,x\n,y\n", data.Opener{}, []string{"line 3", "names no file"}},
		{"all files missing", "labels.csv", "x.jpg,1\ny.jpg,2\n", data.Opener{}, []string{"2 of its 2 rows", "x.jpg (line 1)", "looked for in"}},
		{"two labels", "labels.csv", "a.jpg,x\na.jpg,y\n", data.Opener{}, []string{"line 2", `"y"`, `"x"`, "line 1"}},
		{"two splits", "labels.csv", "file,label,split\na.jpg,x,train\na.jpg,x,test\n", data.Opener{}, []string{"line 3", "test split", "line 2", "train split"}},
		{"unknown class", "labels.csv", "a.jpg,x\n", data.Opener{Classes: []string{"y"}}, []string{"line 1", `"x"`, "one of: y"}},
		{"number of no class", "labels.csv", "a.jpg,1\n", data.Opener{Classes: []string{"y"}}, []string{`"1"`, "one of: y"}},
		{"not UTF-8", "labels.csv", "a.jpg,caf\xe9\n", data.Opener{}, []string{"line 1", "UTF-8"}},
		{"no object", "labels.jsonl", "[1]\n", data.Opener{}, []string{"line 1", "JSON object"}},
		{"cut short", "labels.jsonl", "{\"file\":\"a.jpg\",\"label\":1}\n{\"file\":\"a.jpg\",\"la", data.Opener{}, []string{"line 2"}},
		{"a label that is an object", "labels.jsonl", `{"file":"a.jpg","label":{"a":1}}`, data.Opener{}, []string{"line 1", "label", "expected a text"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			write(t, filepath.Join(dir, "a.jpg"), nil)
			write(t, filepath.Join(dir, test.table), []byte(test.content))
			_, err := test.opener.Open(filepath.Join(dir, test.table))
			if err == nil {
				t.Fatal("no error")
			}
			for _, part := range test.want {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("error %q does not say %q", err, part)
				}
			}
		})
	}
	if _, err := data.OpenFS(with(tree("images/a.jpg"), "labels.csv", "a.jpg,\"x")); err == nil || !strings.Contains(err.Error(), "labels.csv") {
		t.Errorf("a table that cannot be read: %v", err)
	}
	if _, err := data.OpenFS(with(tree("a.jpg"), "train.csv", "a.jpg,x\n", "train.tsv", "a.jpg\tx\n")); err == nil || !strings.Contains(err.Error(), "train.csv, train.tsv") {
		t.Errorf("two tables for a split: %v", err)
	}
}

// A table on disk may name files anywhere; one in a file system, which may be an archive or a download, only inside.
func TestTableFilesElsewhere(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "pictures/a.jpg"), nil)
	write(t, filepath.Join(dir, "pictures/more/b.jpg"), nil)
	absolute := filepath.ToSlash(filepath.Join(dir, "pictures/a.jpg"))
	write(t, filepath.Join(dir, "tables/labels.csv"), []byte("../pictures/more/b.jpg,x\n"+absolute+",y\n"))
	for _, open := range []string{"tables/labels.csv", "tables"} {
		d, err := data.Opener{MaxSkipped: 1}.Open(filepath.Join(dir, open))
		if err != nil {
			t.Fatal(err)
		}
		if got, want := show(d.Train), []string{"../pictures/more/b.jpg=0", absolute + "=1"}; !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", open, got, want)
		}
		for _, e := range d.Train {
			if _, err := d.Image(e); !isBroken(err) { // they are found, and empty
				t.Errorf("%s: %v", e.Path, err)
			}
		}
	}
	_, err := data.Opener{MaxSkipped: 0.9}.OpenFS(os.DirFS(filepath.Join(dir, "tables")))
	if err == nil || !strings.Contains(err.Error(), "leads out of the data set") {
		t.Errorf("in a file system: %v", err)
	}

	write(t, filepath.Join(dir, "tables/apart.csv"), []byte("more/b.jpg,x\na.jpg,y\n"))
	d, err := data.Opener{Images: filepath.Join(dir, "pictures")}.Open(filepath.Join(dir, "tables/apart.csv"))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := show(d.Train), []string{"more/b.jpg=0", "a.jpg=1"}; !slices.Equal(got, want) {
		t.Errorf("apart: %q, want %q", got, want)
	}
	os.Remove(filepath.Join(dir, "pictures/a.jpg"))
	if _, err := d.Image(d.Train[1]); !errors.Is(err, fs.ErrNotExist) || isBroken(err) {
		t.Errorf("a file that vanished: %v", err)
	}
}

func isBroken(err error) bool {
	_, broken := errors.AsType[*data.BrokenError](err)
	return broken
}

// Excel's "Unicode text" is UTF-16 with tabs.
func TestTableUTF16(t *testing.T) {
	var text bytes.Buffer
	binary.Write(&text, binary.LittleEndian, utf16.Encode([]rune("\ufefffile\tlabel\r\na.jpg\tБелка\r\n")))
	d, err := data.OpenFS(with(tree("a.jpg"), "labels.tsv", text.String()))
	if err != nil || !slices.Equal(d.Classes, []string{"Белка"}) {
		t.Errorf("%v, %v", d, err)
	}
}

func TestOpenSplit(t *testing.T) {
	files := with(tree("a.jpg", "b.jpg", "c.jpg"), "labels.csv", "file,label,split\na.jpg,x,train\nb.jpg,y,val\nc.jpg,z,test\n")
	dir := t.TempDir()
	if err := os.CopyFS(dir, files); err != nil {
		t.Fatal(err)
	}
	for split, want := range map[string]string{"train": "[1 0 0]", "val": "[0 1 0]", "eval": "[0 0 1]", "": "[1 1 1]"} {
		d, err := data.Opener{Split: split}.Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprint([]int{len(d.Train), len(d.Val), len(d.Test)}); got != want || len(d.Classes) != 3 {
			t.Errorf("split %q: %s examples of %q, want %s", split, got, d.Classes, want)
		}
	}
	if _, err := (data.Opener{Split: "trian"}).Open(dir); err == nil || !strings.Contains(err.Error(), "trian") {
		t.Errorf("an unknown split: %v", err)
	}
}

func TestReadClasses(t *testing.T) {
	for text, want := range map[string]string{
		"cat\r\n\n dog \n":                   `["cat" "dog"]`,
		`["b", "a"]`:                         `["b" "a"]`,
		`{"1": "dog", "0": "cat"}`:           `["cat" "dog"]`,
		`{"x": 3, "id2label": {"0": "cat"}}`: `["cat"]`,
		"a\na\n":                             "twice",
		"":                                   "empty",
		`{"0": "a", "2": "b"}`:               `number "2"`,
		`["a"`:                               "unexpected",
	} {
		path := filepath.Join(t.TempDir(), "classes")
		write(t, path, []byte(text))
		got, err := data.ReadClasses(path)
		if err == nil && fmt.Sprintf("%q", got) != want || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %q, %v, want %s", text, got, err, want)
		}
	}
}
