package serve

import (
	"context"
	"math"
	"net/http"
	"sync/atomic"
	"time"

	"golang.org/x/sync/semaphore"
)

// admission decides which requests are taken on: those for whose pictures there are places and for whose bodies there is
// memory. The others are told to come again.
type admission struct {
	places *budget       // pictures in the server
	bodies *budget       // bytes of bodies
	pixels *budget       // bytes of pictures that are being decoded
	pace   atomic.Uint64 // float64: seconds of a pass per picture, of late
}

// budget is an amount of something that requests share.
type budget struct {
	all  int64
	free *semaphore.Weighted
}

func newBudget(all int64) *budget { return &budget{all, semaphore.NewWeighted(all)} }

// newAdmission shares memory out evenly between bodies and pictures being decoded. They are apart because a request holds
// its body while it waits for memory to decode into.
func newAdmission(places int, memory int64) *admission {
	return &admission{places: newBudget(int64(places)), bodies: newBudget(memory / 2), pixels: newBudget(memory / 2)}
}

// hold is what one request has of the budgets. One goroutine uses it.
type hold struct {
	a      *admission
	places int64
	bytes  int64
}

// enter takes the place of a first picture and memory for a body.
func (a *admission) enter(bytes int64) (*hold, error) {
	h := &hold{a: a}
	if err := h.more(1); err != nil {
		return nil, err
	}
	bytes = min(bytes, a.bodies.all)
	if !a.bodies.free.TryAcquire(bytes) {
		h.leave()
		return nil, a.busy(reasonMemory)
	}
	h.bytes = bytes
	return h, nil
}

// more takes places for further pictures.
func (h *hold) more(pictures int) error {
	n := int64(pictures)
	if h.places+n > h.a.places.all {
		return failf(http.StatusRequestEntityTooLarge, "%d pictures in one request, at most %d are taken", h.places+n, h.a.places.all)
	}
	if !h.a.places.free.TryAcquire(n) {
		return h.a.busy(reasonQueue)
	}
	h.places += n
	return nil
}

// grow takes memory for more of a body, or for the values that are read from it.
func (h *hold) grow(bytes int64) error {
	if !h.a.bodies.free.TryAcquire(bytes) {
		return h.a.busy(reasonMemory)
	}
	h.bytes += bytes
	return nil
}

// leave gives everything back.
func (h *hold) leave() {
	h.a.places.free.Release(h.places)
	h.a.bodies.free.Release(h.bytes)
	h.places, h.bytes = 0, 0
}

// decoding waits for memory to decode a picture into.
func (a *admission) decoding(ctx context.Context, bytes int64) (release func(), err error) {
	bytes = min(bytes, a.pixels.all)
	if a.pixels.free.Acquire(ctx, bytes) != nil {
		return nil, context.Cause(ctx)
	}
	return func() { a.pixels.free.Release(bytes) }, nil
}

// observe notes how long a pass of n pictures took.
func (a *admission) observe(n int, ran time.Duration) {
	const share = 0.1
	pace := math.Float64frombits(a.pace.Load())
	a.pace.Store(math.Float64bits(pace + share*(ran.Seconds()/float64(n)-pace)))
}

// Reasons for which a request is turned away.
const (
	reasonQueue  = "queue"
	reasonMemory = "memory"
)

// maxRetryAfter is the longest pause in seconds that a client is asked for.
const maxRetryAfter = 30

// busy is the error of a request for which there is no room: try again when what is in the server now is done.
func (a *admission) busy(reason string) error {
	wait := math.Ceil(float64(a.places.all) * math.Float64frombits(a.pace.Load()))
	return &failure{status: http.StatusServiceUnavailable, message: "the server is busy: try again later", reason: reason,
		retryAfter: int(max(1, min(wait, maxRetryAfter)))}
}
