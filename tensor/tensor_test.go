package tensor

import (
	"math"
	"testing"
)

func TestCheckedLen(t *testing.T) {
	for _, c := range []struct {
		shape []int
		want  int
		ok    bool
	}{
		{nil, 1, true},
		{[]int{7, 7, 3, 64}, 9408, true},
		{[]int{math.MaxInt}, math.MaxInt, true},
		{[]int{math.MaxInt/2 + 1, 2}, 0, false},
		{[]int{1 << 31, 1 << 31, 4}, 0, false},
		{[]int{math.MaxInt, math.MaxInt, 0}, 0, true},
		{[]int{0, -1}, 0, false},
		{[]int{-2, -3}, 0, false},
	} {
		if got, ok := CheckedLen(c.shape); got != c.want || ok != c.ok {
			t.Errorf("%v: %d, %v, want %d, %v", c.shape, got, ok, c.want, c.ok)
		}
	}
}
