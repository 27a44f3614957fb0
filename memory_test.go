package bit

import (
	"image"
	"math/rand/v2"
	"runtime"
	"testing"

	"github.com/bigtransfer/bit/imaging"
	"github.com/bigtransfer/bit/resnet"
	"github.com/bigtransfer/bit/weights"
)

// TestClassifierMemory: all memory that is ever allocated from opening a model to its first result, and so the peak too,
// is little more than the parameters; a Model, which keeps them as they were read, takes twice that.
func TestClassifierMemory(t *testing.T) {
	cfg := resnet.Variant{Depth: 50, Width: 1}.Config(1024) // of a whole number of panels, so that the head fits too
	net, err := resnet.NewNetwork(cfg)
	if err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(1, 0))
	net.Init(r)
	for i := range net.Param(resnet.HeadKernel).Value {
		net.Param(resnet.HeadKernel).Value[i] = r.Float32() - 0.5
	}
	dir := t.TempDir() + "/model"
	if err := weights.SaveHF(t.Context(), dir, weights.FromNetwork(net, nil, imaging.Squash(32, imaging.Bilinear)), weights.F32, weights.Card{Name: "model"}); err != nil {
		t.Fatal(err)
	}
	net = nil
	img := image.NewNRGBA(image.Rect(0, 0, 40, 40))
	measure := func(open func() (*Classifier, error)) ([]Prediction, int) {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		c, err := open()
		if err != nil {
			t.Fatal(err)
		}
		p, err := c.Classify(img, 5)
		if err != nil {
			t.Fatal(err)
		}
		runtime.ReadMemStats(&after)
		return p, int(after.TotalAlloc - before.TotalAlloc)
	}
	p, spent := measure(func() (*Classifier, error) { return OpenClassifier(t.Context(), dir) })
	want, twice := measure(func() (*Classifier, error) {
		m, err := Open(t.Context(), dir)
		if err != nil {
			return nil, err
		}
		return m.Classifier, nil
	})
	size := 4 * cfg.NumParams()
	t.Logf("%d bytes of parameters: a classifier allocates %d, a model %d", size, spent, twice)
	// The largest kernel is 9 % of them; the rest is maps and what reading takes.
	if spent > size*5/4 {
		t.Errorf("%d bytes allocated for a classifier of %d, want at most 5/4", spent, size)
	}
	if twice < 2*size {
		t.Errorf("%d bytes allocated for a model of %d: it does not keep its weights", twice, size)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	d, err := Describe(t.Context(), dir)
	runtime.ReadMemStats(&after)
	if err != nil || d.Config().NumParams() != cfg.NumParams() || d.Processor().Size.Height != 32 {
		t.Errorf("described as %+v, %v", d, err)
	}
	if spent := after.TotalAlloc - before.TotalAlloc; spent > 4<<20 { // of config.json, tensors' names, labels
		t.Errorf("%d bytes allocated for a description", spent)
	}
	for i := range want {
		if p[i] != want[i] {
			t.Errorf("prediction %d: %v of a classifier, %v of a model", i, p[i], want[i])
		}
	}
}
