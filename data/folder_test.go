package data_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/bigtransfer/bit/data"
	"github.com/bigtransfer/bit/internal/fixture"
)

// tree returns a file system of empty files.
func tree(paths ...string) fstest.MapFS {
	fsys := fstest.MapFS{}
	for _, p := range paths {
		if dir, ok := strings.CutSuffix(p, "/"); ok {
			fsys[dir] = &fstest.MapFile{Mode: fs.ModeDir}
		} else {
			fsys[p] = &fstest.MapFile{}
		}
	}
	return fsys
}

// show writes examples as "path=label".
func show(examples []data.Example) []string {
	var s []string
	for _, e := range examples {
		s = append(s, fmt.Sprintf("%s=%d", e.Path, e.Label))
	}
	return s
}

func TestOpenLayouts(t *testing.T) {
	for _, test := range []struct {
		name             string
		files            fstest.MapFS
		classes          []string
		train, val, test []string
		skipped          []string
	}{
		{
			name:    "classes",
			files:   tree("dog/b.JPG", "dog/a.png", "cat/c.webp", "Zebra/z.tiff"),
			classes: []string{"Zebra", "cat", "dog"},
			train:   []string{"Zebra/z.tiff=0", "cat/c.webp=1", "dog/a.png=2", "dog/b.JPG=2"},
		}, {
			name:    "splits",
			files:   tree("train/a/1.jpg", "train/b/2.jpg", "val/b/3.jpg", "test/a/4.jpg", "test/b/5.jpg"),
			classes: []string{"a", "b"},
			train:   []string{"train/a/1.jpg=0", "train/b/2.jpg=1"},
			val:     []string{"val/b/3.jpg=1"},
			test:    []string{"test/a/4.jpg=0", "test/b/5.jpg=1"},
		}, {
			name:    "other names of splits",
			files:   tree("Training/a/1.jpg", "DEV/a/2.jpg", "Eval/a/3.jpg"),
			classes: []string{"a"},
			train:   []string{"Training/a/1.jpg=0"},
			val:     []string{"DEV/a/2.jpg=0"},
			test:    []string{"Eval/a/3.jpg=0"},
		}, {
			name:    "no training split",
			files:   tree("validation/b/1.jpg", "testing/a/2.jpg"),
			classes: []string{"a", "b"},
			val:     []string{"validation/b/1.jpg=1"},
			test:    []string{"testing/a/2.jpg=0"},
		}, {
			name:    "classes called like splits",
			files:   tree("train/1.jpg", "bus/2.jpg", "test/3.jpg"),
			classes: []string{"bus", "test", "train"},
			train:   []string{"bus/2.jpg=0", "test/3.jpg=1", "train/1.jpg=2"},
		}, {
			name:    "files called like splits",
			files:   tree("cat/train.jpg", "cat/test.jpg", "dog/val.png"),
			classes: []string{"cat", "dog"},
			train:   []string{"cat/test.jpg=0", "cat/train.jpg=0", "dog/val.png=1"},
		}, {
			name:    "nested",
			files:   tree("a/x/y/1.jpg", "a/2.jpg", "b/images/3.jpg"),
			classes: []string{"a", "b"},
			train:   []string{"a/2.jpg=0", "a/x/y/1.jpg=0", "b/images/3.jpg=1"},
		}, {
			name: "left out",
			files: tree("README.md", "loose.jpg", ".git/config", "a/1.jpg", "a/._1.jpg", "a/notes.txt",
				"a/noext", "a/jpg"),
			classes: []string{"a"},
			train:   []string{"a/1.jpg=0"},
			skipped: []string{".git", "README.md", "a/._1.jpg", "a/jpg", "a/noext", "a/notes.txt", "loose.jpg"},
		}, {
			name:    "annotations beside splits",
			files:   tree("train/a/1.jpg", "annotations/1.xml", "test/a/2.jpg", "test/loose.png", "val/"),
			classes: []string{"a"},
			train:   []string{"train/a/1.jpg=0"},
			test:    []string{"test/a/2.jpg=0"},
			skipped: []string{"annotations/1.xml", "test/loose.png"},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			d, err := data.OpenFS(test.files)
			if err != nil {
				t.Fatal(err)
			}
			var skipped []string
			for _, s := range d.Skipped {
				if s.Reason == "" {
					t.Errorf("%s is skipped for no reason", s.Path)
				}
				skipped = append(skipped, s.Path)
			}
			slices.Sort(skipped)
			for _, c := range []struct {
				what      string
				got, want []string
			}{
				{"classes", d.Classes, test.classes},
				{"train", show(d.Train), test.train},
				{"val", show(d.Val), test.val},
				{"test", show(d.Test), test.test},
				{"skipped", skipped, test.skipped},
			} {
				if !slices.Equal(c.got, c.want) {
					t.Errorf("%s: got %q, want %q", c.what, c.got, c.want)
				}
			}
		})
	}
}

