package weights

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/bigtransfer/bit/resnet"
)

// rename pairs the end of a canonical parameter name with its spelling in each format.
type rename struct {
	canonical, npz, hf string
}

// Parameters outside the units. The official files put everything under npzPrefix.
var outerNames = []rename{
	{resnet.StemKernel, "root_block/standardized_conv2d/kernel", "bit.embedder.convolution.weight"},
	{resnet.NormGamma, "group_norm/gamma", "bit.norm.weight"},
	{resnet.NormBeta, "group_norm/beta", "bit.norm.bias"},
	{resnet.HeadKernel, "head/conv2d/kernel", "classifier.1.weight"},
	{resnet.HeadBias, "head/conv2d/bias", "classifier.1.bias"},
}

// Parameters of one unit: big_transfer names the three convolutions with their norms a, b, c; transformers counts 1, 2, 3.
var unitNames = []rename{
	{"gn1/gamma", "a/group_norm/gamma", "norm1.weight"},
	{"gn1/beta", "a/group_norm/beta", "norm1.bias"},
	{"proj/kernel", "a/proj/standardized_conv2d/kernel", "downsample.conv.weight"},
	{"conv1/kernel", "a/standardized_conv2d/kernel", "conv1.weight"},
	{"gn2/gamma", "b/group_norm/gamma", "norm2.weight"},
	{"gn2/beta", "b/group_norm/beta", "norm2.bias"},
	{"conv2/kernel", "b/standardized_conv2d/kernel", "conv2.weight"},
	{"gn3/gamma", "c/group_norm/gamma", "norm3.weight"},
	{"gn3/beta", "c/group_norm/beta", "norm3.bias"},
	{"conv3/kernel", "c/standardized_conv2d/kernel", "conv3.weight"},
}

const npzPrefix = "resnet/"

// naming is one format's column of the table: how it spells a parameter and in which layout it stores it.
type naming struct {
	outer func(rename) string
	unit  func(stage, unit int, r rename) string // stage and unit count from 0
	// stored returns the shape in the file of a parameter whose canonical shape is given.
	stored func(spec resnet.ParamSpec) []int
	// oihw reports that kernels are stored output channel first.
	oihw bool
}

// npzNaming: prefix, stages and units from 1, kernels H W I O, the head as a 1x1 convolution.
var npzNaming = naming{
	outer: func(r rename) string { return npzPrefix + r.npz },
	unit: func(stage, unit int, r rename) string {
		return npzPrefix + resnet.UnitName(stage, unit) + "/" + r.npz
	},
	stored: func(spec resnet.ParamSpec) []int {
		if spec.Name == resnet.HeadKernel {
			return []int{1, 1, spec.Shape[0], spec.Shape[1]}
		}
		return spec.Shape
	},
}

// hfNaming: stages and layers from 0, kernels O I H W, the head as a matrix (classes, features).
var hfNaming = naming{
	outer: func(r rename) string { return r.hf },
	unit: func(stage, unit int, r rename) string {
		return fmt.Sprintf("bit.encoder.stages.%d.layers.%d.%s", stage, unit, r.hf)
	},
	stored: func(spec resnet.ParamSpec) []int {
		switch s := spec.Shape; len(s) {
		case 2:
			return []int{s[1], s[0]}
		case 4:
			return []int{s[3], s[2], s[0], s[1]}
		default:
			return s
		}
	},
	oihw: true,
}

// param ties a parameter of a network to its place in a file.
type param struct {
	resnet.ParamSpec        // canonical name and shape
	file             string // name in the file
	stored           []int  // shape in the file
}

// params lists the parameters of a network as a format stores them, in the order of the forward pass.
func (n naming) params(cfg resnet.Config) []param {
	files := make(map[string]string)
	for _, r := range outerNames {
		files[r.canonical] = n.outer(r)
	}
	for s, depth := range cfg.Depths {
		for u := range depth {
			for _, r := range unitNames {
				files[resnet.UnitName(s, u)+"/"+r.canonical] = n.unit(s, u, r)
			}
		}
	}
	specs := cfg.ParamSpecs()
	ps := make([]param, len(specs))
	for i, spec := range specs {
		file, ok := files[spec.Name]
		if !ok {
			panic("weights: names.go does not know parameter " + spec.Name)
		}
		ps[i] = param{spec, file, n.stored(spec)}
	}
	return ps
}

var npzSuffix = regexp.MustCompile(`(standardized_conv2d)_\d+/`)

// normaliseNpz returns an npz key with the prefix and without the counter that some files carry on a path component:
// "resnet/block1/unit01/b/standardized_conv2d_3/kernel" has no more meaning than without the "_3"
// (big_vision models/bit_paper.py drops it too).
func normaliseNpz(key string) string {
	return npzPrefix + npzSuffix.ReplaceAllString(strings.TrimPrefix(key, npzPrefix), "$1/")
}

var npzUnit = regexp.MustCompile(`^` + npzPrefix + `block([1-9]\d?)/unit(\d{2,4})/`)

// parseNpzUnit returns the block and unit, both counted from 1, that a normalised npz key belongs to.
func parseNpzUnit(key string) (block, unit int, ok bool) {
	m := npzUnit.FindStringSubmatch(key)
	if m == nil {
		return 0, 0, false
	}
	block, _ = strconv.Atoi(m[1])
	unit, _ = strconv.Atoi(m[2])
	return block, unit, unit > 0
}
