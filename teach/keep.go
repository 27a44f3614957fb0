package teach

import (
	"context"
	"fmt"
	"slices"

	"github.com/bigtransfer/bit"
	"github.com/bigtransfer/bit/project"
	"github.com/bigtransfer/bit/serve"
)

// addKept gives the server the models that are kept. One that cannot be read is logged and left out.
func (t *Teacher) addKept(ctx context.Context) error {
	list, err := t.Store.KeptModels()
	if err != nil {
		return err
	}
	for _, k := range list {
		if slices.Contains(t.Server.Names(), k.Name) {
			t.Log.Warn("a kept model is not served: another one has its name", "model", k.Name)
			continue
		}
		if err := t.serveKept(ctx, k); err != nil {
			t.Log.Error("a kept model is not served", "model", k.Name, "error", err)
		}
	}
	return nil
}

func (t *Teacher) serveKept(ctx context.Context, k project.Kept) error {
	c, err := bit.Opener{Threads: t.Threads}.OpenClassifier(ctx, t.Store.KeptDir(k))
	if err != nil {
		return err
	}
	if err := t.Server.Add(k.Name, c); err != nil {
		return err
	}
	t.mu.Lock()
	t.kept[k.Name] = true
	t.mu.Unlock()
	return nil
}

// Keep saves a model of a project and serves it under a name, in place of one that was kept under it before.
func (t *Teacher) Keep(ctx context.Context, id string, kind project.Kind, name string) (project.Kept, error) {
	t.keeping.Lock()
	defer t.keeping.Unlock()
	t.mu.Lock()
	ours := t.kept[name]
	t.mu.Unlock()
	if !ours && slices.Contains(t.Server.Names(), name) {
		return project.Kept{}, fmt.Errorf("a model of the server named %q %w: choose another name", name, project.ErrExists)
	}
	if err := serve.CheckName(name); err != nil {
		return project.Kept{}, err
	}
	p, err := t.Store.Get(id)
	if err != nil {
		return project.Kept{}, err
	}
	k, err := t.Store.Keep(name, p.Name, func(dir string) (project.Kind, error) {
		_, kind, err := t.save(ctx, id, kind, dir)
		return kind, err
	})
	if err != nil {
		return k, err
	}
	return k, t.serveKept(ctx, k)
}

// Forget stops serving a kept model and removes it.
func (t *Teacher) Forget(name string) error {
	t.keeping.Lock()
	defer t.keeping.Unlock()
	if err := t.Store.Forget(name); err != nil {
		return err
	}
	t.mu.Lock()
	ours := t.kept[name]
	delete(t.kept, name)
	t.mu.Unlock()
	if ours {
		t.Server.Remove(name)
	}
	return nil
}
