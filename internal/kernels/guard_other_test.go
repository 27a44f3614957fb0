//go:build !linux

package kernels

import "testing"

// newArena returns n values. What lies round them is not guarded on this system: canaries catch writes, and reads that
// reach a result.
func newArena(_ testing.TB, n int) arena { return make(arena, n) }
