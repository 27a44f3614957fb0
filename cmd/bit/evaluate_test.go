package main

import (
	"fmt"
	"path/filepath"
	"slices"
	"testing"

	"github.com/bigtransfer/bit"
	"github.com/bigtransfer/bit/data"
	"github.com/bigtransfer/bit/resnet"
	"github.com/bigtransfer/bit/weights"
)

// Pictures of ImageNet lie in folders of WordNet ids; a model without names of its own is evaluated on them.
func TestMatchClassesOfImageNet(t *testing.T) {
	net, err := resnet.NewNetwork(resnet.Config{
		Channels: 3, StemWidth: 4, Widths: []int{16}, Depths: []int{1}, Groups: 4, Classes: 1000, GNEpsilon: 1e-5, WSEpsilon: 1e-8,
	})
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "model")
	if err := weights.SaveHF(t.Context(), dir, weights.FromNetwork(net, nil, nil), weights.F32, weights.Card{}); err != nil {
		t.Fatal(err)
	}
	m, err := bit.OpenClassifier(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	// One that names them as transformers does, who has a few other names, takes such folders too; other classes do not.
	labels := slices.Clone(m.Labels())
	labels[134], labels[639] = "crane", "maillot, tank suit"
	other := make([]string, len(labels))
	for i := range other {
		other[i] = fmt.Sprint("kind ", i)
	}
	for _, named := range []struct {
		labels []string
		want   bool
	}{{labels, true}, {other, false}} {
		dir := filepath.Join(t.TempDir(), "named")
		if err := weights.SaveHF(t.Context(), dir, weights.FromNetwork(net, named.labels, nil), weights.F32, weights.Card{}); err != nil {
			t.Fatal(err)
		}
		m, err := bit.OpenClassifier(t.Context(), dir)
		if err != nil {
			t.Fatal(err)
		}
		ds := &data.Dataset{Classes: []string{"n02123159", "n01440764"}, Test: []data.Example{{Path: "a.png", Label: 0}, {Path: "b.png", Label: 1}}}
		if err := new(app).matchClasses(ds, m); (err == nil) != named.want || named.want && (ds.Test[0].Label != 282 || ds.Test[1].Label != 0) {
			t.Errorf("classes like %q: %v, labels %+v", named.labels[0], err, ds.Test)
		}
	}
	for _, c := range []struct {
		classes []string
		want    []int // nil for an error
	}{
		{[]string{"n02123159", "n01440764"}, []int{282, 0}},
		{[]string{"tiger cat", "tench, Tinca tinca"}, []int{282, 0}},
		{[]string{"cats", "dogs"}, nil},
		{[]string{"crane", "tiger cat"}, nil}, // a bird and a machine
	} {
		ds := &data.Dataset{Classes: c.classes, Test: []data.Example{{Path: "a.png", Label: 0}, {Path: "b.png", Label: 1}}}
		err := new(app).matchClasses(ds, m)
		if (err != nil) != (c.want == nil) {
			t.Errorf("%q: error %v", c.classes, err)
			continue
		}
		if err == nil {
			if got := []int{ds.Test[0].Label, ds.Test[1].Label}; !slices.Equal(got, c.want) {
				t.Errorf("%q become %v, want %v", c.classes, got, c.want)
			}
		}
	}
}
