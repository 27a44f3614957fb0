package serve

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/bigtransfer/bit"
)

// Config says what a server serves and what it allows. Zero values mean the defaults that the fields name.
type Config struct {
	Models  []Model // the first is the default; at least one
	Version string  // of this program, for clients that ask

	Batch      int           // pictures of a pass of the network at most; 0 for 16
	BatchDelay time.Duration // how long a picture waits at most for others that are being decoded; 0 for 5 ms, negative for none
	BatchTime  time.Duration // how long a pass should take at most: larger pictures share smaller batches; 0 for 100 ms

	Queue     int           // pictures in the server at a time, those being read and decoded included; 0 for 256
	Memory    int64         // bytes for bodies and for pictures being decoded; 0 for 512 MiB
	MaxBytes  int64         // of a body; 0 for 32 MiB
	MaxPixels int           // of a picture, by its header; 0 for 64 million
	Timeout   time.Duration // of a request from its arrival to its answer; 0 for 30 s
	Drain     time.Duration // what requests in progress get to end in when the server is to stop; 0 for 30 s

	Token        string   // what requests must carry as a bearer token; "" for none
	AllowHosts   []string // names that the Host header may have beside localhost and IP addresses; with a token, any
	AllowOrigins []string // such as "https://example.com": pages that may use the server from a browser, beside its own
	Profile      bool     // serve /debug/pprof/

	Log *slog.Logger // nil for slog.Default()
}

// Model is a model to serve.
type Model struct {
	Name string                                         // part of its paths
	Open func(context.Context) (*bit.Classifier, error) // at the start, and again for each reload
}

// Defaults of [Config].
const (
	DefaultBatch      = 16
	DefaultBatchDelay = 5 * time.Millisecond
	DefaultBatchTime  = 100 * time.Millisecond
	DefaultQueue      = 256
	DefaultMemory     = 512 << 20
	DefaultMaxBytes   = 32 << 20
	DefaultMaxPixels  = 64_000_000
	DefaultTimeout    = 30 * time.Second
	DefaultDrain      = 30 * time.Second
)

func (c Config) withDefaults() Config {
	c.Batch = cmp.Or(c.Batch, DefaultBatch)
	c.BatchDelay = cmp.Or(c.BatchDelay, DefaultBatchDelay)
	c.BatchTime = cmp.Or(c.BatchTime, DefaultBatchTime)
	c.Queue = cmp.Or(c.Queue, DefaultQueue)
	c.Memory = cmp.Or(c.Memory, DefaultMemory)
	c.MaxBytes = cmp.Or(c.MaxBytes, DefaultMaxBytes)
	c.MaxPixels = cmp.Or(c.MaxPixels, DefaultMaxPixels)
	c.Timeout = cmp.Or(c.Timeout, DefaultTimeout)
	c.Drain = cmp.Or(c.Drain, DefaultDrain)
	c.Log = cmp.Or(c.Log, slog.Default())
	return c
}

// Server answers requests about pictures with models. Its methods may be called by any number of goroutines.
type Server struct {
	config    Config
	log       *slog.Logger
	admission *admission
	decoders  chan struct{} // as many tokens as pictures may be decoded at a time
	engine    chan struct{} // of one token: one network runs at a time
	metrics   *metrics
	guard     *guard
	mux       *http.ServeMux
	routes    []Route
	described [][]byte        // documents of routes that others add
	document  json.RawMessage // with them; nil without
	draining  atomic.Bool

	mu     sync.RWMutex
	models []*model // the default first
}

// New opens the models and returns a server of them.
func New(ctx context.Context, c Config) (*Server, error) {
	c = c.withDefaults()
	if len(c.Models) == 0 {
		return nil, fmt.Errorf("a server needs at least one model")
	}
	hostname, _ := os.Hostname()
	s := &Server{
		config: c, log: c.Log, admission: newAdmission(c.Queue, c.Memory),
		decoders: make(chan struct{}, runtime.GOMAXPROCS(0)), engine: make(chan struct{}, 1), mux: http.NewServeMux(),
	}
	s.metrics = newMetrics(s)
	var err error
	if s.guard, err = newGuard(c, hostname); err != nil {
		return nil, err
	}
	for _, m := range c.Models {
		if s.find(m.Name) != nil {
			return nil, fmt.Errorf("two models are called %q", m.Name)
		}
		classifier, err := m.Open(ctx)
		if err != nil {
			return nil, err
		}
		if err := s.add(m.Name, classifier, m.Open); err != nil {
			return nil, err
		}
	}
	for _, r := range s.ownRoutes() {
		s.Handle(r)
	}
	return s, nil
}
