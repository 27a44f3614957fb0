package features

import (
	"archive/zip"
	"encoding/csv"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"
)

func table() *Table {
	t := &Table{Width: 3, Classes: []string{"cat", "dog, big"}}
	t.Append("train", []string{"a/1.png", "ü/2.png"}, []int{1, 0}, []float32{1, 2, 3, 4, 5, 6.5})
	t.Append("", []string{"x.png"}, []int{-1}, []float32{-1, 0, 1e-30})
	return t
}

func save(t *testing.T, name string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := table().Save(path); err != nil {
		t.Fatal(err)
	}
	return path
}

// The headers of the arrays; their bytes are what package numpy's tests say.
func TestNpz(t *testing.T) {
	z, err := zip.OpenReader(save(t, "a.NPZ"))
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	want := [][3]string{
		{"features.npy", "<f4", "(3, 3)"}, {"labels.npy", "<i8", "(3,)"}, {"paths.npy", "<U7", "(3,)"}, {"splits.npy", "<U5", "(3,)"}, {"classes.npy", "<U8", "(2,)"},
	}
	for i, f := range z.File {
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		dict := fmt.Sprintf("{'descr': '%s', 'fortran_order': False, 'shape': %s, }", want[i][1], want[i][2])
		if f.Name != want[i][0] || !strings.Contains(string(text[:128]), dict) {
			t.Errorf("array %d is %s, %q, want %v", i, f.Name, text[:128], want[i])
		}
	}
}

func TestNpy(t *testing.T) {
	path := save(t, "a.npy")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if len(text) != 128+4*9 || !strings.Contains(string(text[:128]), "'shape': (3, 3), ") || string(text[128:136]) != "\x00\x00\x80\x3f\x00\x00\x00\x40" {
		t.Errorf("wrote %q", text)
	}
	f, err := os.Open(Companion(path))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	want := [][]string{{"path", "split", "label", "class"}, {"a/1.png", "train", "1", "dog, big"}, {"ü/2.png", "train", "0", "cat"}, {"x.png", "", "-1", ""}}
	if err != nil || !reflect.DeepEqual(rows, want) {
		t.Errorf("%v, %q, want %q", err, rows, want)
	}
}

func TestParquet(t *testing.T) {
	path := save(t, "a.parquet")
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	file, err := parquet.OpenFile(f, info.Size())
	if err != nil {
		t.Fatal(err)
	}
	// The schema that other readers know as string, int32 and list of float.
	want := `required binary path (STRING);
	optional binary split (STRING);
	required int32 label (INT(32,true));
	optional binary class (STRING);
	required group features (LIST) {
		repeated group list {
			required float element;
		}
	}`
	if got := file.Schema().String(); !strings.Contains(got, want) {
		t.Errorf("schema %s, want it to contain %s", got, want)
	}
	rows, err := parquet.Read[row](f, info.Size())
	if err != nil || len(rows) != 3 {
		t.Fatal(err, rows)
	}
	if r := rows[1]; r.Path != "ü/2.png" || *r.Split != "train" || r.Label != 0 || *r.Class != "cat" || !slices.Equal(r.Features, []float32{4, 5, 6.5}) {
		t.Errorf("row 1 is %+v", r)
	}
	if r := rows[2]; r.Path != "x.png" || r.Split != nil || r.Label != -1 || r.Class != nil || !slices.Equal(r.Features, []float32{-1, 0, 1e-30}) {
		t.Errorf("row 2 is %+v", r)
	}
}

func TestSaveErrors(t *testing.T) {
	dir := t.TempDir()
	good := table()
	for _, c := range []struct {
		name   string
		change func(t *Table)
		want   string
	}{
		{"a.txt", func(*Table) {}, `a.txt: expected a name that ends in one of [".npz" ".npy" ".parquet"]`},
		{"a.npz", func(t *Table) { t.Labels[0] = 2 }, "a/1.png has the label 2"},
		{"a.npy", func(t *Table) { t.Width = 2 }, "9 feature values"},
		{"no/such/folder.npz", func(*Table) {}, "folder.npz"},
	} {
		bad := *good
		bad.Labels = slices.Clone(good.Labels)
		c.change(&bad)
		if err := bad.Save(filepath.Join(dir, c.name)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("error %v, want %q", err, c.want)
		}
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) > 0 {
		t.Errorf("%v, left %v", err, entries)
	}
}
