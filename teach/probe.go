package teach

import (
	"context"
	"math"
	"slices"
	"time"

	"github.com/bigtransfer/bit"
	"github.com/bigtransfer/bit/data"
	"github.com/bigtransfer/bit/probe"
	"github.com/bigtransfer/bit/project"
)

// fit is a closed-form head and what it was fitted to.
type fit struct {
	record   project.Model
	head     *probe.Head
	examples []data.Example // left out one at a time
	model    *bit.Model     // base and head, once it is asked for
}

// maxLeftOut bounds how many pictures are left out to judge a head.
const maxLeftOut = 4000

// probe fits the closed-form head to a project's pictures as they are, unless it is that already.
func (t *Teacher) probe(ctx context.Context, d *desk) (f *fit, err error) {
	err = t.undisturbed(d.id, func() (err error) {
		f, err = t.fit(ctx, d)
		return err
	})
	return f, err
}

// undisturbed calls f again if it fails and the project has changed meanwhile: a picture that is removed while others are
// looked at is no reason to fail.
func (t *Teacher) undisturbed(id string, f func() error) error {
	const most = 10
	for n := 1; ; n++ {
		before, err := t.Store.Get(id)
		if err != nil {
			return err
		}
		if err = f(); err == nil {
			return nil
		}
		after, gone := t.Store.Get(id)
		switch {
		case gone != nil:
			return gone
		case n == most || after.Revision == before.Revision:
			return err
		}
	}
}

func (t *Teacher) fit(ctx context.Context, d *desk) (*fit, error) {
	p, err := t.Store.Get(d.id)
	if err != nil {
		return nil, err
	}
	base, err := t.base(ctx, p.Base)
	if err != nil {
		return nil, err
	}
	ds, revision, err := t.Store.Dataset(d.id)
	if err != nil {
		return nil, err
	}
	if len(ds.Classes) < 2 {
		return nil, errTooFew
	}
	x, examples, err := t.embedded(ctx, d, base, ds)
	if err != nil {
		return nil, err
	}
	if d.fit != nil && d.fit.record.Revision == revision {
		return d.fit, nil
	}
	labels := make([]int, len(examples))
	for i, e := range examples {
		labels[i] = e.Label
	}
	head, err := probe.Fit(x, labels, len(ds.Classes), probe.Config{MaxExamples: maxLeftOut})
	if err != nil {
		return nil, err
	}
	f := &fit{head: head, examples: examples, record: project.Model{
		Kind: project.Probe, Base: p.Base, Classes: ds.Classes, Trained: time.Now().UTC(), Revision: revision, Pictures: len(examples),
	}}
	f.judge()
	d.fit = f
	return f, t.Store.SetModel(d.id, f.record)
}

// judge fills in how the head does on examples that were left out.
func (f *fit) judge() {
	out := f.head.LeftOut
	count := make([]int, f.head.Classes)
	for _, label := range out.Labels {
		count[label]++
	}
	if len(out.Labels) < len(f.examples) { // a sample: spread over the list, as probe.Config says
		sample := make([]data.Example, len(out.Labels))
		for i := range sample {
			sample[i] = f.examples[i*len(f.examples)/len(sample)]
		}
		f.examples = sample
	}
	if slices.Min(count) < 2 { // without it a class has no picture left: there is nothing to judge by
		return
	}
	f.record.Judged, f.record.Confusion = len(out.Labels), newConfusion(f.head.Classes)
	for i, label := range out.Labels {
		f.record.Confusion[label][argmax(out.Outputs[i*f.head.Classes:][:f.head.Classes])]++
	}
	f.record.Accuracy = accuracy(f.record.Confusion)
}

// mistake is an example that was taken for another class when it was left out.
type mistake struct {
	picture uint64
	answer  int
	score   float64
}

// mistakes lists them, the surest first.
func (f *fit) mistakes() (list []mistake) {
	if f.record.Judged == 0 {
		return nil
	}
	p, c := f.head.LeftOut.Probabilities(f.head.Scale), f.head.Classes
	for i, label := range f.head.LeftOut.Labels {
		if answer := argmax(p[i*c:][:c]); answer != label {
			list = append(list, mistake{uint64(f.examples[i].At), answer, p[i*c+answer]})
		}
	}
	slices.SortStableFunc(list, func(a, b mistake) int {
		switch {
		case a.score > b.score:
			return -1
		case a.score < b.score:
			return 1
		}
		return 0
	})
	return list
}

// probeModel returns the base model with the head.
func (t *Teacher) probeModel(ctx context.Context, d *desk) (*bit.Model, error) {
	f, err := t.probe(ctx, d)
	if err != nil {
		return nil, err
	}
	if f.model != nil {
		return f.model, nil
	}
	base, err := t.base(ctx, f.record.Base)
	if err != nil {
		return nil, err
	}
	// Fitted again, from the features that are kept on disk: so the model has the statistics that classes are added with.
	var m *bit.Model
	err = t.undisturbed(d.id, func() error {
		ds, revision, err := t.Store.Dataset(d.id)
		if err != nil {
			return err
		}
		m, _, err = base.Probe(ctx, ds, bit.ProbeOptions{Embed: bit.EmbedOptions{Cache: t.Store.FeatureDir()}})
		if err == nil && revision == f.record.Revision {
			f.model = m
		}
		return err
	})
	return m, err
}

func newConfusion(classes int) [][]int {
	c := make([][]int, classes)
	for i := range c {
		c[i] = make([]int, classes)
	}
	return c
}

// accuracy is the share of the diagonal.
func accuracy(confusion [][]int) float64 {
	right, all := 0, 0
	for i, row := range confusion {
		right += row[i]
		for _, n := range row {
			all += n
		}
	}
	return float64(right) / math.Max(1, float64(all))
}

func argmax(y []float64) int {
	best := 0
	for c, v := range y {
		if v > y[best] {
			best = c
		}
	}
	return best
}
