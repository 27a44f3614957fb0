package serve

import (
	"context"
	"net/http"
	"strconv"

	"github.com/bigtransfer/bit/api"
)

// DefaultTop is how many classes are answered unless a request says otherwise.
const DefaultTop = 5

// classify answers POST and PUT of pictures with their most likely classes.
func (s *Server) classify(w http.ResponseWriter, r *http.Request) error {
	top, err := QueryInt(r, "top", DefaultTop)
	if err != nil {
		return err
	}
	answer := api.Classification{}
	err = s.eachPicture(w, r, func(i *instance, p Picture, t *task) error {
		answer.Model = i.name
		predictions, unknown, err := i.judge(t, top)
		answer.Results = append(answer.Results, api.ClassifiedPicture{Name: p.Name, Predictions: predictions, Unknown: unknown})
		return err
	})
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, answer)
	return nil
}

// embed answers POST and PUT of pictures with their feature vectors.
func (s *Server) embed(w http.ResponseWriter, r *http.Request) error {
	answer := api.Embeddings{}
	err := s.eachPicture(w, r, func(i *instance, p Picture, t *task) error {
		answer.Model = i.name
		answer.Results = append(answer.Results, api.Embedding{Name: p.Name, Embedding: t.features})
		return nil
	})
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, answer)
	return nil
}

// eachPicture takes a request on, runs the network on its pictures and calls f for each.
func (s *Server) eachPicture(w http.ResponseWriter, r *http.Request, f func(*instance, Picture, *task) error) error {
	i, done, err := s.model(r.PathValue("model"))
	if err != nil {
		return err
	}
	defer done()
	hold, err := s.admit(w, r)
	if err != nil {
		return err
	}
	defer hold.leave()
	pictures, err := s.readPictures(r, hold)
	if err != nil {
		return err
	}
	tasks, err := s.run(r.Context(), i, pictures)
	if err != nil {
		return err
	}
	for k, t := range tasks {
		if err := f(i, pictures[k], t); err != nil {
			return named(pictures[k], err)
		}
	}
	return nil
}

// run decodes pictures and runs the network on them.
func (s *Server) run(ctx context.Context, i *instance, pictures []Picture) ([]*task, error) {
	arrived := i.expect(len(pictures))
	defer arrived()
	tasks, err := s.prepare(ctx, i, pictures)
	if err != nil {
		return nil, err
	}
	return tasks, s.infer(ctx, i, tasks, arrived)
}

// infer runs the network on tasks and notes how that went.
func (s *Server) infer(ctx context.Context, i *instance, tasks []*task, arrived func()) error {
	info := infoOf(ctx)
	info.model, info.pictures = i.name, len(tasks)
	err := i.run(ctx, tasks, arrived)
	if err != nil {
		return err
	}
	for _, t := range tasks {
		info.queued, info.inferred, info.batch = max(info.queued, t.waited), max(info.inferred, t.ran), max(info.batch, t.batch)
		s.metrics.picture(i.name, t)
	}
	return nil
}

// judge returns the k most likely classes of a finished task, and whether the picture shows none of the classes.
func (i *instance) judge(t *task, k int) (predictions []api.Prediction, unknown bool, err error) {
	best, unknown, err := i.batcher.model.Judge(t.logits, k)
	for _, p := range best {
		predictions = append(predictions, api.Prediction(p))
	}
	return predictions, unknown, err
}

// QueryInt reads a positive number of the query; otherwise is its value where it is left out.
func QueryInt(r *http.Request, name string, otherwise int) (int, error) {
	text := r.URL.Query().Get(name)
	if text == "" {
		return otherwise, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		return 0, failf(http.StatusBadRequest, "%s=%q in the query: want a number from 1 on", name, text)
	}
	return n, nil
}

// listModels answers GET /v1/models.
func (s *Server) listModels(w http.ResponseWriter, r *http.Request) error {
	answer := api.Models{Models: []api.Model{}}
	for k, m := range s.list() {
		answer.Models = append(answer.Models, m.present().describe(k == 0, false))
	}
	writeJSON(w, http.StatusOK, answer)
	return nil
}

// showModel answers GET /v1/models/{model}.
func (s *Server) showModel(w http.ResponseWriter, r *http.Request) error {
	i, done, err := s.model(r.PathValue("model"))
	if err != nil {
		return err
	}
	defer done()
	writeJSON(w, http.StatusOK, i.describe(s.list()[0].name == i.name, true))
	return nil
}
