package api

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

const jsonType = "application/json"

// call sends a message, if there is one, and reads the answer.
func call[T any](ctx context.Context, c *Client, method, path string, message any) (result T, err error) {
	var body []byte
	kind := ""
	if message != nil {
		if body, err = json.Marshal(message); err != nil {
			return result, err
		}
		kind = jsonType
	}
	return result, c.do(ctx, method, path, kind, body, &result)
}

// nothing is the answer of what has nothing to say.
type nothing struct{}

// under returns the path of something of a project. Elements are strings or numbers.
func under(project string, elements ...any) string {
	path := "/v1/projects/" + url.PathEscape(project)
	for _, e := range elements {
		path += "/" + url.PathEscape(fmt.Sprint(e))
	}
	return path
}

// Projects lists the projects of a server, and the models that one can start from.
func (c *Client) Projects(ctx context.Context) (Projects, error) {
	return call[Projects](ctx, c, http.MethodGet, "/v1/projects", nil)
}

// CreateProject makes a project.
func (c *Client) CreateProject(ctx context.Context, s ProjectSettings) (Project, error) {
	return call[Project](ctx, c, http.MethodPost, "/v1/projects", s)
}

// Project returns a project with its classes, warnings, models and last training.
func (c *Client) Project(ctx context.Context, project string) (Project, error) {
	return call[Project](ctx, c, http.MethodGet, under(project), nil)
}

// ChangeProject renames a project, or lets it start from another model.
func (c *Client) ChangeProject(ctx context.Context, project string, s ProjectSettings) (Project, error) {
	return call[Project](ctx, c, http.MethodPatch, under(project), s)
}

// DeleteProject removes a project with all that belongs to it.
func (c *Client) DeleteProject(ctx context.Context, project string) error {
	_, err := call[nothing](ctx, c, http.MethodDelete, under(project), nil)
	return err
}

// AddClass adds a class to a project.
func (c *Client) AddClass(ctx context.Context, project, name string) (ProjectClass, error) {
	return call[ProjectClass](ctx, c, http.MethodPost, under(project, "classes"), ClassSettings{name})
}

// RenameClass gives a class another name.
func (c *Client) RenameClass(ctx context.Context, project string, class uint64, name string) (ProjectClass, error) {
	return call[ProjectClass](ctx, c, http.MethodPatch, under(project, "classes", class), ClassSettings{name})
}

// DeleteClass removes a class with its pictures.
func (c *Client) DeleteClass(ctx context.Context, project string, class uint64) error {
	_, err := call[nothing](ctx, c, http.MethodDelete, under(project, "classes", class), nil)
	return err
}

// AddPicture adds a picture file to a class; name is the file's.
func (c *Client) AddPicture(ctx context.Context, project string, class uint64, name string, picture []byte) (result Upload, err error) {
	path := under(project, "classes", class, "pictures") + "?" + url.Values{"name": {name}}.Encode()
	return result, c.do(ctx, http.MethodPost, path, "application/octet-stream", picture, &result)
}

// Pictures lists the pictures of a project.
func (c *Client) Pictures(ctx context.Context, project string) ([]ProjectPicture, error) {
	list, err := call[ProjectPictures](ctx, c, http.MethodGet, under(project, "pictures"), nil)
	return list.Pictures, err
}

// MovePictures puts pictures into another class, all of them or none.
func (c *Client) MovePictures(ctx context.Context, project string, m MovePictures) error {
	_, err := call[nothing](ctx, c, http.MethodPatch, under(project, "pictures"), m)
	return err
}

// RemovePictures removes pictures, all of them or none.
func (c *Client) RemovePictures(ctx context.Context, project string, pictures ...uint64) error {
	query := url.Values{}
	for _, p := range pictures {
		query.Add("picture", strconv.FormatUint(p, 10))
	}
	_, err := call[nothing](ctx, c, http.MethodDelete, under(project, "pictures")+"?"+query.Encode(), nil)
	return err
}

