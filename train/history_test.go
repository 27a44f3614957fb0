package train

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/bigtransfer/bit/eval"
)

// The history has every step and evaluation of the run with the numbers that callbacks see, once, however often it was
// interrupted.
func TestHistory(t *testing.T) {
	ds := cifar(t)
	dir := t.TempDir()
	path := filepath.Join(dir, "curves", HistoryFile)
	var want History
	for _, stop := range []int{3, 4, 7, 0} {
		ctx, cancel := context.WithCancel(t.Context())
		cfg := everything(ds, 9, filepath.Join(dir, "checkpoints"))
		cfg.SaveEvery = 0
		cfg.History, cfg.Events, cfg.Split = path, filepath.Join(dir, "logs"), "validation"
		cfg.OnStep = func(p Progress) {
			want.Steps = append(want.Steps, StepRecord{Step: p.Step, Loss: p.StepLoss, Rate: p.LearningRate})
			if p.Step == stop {
				cancel()
			}
		}
		cfg.OnEvaluate = func(step int, r eval.Result) {
			want.Evaluations = append(want.Evaluations, EvaluationRecord{step, "validation", r.Top1, r.Top5, r.Loss})
		}
		_, err := Run(ctx, tiny(t, 10), cfg)
		var interrupted *InterruptedError
		if (stop > 0) != errors.As(err, &interrupted) {
			t.Fatal(err)
		}
		if stop == 7 { // a kill in the middle of a line, after steps that no checkpoint has
			f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
			if err != nil {
				t.Fatal(err)
			}
			f.WriteString(`{"step":8,"loss":1,"accuracy":0,"rate":0,"images_per_second":1}` + "\n" +
				`{"step":8,"split":"validation","top1":1,"top5":1,"eval_loss":1}` + "\n" + `{"step":9,"lo`)
			f.Close()
		}
		cancel()
	}
	got := readHistory(t, path)
	for i := range got.Steps {
		if a := got.Steps[i].Accuracy; a < 0 || a > 1 {
			t.Errorf("accuracy %v", a)
		}
		got.Steps[i].Accuracy = 0
	}
	if !slices.Equal(got.Steps, want.Steps) || !slices.Equal(got.Evaluations, want.Evaluations) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if len(got.Steps) != 9 || len(got.Evaluations) != 3 {
		t.Errorf("%d steps and %d evaluations, want 9 and 3", len(got.Steps), len(got.Evaluations))
	}
	if files, err := os.ReadDir(filepath.Join(dir, "logs")); err != nil || len(files) != 4 {
		t.Errorf("%d event files (%v), want one for each process", len(files), err)
	}

	// What was added after the end goes when the run is asked for again, and another run begins anew.
	if err := AppendEvaluation(path, EvaluationRecord{Step: 9, Split: "test", Top1: 0.5}); err != nil {
		t.Fatal(err)
	}
	if h := readHistory(t, path); len(h.Evaluations) != 4 || h.Evaluations[3].Split != "test" {
		t.Errorf("%+v, want the added evaluation last", h.Evaluations)
	}
	cfg := everything(ds, 9, filepath.Join(dir, "checkpoints"))
	cfg.History, cfg.Split = path, "validation"
	train(t, cfg)
	if h := readHistory(t, path); len(h.Evaluations) != 3 || len(h.Steps) != 9 {
		t.Errorf("%d steps, %d evaluations, want 9 and 3", len(h.Steps), len(h.Evaluations))
	}
	cfg = everything(ds, 2, "")
	cfg.History = path
	train(t, cfg)
	if h := readHistory(t, path); len(h.Steps) != 2 {
		t.Errorf("another run's history has %d steps, want 2", len(h.Steps))
	}
}

func TestHistoryErrors(t *testing.T) {
	if _, err := ReadHistory(strings.NewReader("{\"step\":1}\nnonsense\n")); err == nil || !strings.Contains(err.Error(), "line 2") {
		t.Errorf("error %v, want one that names line 2", err)
	}
	cfg := everything(cifar(t), 1, "")
	cfg.History = t.TempDir() // a folder
	if _, err := Run(t.Context(), tiny(t, 10), cfg); err == nil || !strings.Contains(err.Error(), cfg.History) {
		t.Errorf("error %v, want one that names %s", err, cfg.History)
	}
}
