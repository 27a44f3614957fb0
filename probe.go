package bit

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/bigtransfer/bit/data"
	"github.com/bigtransfer/bit/eval"
	"github.com/bigtransfer/bit/internal/safetensors"
	"github.com/bigtransfer/bit/probe"
	"github.com/bigtransfer/bit/resnet"
	"github.com/bigtransfer/bit/weights"
)

// ProbeOptions say how Probe and AddExamples work. The zero value is a sound choice.
type ProbeOptions struct {
	Lambda     float64      // penalty of the ridge regression; 0 for the best by leave-one-out. See [probe.Config]
	Neighbours int          // also measure a vote of so many nearest neighbours; 0 for not
	Embed      EmbedOptions // progress is counted over all pictures, of training and evaluation
}

// ProbeResult is the outcome of fitting a closed-form head.
type ProbeResult struct {
	Examples    int     // the head was fitted to
	Cached      int     // of all pictures that were looked at, those whose features had been computed before
	Lambda      float64 // the penalty
	LeaveOneOut float64 // accuracy on examples that were left out, one at a time
	LeftOut     int     // how many of them were
	Split       string  // that Eval is of; "" if the data set has no split to evaluate on
	Eval        eval.Result
	Neighbours  float64 // accuracy on Split of a vote of nearest neighbours
	Skipped     []data.Skipped
	CacheErr    error // why features were not kept on disk; see [Embedding]
	seen        int   // pictures that were looked at
}

// ErrNoStatistics says that a model cannot be extended without the pictures of its classes.
var ErrNoStatistics = errors.New("the model has no statistics of its training: only the head of a probe can be extended without the old pictures")

// Probe gives a copy of m the closed-form head for ds.Train and evaluates it on [data.Dataset.EvalSplit]: m's features
// with a linear classifier on top, in seconds. The copy can be saved like any model, and then keeps what it takes to add
// classes and examples to it later, with [Model.AddExamples].
func (m *Model) Probe(ctx context.Context, ds *data.Dataset, o ProbeOptions) (*Model, ProbeResult, error) {
	if ds.MultiLabel {
		return nil, ProbeResult{}, errors.New("a closed-form head needs one label for each picture, and the data set has several")
	}
	s := &statistics{Statistics: probe.NewStatistics(m.net.FeatureWidth(), len(ds.Classes)), lambda: o.Lambda}
	var r ProbeResult
	train, err := m.gather(ctx, s, ds.Source, ds.Train, o, &r)
	if err != nil {
		return nil, r, err
	}
	tuned, head, err := m.withHead(s, ds.Classes, &r)
	if err != nil || len(ds.Val) == 0 && len(ds.Test) == 0 {
		return tuned, r, err
	}
	var examples []data.Example
	r.Split, examples = ds.EvalSplit()
	err = m.judge(ctx, head, train, ds, labelled(examples), o, &r)
	return tuned, r, err
}

// AddExamples returns a copy of m whose head is the one that [Model.Probe] would fit to m's training pictures and these
// together, without the former. The labels of examples do not count: all are of the class of the given name, which is
// added if m does not have it. The penalty is chosen again unless m's was given.
//
// The error is [ErrNoStatistics] for a model that Probe did not make.
func (m *Model) AddExamples(ctx context.Context, class string, src data.Source, examples []data.Example, o ProbeOptions) (*Model, ProbeResult, error) {
	old, err := m.readStatistics()
	if err != nil {
		return nil, ProbeResult{}, err
	}
	s := &statistics{Statistics: probe.NewStatistics(old.Features(), old.Classes()), lambda: old.lambda}
	if err := s.Merge(old.Statistics); err != nil { // m keeps its own
		return nil, ProbeResult{}, err
	}
	if o.Lambda != 0 {
		s.lambda = o.Lambda
	}
	labels := slices.Clone(m.labels)
	label := slices.Index(labels, class)
	if label < 0 {
		label = s.AddClass()
		labels = append(labels, class)
	}
	examples = slices.Clone(examples)
	for i := range examples {
		examples[i].Label = label
	}
	var r ProbeResult
	if _, err := m.gather(ctx, s, src, examples, o, &r); err != nil {
		return nil, r, err
	}
	tuned, _, err := m.withHead(s, labels, &r)
	return tuned, r, err
}

// labelled returns the examples that have a label.
func labelled(examples []data.Example) []data.Example {
	if !slices.ContainsFunc(examples, func(e data.Example) bool { return e.Label == data.NoLabel }) {
		return examples
	}
	return slices.DeleteFunc(slices.Clone(examples), func(e data.Example) bool { return e.Label == data.NoLabel })
}

// embedded is features with their labels.
type embedded struct {
	x      []float32 // [N, D]
	labels []int
}

func (m *Model) embed(ctx context.Context, src data.Source, examples []data.Example, o ProbeOptions, r *ProbeResult) (embedded, error) {
	if report := o.Embed.OnProgress; report != nil {
		before := r.seen
		o.Embed.OnProgress = func(done int) { report(before + done) }
	}
	e, skipped, err := m.Embed(ctx, src, examples, o.Embed)
	r.seen += len(examples)
	r.Skipped = append(r.Skipped, skipped...)
	if err != nil {
		return embedded{}, err
	}
	r.Cached += e.Cached
	r.CacheErr = cmp.Or(r.CacheErr, e.CacheErr)
	return embedded{e.Features, e.Labels(examples)}, nil
}

