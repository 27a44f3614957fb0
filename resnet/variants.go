package resnet

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
)

// Variant is one network of the paper: R50x1 is depth 50, width factor 1. Width multiplies every channel count, the
// stem's too.
type Variant struct {
	Depth int // 50, 101 or 152: the layers of the ResNet it is named after
	Width int
}

// Released lists the variants that weights were published for: the paper's five and R152x2, which came later
// (big_transfer README, "Available models").
func Released() []Variant {
	return []Variant{{50, 1}, {50, 3}, {101, 1}, {101, 3}, {152, 2}, {152, 4}}
}

// units returns the bottleneck units of the four stages of a depth, nil for a depth that BiT does not have
// (big_transfer bit_pytorch/models.py, KNOWN_MODELS).
func units(depth int) []int {
	switch depth {
	case 50:
		return []int{3, 4, 6, 3}
	case 101:
		return []int{3, 4, 23, 3}
	case 152:
		return []int{3, 8, 36, 3}
	default:
		return nil
	}
}

// String returns the variant's name, as in "R50x1".
func (v Variant) String() string { return fmt.Sprintf("R%dx%d", v.Depth, v.Width) }

// Config returns the configuration of a variant with a head of the given number of classes, as the official files
// have it: 3 input channels, 32 groups. Validate rejects that of a depth other than 50, 101 and 152.
func (v Variant) Config(classes int) Config {
	w := v.Width
	return Config{
		Channels: 3, StemWidth: 64 * w, Widths: []int{256 * w, 512 * w, 1024 * w, 2048 * w}, Depths: units(v.Depth),
		Groups: 32, Classes: classes, GNEpsilon: GNEpsilon, WSEpsilon: WSEpsilonOfficial,
	}
}

// Variant returns the variant that has the widths and depths of c, released or not, whatever its head and epsilons.
func (c Config) Variant() (Variant, bool) {
	for _, depth := range []int{50, 101, 152} {
		v := Variant{depth, c.StemWidth / 64}
		w := v.Config(c.Classes)
		if c.Channels == w.Channels && c.StemWidth == w.StemWidth && c.Groups == w.Groups && slices.Equal(c.Widths, w.Widths) && slices.Equal(c.Depths, w.Depths) {
			return v, true
		}
	}
	return Variant{}, false
}

// Name is the name of a released model: BiT-M-R50x1-ILSVRC2012 is what Upstream "M" (ImageNet-21k) made of R50x1, and
// "ILSVRC2012" what it was fine-tuned on.
type Name struct {
	Upstream string // "S", "M" or "L": ILSVRC-2012, ImageNet-21k, JFT-300M
	Variant  Variant
	Suffix   string // what follows the variant and a hyphen; empty for an upstream model
}

// String returns the name in full.
func (n Name) String() string {
	s := fmt.Sprintf("BiT-%s-%v", n.Upstream, n.Variant)
	if n.Suffix != "" {
		s += "-" + n.Suffix
	}
	return s
}

// ParseName reads a name such as "BiT-M-R101x3" or "BiT-M-R50x1-run0-caltech101". The variant need not be a released
// one. Some published files are misnamed, so shapes decide what a file holds; a name is only a cross-check.
func ParseName(s string) (Name, error) {
	m := regexp.MustCompile(`^BiT-([SML])-R(50|101|152)x([1-9]\d?)(?:-(.+))?$`).FindStringSubmatch(s)
	if m == nil {
		return Name{}, fmt.Errorf("resnet: model name %q, want one like BiT-M-R50x1 or BiT-M-R50x1-ILSVRC2012: S, M or L, depth 50, 101 or 152", s)
	}
	depth, _ := strconv.Atoi(m[2])
	width, _ := strconv.Atoi(m[3])
	return Name{m[1], Variant{depth, width}, m[4]}, nil
}
