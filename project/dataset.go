package project

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/bigtransfer/bit/data"
	"github.com/bigtransfer/bit/imaging"
)

// source gives the pictures of a project: At of an example is the number of the picture.
type source struct {
	fsys   fs.FS
	pixels int
	files  map[int64]string
}

// Image is that of [data.Source].
func (s *source) Image(e data.Example) (*imaging.Image, error) {
	file, ok := s.files[e.At]
	if !ok {
		return nil, fmt.Errorf("picture %d: %w", e.At, ErrNotFound)
	}
	img, err := imaging.Decoder{MaxPixels: s.pixels}.DecodeFS(s.fsys, file)
	if _, unread := errors.AsType[*fs.PathError](err); err != nil && !unread {
		return nil, &data.BrokenError{Err: err}
	}
	return img, err
}

func (s *Store) source(id string) *source {
	return &source{os.DirFS(s.path(id, pictureDir)), s.limits.Pixels, map[int64]string{}}
}

// examplePath names a picture for people and, by its file's hash, for what depends on the pixels.
func examplePath(file, name string) string { return file[:16] + "/" + name }

// Dataset returns a project's pictures as they are now, all of them to train on. Its classes are those that have
// pictures, in the order in which they were added; revision is that of the project.
func (s *Store) Dataset(id string) (ds *data.Dataset, revision uint64, err error) {
	src := s.source(id)
	ds = &data.Dataset{Source: src}
	err = s.view(id, func(t *tx) error {
		revision = t.project.Revision
		pictures, err := all[Picture](t.in(pictureBucket))
		if err != nil {
			return err
		}
		has := map[uint64]bool{}
		for _, p := range pictures {
			has[p.Class] = true
		}
		classes, err := all[Class](t.in(classBucket))
		if err != nil {
			return err
		}
		labels := map[uint64]int{}
		for _, c := range classes {
			if has[c.ID] {
				labels[c.ID] = len(ds.Classes)
				ds.Classes = append(ds.Classes, c.Name)
			}
		}
		for _, p := range pictures {
			src.files[int64(p.ID)] = p.File
			ds.Train = append(ds.Train, data.Example{Path: examplePath(p.File, p.Name), At: int64(p.ID), Label: labels[p.Class]})
		}
		return nil
	})
	return ds, revision, err
}

// JobDataset returns the pictures of a job that has not ended: Train, and Val to judge it by.
func (s *Store) JobDataset(id string, job uint64) (*data.Dataset, error) {
	j, err := s.Job(id, job)
	if err != nil {
		return nil, err
	}
	items, err := s.Items(id, job)
	if err != nil {
		return nil, err
	}
	src := s.source(id)
	ds := &data.Dataset{Source: src, Classes: j.Classes}
	for _, item := range items {
		src.files[int64(item.Picture)] = item.File
		e := data.Example{Path: examplePath(item.File, item.Name), At: int64(item.Picture), Label: item.Label}
		if item.Held {
			ds.Val = append(ds.Val, e)
		} else {
			ds.Train = append(ds.Train, e)
		}
	}
	return ds, nil
}

// ItemsOf returns the examples of a data set that [Store.Dataset] gave as the items of a job.
func (s *Store) ItemsOf(ds *data.Dataset) ([]Item, error) {
	src, ok := ds.Source.(*source)
	if !ok {
		return nil, fmt.Errorf("the data set is not of a project: %w", ErrNotFound)
	}
	var items []Item
	for _, split := range []struct {
		examples []data.Example
		held     bool
	}{{ds.Train, false}, {ds.Val, true}} {
		for _, e := range split.examples {
			file := src.files[e.At]
			items = append(items, Item{Picture: uint64(e.At), Name: e.Path[17:], File: file, Label: e.Label, Held: split.held})
		}
	}
	return items, nil
}
