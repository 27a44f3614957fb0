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
	canonical, npz, hf, timm string
}

// Parameters outside the units. The official files put everything under npzPrefix.
var outerNames = []rename{
	{resnet.StemKernel, "root_block/standardized_conv2d/kernel", "bit.embedder.convolution.weight", "stem.conv.weight"},
	{resnet.NormGamma, "group_norm/gamma", "bit.norm.weight", "norm.weight"},
	{resnet.NormBeta, "group_norm/beta", "bit.norm.bias", "norm.bias"},
	{resnet.HeadKernel, "head/conv2d/kernel", "classifier.1.weight", "head.fc.weight"},
	{resnet.HeadBias, "head/conv2d/bias", "classifier.1.bias", "head.fc.bias"},
}

// Parameters of one unit: big_transfer names the three convolutions with their norms a, b, c; transformers and timm
// count 1, 2, 3.
var unitNames = []rename{
	{"gn1/gamma", "a/group_norm/gamma", "norm1.weight", "norm1.weight"},
	{"gn1/beta", "a/group_norm/beta", "norm1.bias", "norm1.bias"},
	{"proj/kernel", "a/proj/standardized_conv2d/kernel", "downsample.conv.weight", "downsample.conv.weight"},
	{"conv1/kernel", "a/standardized_conv2d/kernel", "conv1.weight", "conv1.weight"},
	{"gn2/gamma", "b/group_norm/gamma", "norm2.weight", "norm2.weight"},
	{"gn2/beta", "b/group_norm/beta", "norm2.bias", "norm2.bias"},
	{"conv2/kernel", "b/standardized_conv2d/kernel", "conv2.weight", "conv2.weight"},
	{"gn3/gamma", "c/group_norm/gamma", "norm3.weight", "norm3.weight"},
	{"gn3/beta", "c/group_norm/beta", "norm3.bias", "norm3.bias"},
	{"conv3/kernel", "c/standardized_conv2d/kernel", "conv3.weight", "conv3.weight"},
}

const npzPrefix = "resnet/"

// naming is one format's column of the table: how it spells a parameter and in which layout it stores it.
type naming struct {
	outer func(rename) string
	unit  func(stage, unit int, r rename) string // stage and unit count from 0
	// units matches the beginning of a name inside a unit; its groups are stage and unit, which count from first.
	units *regexp.Regexp
	first int
	// stored returns the shape in the file of a parameter whose canonical shape is given.
	stored func(spec resnet.ParamSpec) []int
	// oihw reports that kernels are stored output channel first.
	oihw bool
	bare bool // a file may be without a head
	timm bool // the names are timm's
}

// npzNaming: prefix, stages and units from 1, kernels H W I O, the head as a 1x1 convolution.
var npzNaming = naming{
	outer: func(r rename) string { return npzPrefix + r.npz },
	unit: func(stage, unit int, r rename) string {
		return npzPrefix + resnet.UnitName(stage, unit) + "/" + r.npz
	},
	units: regexp.MustCompile(`^` + npzPrefix + `block([1-9]\d?)/unit(\d{2,4})/`),
	first: 1,
	stored: func(spec resnet.ParamSpec) []int {
		if spec.Name == resnet.HeadKernel {
			return []int{1, 1, spec.Shape[0], spec.Shape[1]}
		}
		return spec.Shape
	},
}

// hfNaming is transformers' BitForImageClassification: stages and layers from 0, kernels O I H W, the head as a matrix
// (classes, features).
var hfNaming = naming{
	outer: func(r rename) string { return r.hf },
	unit: func(stage, unit int, r rename) string {
		return fmt.Sprintf("bit.encoder.stages.%d.layers.%d.%s", stage, unit, r.hf)
	},
	units:  regexp.MustCompile(`^bit\.encoder\.stages\.(0|[1-9]\d?)\.layers\.(0|[1-9]\d{0,3})\.`),
	stored: outputFirst,
	oihw:   true,
}

