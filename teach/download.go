package teach

import (
	"archive/zip"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"
	"unicode"

	"github.com/bigtransfer/bit/project"
	"github.com/bigtransfer/bit/weights"
)

// save writes a model of a project as a Hugging Face directory, which must not exist.
func (t *Teacher) save(ctx context.Context, id string, kind project.Kind, dir string) (project.Project, project.Kind, error) {
	d, done, err := t.desk(ctx, id)
	if err != nil {
		return project.Project{}, "", err
	}
	defer done()
	p, err := t.Store.Get(id)
	if err != nil {
		return p, "", err
	}
	m, kind, err := t.model(ctx, d, kind)
	if err != nil {
		return p, kind, err
	}
	if kind == project.FineTune { // with the card that it was saved with
		return p, kind, os.CopyFS(dir, os.DirFS(t.Store.ModelDir(id, d.tunedBy)))
	}
	return p, kind, m.Save(dir, probeCard(p, d.fit.record))
}

// WriteZip writes a model of a project as a zip file of a Hugging Face directory, once it has called begin with the name of
// that directory.
func (t *Teacher) WriteZip(ctx context.Context, id string, kind project.Kind, begin func(name string) io.Writer) error {
	temp, err := os.MkdirTemp("", "bit-model-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(temp)
	dir := filepath.Join(temp, "model")
	p, _, err := t.save(ctx, id, kind, dir)
	if err != nil {
		return err
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	name := slug(p.Name)
	z := zip.NewWriter(begin(name))
	for _, e := range entries {
		// Weights do not compress.
		w, err := z.CreateHeader(&zip.FileHeader{Name: name + "/" + e.Name(), Method: zip.Store, Modified: time.Now()})
		if err != nil {
			return err
		}
		if err := copyFile(w, filepath.Join(dir, e.Name())); err != nil {
			return err
		}
	}
	return z.Close()
}

func copyFile(w io.Writer, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.Copy(w, f)
	return err
}

// WriteONNX writes a model of a project as an ONNX file, once it has called begin with a name for it.
func (t *Teacher) WriteONNX(ctx context.Context, id string, kind project.Kind, begin func(name string) io.Writer) error {
	p, err := t.Store.Get(id)
	if err != nil {
		return err
	}
	m, _, err := t.take(ctx, id, kind)
	if err != nil {
		return err
	}
	temp, err := os.MkdirTemp("", "bit-model-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(temp)
	path := filepath.Join(temp, "model.onnx")
	if err := t.Export(ctx, m, path); err != nil {
		return err
	}
	if _, err := os.Stat(path + ".data"); err == nil {
		return &settingError{"this model is too large for one ONNX file: download it as a directory and use bit export"}
	}
	return copyFile(begin(slug(p.Name)), path)
}

// slug makes a file's name of a project's.
func slug(name string) string {
	var b strings.Builder
	for _, r := range name {
		switch {
		case r < 0x80 && (unicode.IsLetter(r) || unicode.IsDigit(r)):
			b.WriteRune(r)
		case b.Len() > 0 && !strings.HasSuffix(b.String(), "-"):
			b.WriteByte('-')
		}
	}
	if s := strings.Trim(b.String(), "-"); s != "" {
		return s
	}
	return "model"
}

func probeCard(p project.Project, m project.Model) weights.Card {
	c := card(p, m)
	c.Summary = fmt.Sprintf("An image classifier for %d classes: the features of %s with a closed-form head.", len(m.Classes), m.Base)
	c.Recipe = "ridge regression on standardised features, its penalty chosen by leaving out one picture at a time."
	if m.Judged > 0 {
		c.Results[0].Split = "leave-one-out"
	}
	return c
}

func tunedCard(p project.Project, j project.Job, m project.Model, took time.Duration) weights.Card {
	c := card(p, m)
	c.Summary = fmt.Sprintf("An image classifier for %d classes, fine-tuned from %s.", len(m.Classes), m.Base)
	s := j.Settings
	c.Recipe = fmt.Sprintf("%d steps of %d images, resized to %d and cropped to %d pixels; SGD with momentum, learning rate %.3g with warm-up and drops as in BiT-HyperRule.",
		s.Steps, s.Batch, s.Resize, s.Crop, s.LearningRate)
	c.Time = took
	return c
}

// card is what both have in common.
func card(p project.Project, m project.Model) weights.Card {
	c := weights.Card{
		Name: p.Name, Datasets: []string{p.Name},
		Data: fmt.Sprintf("%s: %d pictures of %d classes.", p.Name, m.Pictures+heldOutOf(m), len(m.Classes)),
		Limits: fmt.Sprintf("It knows the %d classes of its training data and no others: a picture of anything else gets one of them, "+
			"sometimes with a high score. It has not been examined for bias.", len(m.Classes)),
	}
	if m.Judged > 0 {
		c.Results = []weights.Result{{Dataset: p.Name, Split: "held out", Name: "Top-1 accuracy", Value: m.Accuracy, Images: m.Judged}}
	}
	return c
}

// heldOutOf is how many pictures a model was judged by and not trained on.
func heldOutOf(m project.Model) int {
	if m.Kind == project.FineTune {
		return m.Judged
	}
	return 0
}
