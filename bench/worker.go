package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"time"

	"github.com/bigtransfer/bit/internal/machine"
)

// request is what a worker is asked, one JSON object a line on its standard input. Op says which of the other fields
// count. The answer to each is one line on its standard output, a [reply].
type request struct {
	Op string `json:"op"`

	// open: read the network in Model with so many threads.
	Model   string `json:"model,omitempty"`
	Threads int    `json:"threads,omitempty"`

	// input: read the images of the runs to come, raw little-endian float32 in Shape, which is N C H W.
	Input string `json:"input,omitempty"`
	Shape []int  `json:"shape,omitempty"`

	// logits: return the logits of the input.

	// train: from now on a run is a training step on the input with these Labels.
	Labels   []int   `json:"labels,omitempty"`
	Rate     float64 `json:"rate,omitempty"`
	Momentum float64 `json:"momentum,omitempty"`

	// steps: train for Count steps and return the loss before each.
	// time: run Warmup times, then Count times, and return the mean time of the latter.
	Count  int `json:"count,omitempty"`
	Warmup int `json:"warmup"`

	// limits: measure what so many Threads can do; no network need be open. Asked of this program only.
}

// reply is a worker's answer.
type reply struct {
	Error   string    `json:"error,omitempty"`
	Version string    `json:"version,omitempty"` // open: the program and its version
	Detail  string    `json:"detail,omitempty"`  // open: what else decides its speed
	Logits  []float64 `json:"logits,omitempty"`  // logits: [N,Classes]
	Losses  []float64 `json:"losses,omitempty"`  // steps
	Seconds float64   `json:"seconds,omitempty"` // time

	Limits *machine.Limits `json:"limits,omitempty"` // limits
}

// worker is a running contender.
type worker struct {
	name  string
	cmd   *exec.Cmd
	stdin io.WriteCloser
	in    *json.Encoder
	out   *json.Decoder
	begun time.Time
}

// startWorker starts a contender. Its standard error is this program's.
func startWorker(ctx context.Context, name string, command, env []string) (*worker, error) {
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Env = append(os.Environ(), env...)
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	w := &worker{name: name, cmd: cmd, stdin: stdin, in: json.NewEncoder(stdin), out: json.NewDecoder(stdout), begun: time.Now()}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return w, nil
}

// ask sends a request and waits for the answer.
func (w *worker) ask(r request) (reply, error) {
	var answer reply
	if err := w.in.Encode(r); err != nil {
		return answer, fmt.Errorf("%s: %s: %w", w.name, r.Op, err)
	}
	if err := w.out.Decode(&answer); err != nil {
		if errors.Is(err, io.EOF) {
			err = errors.New("it ended without an answer")
		}
		return answer, fmt.Errorf("%s: %s: %w", w.name, r.Op, err)
	}
	if answer.Error != "" {
		return answer, fmt.Errorf("%s: %s: %s", w.name, r.Op, answer.Error)
	}
	return answer, nil
}

// close ends the worker.
func (w *worker) close() {
	w.stdin.Close()
	w.cmd.Wait() // a worker that is done has nothing more to say
}

// handler answers requests on the worker's side.
type handler interface{ handle(request) (reply, error) }

// serve answers requests until there are no more.
func serve(h handler, in io.Reader, out io.Writer) error {
	requests, replies := json.NewDecoder(in), json.NewEncoder(out)
	for {
		var r request
		if err := requests.Decode(&r); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		answer, err := h.handle(r)
		if err != nil {
			answer = reply{Error: err.Error()}
		}
		if err := replies.Encode(answer); err != nil {
			return err
		}
	}
}

// finite reports the first value that JSON cannot carry.
func finite(what string, values []float64) error {
	for i, v := range values {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return fmt.Errorf("%s %d is %v", what, i, v)
		}
	}
	return nil
}
