package bit

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/bigtransfer/bit/batch"
	"github.com/bigtransfer/bit/data"
	"github.com/bigtransfer/bit/internal/featurecache"
	"github.com/bigtransfer/bit/resnet"
)

// EmbedOptions say how Embed works. The zero value is a sound choice.
type EmbedOptions struct {
	Batch      int            // pictures per pass of the network; 0 for 32. It changes the speed, not the result
	Workers    int            // goroutines that decode and prepare; 0 for one per CPU
	NoCache    bool           // neither look for features on disk nor keep them there
	Cache      string         // folder to keep them in; "" for $BIT_CACHE, or bit/features in the user's folder for caches
	OnProgress func(done int) // called with the number of pictures so far, those found in the cache first; nil for none
}

// Embedding is the features of pictures: what the network's last layer sees of them.
type Embedding struct {
	Width    int       // D, of a feature vector
	Features []float32 // [N, D]
	Index    []int     // [N], of each row's example, ascending: examples without a readable picture have no row
	Cached   int       // rows that were found in the cache
	CacheErr error     // why features were not kept on disk, which is no reason not to return them; else nil
}

// Row returns the features of row i. The caller must not change them.
func (e *Embedding) Row(i int) []float32 { return e.Features[i*e.Width:][:e.Width:e.Width] }

// Labels returns the label of each row, given the examples that were embedded.
func (e *Embedding) Labels(examples []data.Example) []int {
	labels := make([]int, len(e.Index))
	for i, at := range e.Index {
		labels[i] = examples[at].Label
	}
	return labels
}

// Embed returns the features of the pictures of examples. It also returns the pictures that could not be decoded.
// Decoding overlaps with the network's work, as does reading what other runs have computed.
//
// Features are kept on disk and found again by the network's weights below the head, the preparation of pictures, and a
// digest of the picture: its name does not matter, and neither does the head. When ctx is cancelled the error is its
// cause, and what has been computed is kept. A [Classifier] that has already computed something has no copy of its
// weights to tell them by, and does without the cache, unless it has embedded before.
func (m *Classifier) Embed(ctx context.Context, src data.Source, examples []data.Example, o EmbedOptions) (*Embedding, []data.Skipped, error) {
	if m.net.Channels != 3 {
		return nil, nil, fmt.Errorf("the network takes %d channels, a picture has 3", m.net.Channels)
	}
	if o.Batch <= 0 {
		o.Batch = 32
	}
	r := &embedRun{m: m, src: src, examples: examples, o: o, width: m.net.FeatureWidth()}
	r.features = make([]float32, len(examples)*r.width)
	r.done = make([]bool, len(examples))
	if err := r.lookUp(ctx); err != nil {
		return nil, nil, err
	}
	skipped, err := r.compute(ctx)
	r.keep()
	if err != nil {
		return nil, skipped, err
	}
	return r.result(), skipped, nil
}

// embedRun is a call of Embed.
type embedRun struct {
	m        *Classifier
	src      data.Source
	examples []data.Example
	o        EmbedOptions
	width    int
	cache    *featurecache.Cache // nil without
	keys     []featurecache.Key
	features []float32 // [examples, D]
	done     []bool
	count    int // that are done
	cached   int
	fresh    []int // computed and not yet kept
	keepErr  error
}

// lookUp takes what the cache has.
func (r *embedRun) lookUp(ctx context.Context) error {
	if r.o.NoCache || len(r.examples) == 0 {
		return nil
	}
	model, ok := r.m.bodyKey()
	if !ok {
		return nil
	}
	root := r.o.Cache
	if root == "" {
		if root, r.keepErr = featurecache.Dir(); r.keepErr != nil {
			return nil
		}
	}
	var err error
	if r.keys, err = pictureKeys(ctx, r.src, r.examples, r.o.Workers); err != nil {
		return err
	}
	r.cache = featurecache.Open(root, model, r.width, 0)
	for i, found := range r.cache.Get(r.keys, r.features) {
		if found {
			r.done[i] = true
			r.count++
		}
	}
	r.cached = r.count
	r.report()
	return nil
}

func (r *embedRun) report() {
	if r.o.OnProgress != nil && r.count > 0 {
		r.o.OnProgress(r.count)
	}
}

// keepEvery is how many features are computed before they are written: what a kill can lose.
const keepEvery = 4096

// compute computes the features that are missing.
func (r *embedRun) compute(ctx context.Context) ([]data.Skipped, error) {
	var todo []data.Example
	var at []int
	for i, e := range r.examples {
		if !r.done[i] {
			todo, at = append(todo, e), append(at, i)
		}
	}
	if len(todo) == 0 {
		return nil, nil
	}
	loader, err := batch.NewEvalLoader(batch.EvalConfig{
		Source: r.src, Examples: todo, Processor: r.m.processor, Batch: r.o.Batch, Workers: r.o.Workers,
	})
	if err != nil {
		return nil, err
	}
	defer loader.Close()
	features := make([]float32, r.o.Batch*r.width)
	for {
		b, err := loader.Next(ctx)
		if errors.Is(err, io.EOF) {
			return loader.Skipped(), nil
		}
		if err != nil {
			return loader.Skipped(), err
		}
		out := features[:b.N*r.width]
		if err := r.m.pass(func(p *resnet.Predictor) error { return p.Features(out, b.X, b.N, b.H, b.W) }); err != nil {
			return loader.Skipped(), err
		}
		for i, v := range out {
			if v-v != 0 {
				return loader.Skipped(), fmt.Errorf("%s: feature %d: %w", todo[b.Index[i/r.width]].Path, i%r.width, ErrNotFinite)
			}
		}
		for i := range b.N {
			to := at[b.Index[i]]
			copy(r.features[to*r.width:], out[i*r.width:][:r.width])
			r.done[to] = true
			r.fresh = append(r.fresh, to)
		}
		r.count += b.N
		r.report()
		if len(r.fresh) >= keepEvery {
			r.keep()
		}
	}
}

// keep writes what is new to the cache. That this fails, as on a full disk, costs only time next time.
func (r *embedRun) keep() {
	if r.cache == nil || r.keepErr != nil {
		return
	}
	keys, values := make([]featurecache.Key, 0, len(r.fresh)), make([]float32, 0, len(r.fresh)*r.width)
	for _, i := range r.fresh {
		keys = append(keys, r.keys[i])
		values = append(values, r.features[i*r.width:][:r.width]...)
	}
	r.fresh = r.fresh[:0]
	r.keepErr = r.cache.Put(keys, values)
}

func (r *embedRun) result() *Embedding {
	e := &Embedding{Width: r.width, Features: r.features, Cached: r.cached, CacheErr: r.keepErr}
	for i, done := range r.done {
		if !done {
			continue
		}
		copy(e.Features[len(e.Index)*r.width:], r.features[i*r.width:][:r.width])
		e.Index = append(e.Index, i)
	}
	e.Features = e.Features[:len(e.Index)*r.width]
	return e
}
