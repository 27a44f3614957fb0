package data_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/bigtransfer/bit/data"
)

func TestImageFolder(t *testing.T) {
	metadata, err := os.ReadFile(filepath.Join(parquetDir, "metadata.parquet"))
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name    string
		files   fstest.MapFS
		want    string // train, val, test, classes
		skipped int
	}{
		{"at the root", with(tree("0001.png", "in/0002.png"), "metadata.csv", "file_name,label\n0001.png,x\nin/0002.png,y\n"),
			"[0001.png=0 in/0002.png=1] [] [] [x y]", 0},
		{"folders of splits in names", with(tree("train/1.png", "validation/2.png", "test/3.png"), "metadata.jsonl",
			`{"file_name":"train/1.png","label":1}
			{"file_name":"validation/2.png","label":0}
			{"file_name":"test/3.png","label":1}`),
			"[train/1.png=1] [validation/2.png=0] [test/3.png=1] [0 1]", 0},
		{"a table for each split, one picture not named", with(tree("data/train/1.png", "data/train/9.png", "data/test/a/2.png"),
			"data/train/metadata.csv", "file_name,label\n1.png,x\n", "data/test/metadata.jsonl", `{"file_name":"a/2.png","label":"x"}`),
			"[data/train/1.png=0] [] [data/test/a/2.png=0] [x]", 1},
		{"captions, and labels by folder", with(tree("cat/1.png", "dog/2.png"), "metadata.csv", "file_name,text\ncat/1.png,a cat\ndog/2.png,a dog\n"),
			"[cat/1.png=0 dog/2.png=1] [] [] [cat dog]", 0},
		{"splits and labels by folder", with(tree("train/cat/1.png", "test/dog/2.png", "train/dog/3.png"), "metadata.csv",
			"file_name,width\ntrain/cat/1.png,3\ntest/dog/2.png,3\ntrain/dog/3.png,4\n"),
			"[train/cat/1.png=0 train/dog/3.png=1] [] [test/dog/2.png=1] [cat dog]", 0},
		{"Parquet", with(tree("a.png", "b.png", "c.png"), "metadata.parquet", string(metadata)),
			"[a.png=0 b.png=1] [] [c.png=0] [x y]", 0},
	} {
		d, err := data.OpenFS(test.files)
		if err != nil {
			t.Errorf("%s: %v", test.name, err)
			continue
		}
		if got := fmt.Sprint(show(d.Train), show(d.Val), show(d.Test), d.Classes); got != test.want || len(d.Skipped) != test.skipped {
			t.Errorf("%s: %s, skipped %v, want %s and %d", test.name, got, d.Skipped, test.want, test.skipped)
		}
	}
	for _, test := range []struct {
		files fstest.MapFS
		want  string
	}{
		{with(tree("1.png"), "metadata.csv", "file_name,label\n1.png,x\n", "metadata.jsonl", "{}"), "metadata.csv and metadata.jsonl"},
		{with(tree("1.png"), "metadata.csv", "file_name,text\n1.png,x\n"), "no label"},
		{with(tree("1.png"), "metadata.csv", "file_name,label\n../1.png,x\n"), "leads out of the data set"},
		{with(tree("1.png"), "metadata.csv", "file_name,label\n1.png,\"x\n"), "metadata.csv"},
	} {
		if _, err := data.OpenFS(test.files); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%v, want %q", err, test.want)
		}
	}
}
