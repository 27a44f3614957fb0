package data_test

import (
	"archive/tar"
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/bigtransfer/bit/data"
	"github.com/bigtransfer/bit/internal/datatest"
	"github.com/bigtransfer/bit/internal/tfrecord"
)

// labelFile returns what a WebDataset's file of the extension says of a picture's class.
func labelFile(s *datatest.Sample, p datatest.Picture, ext string) []byte {
	switch ext {
	case "cls":
		return fmt.Append(nil, p.Label, "\n")
	case "json":
		return fmt.Appendf(nil, `{"width": 32, "label": %q, "source": null}`, s.Classes[p.Label])
	}
	return []byte(s.Classes[p.Label])
}

// writeShards writes two shards of each split with GNU tar, in an order of their files that is not that of keys.
func writeShards(names []string, ext string) func(testing.TB, *datatest.Sample, string) string {
	return func(t testing.TB, s *datatest.Sample, dir string) string {
		for _, split := range datatest.Splits {
			for n := range 2 {
				samples := t.TempDir()
				for i, p := range s.Only(split).Pictures {
					if i%2 == n {
						datatest.Write(t, filepath.Join(samples, p.Name+".png"), p.File)
						datatest.Write(t, filepath.Join(samples, p.Name+"."+ext), labelFile(s, p, ext))
						datatest.Write(t, filepath.Join(samples, p.Name+".mask.png"), []byte("not the picture"))
					}
				}
				datatest.Write(t, filepath.Join(dir, "README.md"), []byte("Shards of a sample."))
				out := filepath.Join(dir, fmt.Sprintf("set-%s-%06d.tar", split, n))
				command(t, samples, "tar", "--format", "ustar", "-cf", out, ".")
			}
		}
		if names != nil {
			datatest.Write(t, filepath.Join(dir, "classnames.txt"), []byte(strings.Join(names, "\n")+"\n"))
		}
		return dir
	}
}

// shard writes one shard in the given way.
func shard(command string) func(testing.TB, *datatest.Sample, string) string {
	return archived(func(t testing.TB, s *datatest.Sample, dir string) string {
		for _, p := range s.Pictures {
			datatest.Write(t, filepath.Join(dir, p.Name+".png"), p.File)
			datatest.Write(t, filepath.Join(dir, p.Name+".cls"), labelFile(s, p, "cls"))
		}
		return dir
	}, command)
}

func command(t testing.TB, dir, name string, args ...string) {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s %v: %v\n%s", name, args, err, out)
	}
}

// message appends a field of bytes to a protocol buffer.
func message(b []byte, field protowire.Number, content []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(b, field, protowire.BytesType), content)
}

// feature is an entry of the map of a tf.train.Example: a text or numbers, packed or not.
type feature struct {
	name    string
	text    []byte
	numbers []int64
	loose   bool // numbers are not packed
}

// example encodes a tf.train.Example.
func example(features ...feature) []byte {
	var all []byte
	for _, f := range features {
		var value []byte
		if f.text != nil {
			value = message(nil, 1, message(nil, 1, f.text))
		} else {
			var list []byte
			for _, n := range f.numbers {
				if f.loose {
					list = protowire.AppendVarint(protowire.AppendTag(list, 1, protowire.VarintType), uint64(n))
				} else {
					list = protowire.AppendVarint(list, uint64(n))
				}
			}
			if !f.loose {
				list = message(nil, 1, list)
			}
			value = message(nil, 3, list)
		}
		all = message(all, 1, message(message(nil, 1, []byte(f.name)), 2, value))
	}
	return message(nil, 1, all)
}

func slimExample(s *datatest.Sample, p datatest.Picture) []byte {
	return example(
		feature{name: "image/class/label", numbers: []int64{int64(p.Label) + 1}},
		feature{name: "image/class/text", text: []byte(s.Classes[p.Label])},
		feature{name: "image/encoded", text: p.File},
		feature{name: "image/height", numbers: []int64{32}},
		feature{name: "image/width", numbers: []int64{32}},
		feature{name: "image/format", text: []byte("png")})
}

func tfdsExample(s *datatest.Sample, p datatest.Picture) []byte {
	return example(feature{name: "id", text: []byte(p.Name)}, feature{name: "image", text: p.File},
		feature{name: "label", numbers: []int64{int64(p.Label)}, loose: true})
}

func rawExample(s *datatest.Sample, p datatest.Picture) []byte {
	var gray []byte
	for i := 0; i < len(p.Image.Pix); i += 3 {
		gray = append(gray, p.Image.Pix[i])
	}
	return example(feature{name: "height", numbers: []int64{32}}, feature{name: "width", numbers: []int64{32}},
		feature{name: "depth", numbers: []int64{1}}, feature{name: "label", numbers: []int64{int64(p.Label)}},
		feature{name: "image_raw", text: gray})
}

