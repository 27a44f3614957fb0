package resnet

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Frozen says how much of a network a Trainer leaves as it is, counted from the input. Frozen parameters have no gradient,
// the backward pass ends where they begin, and their maps are kept no longer than in inference.
type Frozen int

const (
	FrozenNothing Frozen = iota
	FrozenStem           // the 7x7 convolution; FrozenStem + k also the first k stages

	FrozenBody Frozen = math.MaxInt32 // everything but the head
)

// stages returns how many stages are frozen, of n.
func (f Frozen) stages(n int) int { return max(0, min(int(f-FrozenStem), n)) }

// String returns "nothing", "stem", "block3" or "body", which ParseFrozen takes.
func (f Frozen) String() string {
	switch f {
	case FrozenNothing:
		return "nothing"
	case FrozenStem:
		return "stem"
	case FrozenBody:
		return "body"
	}
	return fmt.Sprintf("block%d", int(f-FrozenStem))
}

// MarshalText writes the name of what is frozen.
func (f Frozen) MarshalText() ([]byte, error) { return []byte(f.String()), nil }

// ParseFrozen reads what is frozen of this network: "nothing", "stem", the last frozen stage as in "block3", or "body".
func (c Config) ParseFrozen(name string) (Frozen, error) {
	for _, f := range []Frozen{FrozenNothing, FrozenStem, FrozenBody} {
		if name == f.String() {
			return f, nil
		}
	}
	if digits, ok := strings.CutPrefix(name, "block"); ok {
		if k, err := strconv.Atoi(digits); err == nil && k >= 1 && k <= len(c.Widths) {
			return FrozenStem + Frozen(k), nil
		}
	}
	return 0, fmt.Errorf("%q is no part of this network to freeze, want nothing, stem, block1 to block%d, or body", name, len(c.Widths))
}

// Freezes reports whether f freezes the parameter of that name.
func (f Frozen) Freezes(name string) bool {
	part, _, _ := strings.Cut(name, "/")
	switch part {
	case "head":
		return false
	case "norm":
		return f >= FrozenBody
	case "root":
		return f >= FrozenStem
	}
	stage, err := strconv.Atoi(strings.TrimPrefix(part, "block"))
	return err == nil && f >= FrozenStem+Frozen(stage)
}

// frozenUnits returns how many units f freezes.
func (c Config) frozenUnits(f Frozen) int {
	n := 0
	for _, depth := range c.Depths[:f.stages(len(c.Depths))] {
		n += depth
	}
	return n
}
