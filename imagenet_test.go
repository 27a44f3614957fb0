package bit

import (
	"path/filepath"
	"testing"

	"github.com/bigtransfer/bit/resnet"
	"github.com/bigtransfer/bit/weights"
)

// A file of as many classes as ImageNet has, without names for them, gets ImageNet's; names that are there stay.
func TestImageNetLabels(t *testing.T) {
	net, err := resnet.NewNetwork(resnet.Config{
		Channels: 3, StemWidth: 4, Widths: []int{16}, Depths: []int{1}, Groups: 4, Classes: 1000, GNEpsilon: 1e-5, WSEpsilon: 1e-8,
	})
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	save := func(name string, labels []string) *Classifier {
		t.Helper()
		dir := filepath.Join(dir, name)
		if err := weights.SaveHF(t.Context(), dir, weights.FromNetwork(net, labels, nil), weights.F32, weights.Card{}); err != nil {
			t.Fatal(err)
		}
		m, err := OpenClassifier(t.Context(), dir)
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	m := save("plain", nil)
	if m.Label(282) != "tiger cat" || len(m.WordNetIDs()) != 1000 || m.WordNetIDs()[282] != "n02123159" {
		t.Errorf("class 282 is %q, %d ids, want tiger cat, n02123159", m.Label(282), len(m.WordNetIDs()))
	}
	own := make([]string, 1000)
	for i := range own {
		own[i] = "mine"
	}
	if m := save("named", own); m.Label(282) != "mine" || m.WordNetIDs() != nil {
		t.Errorf("class 282 is %q, ids %v, want the model's own name", m.Label(282), m.WordNetIDs())
	}
}
