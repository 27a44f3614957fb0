package data_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/bigtransfer/bit/data"
	"github.com/bigtransfer/bit/hub"
	"github.com/bigtransfer/bit/internal/hubtest"
)

const hubCommit = "0123456789abcdef0123456789abcdef01234567"

// newHub starts a hub and returns what opens its data sets.
func newHub(t *testing.T) (*hubtest.Server, data.Opener) {
	s := hubtest.New()
	t.Cleanup(s.Close)
	return s, data.Opener{MinSide: 1, MaxSkipped: 1, Hub: &hub.Client{Cache: t.TempDir(), Endpoint: s.Hub.URL}}
}

// filesOf reads the files below a folder.
func filesOf(t *testing.T, dir string) map[string][]byte {
	files := map[string][]byte{}
	for _, pattern := range []string{"*", "*/*", "*/*/*", "*/*/*/*"} {
		paths, _ := filepath.Glob(filepath.Join(dir, pattern))
		for _, p := range paths {
			if content, err := os.ReadFile(p); err == nil {
				rel, _ := filepath.Rel(dir, p)
				files[filepath.ToSlash(rel)] = content
			}
		}
	}
	return files
}

// shards publishes the Parquet files of testdata.
func publishShards(t *testing.T, s *hubtest.Server) {
	s.AddDataset("org/shards", &hubtest.Repo{
		Commit: hubCommit, Revisions: []string{"main"}, Files: filesOf(t, filepath.Join(parquetDir, "hub")),
		Large: []string{"data/train-00000-of-00002.parquet", "data/train-00001-of-00002.parquet", "data/test-00000-of-00001.parquet"},
	})
}

// fetched returns the files that were downloaded from the host of large files.
func fetched(t *testing.T, s *hubtest.Server) []string {
	var names []string
	for name, content := range filesOf(t, filepath.Join(parquetDir, "hub")) {
		for _, r := range s.Requests(s.CDN) {
			if r.Path == "/"+hubtest.SHA256(content) && !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	slices.Sort(names)
	return names
}

func TestHubParquet(t *testing.T) {
	s, opener := newHub(t)
	publishShards(t, s)
	test := opener
	test.Split = "eval"
	d, err := test.Open("hf://datasets/org/shards")
	if err != nil {
		t.Fatal(err)
	}
	if len(d.Test) != 40 || len(d.Train) != 0 || !slices.Equal(d.Classes, []string{"zebra", "ape", "bee"}) {
		t.Errorf("%d to test, %d to train, classes %q", len(d.Test), len(d.Train), d.Classes)
	}
	checkPicture(t, d, d.Test[5], 205)
	if got, want := fetched(t, s), []string{"data/test-00000-of-00001.parquet"}; !slices.Equal(got, want) {
		t.Errorf("to evaluate, %q were downloaded, want %q", got, want)
	}
	if d, err = opener.Open("hf://datasets/org/shards"); err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(len(d.Train), len(d.Test), len(fetched(t, s))); got != "200 40 3" {
		t.Errorf("train, test, files: %s", got)
	}
	// A file, and a folder, of it.
	for _, ref := range []string{"hf://datasets/org/shards@main/data/test-00000-of-00001.parquet", "hf://datasets/org/shards/data/"} {
		d, err := opener.Open(ref)
		if err != nil {
			t.Errorf("%s: %v", ref, err)
		} else if n := len(d.Train) + len(d.Test); n != map[bool]int{true: 40, false: 240}[strings.HasSuffix(ref, ".parquet")] {
			t.Errorf("%s: %d pictures", ref, n)
		}
	}
	// The cache is Python's, and serves without a network.
	blob := filepath.Join(opener.Hub.Cache, "datasets--org--shards", "snapshots", hubCommit, "data", "train-00000-of-00002.parquet")
	if _, err := os.Stat(blob); err != nil {
		t.Error(err)
	}
	s.Close()
	opener.Hub.Offline = true
	if d, err := opener.Open("hf://datasets/org/shards"); err != nil || len(d.Train) != 200 {
		t.Errorf("offline: %v", err)
	}
	_, err = opener.Open("hf://datasets/org/other")
	for _, part := range []string{"hf://datasets/org/other", "HF_HUB_OFFLINE", "save its files in a folder and name that folder"} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("offline and not here: %v, want %q", err, part)
		}
	}
}

