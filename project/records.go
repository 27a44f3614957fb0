package project

import (
	"time"

	"github.com/bigtransfer/bit/imaging"
)

// Project is a task that someone teaches: classes and pictures of them.
type Project struct {
	ID       string    `json:"id"`
	Name     string    `json:"name"`
	Base     string    `json:"base"` // the model that it starts from, by the name the server has for it
	Created  time.Time `json:"created"`
	Changed  time.Time `json:"changed"`
	Revision uint64    `json:"revision"` // counts changes of classes and pictures
	Pictures int       `json:"pictures"`
	Bytes    int64     `json:"bytes"` // of the pictures' files
}

// Class is one of the answers that a model shall give.
type Class struct {
	ID   uint64 `json:"id"`
	Name string `json:"name"`
}

// Picture is a picture of a class.
type Picture struct {
	ID     uint64       `json:"id"`
	Class  uint64       `json:"class"`
	Name   string       `json:"name"`   // of the file it came from, for people
	File   string       `json:"file"`   // SHA-256 of its bytes, in hexadecimal
	Pixels string       `json:"pixels"` // SHA-256 of size and upright RGB values, in hexadecimal
	Look   imaging.Hash `json:"look"`
	Width  int          `json:"width"` // upright
	Height int          `json:"height"`
	Bytes  int64        `json:"bytes"`
	Added  time.Time    `json:"added"`
}

// Kind is a way to train.
type Kind string

const (
	Probe    Kind = "probe"    // a closed-form head on the features of the base model
	FineTune Kind = "finetune" // all weights, by gradient descent
)

// Model is what was trained last in one way.
type Model struct {
	Kind     Kind      `json:"kind"`
	Base     string    `json:"base"`
	Classes  []string  `json:"classes"`
	Trained  time.Time `json:"trained"`
	Revision uint64    `json:"revision"`      // of the project as it was trained on
	Pictures int       `json:"pictures"`      // trained on
	Job      uint64    `json:"job,omitempty"` // that trained it; 0 of a probe

	// Judged is the number of pictures that Accuracy and Confusion are of, each judged by a model that has not seen it: all of
	// them for a probe, which leaves out one at a time, those held out for a fine-tuned model. 0 means that there is no figure.
	Judged    int     `json:"judged"`
	Accuracy  float64 `json:"accuracy"`            // top-1, in [0, 1]
	Confusion [][]int `json:"confusion,omitempty"` // [class][class answered], pictures
}

// State is where a job is.
type State string

const (
	Waiting State = "waiting" // for another job to end
	Running State = "running"
	Paused  State = "paused" // stopped by someone, or with the server; can be resumed
	Done    State = "done"
	Failed  State = "failed"
)

// Ended reports whether a job in that state takes no more steps.
func (s State) Ended() bool { return s == Done || s == Failed }

// Job is a fine-tuning.
type Job struct {
	ID       uint64    `json:"id"`
	State    State     `json:"state"`
	Why      string    `json:"why,omitempty"` // it is paused or failed, as a sentence
	Base     string    `json:"base"`
	Created  time.Time `json:"created"`
	Changed  time.Time `json:"changed"`
	Revision uint64    `json:"revision"` // of the project when the job began
	Settings Settings  `json:"settings"`
	Classes  []string  `json:"classes"`
	Images   int       `json:"images"`   // trained on
	HeldOut  int       `json:"held_out"` // to judge it by
	Step     int       `json:"step"`
	Steps    int       `json:"steps"`
}

// Settings are those of a fine-tuning. They are complete: a job that is resumed under a newer version of this program
// goes on as it began.
type Settings struct {
	Steps        int     `json:"steps"`
	Batch        int     `json:"batch"`
	LearningRate float64 `json:"learning_rate"`
	Resize       int     `json:"resize"`
	Crop         int     `json:"crop"`
	Mixup        float64 `json:"mixup"`
	NoFlip       bool    `json:"no_flip"`
	Seed         uint64  `json:"seed"`
}

// Point is a point of a job's curve.
type Point struct {
	Step         int     `json:"step"`
	Loss         float64 `json:"loss"`     // running mean
	Accuracy     float64 `json:"accuracy"` // of augmented training images, running mean in [0, 1]
	LearningRate float64 `json:"learning_rate"`
}

// Item is a picture as a job trains on it: what the project had when the job began, whatever becomes of it later.
type Item struct {
	Picture uint64 `json:"picture"`
	Name    string `json:"name"`
	File    string `json:"file"`
	Label   int    `json:"label"` // index into Job.Classes
	Held    bool   `json:"held,omitempty"`
}
