// Package onnxruntime runs ONNX models in ONNX Runtime, by way of Node.js and its package onnxruntime-node, where the two
// are installed.
package onnxruntime

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strconv"
)

// ErrNotFound means that there is no ONNX Runtime on this machine.
var ErrNotFound = errors.New("no ONNX Runtime: it needs Node.js and its package onnxruntime-node, in a node_modules folder " +
	"here or above, in one named by NODE_PATH, or installed globally")

//go:embed run.cjs
var script string

// Session is a model that is open in another process.
type Session struct {
	Version string // of ONNX Runtime
	Input   string // name of the model's first input
	Type    string // its element type: "float32" or "uint8"
	Shape   []int  // its shape; 0 for a free dimension

	cmd   *exec.Cmd
	stdin io.WriteCloser
	in    *json.Encoder
	out   *json.Decoder
}

// reply is a line of the script.
type reply struct {
	Error   string    `json:"error"`
	Missing bool      `json:"missing"`
	Version string    `json:"version"`
	Name    string    `json:"name"`
	Type    string    `json:"type"`
	Shape   []int     `json:"shape"`
	Logits  []float64 `json:"logits"`
}

// Open opens a model. Without ONNX Runtime the error is [ErrNotFound]. The session ends with ctx or with Close.
func Open(ctx context.Context, path string, threads int) (*Session, error) {
	node, err := exec.LookPath("node")
	if err != nil {
		return nil, ErrNotFound
	}
	s := &Session{cmd: exec.CommandContext(ctx, node, "-e", script, "--", path, strconv.Itoa(threads))}
	if s.stdin, err = s.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	stdout, err := s.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	s.in, s.out = json.NewEncoder(s.stdin), json.NewDecoder(stdout)
	r, err := s.read()
	if err != nil {
		s.Close()
		if r.Missing {
			return nil, ErrNotFound
		}
		return nil, err
	}
	s.Version, s.Input, s.Type, s.Shape = r.Version, r.Name, r.Type, r.Shape
	return s, nil
}

// Run runs the model on an input whose values are little-endian and returns its output "logits".
func (s *Session) Run(shape []int, data []byte) ([]float64, error) {
	request := struct {
		Shape []int  `json:"shape"`
		Data  []byte `json:"data"`
	}{shape, data}
	if err := s.in.Encode(request); err != nil {
		return nil, fmt.Errorf("ONNX Runtime: %w", err)
	}
	r, err := s.read()
	return r.Logits, err
}

func (s *Session) read() (reply, error) {
	var r reply
	if err := s.out.Decode(&r); err != nil {
		if errors.Is(err, io.EOF) {
			err = errors.New("it ended without an answer")
		}
		return r, fmt.Errorf("ONNX Runtime: %w", err)
	}
	if r.Error != "" {
		return r, fmt.Errorf("ONNX Runtime: %s", r.Error)
	}
	return r, nil
}

// Close ends the session.
func (s *Session) Close() {
	s.stdin.Close()
	s.cmd.Wait() // a process that is done has nothing more to say
}
