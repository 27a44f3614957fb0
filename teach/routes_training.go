package teach

import (
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"
	"time"

	"github.com/bigtransfer/bit"
	"github.com/bigtransfer/bit/api"
	"github.com/bigtransfer/bit/imaging"
	"github.com/bigtransfer/bit/project"
	"github.com/bigtransfer/bit/serve"
)

func (t *Teacher) fitProbe(w http.ResponseWriter, r *http.Request) error {
	id := r.PathValue("project")
	d, leave, err := t.desk(r.Context(), id)
	if err != nil {
		return err
	}
	defer leave()
	f, err := t.probe(r.Context(), d)
	if err != nil {
		return err
	}
	classes, err := t.Store.Classes(id)
	if err != nil {
		return err
	}
	answer := modelMessage(f.record)
	for _, m := range f.mistakes() {
		for _, c := range classes {
			if c.Name == f.record.Classes[m.answer] {
				answer.Mistakes = append(answer.Mistakes, api.Mistake{Picture: m.picture, Answer: c.ID, Score: m.score})
			}
		}
	}
	return serve.Answer(w, answer)
}

func (t *Teacher) startTraining(w http.ResponseWriter, r *http.Request) error {
	var s api.TrainingSettings
	if err := readJSON(w, r, &s); err != nil {
		return err
	}
	id := r.PathValue("project")
	j, err := t.StartTraining(r.Context(), id, project.Settings{
		Steps: s.Steps, Batch: s.Batch, LearningRate: s.LearningRate, Crop: s.Crop, NoFlip: s.NoFlip, Seed: s.Seed,
	})
	if err != nil {
		return err
	}
	return t.answerTraining(w, id, j.ID)
}

// training reads the path of a request about a training.
func training(r *http.Request) (id string, n uint64, err error) {
	n, err = number(r, "training")
	return r.PathValue("project"), n, err
}

func (t *Teacher) showTraining(w http.ResponseWriter, r *http.Request) error {
	id, n, err := training(r)
	if err != nil {
		return err
	}
	return t.answerTraining(w, id, n)
}

func (t *Teacher) answerTraining(w http.ResponseWriter, id string, n uint64) error {
	m, err := t.training(id, n, 0)
	if err != nil {
		return err
	}
	return serve.Answer(w, m)
}

func (t *Teacher) stopTraining(w http.ResponseWriter, r *http.Request) error {
	id, n, err := training(r)
	if err != nil {
		return err
	}
	if _, err := t.StopTraining(r.Context(), id, n); err != nil {
		return err
	}
	return t.answerTraining(w, id, n)
}

func (t *Teacher) resumeTraining(w http.ResponseWriter, r *http.Request) error {
	id, n, err := training(r)
	if err != nil {
		return err
	}
	if _, err := t.ResumeTraining(id, n); err != nil {
		return err
	}
	return t.answerTraining(w, id, n)
}

func (t *Teacher) discardTraining(w http.ResponseWriter, r *http.Request) error {
	id, n, err := training(r)
	if err != nil {
		return err
	}
	if err := t.DiscardTraining(r.Context(), id, n); err != nil {
		return err
	}
	return done(w)
}

// heartbeat is how often a stream of events that has nothing to say shows that it is alive, so that proxies keep it.
const heartbeat = 15 * time.Second

// patience is how long a client of a stream may leave an event lying, before it is taken to be gone.
const patience = 30 * time.Second