// writeRecords writes two files of records of each split.
func writeRecords(pattern string, encode func(*datatest.Sample, datatest.Picture) []byte) func(testing.TB, *datatest.Sample, string) string {
	return func(t testing.TB, s *datatest.Sample, dir string) string {
		names := map[string]string{"train": "train", "val": "validation", "test": "test"}
		for _, split := range datatest.Splits {
			var files [2][]byte
			for i, p := range s.Only(split).Pictures {
				files[i%2] = tfrecord.Append(files[i%2], encode(s, p))
			}
			for n, b := range files {
				name := strings.NewReplacer("{split}", names[split], "{n}", fmt.Sprint(n)).Replace(pattern)
				datatest.Write(t, filepath.Join(dir, name), b)
			}
		}
		if strings.Contains(pattern, "set-") {
			datatest.Write(t, filepath.Join(dir, "label.labels.txt"), []byte(strings.Join(s.Classes, "\n")+"\n"))
			datatest.Write(t, filepath.Join(dir, "features.json"), []byte("{}"))
		}
		return dir
	}
}

// tarOf returns a tar file of pairs of a name and a content.
func tarOf(t testing.TB, pairs ...string) []byte {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for i := 0; i < len(pairs); i += 2 {
		if err := w.WriteHeader(&tar.Header{Name: pairs[i], Size: int64(len(pairs[i+1])), Mode: 0o600}); err != nil {
			t.Fatal(err)
		}
		w.Write([]byte(pairs[i+1]))
	}
	w.Close()
	return b.Bytes()
}

