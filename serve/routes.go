package serve

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/pprof"
	"runtime/debug"
	"strings"
	"time"
)

// Route is something that a server answers.
type Route struct {
	Method  string // of HTTP
	Pattern string // of the path, as http.ServeMux has it: "/v1/models/{model}"
	// Public routes need no token: probes, and the files of a page, which hold no secret.
	Public bool
	// Slow routes have no limit on their time once the body has come: they answer as long as they like, and end when the
	// request's context does.
	Slow bool
	// Answer writes the answer, or else nothing and returns an error, which becomes the answer (see [Failf]). After an error
	// that comes in the middle of an answer the connection is broken, so that nobody takes the part for the whole.
	Answer func(w http.ResponseWriter, r *http.Request) error
}

// ownRoutes are the routes of every server. openapi.yaml describes them, and a test holds the two together.
func (s *Server) ownRoutes() []Route {
	routes := []Route{
		{Method: "GET", Pattern: "/healthz", Public: true, Answer: s.serverLive},
		{Method: "GET", Pattern: "/readyz", Public: true, Answer: s.serverReady},
		{Method: "GET", Pattern: "/metrics", Answer: s.metrics.answer},
		{Method: "GET", Pattern: "/openapi.json", Public: true, Answer: s.openAPI},

		{Method: "GET", Pattern: "/v1/models", Answer: s.listModels},
		{Method: "GET", Pattern: "/v1/models/{model}", Answer: s.showModel},
		{Method: "POST", Pattern: "/v1/models/{model}/reload", Slow: true, Answer: s.reloadModel},

		{Method: "POST", Pattern: "/{$}", Answer: s.huggingFace},
		{Method: "POST", Pattern: "/models/{model}", Answer: s.huggingFace},

		{Method: "GET", Pattern: "/v2", Answer: s.serverMetadata},
		{Method: "GET", Pattern: "/v2/health/live", Public: true, Answer: s.serverLive},
		{Method: "GET", Pattern: "/v2/health/ready", Public: true, Answer: s.serverReady},
		{Method: "GET", Pattern: "/v2/models/{model}", Answer: s.modelMetadata},
		{Method: "GET", Pattern: "/v2/models/{model}/ready", Public: true, Answer: s.modelReady},
		{Method: "POST", Pattern: "/v2/models/{model}/infer", Answer: s.modelInfer},
	}
	// curl -T sends PUT.
	for _, method := range []string{"POST", "PUT"} {
		for _, under := range []string{"/v1", "/v1/models/{model}"} {
			routes = append(routes,
				Route{Method: method, Pattern: under + "/classify", Answer: s.classify},
				Route{Method: method, Pattern: under + "/embed", Answer: s.embed},
				Route{Method: method, Pattern: under + "/explain", Answer: s.explain})
		}
	}
	if s.config.Profile {
		for path, f := range map[string]http.HandlerFunc{"": pprof.Index, "cmdline": pprof.Cmdline, "profile": pprof.Profile, "symbol": pprof.Symbol, "trace": pprof.Trace} {
			routes = append(routes, Route{Method: "GET", Pattern: "/debug/pprof/" + path, Slow: true,
				Answer: func(w http.ResponseWriter, r *http.Request) error { f(w, r); return nil }})
		}
	}
	return routes
}

// Handle adds a route. It must not be called any more once the server serves.
func (s *Server) Handle(route Route) {
	s.routes = append(s.routes, route)
	s.mux.Handle(route.Method+" "+route.Pattern, &endpoint{s, route})
}

// endpoint is a route of a server as a handler.
type endpoint struct {
	s     *Server
	route Route
}

func (e *endpoint) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	info := infoOf(r.Context())
	info.route = e.route.Pattern
	if err := e.answer(w, r); err != nil {
		f := failureOf(err)
		info.err, info.reason = err, f.reason
		if out, ok := w.(*recorder); ok && out.status != 0 {
			// The client has the beginning of an answer. That there is no more of it, only a broken connection can say.
			panic(http.ErrAbortHandler)
		}
		writeFailure(w, f)
	}
}

// headerTimeout is the header by which a client wants an answer within less time than the server allows.
const headerTimeout = "X-Request-Timeout"

