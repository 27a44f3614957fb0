// Package cpu chooses, once at start, the instruction set that the kernels use.
package cpu

import (
	"fmt"
	"os"
	"slices"
)

// Level is a set of instructions that package kernels has code for.
type Level string

const (
	Generic Level = "generic" // plain Go
	AVX2    Level = "avx2"    // AVX2 and FMA
	AVX512  Level = "avx512"  // AVX-512 F, DQ and VL, with BMI2
)

// Override is the environment variable that forces a level, for tests and bug reports.
const Override = "BIT_SIMD"

var active, overrideErr = choose(Available(), os.Getenv(Override))

// Active returns the level in use.
func Active() Level { return active }

// OverrideError reports an Override that names no level or one this processor lacks; the best level is then in use.
// Commands show it and stop: a forced level silently ignored would spoil a bug report.
func OverrideError() error { return overrideErr }

// Available lists the levels that this processor and build can run, best last.
func Available() []Level { return append([]Level{Generic}, detect()...) }

func choose(available []Level, override string) (Level, error) {
	best := available[len(available)-1]
	switch {
	case override == "":
		return best, nil
	case slices.Contains(available, Level(override)):
		return Level(override), nil
	}
	return best, fmt.Errorf("%s=%s: this machine has %v", Override, override, available)
}

// SetForTest makes a level active and returns a function that restores the previous one. Packed weights depend on the
// level, so networks must be prepared after the call.
func SetForTest(l Level) (restore func()) {
	if !slices.Contains(Available(), l) {
		panic(fmt.Sprintf("cpu: level %s is not available here", l))
	}
	old := active
	active = l
	return func() { active = old }
}