// gather adds examples to the statistics.
func (m *Model) gather(ctx context.Context, s *statistics, src data.Source, examples []data.Example, o ProbeOptions, r *ProbeResult) (embedded, error) {
	e, err := m.embed(ctx, src, labelled(examples), o, r)
	if err != nil {
		return e, err
	}
	if len(e.labels) == 0 {
		return e, fmt.Errorf("probe: %w that can be decoded", data.ErrNoImages)
	}
	return e, s.Add(e.x, e.labels)
}

// withHead returns a copy of m with the head of the statistics.
func (m *Model) withHead(s *statistics, labels []string, r *ProbeResult) (*Model, *probe.Head, error) {
	for class, label := range labels {
		if s.Count(class) == 0 {
			return nil, nil, fmt.Errorf("the class %q has no picture to learn from", label)
		}
	}
	head, err := s.Fit(probe.Config{Lambda: s.lambda})
	if err != nil {
		return nil, nil, err
	}
	r.Examples, r.Lambda, r.LeaveOneOut, r.LeftOut = s.Examples(), head.Lambda, head.LeftOut.Accuracy(), len(head.LeftOut.Labels)
	net, err := resnet.NewNetwork(m.net.Config)
	if err != nil {
		return nil, nil, err
	}
	for i, p := range m.net.Params() {
		copy(net.Params()[i].Value, p.Value)
	}
	net.NewHead(len(labels))
	for to, values := range map[string][]float64{resnet.HeadKernel: head.Kernel, resnet.HeadBias: head.Bias} {
		for i, v := range values {
			net.Param(to).Value[i] = float32(v)
		}
	}
	tuned := m.derive("", net, slices.Clone(labels), m.processor)
	tuned.stats = s
	return tuned, head, nil
}

// judge evaluates the head on examples, and neighbours if they are asked for.
func (m *Model) judge(ctx context.Context, head *probe.Head, train embedded, ds *data.Dataset, examples []data.Example, o ProbeOptions, r *ProbeResult) error {
	e, err := m.embed(ctx, ds.Source, examples, o, r)
	if err != nil {
		return err
	}
	if len(e.labels) == 0 {
		return fmt.Errorf("probe: %w that can be decoded in the %s split", data.ErrNoImages, r.Split)
	}
	if r.Eval, err = evaluateHead(head, e); err != nil || o.Neighbours == 0 {
		return err
	}
	n, err := probe.NewNeighbours(train.x, train.labels, head.Classes)
	if err != nil {
		return err
	}
	right := 0
	for i, class := range n.Classify(e.x, o.Neighbours) {
		if class == e.labels[i] {
			right++
		}
	}
	r.Neighbours = float64(right) / float64(len(e.labels))
	return nil
}

func evaluateHead(head *probe.Head, e embedded) (eval.Result, error) {
	var t eval.Tally
	const rows = 1024
	d := head.Features
	for first := 0; first < len(e.labels); first += rows {
		last := min(first+rows, len(e.labels))
		var logits []float32
		for _, v := range head.Logits(e.x[first*d : last*d]) {
			logits = append(logits, float32(v))
		}
		var labels []int32
		for _, label := range e.labels[first:last] {
			labels = append(labels, int32(label))
		}
		if err := t.Add(logits, labels, head.Classes); err != nil {
			return eval.Result{}, err
		}
	}
	return t.Result(), nil
}

// statistics are what a model's head was fitted to.
type statistics struct {
	*probe.Statistics
	lambda float64 // that was given; 0 if it is chosen
}

// Keys of the metadata of a file of statistics, which say what model it belongs to.
const (
	bodyMeta   = "body"   // digest of what the features depend on
	headMeta   = "head"   // digest of the head that was fitted
	lambdaMeta = "lambda" // penalty that was given, 0 if it is chosen
)

// write returns what writes the statistics beside m, whose head is theirs.
func (s *statistics) write(m *Model) func(io.Writer) error {
	return func(w io.Writer) error {
		return s.Statistics.Write(w, map[string]string{
			bodyMeta: m.bodyDigest(), headMeta: m.headDigest(), lambdaMeta: strconv.FormatFloat(s.lambda, 'g', -1, 64),
		})
	}
}

func (m *Model) headDigest() string {
	h := sha256.New()
	for _, name := range []string{resnet.HeadKernel, resnet.HeadBias} {
		safetensors.NewEncoder(h, safetensors.F32).Encode(m.net.Param(name).Value)
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// readStatistics returns the statistics that m was made with, in this process or before.
func (m *Model) readStatistics() (*statistics, error) {
	m.mu.Lock()
	known := m.stats
	m.mu.Unlock()
	if known != nil {
		return known, nil
	}
	if m.dir == "" {
		return nil, ErrNoStatistics
	}
	path := filepath.Join(m.dir, weights.StatisticsFile)
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, ErrNoStatistics
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	s, meta, err := probe.Read(f, info.Size())
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	lambda, err := strconv.ParseFloat(meta[lambdaMeta], 64)
	if err != nil {
		return nil, fmt.Errorf("%s: %s: %w", path, lambdaMeta, err)
	}
	if meta[bodyMeta] != m.bodyDigest() || meta[headMeta] != m.headDigest() || s.Classes() != m.net.Classes || s.Features() != m.net.FeatureWidth() || len(m.labels) != s.Classes() {
		return nil, fmt.Errorf("%s: the statistics of another model: the weights or the preparation of pictures were changed since", path)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.stats = &statistics{s, lambda}
	return m.stats, nil
}