func (e *endpoint) answer(w http.ResponseWriter, r *http.Request) (err error) {
	if !e.route.Public {
		if err := e.s.guard.checkToken(w, r); err != nil {
			return err
		}
	}
	control := http.NewResponseController(w)
	if e.route.Slow {
		control.SetWriteDeadline(time.Time{})
		r.Body = &slowBody{r.Body, func() { control.SetReadDeadline(time.Time{}) }}
		if r.ContentLength == 0 {
			control.SetReadDeadline(time.Time{})
		} else {
			control.SetReadDeadline(time.Now().Add(e.s.config.Timeout + stallTime))
		}
	} else {
		timeout := e.s.config.Timeout
		if text := r.Header.Get(headerTimeout); text != "" {
			asked, err := time.ParseDuration(text)
			if err != nil || asked <= 0 {
				return failf(http.StatusBadRequest, "%s: %q: want a duration such as 500ms or 2s", headerTimeout, text)
			}
			timeout = min(timeout, asked)
		}
		// A body that stalls is cut off by the connection's deadline: no context ends a read. It is later than the context's,
		// because net/http, which listens for the client's going away, takes it for that.
		control.SetReadDeadline(time.Now().Add(timeout + stallTime))
		control.SetWriteDeadline(time.Now().Add(timeout + writeTime))
		ctx, cancel := withTimeout(r.Context(), timeout)
		defer cancel()
		r = r.WithContext(ctx)
	}
	defer func() {
		if p := recover(); p != nil {
			if p == http.ErrAbortHandler {
				panic(p)
			}
			err = fmt.Errorf("%w: %v\n%s", errPanic, p, debug.Stack())
		}
	}()
	return e.route.Answer(w, r)
}

// slowBody is the body of a request to a slow route, and calls ended at its end: the body must come in time, the answer need
// not.
type slowBody struct {
	io.ReadCloser
	ended func()
}

func (b *slowBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err == io.EOF {
		b.ended()
	}
	return n, err
}

// stallTime is how long after the time of a request its body is cut off.
const stallTime = time.Second

// writeTime is what a client has to take in an answer, after the time of the request itself.
const writeTime = 30 * time.Second

func withTimeout(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, d, errDeadline)
}

// Handler returns what answers all requests of the server.
func (s *Server) Handler() http.Handler {
	return s.observed(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		info := infoOf(r.Context())
		if s.draining.Load() {
			w.Header().Set("Connection", "close") // the client comes back elsewhere
		}
		if err := s.guard.check(w, r); err != nil {
			f := failureOf(err)
			info.err, info.reason = err, f.reason
			writeFailure(w, f)
			return
		}
		if r.Method == http.MethodOptions && s.guard.preflight(w, r) {
			return
		}
		h, pattern := s.mux.Handler(r)
		if pattern == "" {
			writeFailure(w, noRoute(h, w, r))
			return
		}
		s.mux.ServeHTTP(w, r)
	}))
}

// noRoute is the failure of a request that no route answers, given the handler by which the mux would say so in text.
func noRoute(h http.Handler, w http.ResponseWriter, r *http.Request) *failure {
	said := &statusOnly{header: http.Header{}}
	h.ServeHTTP(said, r)
	if said.status != http.StatusMethodNotAllowed {
		return failf(http.StatusNotFound, "nothing at %s: GET /openapi.json lists what there is", r.URL.Path)
	}
	allowed := said.header.Get("Allow")
	w.Header().Set("Allow", allowed)
	return failf(http.StatusMethodNotAllowed, "%s is not for %s: want %s", r.URL.Path, r.Method, strings.ReplaceAll(allowed, ", ", " or "))
}

// statusOnly keeps the status of an answer and passes over its body.
type statusOnly struct {
	header http.Header
	status int
}

func (s *statusOnly) Header() http.Header         { return s.header }
func (s *statusOnly) Write(b []byte) (int, error) { return len(b), nil }
func (s *statusOnly) WriteHeader(status int)      { s.status = status }

// reloadModel answers POST /v1/models/{model}/reload.
func (s *Server) reloadModel(w http.ResponseWriter, r *http.Request) error {
	if err := s.Reload(r.Context(), r.PathValue("model")); err != nil {
		var f *failure
		if errors.As(err, &f) {
			return f
		}
		return err
	}
	return s.showModel(w, r)
}
