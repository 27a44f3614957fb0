package serve

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"
)

// requestInfo is what becomes known of a request while it is answered, for the log and the metrics. The goroutine of the
// request alone writes it.
type requestInfo struct {
	route    string // pattern; "" if none fits
	status   int
	err      error  // why it failed
	reason   string // why it was turned away
	model    string
	pictures int
	batch    int // the largest that a picture of it was in

	read, decode     time.Duration
	queued, inferred time.Duration // of the slowest picture
}

type infoKey struct{}

// infoOf returns what is known of the request of a context.
func infoOf(ctx context.Context) *requestInfo {
	if info, ok := ctx.Value(infoKey{}).(*requestInfo); ok {
		return info
	}
	return new(requestInfo)
}

// observed notes every request in the log and in the metrics.
func (s *Server) observed(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		started := time.Now()
		info := &requestInfo{}
		out := &recorder{ResponseWriter: w}
		defer func() {
			if info.status == 0 {
				info.status = out.status
			}
			if info.status == 0 {
				info.status = http.StatusOK
			}
			took := time.Since(started)
			s.metrics.request(r.Method, info, took)
			s.logRequest(r, info, out.bytes, took)
		}()
		next.ServeHTTP(out, r.WithContext(context.WithValue(r.Context(), infoKey{}, info)))
	})
}

// logRequest writes a line of the access log. Probes are of no interest unless they fail.
func (s *Server) logRequest(r *http.Request, info *requestInfo, sent int64, took time.Duration) {
	level := slog.LevelInfo
	switch {
	case info.status >= 500 && info.status != http.StatusServiceUnavailable:
		level = slog.LevelError
	case info.status < 400 && (info.route == "/healthz" || info.route == "/readyz" || info.route == "/v2/health/live" || info.route == "/v2/health/ready"):
		level = slog.LevelDebug
	}
	ctx := r.Context()
	if !s.log.Enabled(ctx, level) {
		return
	}
	attrs := []slog.Attr{
		slog.String("method", r.Method), slog.String("path", r.URL.Path), slog.Int("status", info.status),
		slog.String("remote", r.RemoteAddr), slog.Int64("received", max(0, r.ContentLength)), slog.Int64("sent", sent), slog.Duration("took", took),
	}
	if info.pictures > 0 {
		attrs = append(attrs, slog.String("model", info.model), slog.Int("pictures", info.pictures), slog.Int("batch", info.batch),
			slog.Duration("read", info.read), slog.Duration("decode", info.decode), slog.Duration("queue", info.queued), slog.Duration("infer", info.inferred))
	}
	if info.err != nil {
		attrs = append(attrs, slog.String("error", info.err.Error()))
		if errors.Is(info.err, errPanic) {
			level = slog.LevelError
		}
	}
	if agent := r.UserAgent(); agent != "" {
		attrs = append(attrs, slog.String("agent", agent))
	}
	s.log.LogAttrs(ctx, level, "request", attrs...)
}

// recorder notes what is answered.
type recorder struct {
	http.ResponseWriter
	status int
	bytes  int64
}

func (r *recorder) WriteHeader(status int) {
	if r.status == 0 && status >= 200 {
		r.status = status
	}
	r.ResponseWriter.WriteHeader(status)
}

func (r *recorder) Write(b []byte) (int, error) {
	if r.status == 0 {
		r.status = http.StatusOK
	}
	n, err := r.ResponseWriter.Write(b)
	r.bytes += int64(n)
	return n, err
}

// Unwrap lets http.ResponseController find what the writer can do beside writing.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }
