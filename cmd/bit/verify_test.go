package main

import (
	"testing"

	"github.com/bigtransfer/bit/weights"
)

// A reference with a gap in its numbers must not pass by what comes before the gap.
func TestBeyond(t *testing.T) {
	for _, c := range []struct {
		names []string
		want  string
	}{
		{[]string{"x0", "logits0", "x1", "logits1"}, ""},
		{[]string{"x0", "logits0", "x1", "logits1", "x3", "logits3"}, "logits3"},
		{[]string{"x0", "logits0", "x1", "logits1", "logits2"}, "logits2"},
		{[]string{"x0", "logits0", "x1", "logits1", "x", "x_mean", "loss7", "x-3"}, ""},
	} {
		arrays := map[string]weights.Array{}
		for _, name := range c.names {
			arrays[name] = weights.Array{}
		}
		if got := beyond(arrays, 2); got != c.want {
			t.Errorf("%v beyond 2: %q, want %q", c.names, got, c.want)
		}
	}
}