func TestPatterns(t *testing.T) {
	dir := writeFiles(t, map[string][]byte{
		"train/a-08.tar": tarOf(t, "1.jpg", "", "1.cls", "8"),
		"train/a-09.tar": tarOf(t, "1.jpg", "", "1.cls", "9"),
		"train/a-10.tar": tarOf(t, "1.jpg", "", "1.cls", "10"),
		"train/a-11.tar": tarOf(t, "1.jpg", "", "1.cls", "11"),
		"val/a-08.tar":   tarOf(t, "1.jpg", "", "1.cls", "8"),
	})
	for pattern, want := range map[string]struct{ classes, train, val string }{
		"train/a-{08..10}.tar":     {"8 9 10", "a-08.tar/1.jpg a-09.tar/1.jpg a-10.tar/1.jpg", ""},
		"{train,val}/a-08.tar":     {"8", "train/a-08.tar/1.jpg", "val/a-08.tar/1.jpg"},
		"{val,train}/a-{8..8}.tar": {},
	} {
		d, err := data.Open(filepath.Join(dir, pattern))
		if want.classes == "" {
			if err == nil || !strings.Contains(err.Error(), "a-8.tar") {
				t.Errorf("%s: error %v, want one that names the missing file", pattern, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", pattern, err)
			continue
		}
		paths := func(examples []data.Example) string {
			var p []string
			for _, e := range examples {
				p = append(p, e.Path)
			}
			return strings.Join(p, " ")
		}
		if got := strings.Join(d.Classes, " "); got != want.classes || paths(d.Train) != want.train && !strings.HasPrefix(pattern, "train") || paths(d.Val) != want.val {
			t.Errorf("%s: classes %s, train %s, val %s; want %v", pattern, got, paths(d.Train), paths(d.Val), want)
		}
	}
	for _, bad := range []string{"a-{0..}.tar", "a-{5..3}.tar", "a-{0..100000000}.tar", "a-{0..9999}{0..9999}.tar", "a-{.tar"} {
		if _, err := data.Open(filepath.Join(dir, bad)); err == nil || !strings.Contains(err.Error(), "pattern") {
			t.Errorf("%s: error %v", bad, err)
		}
	}
}

// All labels of a picture count, whichever way they are written.
func TestShardsOfSeveralLabels(t *testing.T) {
	record := func(numbers ...int64) []byte {
		return tfrecord.Append(nil, example(feature{name: "image", text: []byte("x")}, feature{name: "label", numbers: numbers}))
	}
	for name, files := range map[string]map[string][]byte{
		"WebDataset": {"a.tar": tarOf(t, "1.png", "", "1.json", `{"labels": ["b", "a", "b"]}`, "2.png", "", "2.json", `{"labels": ["c"]}`, "3.png", "", "3.json", `{"labels": []}`)},
		"TFRecord":   {"a.tfrecord": slices.Concat(record(1, 0, 1), record(2), record()), "classes.txt": []byte("a\nb\nc\n")},
	} {
		d, err := data.Opener{LabelColumn: map[string]string{"TFRecord": "label"}[name]}.Open(writeFiles(t, files))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		got := fmt.Sprint(d.Classes, d.MultiLabel)
		for _, e := range d.Train {
			got += fmt.Sprint(" ", e.Label, e.Labels)
		}
		if want := "[a b c] true 0 [0 1] 2 [2] -1 []"; got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
}

func TestBadShards(t *testing.T) {
	whole := tarOf(t, "1.jpg", "x", "1.cls", "3", "2.jpg", "y", "2.cls", "4")
	record := func(features ...feature) []byte { return tfrecord.Append(nil, example(features...)) }
	good := record(feature{name: "image", text: []byte("x")}, feature{name: "label", numbers: []int64{1}})
	claims := slices.Clone(good)
	claims[7] = 0x7f
	for _, test := range []struct {
		files map[string][]byte
		want  []string
	}{
		{map[string][]byte{"a.tar": whole[:1500]}, []string{"a.tar", "cut short"}},
		{map[string][]byte{"a.tar": whole, "classes.txt": []byte("a\nb\n")}, []string{"a.tar", "1.jpg", `"3"`, "a, b"}},
		{map[string][]byte{"a.tar": tarOf(t, "1.jpg", "x", "1.cls", "")}, []string{"1.jpg: no label: expected one line in .cls"}},
		{map[string][]byte{"a.tar": tarOf(t, "1.jpg", "x", "1.json", "{")}, []string{"1.jpg: no label: .json"}},
		{map[string][]byte{"a.tar": tarOf(t, "1.jpg", "x", "1.json", `{"label": 1.5}`)}, []string{`"label" in .json is neither`}},
		{map[string][]byte{"a.tar": tarOf(t, "1.jpg", "x", "1.json", `{"colour": 1}`)}, []string{`expected a field "label"`}},
		{map[string][]byte{"a.tar": tarOf(t, "1.jpg", "x", "1.txt", strings.Repeat("a caption ", 50))}, []string{"1.jpg: no label: .txt has 500 bytes"}},
		{map[string][]byte{"a.tar": tarOf(t, "1.jpg", "x", "1.jpg", "y", "1.cls", "0")}, []string{"the key 1 has two files .jpg"}},
		{map[string][]byte{"a.tfrecord": good[:len(good)-1]}, []string{"a.tfrecord", "record at byte 0", "cut short"}},
		{map[string][]byte{"a.tfrecord": claims}, []string{"a.tfrecord", "wrong checksum"}},
		{map[string][]byte{"a.tfrecord": {}}, []string{"a.tfrecord", "empty"}},
		{map[string][]byte{"a.tfrecord": []byte("some text, but no records")}, []string{"a.tfrecord", "wrong checksum"}},
		{map[string][]byte{"a.tfrecord": tfrecord.Append(nil, []byte("no example"))}, []string{"a.tfrecord", "no tf.train.Example"}},
		{map[string][]byte{"a.tfrecord": record(feature{name: "text", text: []byte("x")})}, []string{"a.tfrecord#0: no picture", "found the features text"}},
		{map[string][]byte{"a.tfrecord": record(feature{name: "image", text: []byte("x")})}, []string{"a.tfrecord#0: no label", "found the features image"}},
		{map[string][]byte{"a.tfrecord": good, "labels.txt": []byte("0:a\n")}, []string{"a.tfrecord#0", `"1"`}},
	} {
		datatest.Refuse(t, writeFiles(t, test.files), test.want...)
	}
}

// A text beside a picture in a folder of a class is no label, and tar files beside folders of classes are no shards.
func TestNoShards(t *testing.T) {
	path := filepath.Join(t.TempDir(), "folders.tar")
	if err := os.WriteFile(path, tarOf(t, "cat/1.jpg", "", "cat/1.txt", "a caption", "dog/2.jpg", ""), 0o666); err != nil {
		t.Fatal(err)
	}
	d, err := data.Open(path)
	if err != nil || !slices.Equal(d.Classes, []string{"cat", "dog"}) {
		t.Errorf("%v, error %v, want the classes cat and dog", d, err)
	}
	d, err = data.Open(writeFiles(t, map[string][]byte{"cat/1.jpg": nil, "dog/2.jpg": nil, "backup.tar": tarOf(t, "cat/1.jpg", "", "dog/2.jpg", "")}))
	if err != nil || !slices.Equal(d.Classes, []string{"cat", "dog"}) {
		t.Errorf("%v, error %v, want the classes cat and dog", d, err)
	}
}

func FuzzWebDataset(f *testing.F) {
	f.Add(tarOf(f, "1.jpg", "x", "1.cls", "3", "2.jpg", "y", "2.json", `{"label": ["a", 2]}`), []byte("a\nb\n"))
	f.Fuzz(func(t *testing.T, shard, names []byte) {
		fuzzFiles(t, map[string][]byte{"a.tar": shard, "classes.txt": names})
	})
}

// The checksums of records would stop nearly all that a fuzzer tries: they are made right.
func FuzzTFRecord(f *testing.F) {
	f.Add(example(feature{name: "image", text: []byte("x")}, feature{name: "label", numbers: []int64{1, 2}}), []byte("0:a\n1:b\n"))
	f.Add(example(feature{name: "image_raw", text: []byte("xyz")}, feature{name: "height", numbers: []int64{1}, loose: true},
		feature{name: "width", numbers: []int64{1}}, feature{name: "depth", numbers: []int64{3}}, feature{name: "label", text: []byte("a")}), []byte(""))
	f.Fuzz(func(t *testing.T, record, names []byte) {
		fuzzFiles(t, map[string][]byte{"a.tfrecord": tfrecord.Append(nil, record), "classes.txt": names})
	})
}
