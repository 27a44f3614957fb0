package train

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/bigtransfer/bit/eval"
)

// HistoryFile is the usual name of a history, see Options.History.
const HistoryFile = "history.jsonl"

// StepRecord is the line of a history after a step.
type StepRecord struct {
	Step            int     `json:"step"`
	Loss            float64 `json:"loss"`     // mean of the step's batch
	Accuracy        float64 `json:"accuracy"` // of the step's batch, augmented as it is; top-1 in [0, 1], by any label of several
	Rate            float64 `json:"rate"`     // the learning rate of the step
	ImagesPerSecond float64 `json:"images_per_second"`
}

// EvaluationRecord is the line of a history after an evaluation.
type EvaluationRecord struct {
	Step  int     `json:"step"` // steps done
	Split string  `json:"split"`
	Top1  float64 `json:"top1"`
	Top5  float64 `json:"top5"`
	Loss  float64 `json:"eval_loss"`
}

// History is what a run left behind of its course, in the order in which it happened.
type History struct {
	Steps       []StepRecord
	Evaluations []EvaluationRecord
}

// line is either kind of record. A pointer tells which it is.
type line struct {
	StepRecord
	Split *string `json:"split"`
	Top1  float64 `json:"top1"`
	Top5  float64 `json:"top5"`
	Eval  float64 `json:"eval_loss"`
}

// ReadHistory reads a history: one JSON object a line, see StepRecord and EvaluationRecord.
func ReadHistory(r io.Reader) (History, error) {
	var h History
	_, err := scanHistory(r, func(l line) bool {
		if l.Split != nil {
			h.Evaluations = append(h.Evaluations, EvaluationRecord{l.Step, *l.Split, l.Top1, l.Top5, l.Eval})
		} else {
			h.Steps = append(h.Steps, l.StepRecord)
		}
		return true
	})
	return h, err
}

// scanHistory calls keep for each whole line until it returns false, and returns how many bytes it kept.
func scanHistory(r io.Reader, keep func(line) bool) (int64, error) {
	in := bufio.NewReader(r)
	kept := int64(0)
	for number := 1; ; number++ {
		text, err := in.ReadBytes('\n')
		if err == io.EOF {
			return kept, nil // what a kill cut off has no line's end
		}
		if err != nil {
			return kept, err
		}
		var l line
		if err := json.Unmarshal(bytes.TrimSpace(text), &l); err != nil {
			return kept, fmt.Errorf("line %d: %w", number, err)
		}
		if !keep(l) {
			return kept, nil
		}
		kept += int64(len(text))
	}
}

// historyWriter appends to a history. It keeps lines back until flush.
type historyWriter struct {
	file *os.File
	out  *bufio.Writer
	json *json.Encoder
}

// openHistory opens a history for a run that stands at a position: what it holds of later steps, which will be taken
// again, is cut off, and so is all of another run.
func openHistory(path, split string, at position) (*historyWriter, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o666)
	if err != nil {
		return nil, err
	}
	kept := int64(0)
	if at.Step > 0 {
		kept, err = scanHistory(f, func(l line) bool {
			if l.Split != nil {
				return *l.Split == split && l.Step <= at.Evaluated
			}
			return l.StepRecord.Step <= at.Step
		})
	}
	if err == nil {
		err = f.Truncate(kept)
	}
	if err == nil {
		_, err = f.Seek(kept, io.SeekStart)
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("history %s: %w", path, err)
	}
	w := &historyWriter{file: f, out: bufio.NewWriter(f)}
	w.json = json.NewEncoder(w.out)
	return w, nil
}

func (w *historyWriter) step(r StepRecord) error { return w.json.Encode(r) }

func (w *historyWriter) evaluation(step int, split string, r eval.Result) error {
	return w.json.Encode(EvaluationRecord{step, split, r.Top1, r.Top5, r.Loss})
}

func (w *historyWriter) flush() error { return w.out.Flush() }

func (w *historyWriter) close() error { return errors.Join(w.out.Flush(), w.file.Close()) }

// AppendEvaluation adds an evaluation to the history of a run that has ended, such as that of the test split. A file that
// is not there is made.
func AppendEvaluation(path string, e EvaluationRecord) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o666)
	if err != nil {
		return err
	}
	err = json.NewEncoder(f).Encode(e)
	if closing := f.Close(); err == nil {
		err = closing
	}
	if err != nil {
		return &fs.PathError{Op: "history", Path: path, Err: err}
	}
	return nil
}
