package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/bigtransfer/bit/examples"
	"github.com/bigtransfer/bit/hub"
	"github.com/bigtransfer/bit/imaging"
	"github.com/bigtransfer/bit/internal/fixture"
	"github.com/bigtransfer/bit/internal/hubtest"
	"github.com/bigtransfer/bit/weights"
)

const testCommit = "0123456789abcdef0123456789abcdef01234567"

// publish starts a hub that has the reference case hf-tiny under a name, and the picture of the published check.
func publish(t *testing.T, name string) *hubtest.Server {
	t.Helper()
	s := hubtest.New()
	t.Cleanup(s.Close)
	files := map[string][]byte{}
	for _, file := range []string{"config.json", "preprocessor_config.json", "model.safetensors"} {
		content, err := os.ReadFile(fixture.Case(t, "hf-tiny", file))
		if err != nil {
			t.Fatal(err)
		}
		files[file] = content
	}
	s.AddRepo(name, &hubtest.Repo{Commit: testCommit, Revisions: []string{"main"}, Files: files, Large: []string{"model.safetensors"}})
	s.AddDataset("huggingface/cats-image", &hubtest.Repo{
		Commit: testCommit, Revisions: []string{"main"}, Files: map[string][]byte{"cats_image.jpeg": fixture.Picture(t, "cat.jpg")},
	})
	t.Setenv("HF_HOME", t.TempDir())
	t.Setenv("HF_ENDPOINT", s.Hub.URL)
	for _, name := range []string{"HF_TOKEN", "HF_HUB_CACHE", "HF_HUB_OFFLINE"} {
		t.Setenv(name, "")
	}
	return s
}

// check runs verify on an entry.
func check(t *testing.T, e *hub.Entry, o verifyOptions) (stdout, stderr string, err error) {
	t.Helper()
	var out, messages strings.Builder
	a := &app{stdout: &stream{Writer: &out}, stderr: &stream{Writer: &messages}}
	o.tolerance = defaultTolerance
	err = a.verifyEntry(t.Context(), e.Name, e, o)
	return out.String(), messages.String(), err
}

// The check of google/bit-50, with its own picture's name, on a model whose outputs the reference implementation has
// computed: another entry's numbers, the same path.
func TestVerifyPublished(t *testing.T) {
	arrays, err := weights.ReadNpz(fixture.Case(t, "hf-tiny", "arrays.npz"))
	if err != nil {
		t.Fatal(err)
	}
	logits := arrays["cat.jpg/logits"].Float64s()
	best := 0
	for i, x := range logits {
		if x > logits[best] {
			best = i
		}
	}
	proof := *hub.Lookup("google/bit-50").Proof
	if proof.Tolerance != 1e-4 || proof.Label != "tiger cat" || fmt.Sprint(proof.Logits) != "[-0.6526 -0.5263 -1.4398]" {
		t.Errorf("published is %+v", proof) // transformers' test_modeling_bit.py
	}
	s := publish(t, "google/bit-50")
	e := &hub.Entry{Name: "google/bit-50", Repo: "google/bit-50", Proof: &proof}

	_, _, err = check(t, e, verifyOptions{}) // the tiny model is not the published one
	if err == nil || err.Error() != "google/bit-50 is not what is published of google/bit-50: logit 0, logit 1, logit 2, label" {
		t.Errorf("another model passes: %v", err)
	}
	if _, _, err := check(t, hub.Lookup("google/bit-50"), verifyOptions{}); err == nil || !strings.Contains(err.Error(), "that is R50x1 with 1000 classes, this has units") {
		t.Errorf("another network: %v", err)
	}
	proof.Logits, proof.Label = logits[:3], fmt.Sprintf("class %d", best)
	out, _, err := check(t, e, verifyOptions{})
	if err != nil || strings.Count(out, "  ok\n") != 4 || !strings.Contains(out, "label    cats_image.jpeg  published class") {
		t.Errorf("the very model: %v\n%s", err, out)
	}
	requests := len(s.Requests(nil))
	if _, _, err := check(t, e, verifyOptions{}); err != nil || len(s.Requests(nil)) != requests {
		t.Errorf("once more: %v, %d requests", err, len(s.Requests(nil))-requests)
	}
	proof.Logits = []float64{logits[0], logits[1] + 2e-4, logits[2]}
	if _, _, err := check(t, e, verifyOptions{}); err == nil || !strings.HasSuffix(err.Error(), "of google/bit-50: logit 1") {
		t.Errorf("one logit is wrong: %v", err)
	}
	proof.Logits, proof.Label = logits[:3], "tiger cat"
	if _, _, err := check(t, e, verifyOptions{}); err == nil || !strings.HasSuffix(err.Error(), "of google/bit-50: label") {
		t.Errorf("the label is wrong: %v", err)
	}
	// Another picture has other numbers; and without a hub the message says which picture to bring.
	coffee := parityOptions{images: []string{fixture.Case(t, "images", "coffee.png")}}
	if _, _, err := check(t, e, verifyOptions{parityOptions: coffee}); err == nil || !strings.Contains(err.Error(), "logit 0") {
		t.Errorf("another picture: %v", err)
	}
	proof.Label = fmt.Sprintf("class %d", best)
	cat := parityOptions{images: []string{fixture.Case(t, "images", "cat.jpg")}}
	if _, _, err := check(t, e, verifyOptions{parityOptions: cat}); err != nil {
		t.Errorf("the picture by hand: %v", err)
	}
	proof.Picture = "hf://datasets/huggingface/none/x.jpeg"
	if _, _, err := check(t, e, verifyOptions{}); err == nil || !strings.Contains(err.Error(), "or save http://images.cocodataset.org/val2017/000000039769.jpg and give its path with --image") {
		t.Errorf("no picture: %v", err)
	}
}

