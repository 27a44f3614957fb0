package hub

import (
	"context"
	"errors"
	"fmt"
	"time"
)

var errStalled = errors.New("no data moves")

// watchdog gives up on a body that stands still.
type watchdog struct {
	outer, inner context.Context
	cancel       context.CancelCauseFunc
	timer        *time.Timer
	stall        time.Duration
}

// watch returns a context for a request, which ends when nothing has been fed for a while.
func (c *Client) watch(outer context.Context) (context.Context, *watchdog) {
	w := &watchdog{outer: outer, stall: c.stall}
	if w.stall == 0 {
		w.stall = patience
	}
	w.inner, w.cancel = context.WithCancelCause(outer)
	w.timer = time.AfterFunc(w.stall, func() { w.cancel(errStalled) })
	return w.inner, w
}

// fed notes that data has moved.
func (w *watchdog) fed() { w.timer.Reset(w.stall) }

func (w *watchdog) stop() {
	w.timer.Stop()
	w.cancel(nil)
}

// reason returns why a request broke: err, unless it was ended by the caller or from here.
func (w *watchdog) reason(err error) error {
	switch {
	case w.outer.Err() != nil:
		return context.Cause(w.outer)
	case errors.Is(context.Cause(w.inner), errStalled):
		return &transientError{error: fmt.Errorf("%w: no data for %v", ErrUnreachable, w.stall)}
	default:
		return err
	}
}
