package weights

import (
	"slices"

	"github.com/bigtransfer/bit/resnet"
)

// infer reads the architecture off the names and shapes of a checkpoint: stem and stage widths from the stem kernel and
// the last kernel of each first unit, depths from the highest unit number, classes from the head. Groups and epsilons,
// which cannot be seen in tensors, are left to the caller. The base width need not be 64. That all other shapes agree is
// for load to check.
//
// A checkpoint without head, where the format allows that, has 1 class: see headless.
func (n naming) infer(file string, entries []entry) (resnet.Config, error) {
	var cfg resnet.Config
	keys := make(map[string]*entry, len(entries))
	for i := range entries {
		e := &entries[i]
		keys[e.key] = e
		stage, unit, ok := n.parseUnit(e.key)
		if !ok {
			continue
		}
		// A number no file of this many tensors can reach is a bad name, not a deep network.
		if stage >= len(entries) || unit >= len(entries) {
			return cfg, &TensorError{File: e.in(file), Name: e.name, Problem: ErrUnexpected, Got: e.shape}
		}
		for len(cfg.Depths) <= stage {
			cfg.Depths = append(cfg.Depths, 1)
		}
		cfg.Depths[stage] = max(cfg.Depths[stage], unit+1)
	}

	// shape returns the shape of a tensor that the rest follows from; canonical has anyLen where it is free.
	shape := func(name string, canonical ...int) ([]int, error) {
		want := n.stored(resnet.ParamSpec{Shape: canonical})
		e := keys[name]
		if e == nil {
			return nil, &TensorError{File: file, Name: name, Problem: ErrMissing, Want: want}
		}
		if e.problem != nil && e.shape == nil {
			e.problem.File, e.problem.Want = e.in(file), want
			return nil, e.problem
		}
		ok := len(e.shape) == len(want)
		for i := 0; ok && i < len(want); i++ {
			ok = e.shape[i] == want[i] || want[i] == anyLen && e.shape[i] > 0
		}
		if !ok {
			return nil, &TensorError{File: e.in(file), Name: e.name, Problem: ErrShape, Want: want, Got: e.shape}
		}
		return e.shape, nil
	}
	// kernel returns the input and output channels of a kernel.
	kernel := func(name string, side int) (in, out int, err error) {
		s, err := shape(name, side, side, anyLen, anyLen)
		switch {
		case err != nil:
			return 0, 0, err
		case n.oihw:
			return s[1], s[0], nil
		default:
			return s[2], s[3], nil
		}
	}
	var err error
	if cfg.Channels, cfg.StemWidth, err = kernel(n.outerKey(resnet.StemKernel), 7); err != nil {
		return cfg, err
	}
	last := unitNames[slices.IndexFunc(unitNames, func(r rename) bool { return r.canonical == "conv3/kernel" })]
	for s := range max(len(cfg.Depths), 1) { // a file without units lacks those of stage 1
		_, width, err := kernel(n.unit(s, 0, last), 1)
		if err != nil {
			return cfg, err
		}
		cfg.Widths = append(cfg.Widths, width)
	}
	cfg.Classes = 1
	if !n.headless(entries) {
		bias, err := shape(n.outerKey(resnet.HeadBias), anyLen)
		if err != nil {
			return cfg, err
		}
		cfg.Classes = bias[0]
	}
	return cfg, nil
}

// headless reports that a file has no head, and is of a format that allows that.
func (n naming) headless(entries []entry) bool {
	return n.bare && !slices.ContainsFunc(entries, func(e entry) bool {
		return e.key == n.outerKey(resnet.HeadKernel) || e.key == n.outerKey(resnet.HeadBias)
	})
}