// The embedded model takes the cat for a rocking chair, so of two copies, in the folders of either class, half is right.
func TestVerifyAccuracy(t *testing.T) {
	dir := t.TempDir()
	for _, class := range []string{"rocking chair, rocker", "tabby, tabby cat"} {
		if err := os.MkdirAll(filepath.Join(dir, class), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, class, "cat.jpg"), examples.Cat, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	accuracy := hub.Accuracy{Data: "Cats", Images: 2, Pixels: 64, Top1: 50, Bound: 0.1, Source: "us", Processor: imaging.Squash(64, imaging.Bilinear)}
	e := &hub.Entry{Name: "BiT-Tiny-R26x0.5", Accuracy: &accuracy}
	if _, _, err := check(t, e, verifyOptions{}); err == nil || !strings.Contains(err.Error(), "50 % top-1 on Cats at 64 pixels (us), so --data has to name the 2 images") {
		t.Errorf("without data: %v", err)
	}
	o := verifyOptions{data: dir}
	if out, _, err := check(t, e, o); err != nil || !strings.Contains(out, "top-1    Cats  published 50 (us)  found 50  within 0.1  ok") {
		t.Errorf("%v\n%s", err, out)
	}
	accuracy.Top1 = 50.2
	if _, _, err := check(t, e, o); err == nil || !strings.HasSuffix(err.Error(), ": top-1") {
		t.Errorf("another accuracy: %v", err)
	}
	// On a part of the images chance has its say: three standard errors of 50.2 % on 2 are 106.07 points.
	accuracy.Images = 1000
	if out, messages, err := check(t, e, o); err != nil || !strings.Contains(out, "within 106.2  ok") || !strings.Contains(messages, "note: 2 images in the ") {
		t.Errorf("%v\n%s%s", err, out, messages)
	}
	// What is published holds for its own preparation: in its edge of 8 pixels there is no chair.
	accuracy.Images, accuracy.Top1, accuracy.Processor = 2, 50, imaging.Squash(8, imaging.Box)
	if _, _, err := check(t, e, o); err == nil {
		t.Error("the preparation is not that of the entry")
	}
}