func TestOpenErrors(t *testing.T) {
	deep := "a/" + strings.Repeat("d/", 40) + "1.jpg"
	for _, test := range []struct {
		name  string
		files fstest.MapFS
		want  []string // parts of the message
	}{
		{"empty", tree(), []string{"no images found", "class/file"}},
		{"only loose pictures", tree("1.jpg", "2.jpg"), []string{"no images found", "1.jpg"}},
		{"empty class", tree("a/1.jpg", "b/"), []string{`"b" holds no images`}},
		{"class without pictures", tree("train/a/1.jpg", "train/b/x.txt"), []string{`"train/b" holds no images`}},
		{"unknown class", tree("train/a/1.jpg", "val/b/1.jpg"), []string{`"val"`, `"b"`, "one of: a"}},
		{"unlabelled test split", tree("train/a/1.jpg", "test/1.jpg"), []string{`"test"`, "1 images"}},
		{"empty test split", tree("train/a/1.jpg", "test/a/"), []string{`"test"`, "no images"}},
		{"two validation splits", tree("train/a/1.jpg", "val/a/1.jpg", "valid/a/1.jpg"), []string{`"val"`, `"valid"`}},
		{"class beside splits", tree("train/a/1.jpg", "cat/1.jpg"), []string{`"train"`, `"cat"`}},
		{"too deep", tree(deep), []string{"nested"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			d, err := data.OpenFS(test.files)
			if err == nil {
				t.Fatalf("no error, found %v", d)
			}
			for _, part := range test.want {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("error %q does not say %q", err, part)
				}
			}
		})
	}
}

func TestOpenErrorTypes(t *testing.T) {
	if _, err := data.OpenFS(tree("x.txt")); !errors.Is(err, data.ErrNoImages) {
		t.Errorf("got %v, want ErrNoImages", err)
	}
	_, err := data.OpenFS(tree("a/"))
	if e, ok := errors.AsType[*data.EmptyClassError](err); !ok || e.Dir != "a" {
		t.Errorf("got %v, want an EmptyClassError for a", err)
	}
	_, err = data.OpenFS(tree("train/a/1.jpg", "val/b/1.jpg"))
	if e, ok := errors.AsType[*data.UnknownClassError](err); !ok || e.Class != "b" {
		t.Errorf("got %v, want an UnknownClassError for b", err)
	}
	if _, err := data.Open(filepath.Join(t.TempDir(), "absent")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v, want fs.ErrNotExist", err)
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := data.Open(file); err == nil || !strings.Contains(err.Error(), "expected a directory") {
		t.Errorf("got %v, want an error about a directory", err)
	}
}

func TestOpenLinks(t *testing.T) {
	dir := t.TempDir()
	for _, p := range []string{"store/cats/1.jpg", "store/2.jpg", "data/dog/3.jpg"} {
		write(t, filepath.Join(dir, p), nil)
	}
	for link, to := range map[string]string{
		"data/cat":       "../store/cats",
		"data/dog/4.jpg": "../../store/2.jpg",
		"data/dog/5.jpg": "nowhere.jpg",
	} {
		if err := os.Symlink(to, filepath.Join(dir, link)); err != nil {
			if runtime.GOOS != "windows" {
				t.Fatal(err)
			}
			t.Skip(err) // an account without the privilege of making links
		}
	}
	d, err := data.Open(filepath.Join(dir, "data"))
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"cat/1.jpg=0", "dog/3.jpg=1", "dog/4.jpg=1"}
	if got := show(d.Train); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if len(d.Skipped) != 1 || d.Skipped[0].Path != "dog/5.jpg" {
		t.Errorf("skipped %v, want dog/5.jpg", d.Skipped)
	}
}

