package page_test

import (
	"archive/zip"
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/bigtransfer/bit/api"
)

// project makes a project of pictures of two classes.
func (s *server) project(t testing.TB, name string) string {
	t.Helper()
	c := &api.Client{Server: s.url}
	p, err := c.CreateProject(t.Context(), api.ProjectSettings{Name: name})
	if err != nil {
		t.Fatal(err)
	}
	for _, class := range []string{"airplane", "frog"} {
		made, err := c.AddClass(t.Context(), p.ID, class)
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range cifar(t, "train", class, 12) {
			content, err := os.ReadFile(path)
			if err == nil {
				_, err = c.AddPicture(t.Context(), p.ID, made.ID, filepath.Base(path), content)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	return p.ID
}

// weights downloads the weights of a fine-tuned model.
func (s *server) weights(t testing.TB, project string) []byte {
	t.Helper()
	var file bytes.Buffer
	if err := (&api.Client{Server: s.url}).DownloadModel(t.Context(), project, "finetune", "zip", &file); err != nil {
		t.Fatal(err)
	}
	z, err := zip.NewReader(bytes.NewReader(file.Bytes()), int64(file.Len()))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range z.File {
		if strings.HasSuffix(f.Name, "/model.safetensors") {
			r, err := f.Open()
			if err != nil {
				t.Fatal(err)
			}
			content, err := io.ReadAll(r)
			if err != nil {
				t.Fatal(err)
			}
			return content
		}
	}
	t.Fatal("no weights in the zip file")
	return nil
}

// The server is killed in the middle of a training, twice: once when nothing has been saved yet, and once after it was.
// It is then paused, and ends with the bits of one that nothing happened to. So it is after SIGTERM.
func TestKillDuringTraining(t *testing.T) {
	dir := t.TempDir()
	settings := api.TrainingSettings{Steps: 80, Batch: 16, Crop: 32}
	s := serveIn(t, dir)
	ctx, client := t.Context(), &api.Client{Server: s.url}
	untouched, killed := s.project(t, "Untouched"), s.project(t, "Killed")
	begin := func(project string) uint64 {
		t.Helper()
		training, err := client.StartTraining(ctx, project, settings)
		if err != nil {
			t.Fatal(err)
		}
		return training.ID
	}
	// until follows a training up to a step, or its end for 0.
	until := func(project string, n uint64, step int) (last api.Training) {
		t.Helper()
		err := client.WatchTraining(ctx, project, n, func(m api.Training) bool {
			last = m
			return step == 0 || m.Step < step
		})
		if err != nil {
			t.Fatal(err)
		}
		return last
	}
	if m := until(untouched, begin(untouched), 0); m.State != "done" {
		t.Fatalf("%+v", m)
	}
	want := s.weights(t, untouched)
	n := begin(killed)
	until(killed, n, 2)
	for i, how := range []syscall.Signal{syscall.SIGKILL, syscall.SIGTERM, syscall.SIGKILL} {
		s.kill(how)
		s = serveIn(t, dir)
		client = &api.Client{Server: s.url}
		m, err := client.Training(ctx, killed, n)
		if err != nil {
			t.Fatal(err)
		}
		if m.State != "paused" || m.Why == "" || m.Step == 0 {
			t.Fatalf("after %v: %+v, want it paused, and why", how, m)
		}
		t.Logf("after %v: paused at step %d of %d", how, m.Step, m.Steps)
		if _, err := client.ResumeTraining(ctx, killed, n); err != nil {
			t.Fatal(err)
		}
		if i < 2 {
			until(killed, n, 6*(i+1))
		}
	}
	started := time.Now()
	if m := until(killed, n, 0); m.State != "done" || len(m.Classes) != 2 {
		t.Fatalf("%+v", m)
	}
	t.Logf("resumed and done after %v", time.Since(started).Round(time.Millisecond))
	if !bytes.Equal(s.weights(t, killed), want) {
		t.Error("the weights differ from those of a training that nothing happened to")
	}
}
