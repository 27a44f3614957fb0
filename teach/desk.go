package teach

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/bigtransfer/bit"
	"github.com/bigtransfer/bit/data"
	"github.com/bigtransfer/bit/project"
)

// desk is a project in use: what can be computed again from the store, and is kept in memory. One goroutine has it at a
// time.
type desk struct {
	id   string
	turn chan struct{} // of one token

	base     string               // that the features are of
	features map[string][]float32 // of pictures, by file; [D] each
	fit      *fit                 // the head, nil if there is none yet
	tuned    *bit.Model           // the model of the last fine-tuning, once it is asked for
	tunedBy  uint64               // its job
}

// maxDesks is how many projects are kept in memory. Of each thousand pictures the features of an R50x1 take 8 MB.
const maxDesks = 8

// desk takes the desk of a project, until the function that it returns is called.
func (t *Teacher) desk(ctx context.Context, id string) (*desk, func(), error) {
	if _, err := t.Store.Get(id); err != nil {
		return nil, nil, err
	}
	t.mu.Lock()
	d := t.desks[id]
	if d == nil {
		d = &desk{id: id, turn: make(chan struct{}, 1)}
		t.desks[id] = d
	}
	t.order = append(slices.DeleteFunc(t.order, func(other string) bool { return other == id }), id)
	for len(t.order) > maxDesks { // who has that desk now ends with it
		delete(t.desks, t.order[0])
		t.order = t.order[1:]
	}
	t.mu.Unlock()
	select {
	case d.turn <- struct{}{}:
		return d, func() { <-d.turn }, nil
	case <-ctx.Done():
		return nil, nil, context.Cause(ctx)
	}
}

// forget drops the desk of a project that is no more.
func (t *Teacher) forget(id string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.desks, id)
	t.order = slices.DeleteFunc(t.order, func(other string) bool { return other == id })
}

// embedded returns the features [N, D] of the examples of a data set that the base model can see, and these.
func (t *Teacher) embedded(ctx context.Context, d *desk, base *bit.Model, ds *data.Dataset) (x []float32, seen []data.Example, err error) {
	if d.base != base.Name() {
		d.base, d.features, d.fit = base.Name(), nil, nil
	}
	var missing []data.Example
	for _, e := range ds.Train {
		if d.features[e.Path] == nil {
			missing = append(missing, e)
		}
	}
	fresh, _, err := base.Embed(ctx, ds.Source, missing, bit.EmbedOptions{Cache: t.Store.FeatureDir()})
	if err != nil {
		return nil, nil, err
	}
	if fresh.CacheErr != nil {
		t.Log.Warn("features not kept", "error", fresh.CacheErr)
	}
	features := make(map[string][]float32, len(ds.Train)) // of these alone: pictures go too
	for i, at := range fresh.Index {
		features[missing[at].Path] = slices.Clone(fresh.Row(i))
	}
	for _, e := range ds.Train {
		f := features[e.Path]
		if f == nil {
			if f = d.features[e.Path]; f == nil {
				continue // the picture's file has been damaged
			}
			features[e.Path] = f
		}
		x, seen = append(x, f...), append(seen, e)
	}
	d.features = features
	return x, seen, nil
}

// tunedModel opens the fine-tuned model of a project.
func (t *Teacher) tunedModel(ctx context.Context, d *desk) (*bit.Model, error) {
	models, err := t.Store.Models(d.id)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(models, func(m project.Model) bool { return m.Kind == project.FineTune })
	if i < 0 {
		return nil, fmt.Errorf("the fine-tuned model of this project: %w: train it first", project.ErrNotFound)
	}
	if d.tuned != nil && d.tunedBy == models[i].Job {
		return d.tuned, nil
	}
	m, err := bit.Opener{Threads: t.Threads}.Open(ctx, t.Store.ModelDir(d.id, models[i].Job))
	if err != nil {
		return nil, err
	}
	d.tuned, d.tunedBy = m, models[i].Job
	return m, nil
}

// model returns a model of a project; kind "" means the one trained last. A probe is brought up to date.
func (t *Teacher) model(ctx context.Context, d *desk, kind project.Kind) (*bit.Model, project.Kind, error) {
	switch kind {
	case "":
		models, err := t.Store.Models(d.id)
		if err != nil {
			return nil, "", err
		}
		kind = project.Probe
		for _, m := range models {
			if m.Kind == project.FineTune && !slices.ContainsFunc(models, func(o project.Model) bool { return o.Trained.After(m.Trained) }) {
				kind = m.Kind
			}
		}
		return t.model(ctx, d, kind)
	case project.Probe:
		m, err := t.probeModel(ctx, d)
		return m, kind, err
	case project.FineTune:
		m, err := t.tunedModel(ctx, d)
		return m, kind, err
	}
	return nil, "", &kindError{string(kind)}
}

// take returns a model of a project, as [Teacher.model] does, for one who leaves the desk to others while using it.
func (t *Teacher) take(ctx context.Context, id string, kind project.Kind) (*bit.Model, project.Kind, error) {
	d, leave, err := t.desk(ctx, id)
	if err != nil {
		return nil, "", err
	}
	defer leave()
	return t.model(ctx, d, kind)
}

type kindError struct{ kind string }

func (e *kindError) Error() string {
	return fmt.Sprintf("no kind of model is called %q, expected %q or %q", e.kind, project.Probe, project.FineTune)
}

// errTooFew says that there is nothing to tell apart yet.
var errTooFew = errors.New("there is nothing to tell apart yet: give at least two classes pictures")
