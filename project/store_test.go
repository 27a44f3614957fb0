package project

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"image"
	"image/png"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/bigtransfer/bit/data"
	"github.com/bigtransfer/bit/imaging"
	"github.com/bigtransfer/bit/internal/fixture"
)

func open(t *testing.T, dir string, limits Limits) *Store {
	t.Helper()
	s, err := Open(dir, limits)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func must[T any](t *testing.T) func(v T, err error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// project makes a project of two classes.
func newProject(t *testing.T, s *Store) (p Project, a, b Class) {
	t.Helper()
	p = must[Project](t)(s.Create("Pets", ""))
	a = must[Class](t)(s.AddClass(p.ID, "cat"))
	b = must[Class](t)(s.AddClass(p.ID, "dog"))
	return p, a, b
}

// square returns a PNG file of one colour, another for each n below 256.
func square(n, side int) []byte {
	img := image.NewGray(image.Rect(0, 0, side, side))
	for i := range img.Pix {
		img.Pix[i] = uint8(n)
	}
	var b bytes.Buffer
	if err := png.Encode(&b, img); err != nil {
		panic(err)
	}
	return b.Bytes()
}

// files lists what is on disk of a project's pictures.
func files(t *testing.T, s *Store, id string) []string {
	t.Helper()
	var names []string
	for _, e := range must[[]os.DirEntry](t)(os.ReadDir(s.path(id, pictureDir))) {
		names = append(names, e.Name())
	}
	return names
}

// Everything is there again after the store is opened anew.
func TestSurvivesReopening(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, Limits{})
	p, cat, dog := newProject(t, s)
	content := fixture.Picture(t, "cat.png")
	added := must[Added](t)(s.Add(p.ID, cat.ID, "photos/Tom.png", content))
	if added.Name != "Tom.png" || added.Width != 451 || added.Height != 300 {
		t.Errorf("%+v, want Tom.png of 451x300 pixels", added.Picture)
	}
	must[Class](t)(s.RenameClass(p.ID, dog.ID, "  hound "))
	must[Project](t)(s.Rename(p.ID, "Our pets"))
	s.Close()

	s = open(t, dir, Limits{})
	list := must[[]Project](t)(s.List())
	if len(list) != 1 || list[0].Name != "Our pets" || list[0].Pictures != 1 || list[0].Bytes != int64(len(content)) {
		t.Fatalf("%+v, want one project of one picture", list)
	}
	if c := must[[]Class](t)(s.Classes(p.ID)); len(c) != 2 || c[1].Name != "hound" {
		t.Errorf("classes %+v", c)
	}
	got := must[Picture](t)(s.Picture(p.ID, added.ID))
	f := must[*os.File](t)(s.File(p.ID, got))
	defer f.Close()
	if back := must[[]byte](t)(io.ReadAll(f)); !bytes.Equal(back, content) {
		t.Error("the picture's file is not what was uploaded")
	}
	thumbnail := must[[]byte](t)(s.Thumbnail(p.ID, got))
	if img := must[*imaging.Image](t)(imaging.Decode(thumbnail)); img.W != ThumbnailSide || img.H != 127 {
		t.Errorf("a thumbnail of %dx%d pixels", img.W, img.H)
	}
}

// A thumbnail that a power cut left half written, or that is gone, is made again.
func TestThumbnailIsMadeAgain(t *testing.T) {
	s := open(t, t.TempDir(), Limits{})
	p, cat, _ := newProject(t, s)
	a := must[Added](t)(s.Add(p.ID, cat.ID, "cat.png", fixture.Picture(t, "cat.png")))
	want := must[[]byte](t)(s.Thumbnail(p.ID, a.Picture))
	path := s.path(p.ID, thumbnailDir, a.File)
	for _, damage := range []error{os.WriteFile(path, want[:100], 0o600), os.Remove(path)} {
		if damage != nil {
			t.Fatal(damage)
		}
		if got := must[[]byte](t)(s.Thumbnail(p.ID, a.Picture)); !bytes.Equal(got, want) {
			t.Error("another thumbnail than at first")
		}
	}
}

// The same picture, also in another format, is in a class once; in two classes it is a conflict.
func TestDuplicates(t *testing.T) {
	s := open(t, t.TempDir(), Limits{})
	p, cat, dog := newProject(t, s)
	first := must[Added](t)(s.Add(p.ID, cat.ID, "a.png", square(1, 8)))
	img := must[*imaging.Image](t)(imaging.Decode(square(1, 8)))
	var other bytes.Buffer // the same pixels in other bytes
	if err := (&png.Encoder{CompressionLevel: png.NoCompression}).Encode(&other, img); err != nil {
		t.Fatal(err)
	}
	for _, content := range [][]byte{square(1, 8), other.Bytes()} {
		if again := must[Added](t)(s.Add(p.ID, cat.ID, "b.png", content)); !again.Known || again.ID != first.ID {
			t.Errorf("%+v, want the picture that is there", again)
		}
	}
	if got := files(t, s, p.ID); len(got) != 1 {
		t.Errorf("files %q, want one", got)
	}
	second := must[Added](t)(s.Add(p.ID, dog.ID, "a.png", square(1, 8)))
	if second.Known || !slices.Equal(second.Elsewhere, []uint64{cat.ID}) {
		t.Errorf("%+v, want a new picture that is in the other class too", second)
	}
	w := must[[]Warning](t)(s.Warnings(p.ID))
	if i := slices.IndexFunc(w, func(w Warning) bool { return w.Kind == Conflict }); i < 0 || !slices.Equal(w[i].Pictures, []uint64{first.ID, second.ID}) {
		t.Errorf("warnings %+v, want a conflict of the two", w)
	}
	if err := s.Remove(p.ID, []uint64{first.ID}); err != nil {
		t.Fatal(err)
	}
	if got := files(t, s, p.ID); len(got) != 1 {
		t.Errorf("files %q, want the one that the other class has", got)
	}
	if err := s.Remove(p.ID, []uint64{second.ID}); err != nil {
		t.Fatal(err)
	}
	if got := files(t, s, p.ID); len(got) != 0 {
		t.Errorf("files %q, want none", got)
	}
}

func TestWarnings(t *testing.T) {
	classes := []Class{{1, "a"}, {2, "b"}, {3, "none yet"}}
	pictures := func(a, b int) (list []Picture) {
		for i := range a + b {
			class := uint64(1)
			if i >= a {
				class = 2
			}
			list = append(list, Picture{ID: uint64(i + 1), Class: class, Pixels: strconv.Itoa(i), Look: imaging.Hash(uint64(i+1) * 0x9e3779b97f4a7c15)})
		}
		return list
	}
	alike := pictures(5, 5)
	alike[3].Look = alike[1].Look ^ 0b10101 // 3 bits
	alike[7].Look = alike[1].Look           // of another class
	if got := fmt.Sprint(warnings(classes, alike)); got != "[{duplicate [1] [4]}]" {
		t.Errorf("pictures that look alike: %s", got)
	}
	for _, c := range []struct {
		a, b int
		want string
	}{
		{5, 5, "[]"}, {15, 5, "[]"}, {16, 5, "[{skew [1 2] []}]"}, {4, 5, "[{few [1] []}]"},
		{4, 13, "[{few [1] []} {skew [2 1] []}]"}, {0, 9, "[]"}, {0, 0, "[]"},
	} {
		if got := fmt.Sprint(warnings(classes, pictures(c.a, c.b))); got != c.want {
			t.Errorf("%d and %d pictures: %s, want %s", c.a, c.b, got, c.want)
		}
	}
}

// Names are text: whatever they look like, they touch nothing on disk, and what cannot be a label is refused.
func TestNames(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "store")
	s := open(t, dir, Limits{})
	for _, name := range []string{"../../etc/passwd", "/etc", "..", ".", "a/b", `C:\x`, "CON", "~", "$(id)", "<script>", "猫と犬 🐈", "-rf"} {
		p, err := s.Create(name, "")
		if err != nil || p.Name != name {
			t.Errorf("%q: %+v, %v", name, p, err)
			continue
		}
		c := must[Class](t)(s.AddClass(p.ID, name))
		a := must[Added](t)(s.Add(p.ID, c.ID, name, square(3, 4)))
		if strings.ContainsAny(a.Name, `/\`) {
			t.Errorf("a picture named %q", a.Name)
		}
	}
	for _, name := range []string{"", " ", "a\nb", "a\x00b", "\xff", strings.Repeat("x", maxName+1), "a\u2028b"} {
		var wrong *NameError
		if _, err := s.Create(name, ""); !errors.As(err, &wrong) {
			t.Errorf("%q: %v, want a NameError", name, err)
		}
	}
	if _, err := s.Create("A/B", ""); !errors.Is(err, ErrExists) {
		t.Errorf("a name that differs in case: %v", err)
	}
	beside := must[[]os.DirEntry](t)(os.ReadDir(filepath.Dir(dir)))
	if len(beside) != 1 {
		t.Errorf("beside the store is now %v", beside)
	}
	for _, e := range must[[]os.DirEntry](t)(os.ReadDir(dir)) {
		if e.Name() != "projects.db" && e.Name() != keptDir && !isID(e.Name()) {
			t.Errorf("the store has %q", e.Name())
		}
	}
	for _, id := range []string{"", ".", "..", "../store", "projects.db", "%2e%2e"} {
		if _, err := s.Get(id); !errors.Is(err, ErrNotFound) {
			t.Errorf("project %q: %v", id, err)
		}
		if err := s.Delete(id); !errors.Is(err, ErrNotFound) {
			t.Errorf("deleting project %q: %v", id, err)
		}
	}
}

// bomb is a PNG file of 100 bytes or so that claims a gigapixel in a sound header.
func bomb() []byte {
	b := square(0, 1)
	binary.BigEndian.PutUint32(b[16:], 1<<15) // width and height in IHDR
	binary.BigEndian.PutUint32(b[20:], 1<<15)
	binary.BigEndian.PutUint32(b[29:], crc32.ChecksumIEEE(b[12:29]))
	return b
}

func TestRefused(t *testing.T) {
	limits := Limits{Projects: 2, Classes: 3, Pictures: 3, PictureBytes: 2000, Bytes: 3000, Pixels: 100 * 100}
	s := open(t, t.TempDir(), limits)
	p, cat, _ := newProject(t, s)
	for what, c := range map[string]struct {
		content []byte
		is      error
	}{
		"text": {[]byte("not a picture at all"), imaging.ErrNotImage}, "nothing": {nil, imaging.ErrNotImage},
		"half": {square(1, 50)[:60], imaging.ErrTruncated}, "many pixels": {square(1, 101), imaging.ErrTooLarge}, "bomb": {bomb(), imaging.ErrTooLarge},
	} {
		if _, err := s.Add(p.ID, cat.ID, "x", c.content); !errors.Is(err, c.is) {
			t.Errorf("%s: %v, want %v", what, err, c.is)
		}
	}
	var over *LimitError
	if _, err := s.Add(p.ID, cat.ID, "x", make([]byte, 2001)); !errors.As(err, &over) {
		t.Errorf("a large file: %v", err)
	}
	for i := range 3 {
		must[Added](t)(s.Add(p.ID, cat.ID, "x", square(i, 4)))
	}
	if _, err := s.Add(p.ID, cat.ID, "x", square(9, 4)); !errors.As(err, &over) || over.What != "pictures in a project" {
		t.Errorf("a fourth picture: %v", err)
	}
	if got := files(t, s, p.ID); len(got) != 3 {
		t.Errorf("%d files, want those of the 3 pictures: what is refused leaves nothing", len(got))
	}
	must[Class](t)(s.AddClass(p.ID, "cow"))
	if _, err := s.AddClass(p.ID, "hen"); !errors.As(err, &over) {
		t.Errorf("a fourth class: %v", err)
	}
	must[Project](t)(s.Create("second", ""))
	if _, err := s.Create("third", ""); !errors.As(err, &over) {
		t.Errorf("a third project: %v", err)
	}
	if _, err := s.Add(p.ID, 99, "x", square(9, 4)); !errors.Is(err, ErrNotFound) {
		t.Errorf("a class that is not there: %v", err)
	}
	if err := s.Move(p.ID, []uint64{1, 99}, 2); !errors.Is(err, ErrNotFound) {
		t.Errorf("moving a picture that is not there: %v", err)
	}
	if got := must[Picture](t)(s.Picture(p.ID, 1)); got.Class != cat.ID {
		t.Error("a move that failed moved a picture")
	}
}

func TestInUse(t *testing.T) {
	dir := t.TempDir()
	open(t, dir, Limits{})
	if _, err := Open(dir, Limits{}); !errors.Is(err, ErrInUse) || !strings.Contains(err.Error(), dir) {
		t.Errorf("%v, want ErrInUse and the folder's name", err)
	}
}

// A job trains on what was there when it began, and keeps those files until it ends.
func TestJobKeepsItsPictures(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, Limits{})
	p, cat, dog := newProject(t, s)
	for i := range 6 {
		must[Added](t)(s.Add(p.ID, []uint64{cat.ID, dog.ID}[i%2], fmt.Sprint(i, ".png"), square(i, 8)))
	}
	ds, revision, err := s.Dataset(p.ID)
	if err != nil || len(ds.Train) != 6 || !slices.Equal(ds.Classes, []string{"cat", "dog"}) {
		t.Fatalf("%+v, %v", ds, err)
	}
	ds.Train, ds.Val = ds.Train[:4], ds.Train[4:]
	j := must[Job](t)(s.NewJob(p.ID, Job{Classes: ds.Classes, Revision: revision}, must[[]Item](t)(s.ItemsOf(ds))))
	if _, err := s.NewJob(p.ID, Job{}, nil); !errors.Is(err, ErrExists) {
		t.Errorf("a second job: %v", err)
	}
	must[Job](t)(s.UpdateJob(p.ID, j.ID, func(j *Job) { j.State = Running }, Point{Step: 1, Loss: 2}, Point{Step: 2, Loss: 3}))
	if err := s.Delete(p.ID); !errors.Is(err, ErrInUse) {
		t.Errorf("a project that is trained was deleted: %v", err)
	}
	if err := s.DeleteClass(p.ID, cat.ID); err != nil {
		t.Fatal(err)
	}
	s.Close() // as by a kill: the job is on record as running

	s = open(t, dir, Limits{})
	if j = must[Job](t)(s.Job(p.ID, j.ID)); j.State != Paused || j.Why == "" {
		t.Errorf("%+v, want it paused", j)
	}
	again := must[*data.Dataset](t)(s.JobDataset(p.ID, j.ID))
	if fmt.Sprint(again.Train, again.Val, again.Classes) != fmt.Sprint(ds.Train, ds.Val, ds.Classes) {
		t.Errorf("%+v, want what it began with, %+v", again, ds)
	}
	for i, e := range again.Train {
		if img := must[*imaging.Image](t)(again.Image(e)); img.Pix[0] != uint8(i) {
			t.Errorf("picture %d is of colour %d", i, img.Pix[0])
		}
	}
	must[Job](t)(s.UpdateJob(p.ID, j.ID, nil, Point{Step: 2, Loss: 2.5}, Point{Step: 3, Loss: 1}))
	if c := must[[]Point](t)(s.Curve(p.ID, j.ID, 2)); len(c) != 2 || c[0].Loss != 2.5 || c[1].Step != 3 {
		t.Errorf("curve %+v", c)
	}
	must[Job](t)(s.UpdateJob(p.ID, j.ID, func(j *Job) { j.State = Done }))
	if got := files(t, s, p.ID); len(got) != 3 {
		t.Errorf("%d files, want those of the 3 dogs", len(got))
	}
	if err := s.DeleteJob(p.ID, j.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(s.RunDir(p.ID, j.ID)); !os.IsNotExist(err) {
		t.Error("the folder of the job is there still")
	}
}

// A kept model replaces the one of its name, and outlives its project.
func TestKeep(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, Limits{})
	save := func(content string) func(dir string) (Kind, error) {
		return func(dir string) (Kind, error) {
			if err := os.MkdirAll(dir, 0o700); err != nil {
				return "", err
			}
			return Probe, os.WriteFile(filepath.Join(dir, "model"), []byte(content), 0o600)
		}
	}
	for _, content := range []string{"first", "second"} {
		must[Kept](t)(s.Keep("pets", "Our pets", save(content)))
	}
	failed := errors.New("disk full")
	if _, err := s.Keep("pets", "", func(dir string) (Kind, error) { save("third")(dir); return "", failed }); !errors.Is(err, failed) {
		t.Errorf("%v, want %v", err, failed)
	}
	s.Close()
	os.MkdirAll(filepath.Join(dir, keptDir, strings.Repeat("b", idLength)), 0o700) // of a save that was cut short
	s = open(t, dir, Limits{})
	list := must[[]Kept](t)(s.KeptModels())
	if len(list) != 1 || list[0].Name != "pets" || list[0].Kind != Probe {
		t.Fatalf("%+v", list)
	}
	if got := must[[]byte](t)(os.ReadFile(filepath.Join(s.KeptDir(list[0]), "model"))); string(got) != "second" {
		t.Errorf("the model is %q", got)
	}
	if n := len(must[[]os.DirEntry](t)(os.ReadDir(filepath.Join(dir, keptDir)))); n != 1 {
		t.Errorf("%d folders of one kept model", n)
	}
	if err := s.Forget("pets"); err != nil {
		t.Fatal(err)
	}
	if err := s.Forget("../pets"); !errors.Is(err, ErrNotFound) {
		t.Errorf("forgetting what is not there: %v", err)
	}
	if n := len(must[[]os.DirEntry](t)(os.ReadDir(filepath.Join(dir, keptDir)))); n != 0 {
		t.Errorf("%d folders of no kept model", n)
	}
}

// What a kill can leave is removed: files without a record, folders of projects that were deleted. What is not the
// store's stays.
func TestTidiesUp(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, Limits{})
	p, cat, _ := newProject(t, s)
	a := must[Added](t)(s.Add(p.ID, cat.ID, "a", square(1, 8)))
	gone := must[Project](t)(s.Create("gone", ""))
	s.Close()
	os.WriteFile(s.path(p.ID, pictureDir, strings.Repeat("0", 64)), []byte("x"), 0o600)
	os.WriteFile(s.path(p.ID, pictureDir, a.File+".tmp"), []byte("x"), 0o600)
	os.MkdirAll(s.path(p.ID, runDir, "7"), 0o700)
	os.MkdirAll(filepath.Join(dir, strings.Repeat("a", 16), pictureDir), 0o700)
	os.WriteFile(filepath.Join(dir, "notes.txt"), []byte("mine"), 0o600)

	s = open(t, dir, Limits{})
	if got := files(t, s, p.ID); !slices.Equal(got, []string{a.File}) {
		t.Errorf("files %q", got)
	}
	var names []string
	for _, e := range must[[]os.DirEntry](t)(os.ReadDir(dir)) {
		names = append(names, e.Name())
	}
	want := []string{p.ID, gone.ID, "notes.txt", "projects.db", keptDir}
	slices.Sort(want)
	if !slices.Equal(names, want) {
		t.Errorf("the store has %q, want %q", names, want)
	}
	if err := s.Delete(gone.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(s.path(gone.ID)); !os.IsNotExist(err) {
		t.Error("the folder of a deleted project is there")
	}
}

// Many goroutines change a project at once. At the end counts, records and files agree.
func TestConcurrent(t *testing.T) {
	s := open(t, t.TempDir(), Limits{})
	p, cat, dog := newProject(t, s)
	var running sync.WaitGroup
	for g := range 8 {
		running.Go(func() {
			for i := range 12 {
				class := []uint64{cat.ID, dog.ID}[(g+i)%2]
				a, err := s.Add(p.ID, class, "x", square(i%6, 8)) // all the same few pictures
				if err != nil {
					t.Error(err)
					continue
				}
				for _, err := range []error{
					s.Move(p.ID, []uint64{a.ID}, cat.ID), s.Remove(p.ID, []uint64{a.ID}),
				} { // another goroutine may have removed it
					if err != nil && !errors.Is(err, ErrNotFound) {
						t.Error(err)
					}
				}
				if i%3 == 0 {
					if _, err := s.Add(p.ID, class, "y", square(100+g, 8)); err != nil {
						t.Error(err)
					}
				}
				if _, _, err := s.Dataset(p.ID); err != nil {
					t.Error(err)
				}
			}
		})
	}
	running.Wait()
	pictures, got := must[[]Picture](t)(s.Pictures(p.ID)), files(t, s, p.ID)
	want := map[string]bool{}
	for _, p := range pictures {
		want[p.File] = true
		if !slices.Contains(got, p.File) {
			t.Errorf("picture %d has no file", p.ID)
		}
	}
	if len(want) != len(got) || must[Project](t)(s.Get(p.ID)).Pictures != len(pictures) {
		t.Errorf("%d files, %d of %d pictures", len(got), len(want), len(pictures))
	}
}

const victimEnv = "BIT_TEST_PROJECT_VICTIM"

// A process that is killed while it adds and removes pictures loses none that it has reported, and leaves none else.
func TestKill(t *testing.T) {
	dir := t.TempDir()
	for round := range 3 {
		cmd := exec.Command(os.Args[0], "-test.run=^TestVictim$")
		cmd.Env = append(os.Environ(), victimEnv+"="+dir)
		out := must[io.ReadCloser](t)(cmd.StdoutPipe())
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		reported := map[string]bool{}
		lines := bufio.NewScanner(out)
		for lines.Scan() && len(reported) < 10+round {
			if file, ok := strings.CutPrefix(lines.Text(), "added "); ok {
				reported[file] = true
			}
		}
		cmd.Process.Kill()
		for lines.Scan() { // what was on its way
			if file, ok := strings.CutPrefix(lines.Text(), "added "); ok {
				reported[file] = true
			}
		}
		cmd.Wait()
		if len(reported) < 10 {
			t.Fatalf("round %d: it reported %d pictures", round, len(reported))
		}
		s := open(t, dir, Limits{})
		id := must[[]Project](t)(s.List())[round].ID
		have := map[string]bool{}
		for _, p := range must[[]Picture](t)(s.Pictures(id)) {
			have[p.File] = true
			f, err := s.File(id, p)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := imaging.Decode(must[[]byte](t)(io.ReadAll(f))); err != nil {
				t.Error(err)
			}
			f.Close()
		}
		for file := range reported {
			if !have[file] {
				t.Errorf("round %d: %s was reported and is not there", round, file)
			}
		}
		if n := len(files(t, s, id)); n != len(have) {
			t.Errorf("round %d: %d files for %d pictures", round, n, len(have))
		}
		s.Close()
	}
}

// TestVictim adds pictures until it is killed, where TestKill says so.
func TestVictim(t *testing.T) {
	dir := os.Getenv(victimEnv)
	if dir == "" {
		return
	}
	s := open(t, dir, Limits{})
	n := len(must[[]Project](t)(s.List()))
	p := must[Project](t)(s.Create(fmt.Sprint("round ", n), ""))
	c := must[Class](t)(s.AddClass(p.ID, "x"))
	for i := 0; ; i++ {
		a := must[Added](t)(s.Add(p.ID, c.ID, "x", square(i%256, 8+i/256)))
		fmt.Println("added", a.File)
	}
}
