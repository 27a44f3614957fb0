package project

import (
	"os"
	"path/filepath"
	"strconv"

	bolt "go.etcd.io/bbolt"
)

// recover puts in order what a process left that ended at any moment.
func (s *Store) recover() error {
	known := map[string]map[string]bool{} // of each project, the files that records speak of, and the jobs
	kept := map[string]bool{}
	err := s.db.Update(func(b *bolt.Tx) error {
		bucket, err := b.CreateBucketIfNotExists(keptBucket)
		if err != nil {
			return err
		}
		models, err := all[Kept](bucket)
		if err != nil {
			return err
		}
		for _, k := range models {
			kept[k.Dir] = true
		}
		root, err := b.CreateBucketIfNotExists(rootBucket)
		if err != nil {
			return err
		}
		return root.ForEachBucket(func(id []byte) error {
			return inside(b, string(id), func(t *tx) error {
				known[string(id)] = map[string]bool{}
				if err := t.pauseJobs(known[string(id)]); err != nil {
					return err
				}
				return t.in(fileBucket).ForEach(func(file, _ []byte) error {
					known[string(id)][string(file)] = true
					return nil
				})
			})
		})
	})
	if err != nil {
		return err
	}
	if err := removeOthers(filepath.Join(s.dir, keptDir), kept); err != nil {
		return err
	}
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if !e.IsDir() || !isID(e.Name()) {
			continue // not ours
		}
		if files, ok := known[e.Name()]; ok {
			err = s.tidy(e.Name(), files)
		} else {
			err = os.RemoveAll(s.path(e.Name())) // of a project that was deleted, or not quite created
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// pauseJobs notes the jobs of a project, none of which runs now.
func (t *tx) pauseJobs(known map[string]bool) error {
	jobs, err := all[Job](t.in(jobBucket))
	if err != nil {
		return err
	}
	for _, j := range jobs {
		known[strconv.FormatUint(j.ID, 10)] = true
		if j.State != Running && j.State != Waiting {
			continue
		}
		j.State, j.Why = Paused, "The server ended while this was training."
		if err := put(t.in(jobBucket), key(j.ID), j); err != nil {
			return err
		}
	}
	return nil
}

// tidy removes files and runs of a project that no record speaks of.
func (s *Store) tidy(id string, known map[string]bool) error {
	for _, dir := range []string{pictureDir, thumbnailDir, runDir} {
		if err := removeOthers(s.path(id, dir), known); err != nil {
			return err
		}
	}
	return nil
}

// removeOthers leaves in a folder, which it makes if need be, what is known.
func removeOthers(dir string, known map[string]bool) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if !known[e.Name()] {
			if err := os.RemoveAll(filepath.Join(dir, e.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}

// idLength is that of a project's identifier, of 5 bits a letter: 80 bits.
const idLength = 16

// isID reports whether a name could be an identifier that [Store.Create] drew.
func isID(name string) bool {
	if len(name) != idLength {
		return false
	}
	for _, r := range name {
		if !('a' <= r && r <= 'z' || '2' <= r && r <= '7') {
			return false
		}
	}
	return true
}
