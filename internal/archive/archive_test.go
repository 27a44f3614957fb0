package archive

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/bigtransfer/bit/internal/fuzztest"
)

// files is what the archives of the tests hold.
var files = map[string]string{
	"cat/1.jpg":      "one",
	"cat/deep/2.jpg": strings.Repeat("two", 5000),
	"cat-2/3.jpg":    "",
	"cat.txt":        "dots sort before slashes",
	"dog/" + strings.Repeat("x", 90) + "/" + strings.Repeat("y", 90): "a long name",
	"dog/größe.jpg": "no ASCII",
}

// folder writes files below a new folder.
func folder(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// output runs a program in a folder and returns what it writes to standard output.
func output(t *testing.T, dir, name string, args ...string) []byte {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %v: %v", name, args, err)
	}
	return out
}

// check compares a file system with files.
func check(t *testing.T, fsys *FS, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for name, content := range files {
		names = append(names, name)
		got, err := fs.ReadFile(fsys, name)
		if err != nil || string(got) != content {
			t.Errorf("%s: %d bytes, error %v, want %d", name, len(got), err, len(content))
		}
	}
	if err := fstest.TestFS(fsys, names...); err != nil {
		t.Error(err)
	}
}

func tarFS(r io.ReaderAt, size int64) (*FS, error) {
	members, left, err := TarMembers(r, size)
	if err != nil {
		return nil, err
	}
	return NewFS(members, left)
}

func indexTar(b []byte) (*FS, error) { return tarFS(bytes.NewReader(b), int64(len(b))) }
func indexZip(b []byte) (*FS, error) { return Zip(bytes.NewReader(b), int64(len(b))) }

// Every format of GNU tar.
func TestGNUTar(t *testing.T) {
	dir := folder(t)
	for _, format := range []string{"gnu", "oldgnu", "pax", "ustar"} {
		t.Run(format, func(t *testing.T) {
			for _, what := range []string{".", "cat cat-2 cat.txt dog"} {
				b := output(t, dir, "tar", append([]string{"--format", format, "-cf", "-"}, strings.Fields(what)...)...)
				if !IsTar(b[:512]) {
					t.Error("not recognised")
				}
				fsys, err := indexTar(b)
				check(t, fsys, err)
			}
		})
	}
}

func TestInfoZip(t *testing.T) {
	dir := folder(t)
	// Into a pipe, where sizes follow the files, and into a file.
	for _, command := range []string{"zip -r -q - . | cat", "zip -r -q -0 -D -X - . | cat", "zip -r -q -fz -9 - . >../zip; cat ../zip"} {
		b := output(t, dir, "sh", "-c", command)
		if !IsZip(b) {
			t.Error("not recognised")
		}
		fsys, err := indexZip(b)
		check(t, fsys, err)
	}
}

