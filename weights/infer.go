package weights

import (
	"github.com/bigtransfer/bit/resnet"
)

// inferNpz reads the architecture off the names and shapes of an official checkpoint: stem and stage widths from the
// stem kernel and the last kernel of each first unit, depths from the highest unit number, classes from the head.
// The groups are those of every released file, 32, and cannot be seen in the tensors.
// The base width need not be 64. That all other shapes agree is for load to check.
func inferNpz(file string, entries []entry) (resnet.Config, error) {
	cfg := resnet.Config{Groups: 32, GNEpsilon: resnet.GNEpsilon, WSEpsilon: resnet.WSEpsilonOfficial}
	shapes := make(map[string]*entry, len(entries))
	var depths []int // highest unit of each block
	for i := range entries {
		e := &entries[i]
		shapes[e.key] = e
		block, unit, ok := parseNpzUnit(e.key)
		if !ok {
			continue
		}
		// A number no file of this many tensors can reach is a bad name, not a deep network.
		if block > len(entries) || unit > len(entries) {
			return cfg, &TensorError{File: file, Name: e.name, Problem: ErrUnexpected, Got: e.shape}
		}
		for len(depths) < block {
			depths = append(depths, 1)
		}
		depths[block-1] = max(depths[block-1], unit)
	}
	cfg.Depths = depths

	// shape returns the shape of a tensor that the rest follows from; want has anyLen where it is free.
	shape := func(name string, want ...int) ([]int, error) {
		e := shapes[name]
		if e == nil {
			return nil, &TensorError{File: file, Name: name, Problem: ErrMissing, Want: want}
		}
		if e.problem != nil && e.shape == nil {
			e.problem.File, e.problem.Want = file, want
			return nil, e.problem
		}
		ok := len(e.shape) == len(want)
		for i := 0; ok && i < len(want); i++ {
			ok = e.shape[i] == want[i] || want[i] == anyLen && e.shape[i] > 0
		}
		if !ok {
			return nil, &TensorError{File: file, Name: e.name, Problem: ErrShape, Want: want, Got: e.shape}
		}
		return e.shape, nil
	}
	stem, err := shape(npzPrefix+"root_block/standardized_conv2d/kernel", 7, 7, anyLen, anyLen)
	if err != nil {
		return cfg, err
	}
	cfg.Channels, cfg.StemWidth = stem[2], stem[3]
	for s := range max(len(depths), 1) { // a file without units lacks those of block 1
		last, err := shape(npzNaming.unit(s, 0, rename{npz: "c/standardized_conv2d/kernel"}), 1, 1, anyLen, anyLen)
		if err != nil {
			return cfg, err
		}
		cfg.Widths = append(cfg.Widths, last[3])
	}
	bias, err := shape(npzPrefix+"head/conv2d/bias", anyLen)
	if err != nil {
		return cfg, err
	}
	cfg.Classes = bias[0]
	return cfg, cfg.Validate()
}
