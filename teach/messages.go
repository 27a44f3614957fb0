package teach

import (
	"fmt"
	"net/http"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/bigtransfer/bit/api"
	"github.com/bigtransfer/bit/project"
	"github.com/bigtransfer/bit/serve"
)

// answerProject answers with all that there is to know of a project but its pictures.
func (t *Teacher) answerProject(w http.ResponseWriter, id string) error {
	p, err := t.Store.Get(id)
	if err != nil {
		return err
	}
	m := projectMessage(p)
	classes, err := t.Store.Classes(id)
	if err != nil {
		return err
	}
	pictures, err := t.Store.Pictures(id)
	if err != nil {
		return err
	}
	count := map[uint64]int{}
	for _, p := range pictures {
		count[p.Class]++
	}
	for _, c := range classes {
		m.Classes = append(m.Classes, api.ProjectClass{ID: c.ID, Name: c.Name, Pictures: count[c.ID]})
	}
	warnings, err := t.Store.Warnings(id)
	if err != nil {
		return err
	}
	for _, warning := range warnings {
		m.Warnings = append(m.Warnings, warningMessage(warning, m.Classes))
	}
	models, err := t.Store.Models(id)
	if err != nil {
		return err
	}
	for _, model := range models {
		m.Models = append(m.Models, modelMessage(model))
	}
	jobs, err := t.Store.Jobs(id)
	if err != nil {
		return err
	}
	if n := len(jobs); n > 0 {
		last := t.trainingMessage(id, jobs[n-1])
		m.Training = &last
	}
	return serve.Answer(w, m)
}

func projectMessage(p project.Project) api.Project {
	return api.Project{ID: p.ID, Name: p.Name, Base: p.Base, Created: p.Created, Changed: p.Changed, Revision: p.Revision,
		Pictures: p.Pictures, Bytes: p.Bytes}
}

func pictureMessage(p project.Picture) api.ProjectPicture {
	return api.ProjectPicture{ID: p.ID, Class: p.Class, Name: p.Name, Width: p.Width, Height: p.Height, Bytes: p.Bytes, Added: p.Added}
}

func modelMessage(m project.Model) api.TaughtModel {
	return api.TaughtModel{Kind: string(m.Kind), Base: m.Base, Classes: m.Classes, Trained: m.Trained, Revision: m.Revision,
		Pictures: m.Pictures, Judged: m.Judged, Accuracy: m.Accuracy, Confusion: m.Confusion}
}

func keptMessage(k project.Kept) api.KeptModel {
	return api.KeptModel{Name: k.Name, Project: k.Project, Kind: string(k.Kind), Kept: k.Kept}
}

// training returns a training with its curve from a step on.
func (t *Teacher) training(id string, n uint64, from int) (api.Training, error) {
	j, err := t.Store.Job(id, n)
	if err != nil {
		return api.Training{}, err
	}
	points, err := t.Store.Curve(id, n, from)
	if err != nil {
		return api.Training{}, err
	}
	m := t.trainingMessage(id, j)
	for _, p := range points {
		m.Curve = append(m.Curve, api.TrainingPoint{Step: p.Step, Loss: p.Loss, Accuracy: p.Accuracy})
	}
	return m, nil
}

func (t *Teacher) trainingMessage(id string, j project.Job) api.Training {
	s := j.Settings
	m := api.Training{
		ID: j.ID, State: string(j.State), Why: j.Why, Created: j.Created, Revision: j.Revision, Classes: j.Classes, Images: j.Images,
		HeldOut: j.HeldOut, Step: j.Step, Steps: j.Steps,
		Settings: api.TrainingSettings{Steps: s.Steps, Batch: s.Batch, LearningRate: s.LearningRate, Crop: s.Crop, NoFlip: s.NoFlip, Seed: s.Seed},
	}
	if running := t.underWay(id, j.ID); running != nil && j.State == project.Running {
		running.mu.Lock()
		m.Speed, m.Remaining = running.speed, running.left.Seconds()
		running.mu.Unlock()
	}
	return m
}

// warningMessage says a warning in a sentence.
func warningMessage(w project.Warning, classes []api.ProjectClass) api.ProjectWarning {
	named := func(id uint64) api.ProjectClass {
		for _, c := range classes {
			if c.ID == id {
				return c
			}
		}
		return api.ProjectClass{}
	}
	var names []string
	for _, c := range w.Classes {
		names = append(names, "“"+named(c).Name+"”")
	}
	m := api.ProjectWarning{Kind: string(w.Kind), Classes: w.Classes, Pictures: w.Pictures}
	switch w.Kind {
	case project.Few:
		has := "has"
		if len(names) > 1 {
			has = "have"
		}
		m.Message = fmt.Sprintf("%s %s fewer than %d pictures: a few more help a lot.", list(names), has, project.MinPictures)
	case project.Skew:
		m.Message = fmt.Sprintf("%s has %d pictures and %s only %d: the model will lean towards the larger class.",
			names[0], named(w.Classes[0]).Pictures, names[1], named(w.Classes[1]).Pictures)
	case project.Conflict:
		m.Message = fmt.Sprintf("The same picture is in %s: it can only teach one of them.", list(names))
	case project.Duplicate:
		one, other := "pictures look", "others"
		if len(w.Pictures) == 1 {
			one, other = "picture looks", "another one"
		}
		m.Message = fmt.Sprintf("%d %s almost like %s in %s: the accuracy can look better than it is.", len(w.Pictures), one, other, names[0])
	}
	return m
}

// list joins words as in a sentence.
func list(words []string) string {
	switch n := len(words); n {
	case 0, 1:
		return strings.Join(words, "")
	default:
		return strings.Join(words[:n-1], ", ") + " and " + words[n-1]
	}
}

// sentence makes one of an error.
func sentence(err error) string {
	text := err.Error()
	first, size := utf8.DecodeRuneInString(text)
	text = string(unicode.ToUpper(first)) + text[size:]
	if !strings.HasSuffix(text, ".") {
		text += "."
	}
	return text
}