func write(t *testing.T, path string, content []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

// tiny returns a Tiny-ImageNet tree of two classes.
func tiny() fstest.MapFS {
	fsys := tree("train/n02/images/n02_0.JPEG", "train/n02/images/n02_1.JPEG", "train/n02/n02_boxes.txt",
		"train/n01/images/n01_0.JPEG", "val/images/val_0.JPEG", "val/images/val_1.JPEG", "test/images/test_0.JPEG")
	fsys["wnids.txt"] = &fstest.MapFile{Data: []byte("n02\nn01\n")}
	fsys["words.txt"] = &fstest.MapFile{Data: []byte("n00\tentity\nn01\ttabby, tabby cat\r\nn02\tgoldfish\n")}
	fsys["val/val_annotations.txt"] = &fstest.MapFile{Data: []byte("val_1.JPEG\tn01\t0\t0\t62\t63\nval_0.JPEG\tn02\t0\t32\t44\t62\n")}
	return fsys
}

func TestTinyImageNet(t *testing.T) {
	d, err := data.OpenFS(tiny())
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"tabby, tabby cat", "goldfish"}; !slices.Equal(d.Classes, want) {
		t.Errorf("classes %q, want %q", d.Classes, want)
	}
	want := []string{"train/n01/images/n01_0.JPEG=0", "train/n02/images/n02_0.JPEG=1", "train/n02/images/n02_1.JPEG=1"}
	if got := show(d.Train); !slices.Equal(got, want) {
		t.Errorf("train %q, want %q", got, want)
	}
	if got, want := show(d.Val), []string{"val/images/val_0.JPEG=1", "val/images/val_1.JPEG=0"}; !slices.Equal(got, want) {
		t.Errorf("val %q, want %q", got, want)
	}
	if len(d.Test)+len(d.Skipped) != 0 {
		t.Errorf("test %v and skipped %v, want none", d.Test, d.Skipped)
	}
	name, examples := d.EvalSplit()
	if name != "val" || len(examples) != 2 {
		t.Errorf("EvalSplit is %s with %d examples, want val with 2", name, len(examples))
	}
}

