package resnet

import (
	"math"
	"strings"
	"testing"

	"github.com/bigtransfer/bit/tensor"
)

// The sizes of the released variants. Parameters: the published files agree to the byte (4 bytes a parameter and a
// fixed overhead a tensor), and the paper calls the body of R152x4 928 million. Multiply-accumulates follow from kernel
// shapes and map sizes; timm, which counts GroupNorm too, publishes 4.23, 37.06, 8.04, 71.23, 46.95 and 186.9 e9 at 224.
func TestReleasedSizes(t *testing.T) {
	type parts struct{ stem, block1, block2, block3, block4, norm int }
	for _, c := range []struct {
		name                                   string
		body, classes10, classes1k, classes21k int
		groupNorm, tensors, features           int
		parts                                  parts
		macs224, macs480                       int64
		gmacs                                  [8]float64
	}{
		{"R50x1", 23_500_352, 23_520_842, 25_549_352, 68_256_659, 45_440, 153, 2048,
			parts{9_408, 214_912, 1_218_048, 7_095_296, 14_958_592, 4_096}, 4_089_184_256, 18_769_510_400,
			[8]float64{0.753, 1.337, 2.087, 4.089, 12.013, 16.351, 18.770, 21.355}},
		{"R50x3", 211_174_080, 211_235_530, 217_319_080, 345_399_315, 136_320, 153, 6144,
			parts{28_224, 1_922_688, 10_928_640, 63_753_216, 134_529_024, 12_288}, 36_082_286_592, 165_661_900_800,
			[8]float64{6.632, 11.786, 18.412, 36.082, 106.026, 144.311, 165.662, 188.486}},
		{"R101x1", 42_492_480, 42_512_970, 44_541_480, 87_248_787, 97_664, 306, 2048,
			parts{9_408, 214_912, 1_218_048, 26_087_424, 14_958_592, 4_096}, 7_801_405_440, 35_815_424_000,
			[8]float64{1.435, 2.549, 3.981, 7.801, 22.923, 31.199, 35.815, 40.750}},
		{"R101x3", 381_789_888, 381_851_338, 387_934_888, 516_015_123, 292_992, 306, 6144,
			parts{28_224, 1_922_688, 10_928_640, 234_369_024, 134_529_024, 12_288}, 69_492_277_248, 319_075_123_200,
			[8]float64{12.769, 22.695, 35.458, 69.492, 204.210, 277.951, 319.075, 363.036}},
		{"R152x2", 232_238_208, 232_279_178, 236_335_208, 321_728_979, 287_488, 459, 4096,
			parts{18_816, 855_808, 9_329_664, 162_224_128, 59_801_600, 8_192}, 45_814_382_592, 210_357_452_800,
			[8]float64{8.418, 14.963, 23.377, 45.814, 134.630, 183.245, 210.357, 239.339}},
		{"R152x4", 928_340_224, 928_422_154, 936_533_224, 1_107_299_923, 574_976, 459, 8192,
			parts{37_632, 3_415_552, 37_271_552, 648_458_240, 239_140_864, 16_384}, 182_777_282_560, 839_254_016_000,
			[8]float64{33.578, 59.688, 93.258, 182.777, 537.126, 731.085, 839.254, 954.883}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var v Variant
			for _, r := range Released() {
				if r.String() == c.name {
					v = r
				}
			}
			cfg := v.Config(1000)
			if err := cfg.Validate(); err != nil {
				t.Fatal(err)
			}
			for classes, want := range map[int]int{10: c.classes10, 1000: c.classes1k, 21843: c.classes21k} {
				if got := v.Config(classes).NumParams(); got != want {
					t.Errorf("%d classes: %d parameters, want %d", classes, got, want)
				}
			}
			var got parts
			var body, groupNorm int
			specs := cfg.ParamSpecs()
			for _, p := range specs {
				n := tensor.Len(p.Shape)
				head, _, _ := strings.Cut(p.Name, "/")
				if part := map[string]*int{"root": &got.stem, "block1": &got.block1, "block2": &got.block2,
					"block3": &got.block3, "block4": &got.block4, "norm": &got.norm}[head]; part != nil {
					*part += n
					body += n
				}
				if strings.HasSuffix(p.Name, "/gamma") || strings.HasSuffix(p.Name, "/beta") {
					groupNorm += n
				}
			}
			if got != c.parts {
				t.Errorf("parameters by part %+v, want %+v", got, c.parts)
			}
			if body != c.body || groupNorm != c.groupNorm || len(specs) != c.tensors || cfg.FeatureWidth() != c.features {
				t.Errorf("body %d, GroupNorm %d, tensors %d, features %d, want %d, %d, %d, %d",
					body, groupNorm, len(specs), cfg.FeatureWidth(), c.body, c.groupNorm, c.tensors, c.features)
			}
			if got := cfg.MACs(224, 224); got != c.macs224 {
				t.Errorf("%d multiply-accumulates at 224, want %d", got, c.macs224)
			}
			if got := cfg.MACs(480, 480); got != c.macs480 {
				t.Errorf("%d multiply-accumulates at 480, want %d", got, c.macs480)
			}
			for i, side := range []int{96, 128, 160, 224, 384, 448, 480, 512} {
				if got := float64(cfg.MACs(side, side)) / 1e9; math.Abs(got-c.gmacs[i]) > 0.0005001 {
					t.Errorf("%.6fe9 multiply-accumulates at %d, want %.3fe9", got, side, c.gmacs[i])
				}
			}
		})
	}
	if n := len(Released()); n != 6 {
		t.Errorf("%d released variants, want 6", n)
	}
}

