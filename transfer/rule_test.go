package transfer

import (
	"fmt"
	"math"
	"slices"
	"testing"
)

// The learning rates of big_transfer's bit_hyperrule.py at the supports and next to them.
func TestRuleLearningRates(t *testing.T) {
	type at struct {
		step int
		rate float64
	}
	for _, c := range []struct {
		examples, total int
		rates           []at
	}{
		{1000, 500, []at{{0, 0}, {1, 3e-5}, {50, 1.5e-3}, {99, 2.97e-3}, {100, 3e-3}, {200, 3e-3}, {201, 3e-4}, {300, 3e-4}, {301, 3e-5}, {400, 3e-5}, {401, 3e-6}, {499, 3e-6}}},
		{50_000, 10_000, []at{{0, 0}, {1, 6e-6}, {499, 2.994e-3}, {500, 3e-3}, {3000, 3e-3}, {3001, 3e-4}, {6000, 3e-4}, {6001, 3e-5}, {9000, 3e-5}, {9001, 3e-6}, {9999, 3e-6}}},
		{1_281_167, 20_000, []at{{500, 3e-3}, {6000, 3e-3}, {6001, 3e-4}, {12_000, 3e-4}, {12_001, 3e-5}, {18_000, 3e-5}, {18_001, 3e-6}, {19_999, 3e-6}}},
	} {
		s := SizeOf(c.examples).Schedule(0)
		if s.Steps() != c.total {
			t.Errorf("%d examples: %d steps, want %d", c.examples, s.Steps(), c.total)
		}
		for _, r := range c.rates {
			if got := BaseLearningRate * s.Factor(r.step); math.Abs(got-r.rate) > 1e-12*r.rate {
				t.Errorf("%d examples, step %d: rate %v, want %v", c.examples, r.step, got, r.rate)
			}
		}
	}
}

func TestRuleBoundaries(t *testing.T) {
	for examples, want := range map[int]Size{1: Small, 19_999: Small, 20_000: Medium, 499_999: Medium, 500_000: Large, 14_000_000: Large} {
		if got := SizeOf(examples); got != want {
			t.Errorf("%d examples: size %d, want %d", examples, got, want)
		}
	}
	for size, want := range map[Size]float64{Small: 0, Medium: 0.1, Large: 0.1} {
		if got := size.Mixup(); got != want {
			t.Errorf("size %d: mixup %v, want %v", size, got, want)
		}
	}
	for _, c := range []struct{ height, width, resize, crop int }{
		{32, 32, 160, 128}, {95, 96, 160, 128}, {96, 95, 160, 128}, {96, 96, 512, 480}, {32, 400, 512, 480}, {224, 224, 512, 480},
	} {
		if resize, crop := Resolution(c.height, c.width); resize != c.resize || crop != c.crop {
			t.Errorf("%dx%d: %d/%d, want %d/%d", c.height, c.width, resize, crop, c.resize, c.crop)
		}
	}
}

// A shorter run keeps the shares of warm-up and drops: 100, 200, 300, 400 of 500 become 20, 40, 60, 80 of 100.
func TestRuleScaled(t *testing.T) {
	for _, c := range []struct {
		size   Size
		steps  int
		warmUp int
		drops  []int
	}{
		{Small, 100, 20, []int{40, 60, 80}},
		{Small, 7, 1, []int{3, 4, 6}}, // 1.4; 2.8, 4.2, 5.6
		{Medium, 1000, 50, []int{300, 600, 900}},
		{Large, 40_000, 1000, []int{12_000, 24_000, 36_000}},
	} {
		t.Run(fmt.Sprint(c.size, "/", c.steps), func(t *testing.T) {
			s := c.size.Schedule(c.steps)
			if s.WarmUp != c.warmUp || !slices.Equal(s.Drops, c.drops) || s.Total != c.steps {
				t.Errorf("%+v, want warm-up %d, drops %v, total %d", s, c.warmUp, c.drops, c.steps)
			}
		})
	}
}