func TestTinyImageNetErrors(t *testing.T) {
	for _, test := range []struct {
		name, file, content string
		want                []string
	}{
		{"no ids", "wnids.txt", "", []string{"wnids.txt", "none"}},
		{"id twice", "wnids.txt", "n01\nn02\nn01\n", []string{"wnids.txt", "n01", "twice"}},
		{"id is a path", "wnids.txt", "n01\n../n02\n", []string{"wnids.txt, line 2", "../n02"}},
		{"class without directory", "wnids.txt", "n01\nn02\nn00\n", []string{"train/n00/images"}},
		{"no label", "words.txt", "n01\tcat\n", []string{"words.txt", "n02"}},
		{"words without tab", "words.txt", "n01\tcat\nn02 dog\n", []string{"words.txt, line 2", "tab"}},
		{"annotation of an absent file", "val/val_annotations.txt", "val_7.JPEG\tn01\n", []string{"line 1", "val_7.JPEG"}},
		{"annotation with unknown id", "val/val_annotations.txt", "val_0.JPEG\tn09\n", []string{"line 1", "n09"}},
		{"annotation twice", "val/val_annotations.txt", "val_0.JPEG\tn01\nval_0.JPEG\tn02\n", []string{"line 2", "twice"}},
		{"no annotation", "val/val_annotations.txt", "", []string{`"val"`, "no images"}},
		{"annotation without tab", "val/val_annotations.txt", "val_0.JPEG\n", []string{"line 1", "tab"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			fsys := tiny()
			fsys[test.file] = &fstest.MapFile{Data: []byte(test.content)}
			_, err := data.OpenFS(fsys)
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
}

func TestTinyImageNetSharedLabel(t *testing.T) {
	fsys := tiny()
	fsys["words.txt"] = &fstest.MapFile{Data: []byte("n01\tcrane\nn02\tcrane\n")}
	d, err := data.OpenFS(fsys)
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"crane (n01)", "crane (n02)"}; !slices.Equal(d.Classes, want) {
		t.Errorf("classes %q, want %q", d.Classes, want)
	}
}

// The small CIFAR-10 set has 10 classes of 40 training and 30 test pictures.
func TestCIFAR10Mini(t *testing.T) {
	d, err := data.Open(fixture.Data(t, "cifar10-mini"))
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"}
	if !slices.Equal(d.Classes, want) {
		t.Errorf("classes %q, want %q", d.Classes, want)
	}
	if len(d.Train) != 400 || len(d.Val) != 0 || len(d.Test) != 300 || len(d.Skipped) != 0 {
		t.Errorf("%d train, %d val, %d test, %d skipped; want 400, 0, 300, 0",
			len(d.Train), len(d.Val), len(d.Test), len(d.Skipped))
	}
	perClass := make([]int, 10)
	for _, e := range d.Train {
		perClass[e.Label]++
	}
	if want := slices.Repeat([]int{40}, 10); !slices.Equal(perClass, want) {
		t.Errorf("training pictures per class %v, want %v", perClass, want)
	}
}

func TestRelabel(t *testing.T) {
	d := &data.Dataset{
		Classes: []string{"a", "b"},
		Train:   []data.Example{{Path: "1", Label: 0}, {Path: "2", Label: 1}},
		Test:    []data.Example{{Path: "3", Label: 1}},
	}
	before := show(d.Train)
	if err := d.Relabel([]string{"x", "a"}); err == nil {
		t.Error("no error for a class that the model lacks")
	}
	if err := d.Relabel([]string{"b", "a", "b"}); err == nil {
		t.Error("no error for a label that the model has twice")
	}
	if got := show(d.Train); !reflect.DeepEqual(got, before) {
		t.Errorf("labels changed by an error: %v, want %v", got, before)
	}
	if err := d.Relabel([]string{"b", "c", "a", "c"}); err != nil {
		t.Fatal(err)
	}
	if got, want := show(d.Train), []string{"1=2", "2=0"}; !slices.Equal(got, want) {
		t.Errorf("train %v, want %v", got, want)
	}
	if got, want := show(d.Test), []string{"3=0"}; !slices.Equal(got, want) {
		t.Errorf("test %v, want %v", got, want)
	}
	if len(d.Classes) != 4 {
		t.Errorf("classes %v, want those of the model", d.Classes)
	}
	several := &data.Dataset{Classes: []string{"a", "b"}, MultiLabel: true, Train: []data.Example{{Label: 0, Labels: []int32{0, 1}}}}
	if err := several.Relabel([]string{"b", "a"}); err != nil {
		t.Fatal(err)
	}
	if e := several.Train[0]; e.Label != 0 || !slices.Equal(e.Labels, []int32{0, 1}) {
		t.Errorf("labels %v, the first %d", e.Labels, e.Label)
	}
}
