package serve

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"

	"github.com/bigtransfer/bit"
	"github.com/bigtransfer/bit/api"
	"github.com/bigtransfer/bit/imaging"
)

// failure is an error with the status of HTTP that it has.
type failure struct {
	status     int
	message    string
	reason     string // for the metrics: why a request was turned away
	retryAfter int    // seconds; 0 for none
}

func (f *failure) Error() string { return f.message }

// Failf returns the error of a handler that answers with a status of HTTP and a message.
func Failf(status int, format string, args ...any) error { return failf(status, format, args...) }

func failf(status int, format string, args ...any) *failure {
	return &failure{status: status, message: fmt.Sprintf(format, args...)}
}

// errDeadline is the cause of a context whose request took longer than allowed.
var errDeadline = failf(http.StatusGatewayTimeout, "the time for this request is over")

// statusClientGone is the status of a request whose client did not wait for the answer, as in nginx: for the log, since
// nobody reads it.
const statusClientGone = 499

// failureOf gives an error its status. What is not the client's fault is a 500 without details, which go to the log.
func failureOf(err error) *failure {
	var f *failure
	var tooMany *http.MaxBytesError
	switch {
	case errors.As(err, &f):
		return f
	case errors.As(err, &tooMany):
		return failf(http.StatusRequestEntityTooLarge, "the body is larger than %d bytes, the most that is read", tooMany.Limit)
	case errors.Is(err, imaging.ErrTooLarge):
		return failf(http.StatusRequestEntityTooLarge, "%v", err)
	case errors.Is(err, imaging.ErrNotImage), errors.Is(err, imaging.ErrUnsupported):
		return failf(http.StatusUnsupportedMediaType, "%v", err)
	case errors.Is(err, imaging.ErrTruncated), errors.Is(err, imaging.ErrCorrupt):
		return failf(http.StatusUnprocessableEntity, "%v", err)
	case errors.Is(err, bit.ErrNoHead):
		return failf(http.StatusUnprocessableEntity, "%v", err)
	case errors.Is(err, context.DeadlineExceeded):
		return errDeadline
	case errors.Is(err, context.Canceled):
		return failf(statusClientGone, "the client went away")
	}
	return failf(http.StatusInternalServerError, "internal error; the server's log has more")
}

// writeFailure answers with an error.
func writeFailure(w http.ResponseWriter, f *failure) {
	if f.retryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(f.retryAfter))
	}
	writeJSON(w, f.status, api.ErrorBody{Error: f.message})
}
