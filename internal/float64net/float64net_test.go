package float64net

import (
	"context"
	"errors"
	"testing"

	"github.com/bigtransfer/bit/internal/golden"
	"github.com/bigtransfer/bit/internal/oracle"
)

// The reference implementations computed in float64 too, in another order.
func TestGolden(t *testing.T) {
	for _, c := range golden.Cases(t) {
		net, err := c.Model.Network()
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range c.Runs {
			logits, err := Logits(t.Context(), net, r.X, r.N, r.H, r.W)
			if err != nil {
				t.Fatal(err)
			}
			if e := oracle.Error(logits, r.Logits); !(e < 1e-12) {
				t.Errorf("%s %s: logits deviate by %.1e of the largest", c.Name, r.Name, e)
			}
		}
		r := c.Runs[0]
		if _, err := Logits(t.Context(), net, r.X[1:], r.N, r.H, r.W); err == nil {
			t.Error("a value is missing, and it does not say so")
		}
		ctx, cancel := context.WithCancelCause(t.Context())
		stop := errors.New("stop")
		cancel(stop)
		if _, err := Logits(ctx, net, r.X, r.N, r.H, r.W); err != stop {
			t.Errorf("cancelled: %v", err)
		}
	}
}
