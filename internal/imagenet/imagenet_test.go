package imagenet

import (
	"regexp"
	"slices"
	"testing"
)

func TestOf(t *testing.T) {
	id := regexp.MustCompile(`^n\d{8}$`)
	for _, n := range []int{1000, 21843} {
		c := Of(n)
		if c == nil || len(c.IDs) != n || len(c.Labels) != n {
			t.Fatalf("not %d classes", n)
		}
		for i := range n {
			if !id.MatchString(c.IDs[i]) || c.Labels[i] == "" {
				t.Errorf("class %d of %d: %q, %q", i, n, c.IDs[i], c.Labels[i])
			}
		}
		// Both orders are those of sorted ids (BiT's heads, like ILSVRC's).
		if !slices.IsSorted(c.IDs) || len(slices.Compact(slices.Clone(c.IDs))) != n {
			t.Errorf("the ids of %d classes are not in order, or one is there twice", n)
		}
	}
	if Of(1001) != nil || Of(0) != nil {
		t.Error("classes of another number")
	}
	// ILSVRC-2012's numbers that everybody knows.
	for class, want := range map[int][2]string{
		0: {"n01440764", "tench, Tinca tinca"}, 281: {"n02123045", "tabby, tabby cat"}, 282: {"n02123159", "tiger cat"},
		134: {"n02012849", "crane"}, 517: {"n03126707", "crane"}, 999: {"n15075141", "toilet tissue, toilet paper, bathroom tissue"},
	} {
		if c := Of(1000); c.IDs[class] != want[0] || c.Labels[class] != want[1] {
			t.Errorf("class %d is %s, %q, want %v", class, c.IDs[class], c.Labels[class], want)
		}
	}
	// All but one class of ILSVRC-2012 are in ImageNet-21k, mostly by the same name.
	large := Of(21843)
	missing := 0
	for _, id := range Of(1000).IDs {
		if _, ok := slices.BinarySearch(large.IDs, id); !ok {
			missing++
		}
	}
	if missing != 1 {
		t.Errorf("%d classes of ILSVRC-2012 are not in ImageNet-21k, want 1", missing)
	}
}
