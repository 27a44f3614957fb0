package project

import (
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	bolt "go.etcd.io/bbolt"
)

// Create makes a project that starts from the model of that name.
func (s *Store) Create(name, base string) (Project, error) {
	name, err := cleanName(name)
	if err != nil {
		return Project{}, err
	}
	p := Project{ID: strings.ToLower(rand.Text()[:idLength]), Name: name, Base: base, Created: now(), Changed: now()}
	for _, dir := range []string{pictureDir, thumbnailDir, runDir} { // nothing else makes them: what is deleted stays away
		if err := os.MkdirAll(s.path(p.ID, dir), 0o700); err != nil {
			return Project{}, err
		}
	}
	err = s.db.Update(func(b *bolt.Tx) error {
		list, err := projects(b)
		if err != nil {
			return err
		}
		if len(list) >= s.limits.Projects {
			return &LimitError{"projects", int64(s.limits.Projects)}
		}
		if err := unique(list, p); err != nil {
			return err
		}
		bucket, err := b.Bucket(rootBucket).CreateBucket([]byte(p.ID))
		if err != nil {
			return err
		}
		for _, part := range parts {
			if _, err := bucket.CreateBucket(part); err != nil {
				return err
			}
		}
		return put(bucket, recordKey, p)
	})
	if err != nil {
		os.RemoveAll(s.path(p.ID))
		return Project{}, err
	}
	return p, nil
}

// unique reports a project among others that has the name of p.
func unique(list []Project, p Project) error {
	for _, other := range list {
		if other.ID != p.ID && sameName(other.Name, p.Name) {
			return fmt.Errorf("a project named %q %w", other.Name, ErrExists)
		}
	}
	return nil
}

// projects lists all, by their name's order.
func projects(b *bolt.Tx) ([]Project, error) {
	var list []Project
	root := b.Bucket(rootBucket)
	err := root.ForEachBucket(func(id []byte) error {
		p, err := get[Project](root.Bucket(id), recordKey)
		list = append(list, p)
		return err
	})
	slices.SortFunc(list, func(a, b Project) int { return strings.Compare(a.Name, b.Name) })
	return list, err
}

// List returns all projects, sorted by name.
func (s *Store) List() (list []Project, err error) {
	err = s.db.View(func(b *bolt.Tx) error {
		list, err = projects(b)
		return err
	})
	return list, err
}

// Get returns a project.
func (s *Store) Get(id string) (p Project, err error) {
	err = s.view(id, func(t *tx) error {
		p = t.project
		return nil
	})
	return p, err
}

// Rename gives a project another name.
func (s *Store) Rename(id, name string) (p Project, err error) {
	if name, err = cleanName(name); err != nil {
		return p, err
	}
	err = s.db.Update(func(b *bolt.Tx) error {
		return inside(b, id, func(t *tx) error {
			list, err := projects(b)
			if err != nil {
				return err
			}
			p = t.project
			p.Name, p.Changed = name, now()
			if err := unique(list, p); err != nil {
				return err
			}
			return put(t.Bucket, recordKey, p)
		})
	})
	return p, err
}

// Delete removes a project with all that belongs to it. Its jobs must have ended or be paused: else it is [ErrInUse].
func (s *Store) Delete(id string) error {
	err := s.db.Update(func(b *bolt.Tx) error {
		return inside(b, id, func(t *tx) error {
			jobs, err := all[Job](t.in(jobBucket))
			if err != nil {
				return err
			}
			for _, j := range jobs {
				if err := j.idle(); err != nil {
					return err
				}
			}
			return b.Bucket(rootBucket).DeleteBucket([]byte(id))
		})
	})
	if err != nil {
		return err
	}
	return os.RemoveAll(s.path(id)) // if this is cut short, Open ends it
}

// path returns a path in the folder of a project. The elements are this package's own, or hexadecimal numbers.
func (s *Store) path(id string, elem ...string) string {
	return filepath.Join(append([]string{s.dir, id}, elem...)...)
}

// Rebase lets a project start from another model.
func (s *Store) Rebase(id, base string) (p Project, err error) {
	err = s.update(id, func(t *tx) error {
		if t.project.Base != base {
			t.project.Base = base
			t.project.Revision++ // what was trained is out of date
		}
		p = t.project
		return nil
	})
	return p, err
}
