package teach

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bigtransfer/bit"
	"github.com/bigtransfer/bit/api"
	"github.com/bigtransfer/bit/internal/fixture"
	"github.com/bigtransfer/bit/internal/openapitest"
	"github.com/bigtransfer/bit/project"
	"github.com/bigtransfer/bit/serve"
)

// school is a server on which people teach.
type school struct {
	*api.Client
	teacher *Teacher
	store   *project.Store
	server  *serve.Server
	url     string
	close   func() // as a server that is told to end
}

// open starts a server whose projects are in dir. Everything that it answers is held to its OpenAPI document.
func open(t testing.TB, dir string, limits project.Limits) *school {
	t.Helper()
	store, err := project.Open(dir, limits)
	if err != nil {
		t.Fatal(err)
	}
	quiet := slog.New(slog.DiscardHandler)
	server, err := serve.New(t.Context(), serve.Config{Log: quiet, MaxPixels: 1 << 20, Models: []serve.Model{{
		Name: "base", Open: func(ctx context.Context) (*bit.Classifier, error) { return bit.OpenClassifier(ctx, "") },
	}}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	teacher, err := New(ctx, Config{
		Store: store, Server: server, Log: quiet,
		Bases: []Base{{"base", func(ctx context.Context) (*bit.Model, error) { return bit.Open(ctx, "") }}},
		Export: func(_ context.Context, m *bit.Model, path string) error {
			return os.WriteFile(path, []byte(m.Label(0)), 0o600)
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	document, err := server.Document()
	if err != nil {
		t.Fatal(err)
	}
	h := httptest.NewServer(openapitest.Wrap(t, server.Handler(), openapitest.Read(t, document)))
	s := &school{&api.Client{Server: h.URL}, teacher, store, server, h.URL, func() {
		cancel()
		teacher.Close()
		h.Close()
		store.Close()
	}}
	t.Cleanup(func() { s.close() })
	return s
}

func must[T any](t testing.TB) func(v T, err error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// status is the status of HTTP that an error stands for, 0 for none.
func status(err error) int {
	if e, ok := errors.AsType[*api.Error](err); ok {
		return e.Status
	}
	return 0
}

// cifar returns the picture files of a class of a split of cifar10-mini, by name.
func cifar(t testing.TB, split, class string) map[string][]byte {
	t.Helper()
	dir := filepath.Join(fixture.Data(t, "cifar10-mini"), split, class)
	files := map[string][]byte{}
	for _, e := range must[[]os.DirEntry](t)(os.ReadDir(dir)) {
		files[e.Name()] = must[[]byte](t)(os.ReadFile(filepath.Join(dir, e.Name())))
	}
	return files
}

// classes are those that the tests teach.
var classes = []string{"airplane", "dog", "frog"}

// teach makes a project of so many training pictures of each class.
func (s *school) teach(t testing.TB, name string, each int) (p api.Project, ids []uint64) {
	t.Helper()
	ctx := t.Context()
	p = must[api.Project](t)(s.CreateProject(ctx, api.ProjectSettings{Name: name}))
	for _, class := range classes {
		c := must[api.ProjectClass](t)(s.AddClass(ctx, p.ID, class))
		ids = append(ids, c.ID)
		files := cifar(t, "train", class)
		for _, name := range sorted(files)[:each] {
			if u := must[api.Upload](t)(s.AddPicture(ctx, p.ID, c.ID, name, files[name])); len(u.Added) != 1 {
				t.Fatalf("%s: %+v", name, u)
			}
		}
	}
	return p, ids
}

func sorted(files map[string][]byte) (names []string) {
	for name := range files {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// From pictures to a model that is right on others, as it is asked here, downloaded, and kept.
func TestProbe(t *testing.T) {
	s := open(t, t.TempDir(), project.Limits{})
	ctx := t.Context()
	p, ids := s.teach(t, "Three things", 30)
	m := must[api.TaughtModel](t)(s.FitProbe(ctx, p.ID))
	if m.Judged != 90 || m.Pictures != 90 || !slices.Equal(m.Classes, classes) || m.Accuracy < 0.6 || m.Accuracy > 1 {
		t.Fatalf("%+v, want 90 pictures, each left out once, mostly right", m)
	}
	right, all := 0, 0
	for i, row := range m.Confusion {
		right += row[i]
		for _, n := range row {
			all += n
		}
	}
	if all != 90 || m.Accuracy != float64(right)/90 || len(m.Mistakes) != 90-right {
		t.Errorf("%d of %d on the diagonal, accuracy %v, %d mistakes", right, all, m.Accuracy, len(m.Mistakes))
	}
	pictures := must[[]api.ProjectPicture](t)(s.Pictures(ctx, p.ID))
	for i, wrong := range m.Mistakes {
		at := slices.IndexFunc(pictures, func(p api.ProjectPicture) bool { return p.ID == wrong.Picture })
		if at < 0 || pictures[at].Class == wrong.Answer || !slices.Contains(ids, wrong.Answer) || i > 0 && wrong.Score > m.Mistakes[i-1].Score {
			t.Errorf("mistake %+v", wrong)
		}
	}

	var file bytes.Buffer
	if err := s.DownloadModel(ctx, p.ID, "probe", "zip", &file); err != nil {
		t.Fatal(err)
	}
	z := must[*zip.Reader](t)(zip.NewReader(bytes.NewReader(file.Bytes()), int64(file.Len())))
	dir := t.TempDir()
	if err := os.CopyFS(dir, z); err != nil {
		t.Fatal(err)
	}
	downloaded := must[*bit.Classifier](t)(bit.OpenClassifier(ctx, filepath.Join(dir, "Three-things")))
	if !slices.Equal(downloaded.Labels(), classes) {
		t.Errorf("the downloaded model knows %q", downloaded.Labels())
	}
	// Who takes a download slowly keeps nobody else from the project.
	err := s.teacher.WriteONNX(ctx, p.ID, project.Probe, func(name string) io.Writer {
		soon, cancel := context.WithTimeout(ctx, 20*time.Second)
		defer cancel()
		if _, leave, err := s.teacher.desk(soon, p.ID); err != nil {
			t.Errorf("the project waits for the client: %v", err)
		} else {
			leave()
		}
		return io.Discard
	})
	if err != nil {
		t.Fatal(err)
	}
	kept := must[api.KeptModel](t)(s.KeepModel(ctx, p.ID, "probe", "three"))
	if kept.Kind != "probe" || kept.Project != "Three things" {
		t.Errorf("%+v", kept)
	}

	right, all = 0, 0
	for _, class := range classes {
		for name, content := range cifar(t, "test", class) {
			asked := must[api.ExplainedPicture](t)(s.AskProject(ctx, p.ID, "probe", content))
			path := filepath.Join(dir, name)
			if err := os.WriteFile(path, content, 0o600); err != nil {
				t.Fatal(err)
			}
			local := must[[]bit.Prediction](t)(downloaded.ClassifyFile(path, 0))
			served := must[*api.Classification](t)(s.Classify(ctx, content, api.Options{Model: "three", Top: 3})).Results[0].Predictions
			for i, want := range local {
				for _, got := range []api.Prediction{asked.Predictions[i], served[i]} {
					if got.Label != want.Label || math.Abs(float64(got.Score-want.Score)) > 1e-5 {
						t.Errorf("%s: %+v, the downloaded model says %+v", name, got, want)
					}
				}
			}
			all++
			if asked.Predictions[0].Label == class {
				right++
			}
		}
	}
	t.Logf("%d of %d held-out pictures are right", right, all)
	if all != 90 || float64(right) < 0.6*float64(all) {
		t.Errorf("%d of %d held-out pictures are right, want 60 %%", right, all)
	}
	if err := s.ForgetModel(ctx, "three"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Classify(ctx, cifar(t, "test", "dog")[sorted(cifar(t, "test", "dog"))[0]], api.Options{Model: "three"}); status(err) != http.StatusNotFound {
		t.Errorf("a forgotten model answers: %v", err)
	}
}

// The head is another one after every change: what is moved is learnt as what it was moved to.
func TestProbeFollowsChanges(t *testing.T) {
	s := open(t, t.TempDir(), project.Limits{})
	ctx := t.Context()
	p, ids := s.teach(t, "Changes", 8)
	first := must[api.TaughtModel](t)(s.FitProbe(ctx, p.ID))
	if again := must[api.TaughtModel](t)(s.FitProbe(ctx, p.ID)); again.Trained != first.Trained {
		t.Error("it was fitted again without a change")
	}
	var dogs []uint64
	for _, picture := range must[[]api.ProjectPicture](t)(s.Pictures(ctx, p.ID)) {
		if picture.Class == ids[1] {
			dogs = append(dogs, picture.ID)
		}
	}
	if err := s.MovePictures(ctx, p.ID, api.MovePictures{Pictures: dogs, Class: ids[2]}); err != nil {
		t.Fatal(err)
	}
	m := must[api.TaughtModel](t)(s.FitProbe(ctx, p.ID))
	if !slices.Equal(m.Classes, []string{"airplane", "frog"}) || m.Judged != 24 || m.Revision == first.Revision {
		t.Errorf("%+v, want airplanes and frogs alone", m)
	}
	if err := s.RemovePictures(ctx, p.ID, dogs...); err != nil {
		t.Fatal(err)
	}
	if m = must[api.TaughtModel](t)(s.FitProbe(ctx, p.ID)); m.Pictures != 16 {
		t.Errorf("%d pictures, want 16", m.Pictures)
	}
	if err := s.DeleteClass(ctx, p.ID, ids[2]); err != nil {
		t.Fatal(err)
	}
	if _, err := s.FitProbe(ctx, p.ID); status(err) != http.StatusUnprocessableEntity || !strings.Contains(err.Error(), "two classes") {
		t.Errorf("one class is left: %v", err)
	}
}

// Everything is there after a restart: projects, pictures, models, and what is kept.
func TestRestart(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, project.Limits{})
	ctx := t.Context()
	p, _ := s.teach(t, "Restart", 6)
	m := must[api.TaughtModel](t)(s.FitProbe(ctx, p.ID))
	must[api.KeptModel](t)(s.KeepModel(ctx, p.ID, "probe", "kept"))
	picture := cifar(t, "test", "frog")[sorted(cifar(t, "test", "frog"))[0]]
	want := must[api.ExplainedPicture](t)(s.AskProject(ctx, p.ID, "probe", picture))
	s.close()

	s = open(t, dir, project.Limits{})
	back := must[api.Project](t)(s.Project(ctx, p.ID))
	if back.Name != "Restart" || back.Pictures != 18 || len(back.Models) != 1 || back.Models[0].Accuracy != m.Accuracy {
		t.Errorf("%+v", back)
	}
	if got := must[api.ExplainedPicture](t)(s.AskProject(ctx, p.ID, "", picture)); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%+v, want %+v", got, want)
	}
	if got := must[*api.Classification](t)(s.Classify(ctx, picture, api.Options{Model: "kept"})); got.Results[0].Predictions[0].Label != want.Predictions[0].Label {
		t.Errorf("the kept model says %+v", got)
	}
}

// watch follows a training until f has seen enough.
func (s *school) watch(t *testing.T, project string, n uint64, f func(api.Training) bool) (last api.Training, curve []api.TrainingPoint) {
	t.Helper()
	err := s.WatchTraining(t.Context(), project, n, func(m api.Training) bool {
		last = m
		curve = append(curve, m.Curve...)
		return f == nil || f(m)
	})
	if err != nil {
		t.Fatal(err)
	}
	return last, curve
}

// weights returns the file of weights of a project's fine-tuned model.
func (s *school) weights(t *testing.T, project string) []byte {
	t.Helper()
	var file bytes.Buffer
	if err := s.DownloadModel(t.Context(), project, "finetune", "zip", &file); err != nil {
		t.Fatal(err)
	}
	z := must[*zip.Reader](t)(zip.NewReader(bytes.NewReader(file.Bytes()), int64(file.Len())))
	for _, f := range z.File {
		if strings.HasSuffix(f.Name, "/model.safetensors") {
			return must[[]byte](t)(io.ReadAll(must[io.ReadCloser](t)(f.Open())))
		}
	}
	t.Fatal("no weights in the zip file")
	return nil
}

// A training that is stopped, cut off by the server's end and resumed, while its pictures are moved and deleted, ends with
// the bits of one that nobody touched.
func TestStopAndResume(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, project.Limits{})
	ctx := t.Context()
	const steps = 80 // long enough to be caught in the middle
	settings := api.TrainingSettings{Steps: steps, Batch: 16, Crop: 32, Seed: 7}
	undisturbed, _ := s.teach(t, "Undisturbed", 10)
	one := must[api.Training](t)(s.StartTraining(ctx, undisturbed.ID, settings))
	if one.Images != 24 || one.HeldOut != 6 || one.Steps != steps {
		t.Errorf("%+v, want 24 pictures to train on and 6 held out", one)
	}
	disturbed, ids := s.teach(t, "Disturbed", 10)
	two := must[api.Training](t)(s.StartTraining(ctx, disturbed.ID, settings))
	if _, err := s.StartTraining(ctx, disturbed.ID, settings); status(err) != http.StatusConflict {
		t.Errorf("a second training of a project: %v", err)
	}
	last, curve := s.watch(t, undisturbed.ID, one.ID, nil)
	if last.State != "done" || len(curve) != steps || curve[0].Step != 1 || curve[len(curve)-1].Step != steps {
		t.Fatalf("%+v, a curve of %d points", last, len(curve))
	}
	want := s.weights(t, undisturbed.ID)

	if m := must[api.Training](t)(s.StopTraining(ctx, disturbed.ID, two.ID)); m.State != "paused" {
		t.Fatalf("%+v, want it paused", m)
	}
	must[api.Training](t)(s.ResumeTraining(ctx, disturbed.ID, two.ID))
	for must[api.Training](t)(s.Training(ctx, disturbed.ID, two.ID)).Step < 3 {
		time.Sleep(10 * time.Millisecond)
	}
	if err := s.DeleteClass(ctx, disturbed.ID, ids[0]); err != nil {
		t.Fatal(err)
	}
	s.close()

	s = open(t, dir, project.Limits{})
	m := must[api.Project](t)(s.Project(ctx, disturbed.ID)).Training
	if m.State != "paused" || m.Step == 0 || m.Step == steps || m.Why == "" {
		t.Fatalf("%+v, want it paused in the middle, and why", m)
	}
	must[api.Training](t)(s.ResumeTraining(ctx, disturbed.ID, two.ID))
	if last, _ = s.watch(t, disturbed.ID, two.ID, nil); last.State != "done" {
		t.Fatalf("%+v", last)
	}
	if !bytes.Equal(s.weights(t, disturbed.ID), want) {
		t.Error("the weights differ from those of the training that nobody touched")
	}
	got := must[api.Project](t)(s.Project(ctx, disturbed.ID))
	at := slices.IndexFunc(got.Models, func(m api.TaughtModel) bool { return m.Kind == "finetune" })
	if at < 0 || got.Models[at].Judged != 6 || got.Models[at].Pictures != 24 || got.Models[at].Revision == got.Revision || !slices.Equal(got.Models[at].Classes, classes) {
		t.Errorf("%+v, want a model of three classes that is out of date", got.Models)
	}
	if full := must[api.Training](t)(s.Training(ctx, disturbed.ID, two.ID)); len(full.Curve) != steps {
		t.Errorf("a curve of %d points, want %d", len(full.Curve), steps)
	}
	if entries := must[[]os.DirEntry](t)(os.ReadDir(s.store.RunDir(disturbed.ID, two.ID))); len(entries) != 1 || entries[0].Name() != "model" {
		t.Errorf("the folder of the run has %v, want the model alone", entries)
	}
	if err := s.DiscardTraining(ctx, disturbed.ID, two.ID); err != nil {
		t.Fatal(err)
	}
	if err := s.DownloadModel(ctx, disturbed.ID, "finetune", "zip", io.Discard); status(err) != http.StatusNotFound {
		t.Errorf("a discarded model is downloaded: %v", err)
	}
}