// A 3x5 image makes maps of 2x3, 1x2, 1x2, 1x1, 1x1, 1x1 positions.
func TestMACsOfOddSides(t *testing.T) {
	c := Config{Channels: 3, StemWidth: 8, Widths: []int{16, 32, 32, 32}, Depths: []int{1, 2, 1, 1}, Groups: 4, Classes: 5}
	want := int64(6*49*3*8 + // stem
		2*(8*4+8*16+9*4*4+4*16) + // block 1
		2*16*8 + 16*32 + 9*8*8 + 8*32 + // block 2, strided after its first convolution
		32*8 + 9*8*8 + 8*32 +
		2*(32*8+32*32+9*8*8+8*32) + // blocks 3 and 4
		32*5)
	if got := c.MACs(3, 5); got != want {
		t.Errorf("%d multiply-accumulates, want %d", got, want)
	}
}

func TestParseName(t *testing.T) {
	for s, want := range map[string]Name{
		"BiT-M-R50x1":                    {"M", Variant{50, 1}, ""},
		"BiT-S-R101x3":                   {"S", Variant{101, 3}, ""},
		"BiT-L-R152x4":                   {"L", Variant{152, 4}, ""},
		"BiT-M-R152x2-ILSVRC2012":        {"M", Variant{152, 2}, "ILSVRC2012"},
		"BiT-M-R50x3-run0-dsprites-xpos": {"M", Variant{50, 3}, "run0-dsprites-xpos"},
		"BiT-S-R50x2":                    {"S", Variant{50, 2}, ""},
	} {
		got, err := ParseName(s)
		if err != nil || got != want {
			t.Errorf("%q: %+v, %v, want %+v", s, got, err, want)
		}
		if got.String() != s {
			t.Errorf("%q prints as %q", s, got)
		}
	}
	for _, s := range []string{"", "R50x1", "bit-M-R50x1", "BiT-X-R50x1", "BiT-M-R34x1", "BiT-M-R50x0", "BiT-M-R50x", "BiT-M-R50x1-",
		"BiT-M-R50x1_ILSVRC2012", "BiT-M-R50x100000000000000000000", "xBiT-M-R50x1"} {
		if got, err := ParseName(s); err == nil {
			t.Errorf("%q is %+v, want an error", s, got)
		}
	}
}
