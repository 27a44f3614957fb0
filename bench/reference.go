package main

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"runtime"

	"github.com/bigtransfer/bit/internal/cpu"
	"github.com/bigtransfer/bit/weights"
)

// checkReference runs every contender on a reference case, a folder with weights.npz, an official checkpoint, and
// arrays.npz, its inputs x0, x1, ... (N C H W) and logits0, logits1, ... It shows that the peers run the same network.
func checkReference(ctx context.Context, s settings, peers, folder string, stdout io.Writer) error {
	m, err := weights.Open(filepath.Join(folder, "weights.npz"))
	if err != nil {
		return err
	}
	net, err := m.Network()
	if err != nil {
		return err
	}
	arrays, err := weights.ReadNpz(filepath.Join(folder, "arrays.npz"))
	if err != nil {
		return err
	}
	f, err := writeNetwork(s.work, "network", net, true)
	if err != nil {
		return err
	}
	self, err := bit()
	if err != nil {
		return err
	}
	available := cpu.Available()
	for _, c := range []contender{self, onnxRuntime(peers), pyTorch(peers)} {
		if err := func() error {
			w, opened, err := c.start(ctx, f, runtime.NumCPU(), available[len(available)-1])
			if err != nil {
				return err
			}
			defer w.close()
			i := 0
			for ; ; i++ {
				x, ok := arrays[fmt.Sprintf("x%d", i)]
				if !ok {
					break
				}
				in := request{Op: "input", Input: filepath.Join(s.work, "input"), Shape: x.Shape}
				if err := writeInput(in.Input, x.Float32); err != nil {
					return err
				}
				if _, err := w.ask(in); err != nil {
					return err
				}
				r, err := w.ask(request{Op: "logits"})
				if err != nil {
					return err
				}
				want := arrays[fmt.Sprintf("logits%d", i)].Float64s()
				worst, err := largestDifference([][]float64{r.Logits}, [][]float64{want}, s.tolerance)
				if err != nil {
					return fmt.Errorf("%s: x%d: %w", c.name, i, err)
				}
				fmt.Fprintf(stdout, "%s: x%d: relative error %.1e\n", describe(opened), i, worst)
			}
			if i == 0 {
				return fmt.Errorf("%s has no arrays x0, logits0", folder)
			}
			return nil
		}(); err != nil {
			return err
		}
	}
	return nil
}
