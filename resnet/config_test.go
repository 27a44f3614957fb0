package resnet

import (
	"strings"
	"testing"
)

// Fields that no network can have are named, with what was found.
func TestValidate(t *testing.T) {
	good := Config{Channels: 3, StemWidth: 32, Widths: []int{128, 256}, Depths: []int{1, 2}, Groups: 32, Classes: 10, GNEpsilon: 1e-5, WSEpsilon: 1e-8}
	if err := good.Validate(); err != nil {
		t.Fatal(err)
	}
	for want, change := range map[string]func(*Config){
		"0 input channels":          func(c *Config) { c.Channels = 0 },
		"2 widths and 1 depths":     func(c *Config) { c.Depths = []int{1} },
		"stage 2 has 0 units":       func(c *Config) { c.Depths = []int{1, 0} },
		"stage 1 has 100000000":     func(c *Config) { c.Depths = []int{100_000_000, 1} },
		"width 130 of stage 1":      func(c *Config) { c.Widths = []int{130, 256} },
		"stem width 33":             func(c *Config) { c.StemWidth = 33 },
		"0 classes":                 func(c *Config) { c.Classes = 0 },
		"GroupNorm epsilon 0":       func(c *Config) { c.GNEpsilon = 0 },
		"standardisation epsilon 0": func(c *Config) { c.WSEpsilon = 0 },
	} {
		c := good
		change(&c)
		if err := c.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want an error of %q", err, want)
		}
	}
}
