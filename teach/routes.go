package teach

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"

	"github.com/bigtransfer/bit/api"
	"github.com/bigtransfer/bit/data"
	"github.com/bigtransfer/bit/project"
	"github.com/bigtransfer/bit/serve"
)

// routes are what a teacher adds to a server. openapi.yaml describes them.
func (t *Teacher) routes() []serve.Route {
	const (
		one      = "/v1/projects/{project}"
		class    = one + "/classes/{class}"
		training = one + "/trainings/{training}"
		model    = one + "/models/{kind}"
	)
	routes := []serve.Route{
		{Method: "GET", Pattern: "/v1/projects", Answer: t.listProjects},
		{Method: "POST", Pattern: "/v1/projects", Answer: t.createProject},
		{Method: "GET", Pattern: one, Answer: t.showProject},
		{Method: "PATCH", Pattern: one, Answer: t.changeProject},
		{Method: "DELETE", Pattern: one, Slow: true, Answer: t.deleteProject}, // a training is saved first

		{Method: "POST", Pattern: one + "/classes", Answer: t.addClass},
		{Method: "PATCH", Pattern: class, Answer: t.renameClass},
		{Method: "DELETE", Pattern: class, Answer: t.deleteClass},

		{Method: "POST", Pattern: class + "/pictures", Answer: t.addPictures},
		{Method: "GET", Pattern: one + "/pictures", Answer: t.listPictures},
		{Method: "PATCH", Pattern: one + "/pictures", Answer: t.movePictures},
		{Method: "DELETE", Pattern: one + "/pictures", Answer: t.removePictures},
		{Method: "GET", Pattern: one + "/pictures/{picture}", Answer: t.showPicture},
		{Method: "GET", Pattern: one + "/pictures/{picture}/thumbnail", Answer: t.showThumbnail},

		// The first one looks at all pictures, which with a large model takes its time.
		{Method: "POST", Pattern: one + "/probe", Slow: true, Answer: t.fitProbe},
		{Method: "POST", Pattern: one + "/trainings", Slow: true, Answer: t.startTraining},
		{Method: "GET", Pattern: training, Answer: t.showTraining},
		{Method: "DELETE", Pattern: training, Slow: true, Answer: t.discardTraining},
		{Method: "GET", Pattern: training + "/events", Slow: true, Answer: t.trainingEvents},
		{Method: "POST", Pattern: training + "/stop", Slow: true, Answer: t.stopTraining},
		{Method: "POST", Pattern: training + "/resume", Answer: t.resumeTraining},

		{Method: "POST", Pattern: one + "/classify", Slow: true, Answer: t.classify},
		{Method: "GET", Pattern: model + "/zip", Slow: true, Answer: t.downloadZip},
		{Method: "GET", Pattern: model + "/onnx", Slow: true, Answer: t.downloadONNX},
		{Method: "POST", Pattern: model + "/keep", Slow: true, Answer: t.keepModel},

		{Method: "GET", Pattern: "/v1/kept", Answer: t.listKept},
		{Method: "DELETE", Pattern: "/v1/kept/{name}", Answer: t.forgetKept},
	}
	for i := range routes {
		answer := routes[i].Answer
		routes[i].Answer = func(w http.ResponseWriter, r *http.Request) error { return failure(answer(w, r)) }
	}
	return routes
}

// failure gives an error of this package or its neighbours the status of HTTP that it means.
func failure(err error) error {
	var (
		name    *project.NameError
		limit   *project.LimitError
		kind    *kindError
		setting *settingError
		base    *baseError
		empty   *data.EmptyClassError
	)
	status := 0
	switch {
	case err == nil:
		return nil
	case errors.Is(err, project.ErrNotFound):
		status = http.StatusNotFound
	case errors.Is(err, project.ErrExists), errors.Is(err, project.ErrInUse):
		status = http.StatusConflict
	case errors.As(err, &limit):
		status = http.StatusRequestEntityTooLarge
	case errors.As(err, &name), errors.As(err, &kind), errors.As(err, &setting), errors.As(err, &base), errors.As(err, &empty), errors.Is(err, errTooFew):
		status = http.StatusUnprocessableEntity
	default:
		return err
	}
	return serve.Failf(status, "%v", err)
}

// maxJSON is more than any message of this interface takes: 20,000 pictures to move.
const maxJSON = 1 << 20