// hfBareNaming is transformers' BitModel: hfNaming's names without "bit." and without a head.
var hfBareNaming = naming{
	outer: func(r rename) string { return strings.TrimPrefix(r.hf, "bit.") },
	unit: func(stage, unit int, r rename) string {
		return fmt.Sprintf("encoder.stages.%d.layers.%d.%s", stage, unit, r.hf)
	},
	units:  regexp.MustCompile(`^encoder\.stages\.(0|[1-9]\d?)\.layers\.(0|[1-9]\d{0,3})\.`),
	stored: outputFirst,
	oihw:   true,
	bare:   true,
}

// timmNaming is timm's ResNetV2: kernels O I H W, the head as a 1x1 convolution, absent from a model made with
// num_classes=0 (timm/models/resnetv2.py).
var timmNaming = naming{
	outer: func(r rename) string { return r.timm },
	unit: func(stage, unit int, r rename) string {
		return fmt.Sprintf("stages.%d.blocks.%d.%s", stage, unit, r.timm)
	},
	units: regexp.MustCompile(`^stages\.(0|[1-9]\d?)\.blocks\.(0|[1-9]\d{0,3})\.`),
	stored: func(spec resnet.ParamSpec) []int {
		if spec.Name == resnet.HeadKernel {
			return []int{spec.Shape[1], spec.Shape[0], 1, 1}
		}
		return outputFirst(spec)
	},
	oihw: true,
	bare: true,
	timm: true,
}

// outputFirst returns the shape of a parameter in PyTorch's layout.
func outputFirst(spec resnet.ParamSpec) []int {
	switch s := spec.Shape; len(s) {
	case 2:
		return []int{s[1], s[0]}
	case 4:
		return []int{s[3], s[2], s[0], s[1]}
	default:
		return s
	}
}

// recognise tells PyTorch's namings apart by the names in a file.
func recognise(entries []entry) (naming, error) {
	for _, e := range entries {
		for _, c := range []struct {
			prefix string
			naming naming
		}{
			{"bit.", hfNaming}, {"classifier.", hfNaming}, {"embedder.", hfBareNaming}, {"encoder.", hfBareNaming},
			{"stem.", timmNaming}, {"stages.", timmNaming}, {"head.fc.", timmNaming},
		} {
			if strings.HasPrefix(e.name, c.prefix) {
				return c.naming, nil
			}
		}
	}
	names := make([]string, min(len(entries), 3))
	for i := range names {
		names[i] = strconv.Quote(entries[i].name)
	}
	return naming{}, fmt.Errorf("%w: none of its %d tensors (%s, …) is named like one of transformers' or timm's: expected %q, %q or %q",
		ErrFormat, len(entries), strings.Join(names, ", "), hfNaming.outer(outerNames[0]), hfBareNaming.outer(outerNames[0]), timmNaming.outer(outerNames[0]))
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

var npzSuffix = regexp.MustCompile(`/(standardized_conv2d|group_norm|conv2d|proj)_\d+/`)

// normaliseNpz returns an npz key with the prefix and without the counter that some files carry on a path component:
// "resnet/block1/unit01/b/standardized_conv2d_3/kernel" has no more meaning than without the "_3"
// (big_vision models/bit_paper.py drops it too).
func normaliseNpz(key string) string {
	key = "/" + strings.TrimPrefix(key, npzPrefix)
	// Neighbours share a slash, so that one pass may leave the second of two.
	for range 2 {
		key = npzSuffix.ReplaceAllString(key, "/$1/")
	}
	return npzPrefix + key[1:]
}

// parseUnit returns the stage and unit, both counted from 0, that a key belongs to.
func (n naming) parseUnit(key string) (stage, unit int, ok bool) {
	m := n.units.FindStringSubmatch(key)
	if m == nil {
		return 0, 0, false
	}
	stage, _ = strconv.Atoi(m[1])
	unit, _ = strconv.Atoi(m[2])
	return stage - n.first, unit - n.first, unit >= n.first
}

// outerKey returns the name in the file of a parameter outside the units.
func (n naming) outerKey(canonical string) string {
	for _, r := range outerNames {
		if r.canonical == canonical {
			return n.outer(r)
		}
	}
	panic("weights: names.go does not know parameter " + canonical)
}