// FitProbe fits the closed-form head to a project's pictures, and says how it does when they are left out one at a time.
func (c *Client) FitProbe(ctx context.Context, project string) (TaughtModel, error) {
	return call[TaughtModel](ctx, c, http.MethodPost, under(project, "probe"), nil)
}

// StartTraining begins a fine-tuning.
func (c *Client) StartTraining(ctx context.Context, project string, s TrainingSettings) (Training, error) {
	return call[Training](ctx, c, http.MethodPost, under(project, "trainings"), s)
}

// Training returns a fine-tuning with its curve.
func (c *Client) Training(ctx context.Context, project string, training uint64) (Training, error) {
	return call[Training](ctx, c, http.MethodGet, under(project, "trainings", training), nil)
}

// StopTraining pauses a fine-tuning, and returns when it is saved.
func (c *Client) StopTraining(ctx context.Context, project string, training uint64) (Training, error) {
	return call[Training](ctx, c, http.MethodPost, under(project, "trainings", training, "stop"), nil)
}

// ResumeTraining goes on with a fine-tuning that is paused.
func (c *Client) ResumeTraining(ctx context.Context, project string, training uint64) (Training, error) {
	return call[Training](ctx, c, http.MethodPost, under(project, "trainings", training, "resume"), nil)
}

// DiscardTraining removes a fine-tuning with what it has made.
func (c *Client) DiscardTraining(ctx context.Context, project string, training uint64) error {
	_, err := call[nothing](ctx, c, http.MethodDelete, under(project, "trainings", training), nil)
	return err
}

// WatchTraining calls f with a fine-tuning at once and whenever it changes, with the points of its curve that are new,
// until it ends or is paused, or f returns false.
func (c *Client) WatchTraining(ctx context.Context, project string, training uint64, f func(Training) bool) error {
	resp, err := c.open(ctx, http.MethodGet, under(project, "trainings", training, "events"), "", nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(nil, maxAnswer)
	for lines.Scan() {
		data, ok := strings.CutPrefix(lines.Text(), "data: ")
		if !ok {
			continue
		}
		var t Training
		if err := json.Unmarshal([]byte(data), &t); err != nil {
			return fmt.Errorf("events of training %d: %w", training, err)
		}
		if !f(t) {
			return nil
		}
	}
	return lines.Err()
}

// AskProject returns what a model of a project, "probe", "finetune" or "" for the one trained last, says of a picture file.
func (c *Client) AskProject(ctx context.Context, project, kind string, picture []byte) (result ExplainedPicture, err error) {
	path := under(project, "classify") + "?" + url.Values{"model": {kind}}.Encode()
	return result, c.do(ctx, http.MethodPost, path, "application/octet-stream", picture, &result)
}

// DownloadModel writes a model of a project, "probe" or "finetune": as "zip", of a Hugging Face directory, or as "onnx".
func (c *Client) DownloadModel(ctx context.Context, project, kind, format string, w io.Writer) error {
	resp, err := c.open(ctx, http.MethodGet, under(project, "models", kind, format), "", nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	_, err = io.Copy(w, resp.Body)
	return err
}

// KeepModel puts a model of a project, "probe" or "finetune", among those of the server.
func (c *Client) KeepModel(ctx context.Context, project, kind, name string) (KeptModel, error) {
	return call[KeptModel](ctx, c, http.MethodPost, under(project, "models", kind, "keep"), KeepModel{name})
}

// KeptModels lists the models that the server has from projects.
func (c *Client) KeptModels(ctx context.Context) ([]KeptModel, error) {
	list, err := call[KeptModels](ctx, c, http.MethodGet, "/v1/kept", nil)
	return list.Models, err
}

// ForgetModel removes a model that was kept.
func (c *Client) ForgetModel(ctx context.Context, name string) error {
	_, err := call[nothing](ctx, c, http.MethodDelete, "/v1/kept/"+url.PathEscape(name), nil)
	return err
}
