package teach

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"

	"github.com/bigtransfer/bit"
	"github.com/bigtransfer/bit/project"
	"github.com/bigtransfer/bit/serve"
)

// Config is what a teacher works with.
type Config struct {
	Store *project.Store
	Bases []Base // models that projects can start from, the default first
	// Export writes a model as an ONNX file; nil if that cannot be had.
	Export func(ctx context.Context, m *bit.Model, path string) error
	Server *serve.Server // whose limits hold, and which has the models that are kept
	Memory int64         // bytes that the activations of a training may take; 0 for 2 GiB
	// Threads are those of a pass of a model that came from a project, as in [bit.Opener].
	Threads int
	Log     *slog.Logger
}

// Base is a model that projects can start from.
type Base struct {
	Name string
	Open func(context.Context) (*bit.Model, error)
}

// Teacher trains projects. Its methods may be called by any number of goroutines.
type Teacher struct {
	Config
	ctx     context.Context // of all trainings: when it ends they are saved and stop
	cancel  context.CancelFunc
	running sync.WaitGroup // goroutines of trainings
	turn    chan struct{}  // of one token: one training runs at a time

	opening chan struct{}         // of one token: one base is opened at a time, and those who want none go on meanwhile
	bases   map[string]*bit.Model // that are open; of who has the token

	keeping sync.Mutex // held while a model is kept or forgotten: what the server has is what is on disk

	mu    sync.Mutex
	desks map[string]*desk
	order []string // of the desks, the one used last at the end
	jobs  map[jobKey]*job
	kept  map[string]bool // names of the server's models that are from here
}

// openAPI describes the routes, in addition to those of the server.
//
//go:embed openapi.yaml
var openAPI []byte

const defaultMemory = 2 << 30

// New returns a teacher, whose routes and kept models it adds to the server. When ctx ends, trainings are saved and stop,
// and streams of events end; [Teacher.Close] waits for that.
func New(ctx context.Context, c Config) (*Teacher, error) {
	if len(c.Bases) == 0 {
		return nil, errors.New("teach: no model to start from")
	}
	if c.Memory == 0 {
		c.Memory = defaultMemory
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	t := &Teacher{
		Config: c, turn: make(chan struct{}, 1), opening: make(chan struct{}, 1),
		bases: map[string]*bit.Model{}, desks: map[string]*desk{}, jobs: map[jobKey]*job{}, kept: map[string]bool{},
	}
	t.ctx, t.cancel = context.WithCancel(ctx)
	if err := t.addKept(ctx); err != nil {
		return nil, err
	}
	for _, r := range t.routes() {
		t.Server.Handle(r)
	}
	if err := t.Server.Describe(openAPI); err != nil {
		return nil, err
	}
	return t, nil
}

// Close stops trainings, which are saved, and waits for them.
func (t *Teacher) Close() {
	t.cancel()
	t.running.Wait()
}

// baseNames lists the models that projects can start from.
func (t *Teacher) baseNames() []string {
	var names []string
	for _, b := range t.Bases {
		names = append(names, b.Name)
	}
	return names
}

// checkBase returns the name of a base, the default for "".
func (t *Teacher) checkBase(name string) (string, error) {
	if name == "" {
		return t.Bases[0].Name, nil
	}
	if !slices.Contains(t.baseNames(), name) {
		return "", &baseError{name, t.baseNames()}
	}
	return name, nil
}

// baseError says that a project starts from a model that the server does not have.
type baseError struct {
	name  string
	known []string
}

func (e *baseError) Error() string {
	return fmt.Sprintf("there is no model %q to start from here, expected one of %q", e.name, e.known)
}

// base opens a model that projects start from, once.
func (t *Teacher) base(ctx context.Context, name string) (*bit.Model, error) {
	i := slices.IndexFunc(t.Bases, func(b Base) bool { return b.Name == name })
	if i < 0 {
		return nil, &baseError{name, t.baseNames()}
	}
	select {
	case t.opening <- struct{}{}:
		defer func() { <-t.opening }()
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	if m := t.bases[name]; m != nil {
		return m, nil
	}
	m, err := t.Bases[i].Open(ctx)
	if err != nil {
		return nil, err
	}
	t.bases[name] = m
	return m, nil
}