// readJSON reads the body of a request.
func readJSON(w http.ResponseWriter, r *http.Request, v any) error {
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxJSON))
	d.DisallowUnknownFields()
	err := d.Decode(v)
	if err == nil {
		if _, more := d.Token(); more != io.EOF {
			err = errors.New("more than one value")
		}
	}
	if _, tooLarge := errors.AsType[*http.MaxBytesError](err); err == nil || tooLarge {
		return err
	}
	if err == io.EOF {
		return serve.Failf(http.StatusBadRequest, "the body is empty, expected JSON")
	}
	return serve.Failf(http.StatusBadRequest, "the body is not the JSON expected: %v", err)
}

// number reads a number of the path. One that is none names nothing.
func number(r *http.Request, name string) (uint64, error) {
	n, err := strconv.ParseUint(r.PathValue(name), 10, 64)
	if err != nil {
		return 0, serve.Failf(http.StatusNotFound, "no %s %q", name, r.PathValue(name))
	}
	return n, nil
}

func (t *Teacher) listProjects(w http.ResponseWriter, r *http.Request) error {
	list, err := t.Store.List()
	if err != nil {
		return err
	}
	answer := api.Projects{Projects: []api.Project{}, Bases: t.baseNames()}
	for _, p := range list {
		answer.Projects = append(answer.Projects, projectMessage(p))
	}
	return serve.Answer(w, answer)
}

func (t *Teacher) createProject(w http.ResponseWriter, r *http.Request) error {
	var s api.ProjectSettings
	if err := readJSON(w, r, &s); err != nil {
		return err
	}
	base, err := t.checkBase(s.Base)
	if err != nil {
		return err
	}
	p, err := t.Store.Create(s.Name, base)
	if err != nil {
		return err
	}
	return t.answerProject(w, p.ID)
}

func (t *Teacher) showProject(w http.ResponseWriter, r *http.Request) error {
	return t.answerProject(w, r.PathValue("project"))
}

func (t *Teacher) changeProject(w http.ResponseWriter, r *http.Request) error {
	var s api.ProjectSettings
	if err := readJSON(w, r, &s); err != nil {
		return err
	}
	id := r.PathValue("project")
	if s.Base != "" {
		if _, err := t.checkBase(s.Base); err != nil {
			return err
		}
		if _, err := t.Store.Rebase(id, s.Base); err != nil {
			return err
		}
	}
	if s.Name != "" {
		if _, err := t.Store.Rename(id, s.Name); err != nil {
			return err
		}
	}
	return t.answerProject(w, id)
}

func (t *Teacher) deleteProject(w http.ResponseWriter, r *http.Request) error {
	id := r.PathValue("project")
	jobs, err := t.Store.Jobs(id)
	if err != nil {
		return err
	}
	for _, j := range jobs {
		if _, err := t.StopTraining(r.Context(), id, j.ID); err != nil {
			return err
		}
	}
	if err := t.Store.Delete(id); err != nil {
		return err
	}
	t.forget(id)
	return done(w)
}

// done answers what has nothing to say.
func done(w http.ResponseWriter) error { return serve.Answer(w, struct{}{}) }

func (t *Teacher) addClass(w http.ResponseWriter, r *http.Request) error {
	var s api.ClassSettings
	if err := readJSON(w, r, &s); err != nil {
		return err
	}
	c, err := t.Store.AddClass(r.PathValue("project"), s.Name)
	if err != nil {
		return err
	}
	return serve.Answer(w, api.ProjectClass{ID: c.ID, Name: c.Name})
}

func (t *Teacher) renameClass(w http.ResponseWriter, r *http.Request) error {
	var s api.ClassSettings
	if err := readJSON(w, r, &s); err != nil {
		return err
	}
	class, err := number(r, "class")
	if err != nil {
		return err
	}
	c, err := t.Store.RenameClass(r.PathValue("project"), class, s.Name)
	if err != nil {
		return err
	}
	return serve.Answer(w, api.ProjectClass{ID: c.ID, Name: c.Name})
}

func (t *Teacher) deleteClass(w http.ResponseWriter, r *http.Request) error {
	class, err := number(r, "class")
	if err != nil {
		return err
	}
	if err := t.Store.DeleteClass(r.PathValue("project"), class); err != nil {
		return err
	}
	return done(w)
}
