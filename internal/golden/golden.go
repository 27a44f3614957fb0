// Package golden reads the reference cases: what public implementations of BiT computed, in float64, from given
// weights and inputs. Only tests import it.
//
// A case is a folder official-* or hf-* below that of [fixture.Golden]. Large tensors are kept there as summaries: see
// [Summary].
package golden

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/bigtransfer/bit/internal/fixture"
	"github.com/bigtransfer/bit/resnet"
	"github.com/bigtransfer/bit/weights"
)

// Case is a network and what the reference computed with it.
type Case struct {
	Name  string // of the folder
	Model *weights.Model
	Runs  []Run
	SGD   *Trajectory // nil: none
}

// Run is one batch of images and what the reference made of it.
type Run struct {
	Name        string
	N, H, W     int
	X           []float32 // [N,H,W,C]
	Logits      []float64 // [N,classes]
	Features    []float64 // [N,F], or nil
	Activations map[string]Summary
	Labels      []int // [N]; nil: no loss and no gradients
	Loss        float64
	Gradients   map[string]Summary // by the names of resnet.Config.ParamSpecs
}

// Root is the name of the stem's output, after pooling, among the activations. The others are names of units, of the
// units' outputs.
const Root = "root"

// Trajectory is some steps of SGD on one run, from the case's weights with a zero head.
type Trajectory struct {
	Run      int
	Momentum float64
	Rate     float64 // of step s: Rate·min(s,Warmup)/Warmup, steps counted from 0
	Warmup   int
	Losses   []float64          // before each step
	After    map[string]Summary // parameters in the end
}

// StepRate returns the learning rate of a step.
func (t *Trajectory) StepRate(step int) float64 {
	return t.Rate * float64(min(step, t.Warmup)) / float64(t.Warmup)
}

// Cases reads every case. A test that finds none, or one it cannot read whole, has failed.
func Cases(t testing.TB) []*Case {
	t.Helper()
	dir := fixture.Golden(t)
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var cases []*Case
	for _, e := range entries {
		var read func(dir string) (*Case, error)
		switch {
		case strings.HasPrefix(e.Name(), "official-"):
			read = readOfficial
		case strings.HasPrefix(e.Name(), "hf-"):
			read = readHuggingFace
		default:
			continue
		}
		c, err := read(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatalf("golden: %s: %v", e.Name(), err)
		}
		c.Name = e.Name()
		if err := c.check(); err != nil {
			t.Fatalf("golden: %s: %v", e.Name(), err)
		}
		cases = append(cases, c)
	}
	if len(cases) == 0 {
		t.Fatalf("golden: no case official-* or hf-* in %s; set %s", dir, fixture.GoldenEnv)
	}
	return cases
}

// check reports what is missing or does not fit the network: a comparison of nothing would succeed.
func (c *Case) check() error {
	if len(c.Runs) == 0 {
		return fmt.Errorf("no run")
	}
	params := map[string]bool{}
	for _, p := range c.Model.Config.ParamSpecs() {
		params[p.Name] = true
	}
	whole := func(what string, got map[string]Summary) error {
		for name := range params {
			if _, ok := got[name]; !ok {
				return fmt.Errorf("%s: nothing for parameter %s", what, name)
			}
		}
		return nil
	}
	for i, r := range c.Runs {
		if len(r.X) != r.N*r.H*r.W*c.Model.Config.Channels || len(r.Logits) != r.N*c.Model.Config.Classes {
			return fmt.Errorf("run %s: %d values and %d logits for %d images of %dx%d", r.Name, len(r.X), len(r.Logits), r.N, r.H, r.W)
		}
		if _, ok := r.Activations[Root]; !ok || len(r.Activations) < 2 {
			return fmt.Errorf("run %s: %d activations", r.Name, len(r.Activations))
		}
		if r.Labels == nil {
			continue
		}
		if len(r.Labels) != r.N || slices.Min(r.Labels) < 0 || slices.Max(r.Labels) >= c.Model.Config.Classes {
			return fmt.Errorf("run %s: labels %v for %d images", r.Name, r.Labels, r.N)
		}
		if err := whole("gradients of run "+r.Name, r.Gradients); err != nil {
			return err
		}
		if s := c.SGD; s != nil && s.Run == i {
			if len(s.Losses) == 0 {
				return fmt.Errorf("SGD: no losses")
			}
			if err := whole("SGD", s.After); err != nil {
				return err
			}
		}
	}
	if s := c.SGD; s != nil && (s.Run < 0 || s.Run >= len(c.Runs) || c.Runs[s.Run].Labels == nil) {
		return fmt.Errorf("SGD: run %d of %d", s.Run, len(c.Runs))
	}
	return nil
}

// floats returns an array of float32 values of the given number of axes.
func floats(arrays map[string]weights.Array, name string, axes int) (weights.Array, error) {
	a := arrays[name]
	if a.Float32 == nil || len(a.Shape) != axes {
		return a, fmt.Errorf("array %s of shape %v, want float32 of %d axes", name, a.Shape, axes)
	}
	return a, nil
}

// images sets a run's input from an array [N,C,H,W].
func (r *Run) images(arrays map[string]weights.Array, name string) error {
	a, err := floats(arrays, name, 4)
	if err != nil {
		return err
	}
	c := a.Shape[1]
	r.N, r.H, r.W = a.Shape[0], a.Shape[2], a.Shape[3]
	r.X = make([]float32, len(a.Float32))
	pixels := r.H * r.W
	for i, v := range a.Float32 {
		r.X[i/(c*pixels)*c*pixels+i%pixels*c+i/pixels%c] = v
	}
	return nil
}

func readJSON(path string, v any) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(data, v); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// stageEnd returns the name of the last unit of a stage.
func stageEnd(c resnet.Config, stage int) string { return resnet.UnitName(stage, c.Depths[stage]-1) }
