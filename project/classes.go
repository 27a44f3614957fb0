package project

import "fmt"

// AddClass adds a class to a project.
func (s *Store) AddClass(id, name string) (c Class, err error) {
	err = s.update(id, func(t *tx) error {
		if c, err = t.class(Class{}, name); err != nil {
			return err
		}
		if t.in(classBucket).Stats().KeyN >= s.limits.Classes {
			return &LimitError{"classes in a project", int64(s.limits.Classes)}
		}
		if c.ID, err = t.in(classBucket).NextSequence(); err != nil {
			return err
		}
		t.project.Revision++
		return put(t.in(classBucket), key(c.ID), c)
	})
	return c, err
}

// class returns c under another name, which no other class may have.
func (t *tx) class(c Class, name string) (Class, error) {
	name, err := cleanName(name)
	if err != nil {
		return c, err
	}
	list, err := all[Class](t.in(classBucket))
	if err != nil {
		return c, err
	}
	for _, other := range list {
		if other.ID != c.ID && sameName(other.Name, name) {
			return c, fmt.Errorf("a class named %q %w in this project", other.Name, ErrExists)
		}
	}
	c.Name = name
	return c, nil
}

// Classes returns the classes of a project in the order in which they were added.
func (s *Store) Classes(id string) (list []Class, err error) {
	err = s.view(id, func(t *tx) error {
		list, err = all[Class](t.in(classBucket))
		return err
	})
	return list, err
}

func (t *tx) findClass(class uint64) (Class, error) {
	c, err := get[Class](t.in(classBucket), key(class))
	if err != nil {
		return c, fmt.Errorf("class %d of project %q: %w", class, t.project.Name, err)
	}
	return c, nil
}

// RenameClass gives a class another name.
func (s *Store) RenameClass(id string, class uint64, name string) (c Class, err error) {
	err = s.update(id, func(t *tx) error {
		if c, err = t.findClass(class); err != nil {
			return err
		}
		if c, err = t.class(c, name); err != nil {
			return err
		}
		t.project.Revision++
		return put(t.in(classBucket), key(c.ID), c)
	})
	return c, err
}

// DeleteClass removes a class with its pictures.
func (s *Store) DeleteClass(id string, class uint64) error {
	var files []string
	err := s.update(id, func(t *tx) error {
		if _, err := t.findClass(class); err != nil {
			return err
		}
		pictures, err := all[Picture](t.in(pictureBucket))
		if err != nil {
			return err
		}
		for _, p := range pictures {
			if p.Class != class {
				continue
			}
			if err := t.drop(p); err != nil {
				return err
			}
			files = append(files, p.File)
		}
		t.project.Revision++
		return t.in(classBucket).Delete(key(class))
	})
	if err != nil {
		return err
	}
	return s.sweep(id, files)
}
