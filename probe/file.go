package probe

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"

	"github.com/bigtransfer/bit/internal/safetensors"
	"github.com/bigtransfer/bit/tensor"
)

// Statistics are written as a safetensors file with a digest:
//
//	examples F32 [M, D]       features of the examples that are kept
//	labels   F64 [M]          their classes
//	count    F64 [C]          examples of each class
//	sum      F64 [C, D]       sums of their features; only when there are as many examples as features
//	scatter  F64 [D(D+1)/2]   Σ (x − mean)(x − mean)ᵀ, the rows of its upper triangle; likewise

const (
	formatKey   = "format"
	formatValue = "bit.statistics/1"
)

// ErrFormat is wrapped by every error that says what is wrong with a file of statistics.
var ErrFormat = errors.New("not a sound file of statistics")

// Write writes the statistics with metadata of the caller's, which may not use the keys "format" and "sha256". The same
// statistics give the same bytes.
func (s *Statistics) Write(w io.Writer, metadata map[string]string) error {
	meta := map[string]string{formatKey: formatValue}
	if _, taken := metadata[formatKey]; taken {
		return fmt.Errorf("probe: metadata key %q is that of the format", formatKey)
	}
	maps.Copy(meta, metadata)
	x, labels := s.examples.matrix()
	doubles := func(name string, shape []int, values []float64) safetensors.Source {
		return safetensors.Source{Name: name, DType: safetensors.F64, Shape: shape, Doubles: safetensors.WholeDoubles(values)}
	}
	d, c, m := s.features, len(s.count), len(labels)
	tensors := []safetensors.Source{
		{Name: "examples", DType: safetensors.F32, Shape: []int{m, d}, Values: safetensors.Whole(x)},
		doubles("labels", []int{m}, toFloats(labels)),
		doubles("count", []int{c}, toFloats(s.count)),
	}
	if s.moments != nil {
		packed := make([]float64, 0, d*(d+1)/2)
		for i := range d {
			packed = append(packed, s.moments.scatter[i*d+i:(i+1)*d]...)
		}
		tensors = append(tensors, doubles("sum", []int{c, d}, s.moments.sum), doubles("scatter", []int{len(packed)}, packed))
	}
	return safetensors.WriteDigest(w, meta, tensors)
}

// Read reads what Write wrote, and checks it as a whole.
func Read(r io.ReaderAt, size int64) (*Statistics, map[string]string, error) {
	file, err := safetensors.NewReader(r, size)
	if err == nil {
		err = file.CheckDigest()
	}
	if errors.Is(err, safetensors.ErrFormat) {
		return nil, nil, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	if err != nil {
		return nil, nil, err
	}
	if got := file.Metadata[formatKey]; got != formatValue {
		return nil, nil, fmt.Errorf("%w: %s is %q, expected %q", ErrFormat, formatKey, got, formatValue)
	}
	s, err := read(file)
	if err != nil {
		return nil, nil, err
	}
	return s, file.Metadata, nil
}

func read(file *safetensors.Reader) (*Statistics, error) {
	find := func(name string, dtype safetensors.DType, axes int) (*safetensors.Tensor, error) {
		i := slices.IndexFunc(file.Tensors, func(t safetensors.Tensor) bool { return t.Name == name })
		if i < 0 {
			return nil, fmt.Errorf("%w: no tensor %q", ErrFormat, name)
		}
		if t := &file.Tensors[i]; t.DType == dtype && len(t.Shape) == axes {
			return t, nil
		}
		t := file.Tensors[i]
		return nil, fmt.Errorf("%w: tensor %q is %s %s, expected %s of %d axes", ErrFormat, name, t.DType, tensor.FormatShape(t.Shape), dtype, axes)
	}
	examples, err := find("examples", safetensors.F32, 2)
	if err != nil {
		return nil, err
	}
	doubles := map[string][]float64{}
	names := []string{"labels", "count"}
	if len(file.Tensors) > 3 {
		names = append(names, "sum", "scatter")
	}
	if want := len(names) + 1; len(file.Tensors) != want {
		return nil, fmt.Errorf("%w: %d tensors, expected 3 or 5", ErrFormat, len(file.Tensors))
	}
	for _, name := range names {
		axes := 1
		if name == "sum" {
			axes = 2
		}
		t, err := find(name, safetensors.F64, axes)
		if err != nil {
			return nil, err
		}
		values := make([]float64, tensor.Len(t.Shape))
		if err := safetensors.NewDecoder(t.Open(), t.DType).DecodeDoubles(values); err != nil {
			return nil, err
		}
		for i, v := range values {
			if v-v != 0 {
				return nil, fmt.Errorf("%w: value %d of tensor %q is %v", ErrFormat, i, name, v)
			}
		}
		doubles[name] = values
	}
	m, d, c := examples.Shape[0], examples.Shape[1], len(doubles["count"])
	if d < 1 || m >= max(2, d) || len(doubles["labels"]) != m {
		return nil, fmt.Errorf("%w: %d examples of %d features, %d labels", ErrFormat, m, d, len(doubles["labels"]))
	}
	x := make([]float32, m*d)
	if err := safetensors.NewDecoder(examples.Open(), examples.DType).Decode(x); err != nil {
		return nil, err
	}
	labels, count := toInts(doubles["labels"]), toInts(doubles["count"])
	if err := check(x, labels, d, c); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	s := NewStatistics(d, c)
	if sum := doubles["sum"]; len(names) > 2 {
		if c == 0 || len(sum)%c != 0 || len(sum)/c != d || len(doubles["scatter"]) != d*(d+1)/2 { // a product could overflow
			return nil, fmt.Errorf("%w: %d sums and %d values of scatter for %d classes of %d features", ErrFormat, len(sum), len(doubles["scatter"]), c, d)
		}
		s.moments = newMoments(d, c)
		s.moments.sum, s.moments.count = sum, doubles["count"]
		packed := doubles["scatter"]
		for i := range d {
			packed = packed[copy(s.moments.scatter[i*d+i:(i+1)*d], packed):]
		}
		s.examples.most = min(d-1, maxSample)
	}
	if m > s.examples.most {
		return nil, fmt.Errorf("%w: %d examples are kept, expected at most %d", ErrFormat, m, s.examples.most)
	}
	kept := make([]entry, m)
	for i, label := range labels {
		kept[i] = newEntry(x[i*d:][:d], label)
		s.count[label]++
	}
	s.examples.add(kept)
	for i, n := range count {
		if n < s.count[i] || s.moments == nil && n != s.count[i] {
			return nil, fmt.Errorf("%w: class %d counts %d examples and keeps %d", ErrFormat, i, n, s.count[i])
		}
	}
	s.count = count
	return s, nil
}

func toFloats(values []int) []float64 {
	list := make([]float64, len(values))
	for i, v := range values {
		list[i] = float64(v)
	}
	return list
}

// toInts makes −1 of what is no whole number, which is no label and no count.
func toInts(values []float64) []int {
	list := make([]int, len(values))
	for i, v := range values {
		if list[i] = -1; v == math.Trunc(v) && v >= 0 && v < 1<<53 {
			list[i] = int(v)
		}
	}
	return list
}
