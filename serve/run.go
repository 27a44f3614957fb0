package serve

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"
)

// Times of a connection. Those of a request's body and answer follow its own deadline (routes.go).
const (
	headerTime     = 10 * time.Second
	idleTime       = 2 * time.Minute
	maxHeaderBytes = 32 << 10
)

// Listen returns a listener of TCP for [Server.Serve], such as "127.0.0.1:8080".
func Listen(ctx context.Context, addr string) (net.Listener, error) {
	var c net.ListenConfig
	c.SetMultipathTCP(false) // Go's default; its sockets cannot be made deaf, see drain
	return c.Listen(ctx, "tcp", addr)
}

// Serve answers the connections of a listener until the context ends. Then it says at /readyz that it goes, answers what
// has come and what still comes on connections that are open, takes what waits at the listener, and returns when the last
// answer is written: nil, or an error that says how many requests were cut off because Config.Drain was over.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	open, header := &connections{}, min(headerTime, s.config.Timeout)
	hs := &http.Server{
		Handler: s.Handler(), ReadHeaderTimeout: header, ReadTimeout: header + s.config.Timeout,
		WriteTimeout: header + s.config.Timeout + writeTime, IdleTimeout: idleTime, MaxHeaderBytes: maxHeaderBytes,
		ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelWarn), ConnState: open.note,
	}
	dl := newDrainListener(l)
	failed := make(chan error, 1)
	go func() { failed <- hs.Serve(dl) }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	s.draining.Store(true)
	s.log.Info("draining", "limit", s.config.Drain, "busy", open.busy())
	limit, cancel := context.WithTimeout(context.Background(), s.config.Drain)
	defer cancel()
	// Answers now say "Connection: close", so clients that are about to send again on an open connection are told before
	// it is closed under their hands.
	select {
	case <-time.After(min(politeTime, s.config.Drain/2)):
	case <-limit.Done():
	}
	dl.drain()
	err := hs.Shutdown(limit)
	if errors.Is(err, context.DeadlineExceeded) {
		cut := open.busy()
		hs.Close()
		err = fmt.Errorf("stopped after %v with %d requests unfinished", s.config.Drain, cut)
	}
	if err == nil {
		s.log.Info("drained")
	}
	return err
}

// politeTime is how long a server that is to stop goes on answering on open connections, and accepting new ones.
const politeTime = 500 * time.Millisecond