func TestHubFolders(t *testing.T) {
	s, opener := newHub(t)
	photo, err := os.ReadFile("../examples/cat.jpg")
	if err != nil {
		t.Fatal(err)
	}
	s.AddDataset("org/folder", &hubtest.Repo{Commit: hubCommit, Revisions: []string{"main"}, Files: map[string][]byte{
		"README.md": []byte("card"), "train/cat/1.jpg": photo, "train/dog/2.jpg": append(photo[:len(photo):len(photo)], 1), "test/cat/3.jpg": append(photo[:len(photo):len(photo)], 2),
	}})
	d, err := opener.Open("hf://datasets/org/folder")
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(show(d.Train), show(d.Test), d.Classes); got != "[train/cat/1.jpg=0 train/dog/2.jpg=1] [test/cat/3.jpg=0] [cat dog]" {
		t.Errorf("folders: %s", got)
	}
	if _, err := os.Stat(filepath.Join(opener.Hub.Cache, "datasets--org--folder", "snapshots", hubCommit, "train")); err == nil {
		t.Error("listing has downloaded pictures")
	}
	if img, err := d.Image(d.Test[0]); err != nil || img.W == 0 {
		t.Error(err)
	}
	s.AddDataset("org/metadata", &hubtest.Repo{Commit: hubCommit, Revisions: []string{"main"}, Files: map[string][]byte{
		"metadata.csv": []byte("file_name,label\na.jpg,x\nb.jpg,y\n"), "a.jpg": photo, "b.jpg": photo,
	}})
	if d, err := opener.Open("hf://datasets/org/metadata"); err != nil || fmt.Sprint(show(d.Train)) != "[a.jpg=0 b.jpg=1]" {
		t.Errorf("imagefolder: %v %v", d, err)
	}

	// What only a program can read is taken as the hub has converted it.
	script := &hubtest.Repo{Commit: hubCommit, Revisions: []string{"main"}, Files: map[string][]byte{"script.py": []byte("print()"), "README.md": nil}}
	script.SetBranch("refs/convert/parquet", &hubtest.Repo{Commit: strings.Repeat("e", 40), Files: map[string][]byte{
		"default/train/0000.parquet":        filesOf(t, parquetDir)["hub/data/train-00001-of-00002.parquet"],
		"default/partial-test/0000.parquet": filesOf(t, parquetDir)["hub/data/test-00000-of-00001.parquet"],
	}})
	s.AddDataset("org/script", script)
	d, err = opener.Open("hf://datasets/org/script")
	if err != nil || fmt.Sprint(len(d.Train), len(d.Test)) != "50 40" {
		t.Fatalf("converted: %v", err)
	}
	checkPicture(t, d, d.Train[1], 151)

	for ref, want := range map[string]string{
		"hf://datasets/org/none":         "org/none",
		"hf://datasets/org":              "hf://datasets/org/name",
		"hf://datasets/org/folder@v9":    "v9",
		"hf://datasets/org/folder/nope/": "nope",
	} {
		if _, err := opener.Open(ref); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", ref, err, want)
		}
	}
}

// The pictures of a file are there while the next file is downloaded.
func TestHubPicturesStream(t *testing.T) {
	s, opener := newHub(t)
	publishShards(t, s)
	content := filesOf(t, filepath.Join(parquetDir, "hub"))["data/train-00001-of-00002.parquet"]
	seen := make(chan bool)
	s.SetIntercept(func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, hubtest.SHA256(content)) {
			<-seen // the last file stands still until pictures of the first are seen
		}
		return false
	})
	opener.Split = "train"
	n := 0
	for p := range opener.Pictures(t.Context(), "hf://datasets/org/shards") {
		if n == 0 {
			if want := "hf://datasets/org/shards/data/train-00000-of-00002.parquet#0"; p.Name != want {
				t.Errorf("the first picture is called %s, want %s", p.Name, want)
			}
			if _, err := p.Image(); err != nil {
				t.Error(err)
			}
			close(seen)
		}
		n++
	}
	if got := fetched(t, s); n != 200 || len(got) != 2 {
		t.Errorf("%d pictures of %q", n, got)
	}
	// Who stops early leaves nothing running and nothing more downloaded.
	for range opener.Pictures(t.Context(), "hf://datasets/org/shards") {
		break
	}
}
