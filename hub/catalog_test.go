package hub

import (
	"math"
	"strings"
	"testing"

	"github.com/bigtransfer/bit/resnet"
)

// timmSizes are floor(size / crop_pct) of timm's configurations: 448 and 480 at 1, 224 at 0.875, 384 at 1.
var timmSizes = map[string]int{"google/bit-50": 448, "BiT-M-R152x4-ILSVRC2012": 480, "R50x1_224": 256, "R152x2_T_384": 384}

// On all images of an evaluation only rounding differs; on fewer, chance too: a share of 90 % on 100 images has a standard
// error of sqrt(0.9 * 0.1 / 100) = 3 points.
func TestAllowance(t *testing.T) {
	a := Accuracy{Images: 50_000, Top1: 90, Bound: 0.1}
	if got := a.Allowance(50_000); got != 0.1 {
		t.Errorf("all: %v", got)
	}
	if got := a.Allowance(100); math.Abs(got-9.1) > 1e-9 {
		t.Errorf("100: %v, want 9.1", got)
	}
}

func TestCatalog(t *testing.T) {
	c := &Client{Endpoint: DefaultEndpoint, Bucket: DefaultBucket}
	seen, vtab := map[string]bool{}, 0
	for _, e := range Catalog() {
		if seen[e.Name] {
			t.Errorf("%s is there twice", e.Name)
		}
		seen[e.Name] = true
		if e.Task != "" {
			vtab++
		}
		if e.License.ID != "apache-2.0" || e.License.Source == "" {
			t.Errorf("%s: licence %+v", e.Name, e.License)
		}
		if a := e.Accuracy; a != nil {
			if w, h := a.Processor.OutputSize(500, 375); w != a.Pixels || h != a.Pixels || a.Processor.Validate() != nil || a.Images == 0 || a.Bound == 0 {
				t.Errorf("%s: %+v, prepared to %d x %d", e.Name, a, w, h)
			}
			if want, ok := timmSizes[e.Name]; ok && a.Processor.Size.ShortestEdge != want {
				t.Errorf("%s: the shorter side becomes %d, want %d", e.Name, a.Processor.Size.ShortestEdge, want)
			}
		}
		ref, err := c.ParseRef(e.Name)
		if err != nil || ref.String() != e.Name || (ref.Repo == "") != (e.Repo == "") {
			t.Errorf("%s: %+v, %v", e.Name, ref, err)
		}
		if name, err := resnet.ParseName(e.Name); err == nil && name.Variant != e.Variant {
			t.Errorf("%s is listed as %v", e.Name, e.Variant)
		}
	}
	// 12 upstream, 6 fine-tuned, CIFAR-10, 8 of the distillation paper; google's repository, 12 of timm's and 3 distilled.
	if want := 12 + 6 + 1 + 8 + 1 + 12 + 3; len(seen)-vtab != want || vtab != 5*3*19 {
		t.Errorf("%d and %d of VTAB, want %d and %d", len(seen)-vtab, vtab, want, 5*3*19)
	}
	if e := Lookup("BiT-M-R152x4-ILSVRC2012"); e.Accuracy.Top1 != 84.936 || e.Accuracy.Pixels != 480 || e.Classes != 1000 {
		t.Errorf("%+v", e)
	}
}

// The size of an .npz file by the layout of zip and npy: per member a local header of 30 bytes and a central one of 46,
// each followed by the name, and 128 bytes of npy header; 22 bytes at the end. R152x4 is past 2 GiB, from where
// Python adds 76 bytes of zip64 records and 12 to each of the 108 members that begin there.
func TestSizesFollowFromTheFormat(t *testing.T) {
	members := map[int]int{50: 153, 101: 306, 152: 459}
	for v := range fileSizes {
		for _, classes := range []int{10, ilsvrcClasses, i21kClasses} {
			names := 0
			for _, p := range v.Config(classes).ParamSpecs() {
				names += len(npzName(p.Name))
			}
			want := 4*int64(v.Config(classes).NumParams()) + 204*int64(members[v.Depth]) + 2*int64(names) + 22
			if v == (resnet.Variant{Depth: 152, Width: 4}) {
				want += 76 + 12*108
			}
			if got := npzSize(v, classes); got != want {
				t.Errorf("%v with %d classes: %d bytes, want %d", v, classes, got, want)
			}
		}
	}
}

// npzName is the member of a parameter, as in the official files.
func npzName(parameter string) string {
	name := strings.NewReplacer("gn1/", "a/group_norm/", "gn2/", "b/group_norm/", "gn3/", "c/group_norm/",
		"proj/", "a/proj/standardized_conv2d/", "conv1/", "a/standardized_conv2d/", "conv2/", "b/standardized_conv2d/", "conv3/", "c/standardized_conv2d/").Replace(parameter)
	switch parameter {
	case resnet.StemKernel:
		name = "root_block/standardized_conv2d/kernel"
	case resnet.NormGamma:
		name = "group_norm/gamma"
	case resnet.NormBeta:
		name = "group_norm/beta"
	case resnet.HeadKernel:
		name = "head/conv2d/kernel"
	case resnet.HeadBias:
		name = "head/conv2d/bias"
	}
	return "resnet/" + name + ".npy"
}
