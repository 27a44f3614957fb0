package fewshot

import (
	"context"
	"fmt"

	"github.com/bigtransfer/bit"
	"github.com/bigtransfer/bit/data"
	"github.com/bigtransfer/bit/probe"
)

// features are those of pictures by the names of their examples.
type features struct {
	width  int
	of     map[place][]float32
	judged []float32 // [M, D]
	labels []int     // [M]
}

// place names a picture of a data set.
type place struct {
	path string
	at   int64
}

func placeOf(e data.Example) place { return place{e.Path, e.At} }

// embed computes the features of all pictures that the probes draw, and of those that they are judged on.
func (s *measurement) embed(ctx context.Context) error {
	var train []data.Example
	seen := map[place]bool{}
	for _, shots := range s.c.Shots {
		for _, seed := range s.c.Seeds {
			drawn, err := s.draw(shots, seed)
			if err != nil {
				return err
			}
			for _, e := range drawn {
				if !seen[placeOf(e)] {
					seen[placeOf(e)] = true
					train = append(train, e)
				}
			}
		}
	}
	all := append(train, s.judged...)
	e, skipped, err := s.m.Embed(ctx, s.ds.Source, all, s.c.Embed)
	s.skipped = append(s.skipped, skipped...)
	if err != nil {
		return err
	}
	f := &features{width: e.Width, of: map[place][]float32{}}
	for i, at := range e.Index {
		if at < len(train) {
			f.of[placeOf(all[at])] = e.Row(i)
		} else {
			f.judged = append(f.judged, e.Row(i)...)
			f.labels = append(f.labels, all[at].Label)
		}
	}
	if len(f.labels) == 0 {
		return fmt.Errorf("few-shot: %w that can be decoded to judge on", data.ErrNoImages)
	}
	s.features = f
	return nil
}

// probe fits a closed-form head.
func (s *measurement) probe(train []data.Example, r *Run) error {
	var x []float32
	var labels []int
	for _, e := range train {
		if row := s.features.of[placeOf(e)]; row != nil { // else it could not be decoded
			x = append(x, row...)
			labels = append(labels, e.Label)
		}
	}
	h, err := probe.Fit(x, labels, len(s.ds.Classes), probe.Config{Lambda: s.c.Lambda, NoScale: true})
	if err != nil {
		return err
	}
	r.Examples, r.Images = len(labels), len(s.features.labels)
	r.Top1 = h.Accuracy(s.features.judged, s.features.labels)
	return nil
}

// train fine-tunes the model, or an untrained one.
func (s *measurement) train(ctx context.Context, train []data.Example, r *Run) error {
	m := s.m
	if r.Method == Scratch {
		var err error
		if m, err = m.Untrained(r.Seed); err != nil {
			return err
		}
	}
	judged := s.judged
	if s.c.Judge > 0 && s.c.Judge < len(judged) {
		judged = nil
		for i := range s.c.Judge {
			judged = append(judged, s.judged[i*len(s.judged)/s.c.Judge])
		}
	}
	ds := *s.ds
	ds.Train, ds.Val, ds.Test = train, nil, judged
	cfg := s.c.Train
	cfg.Seed, cfg.Dir = r.Seed, ""
	_, result, err := bit.FineTuneOn(ctx, m, &ds, cfg)
	if err != nil {
		return err
	}
	r.Top1, r.Images = result.Eval.Top1, result.Eval.Images
	return nil
}