func TestTarLinks(t *testing.T) {
	dir := t.TempDir()
	for _, c := range []string{"mkdir a b", "printf picture > a/1.jpg", "ln a/1.jpg b/hard.jpg", "ln -s ../a/1.jpg b/soft.jpg",
		"ln -s nowhere b/dangling.jpg", "ln -s /etc/passwd b/outside.jpg", "mkfifo b/pipe", "truncate -s 1M b/sparse"} {
		output(t, dir, "sh", "-c", c)
	}
	fsys, err := indexTar(output(t, dir, "tar", "-cf", "-", "--sparse", "--sort=name", "a", "b"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"a/1.jpg", "b/hard.jpg", "b/soft.jpg"} {
		if got, err := fs.ReadFile(fsys, name); err != nil || string(got) != "picture" {
			t.Errorf("%s: %q, error %v", name, got, err)
		}
	}
	var left []string
	for _, l := range fsys.Left {
		left = append(left, l.Name+": "+l.Reason)
	}
	slices.Sort(left)
	want := []string{
		"b/dangling.jpg: link leads nowhere",
		"b/outside.jpg: link leads nowhere",
		"b/pipe: neither a file nor a folder",
		"b/sparse: a sparse file, expected one that is stored whole",
	}
	if !slices.Equal(left, want) {
		t.Errorf("left out: %q, want %q", left, want)
	}
}

// entry is a file as a hostile or odd archive has it.
type entry struct{ name, content string }

func tarOf(t *testing.T, entries ...entry) []byte {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, e := range entries {
		if err := w.WriteHeader(&tar.Header{Name: e.name, Size: int64(len(e.content)), Mode: 0o600}); err != nil {
			t.Fatal(err)
		}
		io.WriteString(w, e.content)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func zipOf(t *testing.T, method uint16, entries ...entry) []byte {
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, e := range entries {
		f, err := w.CreateHeader(&zip.FileHeader{Name: e.name, Method: method})
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(f, e.content)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestNames(t *testing.T) {
	odd := []entry{{"../up.jpg", "x"}, {"a/../../up.jpg", "x"}, {"/absolute.jpg", "absolute"}, {"./dot.jpg", "dot"},
		{"twice.jpg", "first"}, {"twice.jpg", "second"}, {"bad\xff.jpg", "x"}}
	for kind, index := range map[string]func() (*FS, error){
		"tar": func() (*FS, error) { return indexTar(tarOf(t, odd...)) },
		"zip": func() (*FS, error) {
			return indexZip(zipOf(t, zip.Store, append(odd, entry{`back\slash.jpg`, "back"})...))
		},
	} {
		fsys, err := index()
		if err != nil {
			t.Fatal(kind, err)
		}
		want := map[string]string{"absolute.jpg": "absolute", "dot.jpg": "dot", "twice.jpg": "second"}
		if kind == "zip" {
			want["back/slash.jpg"] = "back"
		}
		for name, content := range want {
			if got, err := fs.ReadFile(fsys, name); err != nil || string(got) != content {
				t.Errorf("%s: %s: %q, error %v, want %q", kind, name, got, err, content)
			}
		}
		if len(fsys.members) != len(want) || len(fsys.Left) != 4 {
			t.Errorf("%s: %d files and %v left out, want %d and 4", kind, len(fsys.members), fsys.Left, len(want))
		}
	}
	if _, err := indexTar(tarOf(t, entry{"a/b", ""}, entry{"a", ""})); err == nil || !strings.Contains(err.Error(), "a is both a file and a folder") {
		t.Errorf("error %v", err)
	}
}

// An archive that is cut anywhere is an error, or nothing of its files is lost.
func TestCut(t *testing.T) {
	entries := []entry{{"a/1", strings.Repeat("one", 300)}, {"a/2", ""}, {"b/3", "three"}}
	for kind, test := range map[string]struct {
		whole []byte
		index func([]byte) (*FS, error)
	}{
		"tar":     {tarOf(t, entries...), indexTar},
		"zip":     {zipOf(t, zip.Deflate, entries...), indexZip},
		"zipless": {zipOf(t, zip.Store, entries...), indexZip},
	} {
		failed := 0
		for n := range test.whole {
			fsys, err := test.index(test.whole[:n])
			switch {
			case err != nil:
				failed++
				if !strings.Contains(err.Error(), "file") {
					t.Errorf("%s cut at %d: %v", kind, n, err)
				}
			case len(fsys.members) != len(entries):
				t.Errorf("%s cut at %d: no error, and %d files", kind, n, len(fsys.members))
			}
		}
		if failed < len(test.whole)/3 {
			t.Errorf("%s: only %d of %d cuts are errors", kind, failed, len(test.whole))
		}
	}
}

// A damaged file is ErrCorrupt, one of an archive that was cut after it was opened ErrChanged.
func TestDamage(t *testing.T) {
	content := strings.Repeat("some text, ", 1000)
	for name, method := range map[string]uint16{"stored": zip.Store, "deflated": zip.Deflate} {
		b := zipOf(t, method, entry{"a", content})
		b[60] ^= 0x55
		fsys, err := indexZip(b)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := fs.ReadFile(fsys, "a"); !errors.Is(err, ErrCorrupt) || errors.Is(err, ErrChanged) {
			t.Errorf("%s: error %v, want ErrCorrupt", name, err)
		}
	}
	for name, b := range map[string][]byte{"tar": tarOf(t, entry{"a", content}), "zip": zipOf(t, zip.Deflate, entry{"a", content})} {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, b, 0o666); err != nil {
			t.Fatal(err)
		}
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		index := tarFS
		if name == "zip" {
			index = Zip
		}
		fsys, err := index(f, int64(len(b)))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(path, 100); err != nil {
			t.Fatal(err)
		}
		if _, err := fs.ReadFile(fsys, "a"); !errors.Is(err, ErrChanged) || errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: error %v, want ErrChanged", name, err)
		}
	}
}

// Sizes that are claimed and not there are refused before memory for them is asked for.
func TestHostileSizes(t *testing.T) {
	b := zipOf(t, zip.Store, entry{"a", "content"})
	central := bytes.LastIndex(b, []byte("PK\x01\x02"))
	binary.LittleEndian.PutUint32(b[central+24:], 1<<31)
	fuzztest.Within(t, len(b), func() {
		if _, err := indexZip(b); err == nil || !strings.Contains(err.Error(), "claims to be 2147483648 bytes") {
			t.Errorf("zip: error %v", err)
		}
	})
	many := zipOf(t, zip.Store)
	binary.LittleEndian.PutUint16(many[len(many)-12:], 65534)
	fuzztest.Within(t, len(many), func() {
		if _, err := indexZip(many); err == nil {
			t.Error("a zip file of 65,534 files in 22 bytes: no error")
		}
	})
	large := tarOf(t, entry{"a", "content"})
	copy(large[124:136], fmt.Sprintf("%011o\x00", 1<<32))
	copy(large[148:156], "        ")
	sum := 0
	for _, c := range large[:512] {
		sum += int(c)
	}
	copy(large[148:156], fmt.Sprintf("%06o\x00 ", sum))
	fuzztest.Within(t, len(large), func() {
		if _, err := indexTar(large); err == nil || !strings.Contains(err.Error(), "a of 4294967296 bytes starts at byte 512 of 2048: it is cut short") {
			t.Errorf("tar: error %v", err)
		}
	})
}

// walk reads everything that an index of a fuzzed archive has.
func walk(t *testing.T, fsys *FS) {
	seen := 0
	fs.WalkDir(fsys, ".", func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			t.Errorf("%s: %v", path, err)
			return nil
		}
		if e.IsDir() {
			return nil
		}
		seen++
		if f, err := fsys.Open(path); err == nil {
			io.Copy(io.Discard, io.LimitReader(f, 1<<20))
			f.Close()
		}
		return nil
	})
	if seen != len(fsys.members) {
		t.Errorf("%d of %d files are seen", seen, len(fsys.members))
	}
}

func FuzzTar(f *testing.F) {
	f.Add(tarOf(&testing.T{}, entry{"a/1", "one"}, entry{"a/2", ""}, entry{strings.Repeat("long/", 40), "three"}))
	f.Fuzz(func(t *testing.T, b []byte) {
		fuzztest.Within(t, len(b), func() {
			if fsys, err := indexTar(b); err == nil {
				walk(t, fsys)
			}
		})
	})
}

func FuzzZip(f *testing.F) {
	f.Add(zipOf(&testing.T{}, zip.Deflate, entry{"a/1", "one"}, entry{"a/2", ""}, entry{strings.Repeat("long/", 40), "three"}))
	f.Add(zipOf(&testing.T{}, zip.Store, entry{"a/1", "one"}))
	f.Fuzz(func(t *testing.T, b []byte) {
		fuzztest.Within(t, len(b), func() {
			if fsys, err := indexZip(b); err == nil {
				walk(t, fsys)
			}
		})
	})
}
