package serve

import (
	"context"
	"fmt"
	"net/http"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"github.com/bigtransfer/bit"
	"github.com/bigtransfer/bit/api"
)

// model is a name and what answers to it now.
type model struct {
	name string
	open func(context.Context) (*bit.Classifier, error) // again; nil if it cannot be. Of Server.mu

	reload sync.Mutex // held while it is opened again

	mu  sync.RWMutex
	now *instance
}

// instance is a loaded model and the requests that use it.
type instance struct {
	*batcher
	name   string
	height int // of prepared pictures; -1 where they differ
	width  int
	users  sync.WaitGroup
}

// use returns the present instance, which stays usable until the function that it returns is called.
func (m *model) use() (*instance, func()) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	i := m.now
	i.users.Add(1)
	return i, i.users.Done
}

// present returns the instance to look at, not to run.
func (m *model) present() *instance {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.now
}

// exchange puts an instance in the place of the present one, which ends when its last request has.
func (m *model) exchange(next *instance) {
	m.mu.Lock()
	old := m.now
	m.now = next
	m.mu.Unlock()
	if old != nil {
		go func() {
			old.retire()
			debug.FreeOSMemory() // two models were in memory
		}()
	}
}

func (i *instance) retire() {
	i.users.Wait()
	i.close()
}

// instance makes a classifier ready to serve: its kernels are folded, and it has run once.
func (s *Server) instance(name string, c *bit.Classifier) (*instance, error) {
	i := &instance{name: name, batcher: &batcher{
		model: c, engine: s.engine, most: s.config.Batch, delay: s.config.BatchDelay, aim: s.config.BatchTime,
	}}
	i.height, i.width = outputSize(c)
	i.observe = func(int, time.Duration) {}
	i.start()
	h, w := i.height, i.width
	if h < 0 {
		h, w = warmSide, warmSide
	}
	warm := &task{x: make([]float32, h*w*3), h: h, w: w}
	if err := i.run(context.Background(), []*task{warm}, func() {}); err != nil {
		i.close()
		return nil, fmt.Errorf("model %s: %w", name, err)
	}
	i.observe = func(n int, ran time.Duration) {
		s.admission.observe(n, ran)
		s.metrics.pass(name, n)
	}
	return i, nil
}

// warmSide is the side in pixels of the picture that a model of no fixed size runs on before it serves.
const warmSide = 224

// outputSize returns the height and width of what pictures become for a model, -1 if that depends on the picture.
func outputSize(c *bit.Classifier) (h, w int) {
	p := c.Processor()
	switch {
	case p.DoCenterCrop:
		return p.CropHeight, p.CropWidth
	case p.DoResize && p.Size.ShortestEdge == 0:
		return p.Size.Height, p.Size.Width
	}
	return -1, -1
}

// Add serves a model under a name. What had the name before answers no new requests. It cannot be reloaded.
func (s *Server) Add(name string, c *bit.Classifier) error { return s.add(name, c, nil) }

func (s *Server) add(name string, c *bit.Classifier, open func(context.Context) (*bit.Classifier, error)) error {
	if err := CheckName(name); err != nil {
		return err
	}
	i, err := s.instance(name, c)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.find(name)
	if m == nil {
		m = &model{name: name}
		s.models = append(s.models, m)
	}
	m.open = open
	m.exchange(i)
	s.metrics.loaded(name)
	return nil
}

// Remove stops serving a model; requests that it has are answered. It reports whether there was one of that name.
func (s *Server) Remove(name string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.find(name)
	if m == nil {
		return false
	}
	s.models = slices.DeleteFunc(s.models, func(other *model) bool { return other == m })
	go m.present().retire()
	return true
}

// find returns a model by name, or nil. s.mu must be held.
func (s *Server) find(name string) *model {
	for _, m := range s.models {
		if m.name == name {
			return m
		}
	}
	return nil
}

// model returns the present instance of a model, of the first one if the name is empty.
func (s *Server) model(name string) (*instance, func(), error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	m := s.find(name)
	if name == "" && len(s.models) > 0 {
		m = s.models[0]
	}
	if m == nil {
		return nil, nil, failf(http.StatusNotFound, "no model %q here: GET /v1/models lists them", name)
	}
	i, done := m.use()
	return i, done, nil
}

// Use gives f a model by name, "" for the default, which stays loaded until f returns. Passes of the network that f asks
// for wait for those of requests, and these for them.
func (s *Server) Use(name string, f func(c *bit.Classifier) error) error {
	i, done, err := s.model(name)
	if err != nil {
		return err
	}
	defer done()
	return f(i.batcher.model)
}

// Reload opens a model again, from where it came, and exchanges it without a request noticing. If it cannot be opened the
// present one stays.
func (s *Server) Reload(ctx context.Context, name string) error {
	s.mu.RLock()
	m := s.find(name)
	var open func(context.Context) (*bit.Classifier, error)
	if m != nil {
		open = m.open
	}
	s.mu.RUnlock()
	if m == nil {
		return failf(http.StatusNotFound, "no model %q here: GET /v1/models lists them", name)
	}
	if open == nil {
		return failf(http.StatusConflict, "model %s was made here and cannot be loaded again", name)
	}
	if !m.reload.TryLock() {
		return failf(http.StatusConflict, "model %s is being loaded already", name)
	}
	defer m.reload.Unlock()
	c, err := open(ctx)
	if err != nil {
		s.log.Error("model not reloaded, the present one stays", "model", name, "error", err)
		return failf(http.StatusInternalServerError, "model %s cannot be loaded, the present one stays: %v", name, err)
	}
	i, err := s.instance(name, c)
	if err != nil {
		return err
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.find(name) != m {
		go i.retire()
		return failf(http.StatusNotFound, "model %s is gone", name)
	}
	m.exchange(i)
	s.metrics.loaded(name)
	s.log.Info("model reloaded", "model", name)
	return nil
}

// ReloadAll reloads every model that came from a file, one after the other, and logs those that fail.
func (s *Server) ReloadAll(ctx context.Context) {
	var names []string
	s.mu.RLock()
	for _, m := range s.models {
		if m.open != nil {
			names = append(names, m.name)
		}
	}
	s.mu.RUnlock()
	for _, name := range names {
		if err := s.Reload(ctx, name); err != nil {
			s.log.Error("reload", "model", name, "error", err)
		}
	}
}

func (s *Server) list() []*model {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return slices.Clone(s.models)
}

// describe says what a client may want to know of a model.
func (i *instance) describe(isDefault, labels bool) api.Model {
	c := i.batcher.model
	d := api.Model{Name: i.name, Default: isDefault, Format: c.Format(), Parameters: c.Config().NumParams(),
		Features: c.Config().FeatureWidth(), Height: i.height, Width: i.width}
	if !c.Headless() {
		d.Classes = c.Config().Classes
		if labels {
			d.Labels = c.Labels()
		}
	}
	return d
}

// nameOK reports whether a model may have a name: it is part of paths.
func nameOK(name string) bool {
	for _, r := range name {
		if !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '.' || r == '_' || r == '-') {
			return false
		}
	}
	return name != "" && name[0] != '.' && len(name) <= 100
}

// Names lists the models by name, the default first.
func (s *Server) Names() []string {
	var names []string
	for _, m := range s.list() {
		names = append(names, m.name)
	}
	return names
}
