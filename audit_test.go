package bit

import (
	"bytes"
	"image/jpeg"
	"image/png"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/bigtransfer/bit/audit"
	"github.com/bigtransfer/bit/data"
	"github.com/bigtransfer/bit/imaging"
	"github.com/bigtransfer/bit/internal/fixture"
)

// plant copies the training pictures of CIFAR-10-mini to a folder, moves 5 % of them to a wrong class, and adds 10 copies
// and 10 copies saved again as JPEG of others, one half of them in another split. It returns what was planted, by path.
func plant(t *testing.T, dir string, seed uint64) (flipped, exact, near map[string]bool) {
	t.Helper()
	src := os.DirFS(filepath.Join(fixture.Data(t, "cifar10-mini"), "train"))
	files, err := fs.Glob(src, "*/*.png")
	if err != nil || len(files) != 400 {
		t.Fatalf("%d files, error %v", len(files), err)
	}
	classes, err := fs.Glob(src, "*")
	if err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(seed, 1))
	r.Shuffle(len(files), func(i, j int) { files[i], files[j] = files[j], files[i] })
	write := func(path string, content []byte) {
		path = filepath.Join(dir, filepath.FromSlash(path))
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, content, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	flipped, exact, near = map[string]bool{}, map[string]bool{}, map[string]bool{}
	for i, file := range files {
		content, err := fs.ReadFile(src, file)
		if err != nil {
			t.Fatal(err)
		}
		class, name := filepath.Split(file)
		class = filepath.Clean(class)
		if i < 20 {
			for was := class; class == was; {
				class = classes[r.IntN(len(classes))]
			}
			flipped["train/"+class+"/"+name] = true
		}
		write("train/"+class+"/"+name, content)
		split := []string{"train", "test"}[i%2]
		switch {
		case i >= 20 && i < 30:
			img, err := png.Decode(bytes.NewReader(content)) // other bytes of the same pixels
			if err != nil {
				t.Fatal(err)
			}
			var b bytes.Buffer
			if err := (&png.Encoder{CompressionLevel: png.NoCompression}).Encode(&b, img); err != nil {
				t.Fatal(err)
			}
			path := split + "/" + class + "/zz-copy-" + name
			exact[path] = true
			write(path, b.Bytes())
		case i >= 30 && i < 40:
			img, err := imaging.DecodeFS(src, file)
			if err != nil {
				t.Fatal(err)
			}
			var b bytes.Buffer
			if err := jpeg.Encode(&b, img.Resize(48, 48, imaging.Bicubic), &jpeg.Options{Quality: 85}); err != nil {
				t.Fatal(err)
			}
			path := split + "/" + class + "/zz-again-" + name + ".jpg"
			near[path] = true
			write(path, b.Bytes())
		}
	}
	return flipped, exact, near
}

// TestAuditPlanted measures how much of what was planted is found, and how much else is called so.
func TestAuditPlanted(t *testing.T) {
	dir := t.TempDir()
	flipped, exact, near := plant(t, dir, 1)
	ds, err := data.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	m, err := OpenClassifier(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	report, err := m.Audit(t.Context(), ds, AuditOptions{Embed: EmbedOptions{NoCache: true}})
	if err != nil {
		t.Fatal(err)
	}
	if report.Images != 420 {
		t.Fatalf("%d images, want 420", report.Images)
	}
	first := 0 // wrong labels among as many as were planted
	hits, found := map[audit.Kind]int{}, map[audit.Kind]int{}
	for _, f := range report.Findings {
		found[f.Kind]++
		planted := map[audit.Kind]map[string]bool{audit.Label: flipped, audit.Duplicate: exact, audit.NearDuplicate: near}[f.Kind]
		if planted[f.Path] || planted[f.SameAs] {
			hits[f.Kind]++
			if f.Kind == audit.Label && found[f.Kind] <= len(flipped) {
				first++
			}
		}
	}
	t.Logf("labels judged with an accuracy of %.1f %%", 100*report.Labels.Accuracy)
	t.Logf("20 wrong labels: %d among the first 20, %d among all %d", first, hits[audit.Label], found[audit.Label])
	t.Logf("10 duplicates: %d of %d", hits[audit.Duplicate], found[audit.Duplicate])
	t.Logf("10 near duplicates: %d of %d", hits[audit.NearDuplicate], found[audit.NearDuplicate])
	for _, f := range report.Findings {
		if f.Kind != audit.Label && f.Kind != audit.Duplicate {
			t.Logf("%s %s (%s) same as %s %.2f: %s", f.Kind, f.Path, f.Split, f.SameAs, f.Severity, f.Detail)
		}
	}
	// By chance one of the first 20 would be a wrong label.
	if first < 8 || hits[audit.Label] < 12 {
		t.Errorf("%d wrong labels among the first 20 and %d in all", first, hits[audit.Label])
	}
	if hits[audit.Duplicate] != 10 || found[audit.Duplicate] != 10 {
		t.Errorf("%d of 10 duplicates, and %d others", hits[audit.Duplicate], found[audit.Duplicate]-hits[audit.Duplicate])
	}
	if hits[audit.NearDuplicate] != 10 || found[audit.NearDuplicate] != 10 {
		t.Errorf("%d of 10 near duplicates, and %d others", hits[audit.NearDuplicate], found[audit.NearDuplicate]-hits[audit.NearDuplicate])
	}
}
