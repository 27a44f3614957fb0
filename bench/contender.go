package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/bigtransfer/bit/internal/cpu"
)

// contender is a program that can be timed.
type contender struct {
	name    string
	peer    bool
	command []string
	model   func(files) string // which form of a network it reads
	// limits are environment variables that keep it to a SIMD level as BIT_SIMD keeps this program; nil if it has none.
	limits map[cpu.Level][]string
}

// workerFlag makes this program a worker.
const workerFlag = "-worker"

// bit is this program, started again.
func bit() (contender, error) {
	self, err := os.Executable()
	if err != nil {
		return contender{}, err
	}
	limits := map[cpu.Level][]string{}
	for _, l := range cpu.Available() {
		limits[l] = []string{cpu.Override + "=" + string(l)}
	}
	return contender{
		name:    "bit",
		command: []string{self, workerFlag},
		model:   func(f files) string { return f.directory },
		limits:  limits,
	}, nil
}

// onnxRuntime is the peer for prediction. Nothing limits its instruction set: its kernels (MLAS) ask the processor, and
// no session option or environment variable of ONNX Runtime 1.30 overrides that.
func onnxRuntime(dir string) contender {
	return contender{
		name:    "ONNX Runtime",
		peer:    true,
		command: []string{"node", filepath.Join(dir, "onnxruntime.cjs")},
		model:   func(f files) string { return f.onnx },
	}
}

// pyTorch is the peer for training.
func pyTorch(dir string) contender {
	python := os.Getenv("BIT_BENCH_PYTHON")
	if python == "" {
		python = "/usr/bin/python3" // where Debian's python3-torch is found, whatever else is first in PATH
	}
	return contender{
		name:    "PyTorch",
		peer:    true,
		command: []string{python, filepath.Join(dir, "pytorch.py")},
		model:   func(f files) string { return f.directory },
		limits: map[cpu.Level][]string{ // oneDNN, PyTorch's own kernels, OpenBLAS
			cpu.AVX2:   {"ONEDNN_MAX_CPU_ISA=AVX2", "ATEN_CPU_CAPABILITY=avx2", "OPENBLAS_CORETYPE=Haswell"},
			cpu.AVX512: {},
		},
	}
}

// peerIn returns what picks the peer of a task from a folder of scripts.
func peerIn(dir string) func(task) contender {
	return func(t task) contender {
		if t == train {
			return pyTorch(dir)
		}
		return onnxRuntime(dir)
	}
}

// limited reports whether the contender uses no wider vectors than the level has: it is held to it, or the machine has
// none.
func (c contender) limited(level cpu.Level) bool {
	_, held := c.limits[level]
	available := cpu.Available()
	return held || level == available[len(available)-1]
}

// start starts the contender and opens a network.
func (c contender) start(ctx context.Context, f files, threads int, level cpu.Level) (*worker, reply, error) {
	w, err := startWorker(ctx, c.name, c.command, c.limits[level])
	if err != nil {
		return nil, reply{}, c.explain(err)
	}
	r, err := w.ask(request{Op: "open", Model: c.model(f), Threads: threads})
	if err != nil {
		w.close()
		return nil, reply{}, c.explain(err)
	}
	return w, r, nil
}

// explain adds to an error of a peer that does not start what usually helps.
func (c contender) explain(err error) error {
	if c.peer {
		return fmt.Errorf("%w; is it installed? Run bench/install-peers.sh in the repository", err)
	}
	return err
}

// describe names the program as a table shows it.
func describe(r reply) string { return strings.TrimSpace(r.Version + " " + r.Detail) }
