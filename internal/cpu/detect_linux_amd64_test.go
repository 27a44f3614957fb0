//go:build !purego

package cpu

import (
	"os"
	"slices"
	"strings"
	"testing"
)

// The kernel lists what the processor has and it supports itself, by the same names.
func TestDetectAgreesWithTheKernel(t *testing.T) {
	info, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(info), "\nflags")
	if !found {
		t.Fatal("/proc/cpuinfo has no line of flags")
	}
	line, _, _ := strings.Cut(rest, "\n")
	flags := strings.Fields(line)
	var want []Level
	for _, l := range []struct {
		level Level
		needs []string
	}{
		{AVX2, []string{"avx2", "fma", "bmi2"}},
		{AVX512, []string{"avx512f", "avx512dq", "avx512vl"}},
	} {
		if slices.ContainsFunc(l.needs, func(f string) bool { return !slices.Contains(flags, f) }) {
			break
		}
		want = append(want, l.level)
	}
	if got := detect(); !slices.Equal(got, want) {
		t.Errorf("detected %v, and the flags of /proc/cpuinfo give %v", got, want)
	}
}
