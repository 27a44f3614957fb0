package api

import "time"

// Project is a task that someone teaches a model: classes, pictures of them, and what was trained on these.
type Project struct {
	ID       string    `json:"id"`
	Name     string    `json:"name"`
	Base     string    `json:"base"` // the server's model that it starts from
	Created  time.Time `json:"created"`
	Changed  time.Time `json:"changed"`
	Revision uint64    `json:"revision"` // counts changes of classes and pictures
	Pictures int       `json:"pictures"`
	Bytes    int64     `json:"bytes"` // of the pictures' files

	// What follows is not in lists of projects.
	Classes  []ProjectClass   `json:"classes,omitempty"`
	Warnings []ProjectWarning `json:"warnings,omitempty"`
	Models   []TaughtModel    `json:"models,omitempty"`   // at most one of each kind
	Training *Training        `json:"training,omitempty"` // the last one, without its curve
}

// Projects lists projects, sorted by name.
type Projects struct {
	Projects []Project `json:"projects"`
	Bases    []string  `json:"bases"` // the models that a project can start from, the default first
}

// ProjectSettings create or change a project. What is empty stays as it is, or is the default.
type ProjectSettings struct {
	Name string `json:"name,omitempty"`
	Base string `json:"base,omitempty"`
}

// ProjectClass is a class of a project.
type ProjectClass struct {
	ID       uint64 `json:"id"`
	Name     string `json:"name"`
	Pictures int    `json:"pictures"`
}

// ClassSettings create or change a class.
type ClassSettings struct {
	Name string `json:"name"`
}

// ProjectWarning is something that makes a model worse, or its accuracy look better than it is.
type ProjectWarning struct {
	Kind     string   `json:"kind"`    // "few", "skew", "conflict" or "duplicate"
	Message  string   `json:"message"` // a sentence
	Classes  []uint64 `json:"classes,omitempty"`
	Pictures []uint64 `json:"pictures,omitempty"`
}

// ProjectPicture is a picture of a class.
type ProjectPicture struct {
	ID     uint64    `json:"id"`
	Class  uint64    `json:"class"`
	Name   string    `json:"name"` // of the file it came from
	Width  int       `json:"width"`
	Height int       `json:"height"`
	Bytes  int64     `json:"bytes"`
	Added  time.Time `json:"added"`
}

// ProjectPictures lists pictures in the order in which they were added.
type ProjectPictures struct {
	Pictures []ProjectPicture `json:"pictures"`
}

// Upload says what became of the files of a request. One that is refused does not keep the others out.
type Upload struct {
	Added   []ProjectPicture `json:"added"`             // new pictures
	Known   []ProjectPicture `json:"known,omitempty"`   // pictures that the class had already
	Refused []RefusedFile    `json:"refused,omitempty"` // what is no picture, or too large
}

// RefusedFile is a file that was not taken, and why.
type RefusedFile struct {
	Name  string `json:"name"`
	Error string `json:"error"`
}

// MovePictures puts pictures into another class.
type MovePictures struct {
	Pictures []uint64 `json:"pictures"`
	Class    uint64   `json:"class"`
}

// TaughtModel is what was trained on a project.
type TaughtModel struct {
	Kind     string    `json:"kind"` // "probe", the closed-form head, or "finetune"
	Base     string    `json:"base"`
	Classes  []string  `json:"classes"`
	Trained  time.Time `json:"trained"`
	Revision uint64    `json:"revision"` // of the project as it was trained on: behind the project's, the model is out of date
	Pictures int       `json:"pictures"` // trained on

	// Accuracy and Confusion are of Judged pictures, each answered by a model that had not seen it: all of them, left out one
	// at a time, for a probe; those held out, for a fine-tuned model. If Judged is 0 there is no figure.
	Judged    int     `json:"judged"`
	Accuracy  float64 `json:"accuracy"`            // in [0, 1]
	Confusion [][]int `json:"confusion,omitempty"` // [class][answer], pictures

	Mistakes []Mistake `json:"mistakes,omitempty"` // of a probe just fitted: what it got wrong when left out, the surest first
}

// Mistake is a picture that a model trained on the others takes for another class.
type Mistake struct {
	Picture uint64  `json:"picture"`
	Answer  uint64  `json:"answer"` // the class it was taken for
	Score   float64 `json:"score"`  // of the answer, in [0, 1]
}

// TrainingSettings are those of a fine-tuning; 0 leaves the choice to the server.
type TrainingSettings struct {
	Steps        int     `json:"steps,omitempty"`
	Batch        int     `json:"batch,omitempty"`
	LearningRate float64 `json:"learning_rate,omitempty"`
	Crop         int     `json:"crop,omitempty"` // side of the pictures that the network sees, in pixels
	NoFlip       bool    `json:"no_flip,omitempty"`
	Seed         uint64  `json:"seed,omitempty"`
}

// Training is a fine-tuning, running or not.
type Training struct {
	ID       uint64           `json:"id"`
	State    string           `json:"state"`         // "waiting", "running", "paused", "done" or "failed"
	Why      string           `json:"why,omitempty"` // it is paused or failed
	Created  time.Time        `json:"created"`
	Revision uint64           `json:"revision"` // of the project when it began
	Settings TrainingSettings `json:"settings"`
	Classes  []string         `json:"classes"`
	Images   int              `json:"images"`   // trained on
	HeldOut  int              `json:"held_out"` // to judge it by
	Step     int              `json:"step"`
	Steps    int              `json:"steps"`

	Remaining float64         `json:"remaining,omitempty"` // seconds to go, while it runs
	Speed     float64         `json:"speed,omitempty"`     // images per second, while it runs
	Curve     []TrainingPoint `json:"curve,omitempty"`     // in events only what is new
}

// TrainingPoint is a point of a curve.
type TrainingPoint struct {
	Step     int     `json:"step"`
	Loss     float64 `json:"loss"`     // running mean
	Accuracy float64 `json:"accuracy"` // of training images, running mean in [0, 1]
}

// KeepModel puts a model of a project among those of the server.
type KeepModel struct {
	Name string `json:"name"`
}

// KeptModel is a model that the server has from a project.
type KeptModel struct {
	Name    string    `json:"name"`
	Project string    `json:"project"` // its name when it was kept
	Kind    string    `json:"kind"`
	Kept    time.Time `json:"kept"`
}

// KeptModels lists them by name.
type KeptModels struct {
	Models []KeptModel `json:"models"`
}
