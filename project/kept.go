package project

import (
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	bolt "go.etcd.io/bbolt"
)

// Kept is a model that was taken out of a project, to be used without it.
type Kept struct {
	Name    string    `json:"name"`
	Dir     string    `json:"dir"`     // below keptDir
	Project string    `json:"project"` // its name at that time
	Kind    Kind      `json:"kind"`
	Kept    time.Time `json:"kept"`
}

// keptDir is the folder of kept models in that of the store. Its subfolders have names that the store draws.
const keptDir = "kept"

var keptBucket = []byte("kept 1") // name -> Kept

// Keep records a model of a project under a name, in place of the one that had it, once save has written it into the folder
// that it is given and said of what kind it is.
func (s *Store) Keep(name, project string, save func(dir string) (Kind, error)) (k Kept, err error) {
	k = Kept{Name: name, Project: project, Dir: strings.ToLower(rand.Text()[:idLength]), Kept: now()}
	if k.Kind, err = save(s.KeptDir(k)); err != nil {
		os.RemoveAll(s.KeptDir(k))
		return k, err
	}
	var old Kept
	err = s.db.Update(func(b *bolt.Tx) (err error) {
		bucket := b.Bucket(keptBucket)
		if old, err = get[Kept](bucket, []byte(k.Name)); err != nil && err != ErrNotFound {
			return err
		}
		return put(bucket, []byte(k.Name), k)
	})
	if err != nil {
		os.RemoveAll(s.KeptDir(k))
		return k, err
	}
	if old.Dir != "" {
		return k, os.RemoveAll(s.KeptDir(old))
	}
	return k, nil
}

// KeptDir is where a kept model lies.
func (s *Store) KeptDir(k Kept) string { return filepath.Join(s.dir, keptDir, k.Dir) }

// KeptModels returns the models that are kept, by name.
func (s *Store) KeptModels() (list []Kept, err error) {
	err = s.db.View(func(b *bolt.Tx) error {
		list, err = all[Kept](b.Bucket(keptBucket))
		return err
	})
	return list, err
}

// Forget removes a kept model.
func (s *Store) Forget(name string) error {
	var k Kept
	err := s.db.Update(func(b *bolt.Tx) (err error) {
		if k, err = get[Kept](b.Bucket(keptBucket), []byte(name)); err != nil {
			return fmt.Errorf("kept model %q: %w", name, err)
		}
		return b.Bucket(keptBucket).Delete([]byte(name))
	})
	if err != nil {
		return err
	}
	return os.RemoveAll(s.KeptDir(k))
}