// trainingEvents sends a training as Server-Sent Events: at first as it is, with its curve from the step after ?from= on,
// then whenever it changes, with the points that are new. The stream ends when the training does, or is paused.
func (t *Teacher) trainingEvents(w http.ResponseWriter, r *http.Request) error {
	id, n, err := training(r)
	if err != nil {
		return err
	}
	from := 0
	for _, text := range []string{r.URL.Query().Get("from"), r.Header.Get("Last-Event-ID")} {
		if text != "" {
			if from, err = strconv.Atoi(text); err != nil {
				return serve.Failf(http.StatusBadRequest, "from=%q: expected the number of a step", text)
			}
		}
	}
	control := http.NewResponseController(w)
	send := func(format string, args ...any) error {
		control.SetWriteDeadline(time.Now().Add(patience))
		fmt.Fprintf(w, format, args...)
		return control.Flush()
	}
	began := false
	for {
		j := t.underWay(id, n) // before the record is read: what changes after that closes changed
		changed := j.changes()
		m, err := t.training(id, n, from+1)
		if err != nil {
			if began { // it was discarded
				return nil
			}
			return err
		}
		if !began {
			h := w.Header()
			h.Set("Content-Type", "text/event-stream")
			h.Set("Cache-Control", "no-store")
			h.Set("X-Accel-Buffering", "no") // nginx would hold events back
			began = true
		}
		if k := len(m.Curve); k > 0 {
			from = m.Curve[k-1].Step
		}
		text, err := json.Marshal(m)
		if err != nil {
			return err
		}
		if err := send("id: %d\nevent: training\ndata: %s\n\n", from, text); err != nil {
			return nil // the client is gone
		}
		if j == nil {
			return nil
		}
	wait:
		for {
			select {
			case <-changed:
				break wait
			case <-j.done:
				break wait
			case <-r.Context().Done():
				return nil
			case <-time.After(heartbeat):
				if err := send(": still here\n\n"); err != nil {
					return nil
				}
			}
		}
	}
}

// changes returns a channel that is closed at the next change of a job; nil for no job.
func (j *job) changes() <-chan struct{} {
	if j == nil {
		return nil
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.changed
}

// classify answers a picture with what a model of the project says of it, and where it sees that.
func (t *Teacher) classify(w http.ResponseWriter, r *http.Request) error {
	id := r.PathValue("project")
	top, err := serve.QueryInt(r, "top", serve.DefaultTop)
	if err != nil {
		return err
	}
	pictures, release, err := t.Server.ReadPictures(w, r)
	if err != nil {
		return err
	}
	defer release()
	if len(pictures) != 1 {
		return serve.Failf(http.StatusBadRequest, "%d pictures in one request, expected one", len(pictures))
	}
	m, kind, err := t.take(r.Context(), id, project.Kind(r.URL.Query().Get("model")))
	if err != nil {
		return err
	}
	var e *bit.Explanation
	err = t.Server.Decoding(r.Context(), pictures[0].File, func(decoder imaging.Decoder) error {
		img, err := decoder.Decode(pictures[0].File)
		if err == nil {
			e, err = m.Explain(img, -1) // within, because the picture takes its memory until then
		}
		return err
	})
	if err != nil {
		return err
	}
	return serve.Answer(w, serve.Explained(string(kind), e, top))
}

func (t *Teacher) downloadZip(w http.ResponseWriter, r *http.Request) error {
	return t.WriteZip(r.Context(), r.PathValue("project"), project.Kind(r.PathValue("kind")), func(name string) io.Writer {
		return attachment(w, name+".zip", "application/zip")
	})
}

func (t *Teacher) downloadONNX(w http.ResponseWriter, r *http.Request) error {
	return t.WriteONNX(r.Context(), r.PathValue("project"), project.Kind(r.PathValue("kind")), func(name string) io.Writer {
		return attachment(w, name+".onnx", "application/octet-stream")
	})
}

// attachment begins the answer of a file to be saved.
func attachment(w http.ResponseWriter, name, kind string) io.Writer {
	h := w.Header()
	h.Set("Content-Type", kind)
	h.Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": name}))
	h.Set("Cache-Control", "no-store")
	return w
}

func (t *Teacher) keepModel(w http.ResponseWriter, r *http.Request) error {
	var k api.KeepModel
	if err := readJSON(w, r, &k); err != nil {
		return err
	}
	kept, err := t.Keep(r.Context(), r.PathValue("project"), project.Kind(r.PathValue("kind")), k.Name)
	if err != nil {
		return err
	}
	return serve.Answer(w, keptMessage(kept))
}

func (t *Teacher) listKept(w http.ResponseWriter, r *http.Request) error {
	list, err := t.Store.KeptModels()
	if err != nil {
		return err
	}
	answer := api.KeptModels{Models: []api.KeptModel{}}
	for _, k := range list {
		answer.Models = append(answer.Models, keptMessage(k))
	}
	return serve.Answer(w, answer)
}

func (t *Teacher) forgetKept(w http.ResponseWriter, r *http.Request) error {
	if err := t.Forget(r.PathValue("name")); err != nil {
		return err
	}
	return done(w)
}
