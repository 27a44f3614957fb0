package golden

import (
	"fmt"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/bigtransfer/bit/weights"
)

// readOfficial reads a case that the official PyTorch code made: weights.npz, arrays.npz with x0, y0, logits0, …, and
// case.json.
func readOfficial(dir string) (*Case, error) {
	model, err := weights.Open(filepath.Join(dir, "weights.npz"))
	if err != nil {
		return nil, err
	}
	arrays, err := weights.ReadNpz(filepath.Join(dir, "arrays.npz"))
	if err != nil {
		return nil, err
	}
	var file struct {
		Inputs []struct {
			Loss                   *float64
			Activations, Gradients map[string]Summary
		}
		SGD *struct {
			Input      int
			Head, LR   string
			Momentum   float64
			Losses     []float64          `json:"loss_before_each_step"`
			Parameters map[string]Summary `json:"parameters_after"`
		}
	}
	if err := readJSON(filepath.Join(dir, "case.json"), &file); err != nil {
		return nil, err
	}
	c := &Case{Model: model}
	for i, in := range file.Inputs {
		r := Run{Name: fmt.Sprintf("x%d", i), Logits: arrays[fmt.Sprintf("logits%d", i)].Float64s(), Activations: in.Activations}
		if err := r.images(arrays, r.Name); err != nil {
			return nil, err
		}
		if in.Loss != nil {
			r.Loss = *in.Loss
			for _, y := range arrays[fmt.Sprintf("y%d", i)].Int64 {
				r.Labels = append(r.Labels, int(y))
			}
			if r.Gradients, err = renamed(in.Gradients); err != nil {
				return nil, err
			}
		}
		c.Runs = append(c.Runs, r)
	}
	if s := file.SGD; s != nil {
		c.SGD = &Trajectory{Run: s.Input, Momentum: s.Momentum, Losses: s.Losses}
		if s.Head != "zeroed first" {
			return nil, fmt.Errorf("SGD: head %q, want \"zeroed first\"", s.Head)
		}
		m := regexp.MustCompile(`^step s: ([0-9.e-]+)\*min\(s,(\d+)\)/(\d+)$`).FindStringSubmatch(s.LR)
		if m == nil || m[2] != m[3] {
			return nil, fmt.Errorf("SGD: learning rate %q, want the form \"step s: 0.03*min(s,4)/4\"", s.LR)
		}
		if c.SGD.Rate, err = strconv.ParseFloat(m[1], 64); err != nil {
			return nil, err
		}
		if c.SGD.Warmup, err = strconv.Atoi(m[2]); err != nil {
			return nil, err
		}
		if c.SGD.After, err = renamed(s.Parameters); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// renamed returns the summaries of parameters of the official PyTorch code by our names.
func renamed(from map[string]Summary) (map[string]Summary, error) {
	to := map[string]Summary{}
	affine := map[string]string{"weight": "gamma", "bias": "beta"}
	for name, s := range from {
		p := strings.Split(name, ".")
		var n string
		switch {
		case name == "root.conv.weight":
			n = "root/kernel"
		case name == "head.conv.weight":
			n = "head/kernel"
		case name == "head.conv.bias":
			n = "head/bias"
		case len(p) == 3 && p[0] == "head" && p[1] == "gn":
			n = "norm/" + affine[p[2]]
		case len(p) == 5 && p[0] == "body" && strings.HasPrefix(p[3], "gn"):
			n = strings.Join(p[1:4], "/") + "/" + affine[p[4]]
		case len(p) == 5 && p[0] == "body" && p[3] == "downsample":
			n = strings.Join(p[1:3], "/") + "/proj/kernel"
		case len(p) == 5 && p[0] == "body":
			n = strings.Join(p[1:4], "/") + "/kernel"
		default:
			return nil, fmt.Errorf("a summary of %q, which is no parameter's name", name)
		}
		to[n] = s
	}
	return to, nil
}

// readHuggingFace reads a case that Hugging Face transformers made: a model directory, and in arrays.npz and case.json
// the numbers of each image file. It holds no loss and no gradients.
func readHuggingFace(dir string) (*Case, error) {
	model, err := weights.Open(dir)
	if err != nil {
		return nil, err
	}
	arrays, err := weights.ReadNpz(filepath.Join(dir, "arrays.npz"))
	if err != nil {
		return nil, err
	}
	var file map[string]struct {
		HiddenStates []Summary `json:"hidden_states"` // the stem's output and those of the stages
		Raises       string    `json:"reference_raises"`
	}
	if err := readJSON(filepath.Join(dir, "case.json"), &file); err != nil {
		return nil, err
	}
	c := &Case{Model: model}
	for _, name := range slices.Sorted(maps.Keys(file)) {
		f := file[name]
		if f.Raises != "" {
			continue
		}
		r := Run{Name: name, Logits: arrays[name+"/logits"].Float64s(), Features: arrays[name+"/features"].Float64s(), Activations: map[string]Summary{}}
		if err := r.images(arrays, name+"/pixel_values"); err != nil {
			return nil, err
		}
		if len(f.HiddenStates) != 1+len(model.Config.Widths) {
			return nil, fmt.Errorf("%s: %d hidden states, want %d", name, len(f.HiddenStates), 1+len(model.Config.Widths))
		}
		for i, s := range f.HiddenStates {
			unit := Root
			if i > 0 {
				unit = stageEnd(model.Config, i-1)
			}
			r.Activations[unit] = s
		}
		c.Runs = append(c.Runs, r)
	}
	return c, nil
}
