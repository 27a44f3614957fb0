//go:build amd64 && !purego

package cpu

import "golang.org/x/sys/cpu"

// detect returns the assembly levels this processor and its operating system support, in rising order.
func detect() []Level {
	var levels []Level
	if x := &cpu.X86; x.HasAVX2 && x.HasFMA && x.HasBMI2 {
		levels = append(levels, AVX2)
		if x.HasAVX512F && x.HasAVX512DQ && x.HasAVX512VL {
			levels = append(levels, AVX512)
		}
	}
	return levels
}
