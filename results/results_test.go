package results_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"

	"github.com/bigtransfer/bit"
	"github.com/bigtransfer/bit/data"
	"github.com/bigtransfer/bit/results"
)

// some returns n results; every fifth failed, and names need quotes.
func some(n int) []bit.Result {
	list := make([]bit.Result, n)
	for i := range list {
		name := fmt.Sprintf("a, \"b\"\n%d.png", i%(n-1)) // the last is called as the first
		list[i] = bit.Result{Name: name, Unknown: i%3 == 0, Features: []float32{float32(i), 0.5},
			Predictions: []bit.Prediction{{Label: "cat", Index: 1, Score: 0.75}, {Label: "dog", Score: 0.25}}}
		if i%5 == 4 {
			list[i] = bit.Result{Name: name, Err: fmt.Errorf("%s: %w", name, errors.New("not an image"))}
		}
	}
	return list
}

// run writes those results that are not in a file, and stops before the one that is numbered stop.
func run(t *testing.T, path string, all []bit.Result, stop int) {
	t.Helper()
	features := filepath.Ext(path) != ".csv"
	f, err := results.Open(path, results.Options{Top: 2, Features: features, Resume: true})
	if err != nil {
		t.Fatal(err)
	}
	byName := map[string][]bit.Result{}
	pictures := func(yield func(data.Picture) bool) {
		for _, r := range all {
			if !yield(data.Picture{Name: r.Name}) {
				return
			}
		}
	}
	for _, r := range all {
		byName[r.Name] = append(byName[r.Name], r)
	}
	n := f.Len()
	for p := range f.Missing(pictures) {
		if n++; n > stop {
			if err := f.Close(false); err != nil {
				t.Error(err)
			}
			return
		}
		same := byName[p.Name]
		r := same[len(same)-1]
		if n == 1 {
			r = same[0]
		}
		if err := f.Write(r); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Close(true); err != nil {
		t.Error(err)
	}
}

// However often a run stops, and wherever a kill cuts the file, it ends with the same bytes.
func TestResume(t *testing.T) {
	all := some(700)
	for _, ext := range []string{".jsonl", ".csv", ".parquet"} {
		dir := t.TempDir()
		whole, parts := filepath.Join(dir, "whole"+ext), filepath.Join(dir, "parts"+ext)
		run(t, whole, all, len(all))
		for _, stop := range []int{0, 3, 3, 300, 301, 650, len(all), len(all)} {
			run(t, parts, all, stop)
			if ext == ".parquet" {
				continue // its parts are whole or not there
			}
			content, err := os.ReadFile(parts)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(parts, content[:len(content)-min(len(content), 17*stop%97)], 0o666); err != nil { // in the middle of a record
				t.Fatal(err)
			}
		}
		run(t, parts, all, len(all))
		a, errA := os.ReadFile(whole)
		b, errB := os.ReadFile(parts)
		if errA != nil || errB != nil || string(a) != string(b) {
			t.Errorf("%s: %d bytes after stops, %d without (%v, %v)", ext, len(b), len(a), errA, errB)
		}
		if left, err := filepath.Glob(filepath.Join(dir, "*.part*")); err != nil || len(left) > 0 {
			t.Errorf("%s left %q", ext, left)
		}
	}
}

func TestFormats(t *testing.T) {
	dir := t.TempDir()
	all := some(5)
	for name, want := range map[string]string{
		"r.jsonl": `{"file":"a, \"b\"\n0.png","unknown":true,"predictions":[{"label":"cat","index":1,"score":0.75},{"label":"dog","index":0,"score":0.25}],"features":[0,0.5]}
{"file":"a, \"b\"\n1.png","predictions":[{"label":"cat","index":1,"score":0.75},{"label":"dog","index":0,"score":0.25}],"features":[1,0.5]}
{"file":"a, \"b\"\n2.png","predictions":[{"label":"cat","index":1,"score":0.75},{"label":"dog","index":0,"score":0.25}],"features":[2,0.5]}
{"file":"a, \"b\"\n3.png","unknown":true,"predictions":[{"label":"cat","index":1,"score":0.75},{"label":"dog","index":0,"score":0.25}],"features":[3,0.5]}
{"file":"a, \"b\"\n0.png","error":"not an image"}
`,
		"r.csv": `file,label,score,label_2,score_2,unknown,error
"a, ""b""
0.png",cat,0.75,dog,0.25,true,
"a, ""b""
1.png",cat,0.75,dog,0.25,,
"a, ""b""
2.png",cat,0.75,dog,0.25,,
"a, ""b""
3.png",cat,0.75,dog,0.25,true,
"a, ""b""
0.png",,,,,,not an image
`,
	} {
		f, err := results.Open(filepath.Join(dir, name), results.Options{Top: 2})
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range all {
			if err := f.Write(r); err != nil {
				t.Error(err)
			}
		}
		if err := f.Close(true); err != nil {
			t.Error(err)
		}
		if got, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(got) != want {
			t.Errorf("%s: %s", name, got)
		}
	}

	path := filepath.Join(dir, "r.parquet")
	run(t, path, all, len(all))
	type row struct {
		File        string `parquet:"file"`
		Predictions []struct {
			Label string  `parquet:"label"`
			Score float32 `parquet:"score"`
		} `parquet:"predictions,list"`
		Features []float32 `parquet:"features,list"`
		Error    *string   `parquet:"error,optional"`
	}
	rows, err := parquet.ReadFile[row](path)
	if err != nil || len(rows) != 5 || rows[1].Predictions[1].Label != "dog" || !slices.Equal(rows[3].Features, []float32{3, 0.5}) || *rows[4].Error != "not an image" {
		t.Errorf("%v, %v", rows, err)
	}
}

func TestOpenErrors(t *testing.T) {
	dir := t.TempDir()
	write := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o666); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for _, test := range []struct {
		path string
		o    results.Options
		want string
	}{
		{filepath.Join(dir, "x.txt"), results.Options{}, "expected a name that ends in .jsonl, .csv or .parquet"},
		{filepath.Join(dir, "x.csv"), results.Options{Features: true}, "features"},
		{write("there.csv", ""), results.Options{}, "there.csv is there already"},
		{write("other.csv", "a,b\nc,d\n"), results.Options{Resume: true}, "its columns are a,b"},
		{write("short.csv", "file,label,score,unknown,error\nx,y\n"), results.Options{Resume: true, Top: 1}, "a row of 2 cells, expected 5"},
		{write("other.jsonl", "{\"a\":1}\n"), results.Options{Resume: true}, "line 1 is no result"},
		{filepath.Join(dir, "none", "x.jsonl"), results.Options{}, "no such file"},
	} {
		if f, err := results.Open(test.path, test.o); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, %v, want %q", test.path, f, err, test.want)
		}
	}
	type other struct{ File, Author string }
	foreign := filepath.Join(dir, "other.parquet")
	if err := parquet.WriteFile(foreign, []other{{"a", "b"}}); err != nil {
		t.Fatal(err)
	}
	if _, err := results.Open(foreign, results.Options{Resume: true}); err == nil || !strings.Contains(err.Error(), "its columns are Author,File") {
		t.Errorf("a table of something else: %v", err)
	}
	if rows, err := parquet.ReadFile[other](foreign); err != nil || len(rows) != 1 || rows[0].Author != "b" {
		t.Errorf("a table of something else is now %v, %v", rows, err)
	}
	if err := os.Mkdir(filepath.Join(dir, "x.parquet.parts"), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "x.parquet.parts", "000000.parquet"), []byte("PAR1"), 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := results.Open(filepath.Join(dir, "x.parquet"), results.Options{Resume: true}); err == nil || !strings.Contains(err.Error(), "000000.parquet") {
		t.Errorf("a part that is none: %v", err)
	}
	if _, err := results.Open(filepath.Join(dir, "x.parquet"), results.Options{}); err == nil || errors.Is(err, fs.ErrNotExist) {
		t.Errorf("parts of another run: %v", err)
	}
}
