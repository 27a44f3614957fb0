package probe

import "fmt"

// maxSample bounds the examples that are kept to be left out, once sums stand for the rest.
const maxSample = 1024

// Statistics are what a head depends on: see the package's comment. They are for one goroutine at a time.
type Statistics struct {
	features int
	count    []int // [C]
	examples sample
	moments  *moments // nil while examples are all of them, which are fewer than features
}

// NewStatistics returns the statistics of no examples.
func NewStatistics(features, classes int) *Statistics {
	if features < 1 || classes < 0 {
		panic(fmt.Sprintf("probe: statistics of %d features and %d classes", features, classes))
	}
	return &Statistics{
		features: features, count: make([]int, classes),
		examples: sample{features: features, most: features - 1},
	}
}

// Features returns D, the width of the features.
func (s *Statistics) Features() int { return s.features }

// Classes returns C.
func (s *Statistics) Classes() int { return len(s.count) }

// Count returns the examples of a class.
func (s *Statistics) Count(class int) int { return s.count[class] }

// Examples returns N, the examples of all classes.
func (s *Statistics) Examples() int {
	n := 0
	for _, c := range s.count {
		n += c
	}
	return n
}

// Kept returns how many examples are kept as they are: all of them while they are fewer than features, else a sample
// to leave out.
func (s *Statistics) Kept() int { return len(s.examples.kept) }

// AddClass adds a class without examples and returns its label.
func (s *Statistics) AddClass() int {
	s.count = append(s.count, 0)
	if s.moments != nil {
		s.moments.addClass()
	}
	return len(s.count) - 1
}

// Add adds the features x [N, D] of N examples with their labels.
func (s *Statistics) Add(x []float32, labels []int) error {
	if len(x) != len(labels)*s.features {
		return fmt.Errorf("probe: %d feature values for %d examples of %d", len(x), len(labels), s.features)
	}
	if err := check(x, labels, s.features, len(s.count)); err != nil {
		return err
	}
	const block = 1024 // examples at a time, so that most of them are not copied at once
	for d := s.features; len(labels) > 0; {
		n := min(block, len(labels))
		s.addBlock(x[:n*d], labels[:n])
		x, labels = x[n*d:], labels[n:]
	}
	return nil
}

func (s *Statistics) addBlock(x []float32, labels []int) {
	entries := make([]entry, len(labels))
	for i, label := range labels {
		entries[i] = newEntry(x[i*s.features:][:s.features], label)
		s.count[label]++
	}
	if s.moments == nil && s.Examples() >= s.features {
		s.sum()
	}
	if s.moments != nil {
		s.moments.add(x, labels)
	}
	s.examples.add(entries)
}

// sum changes over to sums of the examples so far.
func (s *Statistics) sum() {
	s.moments = newMoments(s.features, len(s.count))
	s.moments.add(s.examples.matrix())
	s.examples.most = min(s.features-1, maxSample)
	s.examples.add(nil)
}

// Merge adds the examples of o, whose classes are the same in the same order.
func (s *Statistics) Merge(o *Statistics) error {
	if o.features != s.features || len(o.count) != len(s.count) {
		return fmt.Errorf("probe: statistics of %d features and %d classes cannot be merged with those of %d and %d",
			o.features, len(o.count), s.features, len(s.count))
	}
	if o.moments == nil {
		return s.Add(o.examples.matrix())
	}
	if s.moments == nil {
		s.sum()
	}
	for c, n := range o.count {
		s.count[c] += n
	}
	s.moments.merge(o.moments)
	s.examples.add(o.examples.kept)
	return nil
}

// Fit fits a head to all examples. Those that are left out are those that are kept. The statistics stay as they are.
func (s *Statistics) Fit(cfg Config) (*Head, error) {
	x, labels := s.examples.matrix()
	if s.moments == nil {
		if len(labels) == 0 {
			return nil, fmt.Errorf("probe: %w", ErrNoExamples)
		}
		return dual(x, labels, s.features, len(s.count)).fit(cfg)
	}
	return primal(s.moments, x, labels).fit(cfg)
}
