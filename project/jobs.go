package project

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
)

// NewJob records a job that is [Waiting], and keeps the files of its pictures for it until it ends. A project has one job
// at a time that has not ended: another is [ErrExists].
func (s *Store) NewJob(id string, j Job, items []Item) (Job, error) {
	err := s.update(id, func(t *tx) error {
		others, err := all[Job](t.in(jobBucket))
		if err != nil {
			return err
		}
		for _, other := range others {
			if !other.State.Ended() {
				return fmt.Errorf("a training that is %s %w: resume it or discard it", other.State, ErrExists)
			}
		}
		if j.ID, err = t.in(jobBucket).NextSequence(); err != nil {
			return err
		}
		j.State, j.Created, j.Changed = Waiting, now(), now()
		for _, item := range items {
			if t.in(fileBucket).Get([]byte(item.File)) == nil {
				return fmt.Errorf("picture %q: %w", item.Name, ErrNotFound)
			}
			if err := t.refer(item.File, +1); err != nil {
				return err
			}
		}
		if _, err := t.in(curveBucket).CreateBucket(key(j.ID)); err != nil {
			return err
		}
		if err := put(t.in(itemBucket), key(j.ID), items); err != nil {
			return err
		}
		return put(t.in(jobBucket), key(j.ID), j)
	})
	if err != nil {
		return j, err
	}
	return j, os.MkdirAll(s.RunDir(id, j.ID), 0o700)
}

// RunDir is the folder of a job, for its checkpoints and its model.
func (s *Store) RunDir(id string, job uint64) string {
	return s.path(id, runDir, fmt.Sprint(job))
}

// Jobs returns the jobs of a project, the oldest first.
func (s *Store) Jobs(id string) (list []Job, err error) {
	err = s.view(id, func(t *tx) error {
		list, err = all[Job](t.in(jobBucket))
		return err
	})
	return list, err
}

// Job returns a job.
func (s *Store) Job(id string, job uint64) (j Job, err error) {
	err = s.view(id, func(t *tx) error {
		j, err = t.findJob(job)
		return err
	})
	return j, err
}

func (t *tx) findJob(job uint64) (Job, error) {
	j, err := get[Job](t.in(jobBucket), key(job))
	if err != nil {
		return j, fmt.Errorf("training %d of project %q: %w", job, t.project.Name, err)
	}
	return j, nil
}

// Items returns the pictures of a job that has not ended.
func (s *Store) Items(id string, job uint64) (items []Item, err error) {
	err = s.view(id, func(t *tx) error {
		if _, err := t.findJob(job); err != nil {
			return err
		}
		items, err = get[[]Item](t.in(itemBucket), key(job))
		return err
	})
	return items, err
}

// UpdateJob changes a job, and adds points to its curve: those of a step that it has replaces them, as when a job is
// resumed from a checkpoint that lies back. When the job has ended, its pictures' files are no longer kept for it.
func (s *Store) UpdateJob(id string, job uint64, change func(*Job), points ...Point) (j Job, err error) {
	var files []string
	err = s.update(id, func(t *tx) error {
		if j, err = t.findJob(job); err != nil {
			return err
		}
		curve := t.in(curveBucket).Bucket(key(job))
		for _, p := range points {
			if err := put(curve, key(uint64(p.Step)), p); err != nil {
				return err
			}
		}
		if change != nil {
			change(&j)
		}
		j.ID, j.Changed = job, now()
		if j.State.Ended() {
			if files, err = t.release(job); err != nil {
				return err
			}
		}
		return put(t.in(jobBucket), key(job), j)
	})
	if err != nil {
		return j, err
	}
	return j, s.sweep(id, files)
}

// release forgets the pictures of a job, and returns their files.
func (t *tx) release(job uint64) (files []string, err error) {
	text := t.in(itemBucket).Get(key(job))
	if text == nil {
		return nil, nil
	}
	var items []Item
	if err := json.Unmarshal(text, &items); err != nil {
		return nil, err
	}
	for _, item := range items {
		if err := t.refer(item.File, -1); err != nil {
			return nil, err
		}
		files = append(files, item.File)
	}
	return files, t.in(itemBucket).Delete(key(job))
}

// idle returns an error for a job that runs or is about to.
func (j Job) idle() error {
	if j.State == Running || j.State == Waiting {
		return fmt.Errorf("training %d is %s: %w", j.ID, j.State, ErrInUse)
	}
	return nil
}

// DeleteJob removes a job that does not run, with its checkpoints and its model.
func (s *Store) DeleteJob(id string, job uint64) error {
	var files []string
	err := s.update(id, func(t *tx) error {
		j, err := t.findJob(job)
		if err != nil {
			return err
		}
		if err := j.idle(); err != nil {
			return err
		}
		if m, err := get[Model](t.in(modelBucket), []byte(FineTune)); err == nil && m.Job == job {
			if err := t.in(modelBucket).Delete([]byte(FineTune)); err != nil {
				return err
			}
		}
		if files, err = t.release(job); err != nil {
			return err
		}
		if err := t.in(curveBucket).DeleteBucket(key(job)); err != nil {
			return err
		}
		return t.in(jobBucket).Delete(key(job))
	})
	if err != nil {
		return err
	}
	if err := os.RemoveAll(s.RunDir(id, job)); err != nil {
		return err
	}
	return s.sweep(id, files)
}

// Curve returns the points of a job's curve from a step on.
func (s *Store) Curve(id string, job uint64, from int) (points []Point, err error) {
	err = s.view(id, func(t *tx) error {
		if _, err := t.findJob(job); err != nil {
			return err
		}
		c := t.in(curveBucket).Bucket(key(job)).Cursor()
		for k, text := c.Seek(key(uint64(max(0, from)))); k != nil; k, text = c.Next() {
			var p Point
			if err := json.Unmarshal(text, &p); err != nil {
				return err
			}
			points = append(points, p)
		}
		return nil
	})
	return points, err
}

// SetModel records what was trained, in place of what was trained before in the same way. Of a fine-tuning, the jobs
// before it that have ended are removed.
func (s *Store) SetModel(id string, m Model) error {
	var old []uint64
	err := s.update(id, func(t *tx) error {
		if m.Kind == FineTune {
			jobs, err := all[Job](t.in(jobBucket))
			if err != nil {
				return err
			}
			for _, j := range jobs {
				if j.ID != m.Job && j.State.Ended() {
					old = append(old, j.ID)
				}
			}
		}
		return put(t.in(modelBucket), []byte(m.Kind), m)
	})
	if err != nil {
		return err
	}
	for _, job := range old {
		if err := s.DeleteJob(id, job); err != nil {
			return err
		}
	}
	return nil
}

// Models returns what was trained, at most one model of each kind.
func (s *Store) Models(id string) (list []Model, err error) {
	err = s.view(id, func(t *tx) error {
		list, err = all[Model](t.in(modelBucket))
		return err
	})
	return list, err
}

// ModelDir is where the model of a fine-tuning is.
func (s *Store) ModelDir(id string, job uint64) string {
	return filepath.Join(s.RunDir(id, job), "model")
}
