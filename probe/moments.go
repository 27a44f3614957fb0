package probe

import (
	"math"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas64"
)

// moments are sums over examples, in double precision.
type moments struct {
	features int
	sum      []float64 // [C, D], of each class
	count    []float64 // [C]
	scatter  []float64 // [D, D], upper triangle: Σ (x − mean)(x − mean)ᵀ over all classes
}

func newMoments(features, classes int) *moments {
	return &moments{
		features: features, sum: make([]float64, classes*features), count: make([]float64, classes),
		scatter: make([]float64, features*features),
	}
}

// blockRows is how many examples are summed at a time: enough for the product to pay, few enough for the cache.
const blockRows = 256

// add adds examples x [n, D] with their labels.
func (m *moments) add(x []float32, labels []int) {
	for d := m.features; len(labels) > 0; {
		n := min(blockRows, len(labels))
		m.addBlock(x[:n*d], labels[:n])
		x, labels = x[n*d:], labels[n:]
	}
}

func (m *moments) addBlock(x []float32, labels []int) {
	d, n := m.features, len(labels)
	before, mean := m.mean(), make([]float64, d)
	had := m.total()
	for i, label := range labels {
		sum := m.sum[label*d:][:d]
		for j, v := range x[i*d:][:d] {
			sum[j] += float64(v)
			mean[j] += float64(v) / float64(n)
		}
		m.count[label]++
	}
	centred := make([]float64, n*d)
	for i := range n {
		for j, v := range x[i*d:][:d] {
			centred[i*d+j] = float64(v) - mean[j]
		}
	}
	blas64.Syrk(blas.Trans, 1, blas64.General{Rows: n, Cols: d, Stride: d, Data: centred}, 1, m.symmetric())
	m.shift(had, before, float64(n), mean)
}

// shift adds to the scatter what two groups of na and nb examples scatter about their common mean beyond what each does
// about its own: na·nb/(na+nb) δδᵀ, δ the difference of the means (Chan, Golub, LeVeque 1979). Sums of squares less the
// square of a sum would cancel instead.
func (m *moments) shift(na float64, meanA []float64, nb float64, meanB []float64) {
	if na == 0 || nb == 0 {
		return
	}
	delta := make([]float64, m.features)
	for j := range delta {
		delta[j] = meanA[j] - meanB[j]
	}
	blas64.Syr(na*nb/(na+nb), blas64.Vector{N: m.features, Inc: 1, Data: delta}, m.symmetric())
}

// merge adds the examples of o, which has the same classes.
func (m *moments) merge(o *moments) {
	na, meanA, nb, meanB := m.total(), m.mean(), o.total(), o.mean()
	for i, v := range o.sum {
		m.sum[i] += v
	}
	for i, v := range o.count {
		m.count[i] += v
	}
	for i, v := range o.scatter {
		m.scatter[i] += v
	}
	m.shift(na, meanA, nb, meanB)
}

// addClass makes room for one more class.
func (m *moments) addClass() {
	m.sum = append(m.sum, make([]float64, m.features)...)
	m.count = append(m.count, 0)
}

func (m *moments) symmetric() blas64.Symmetric {
	return blas64.Symmetric{N: m.features, Stride: m.features, Data: m.scatter, Uplo: blas.Upper}
}

func (m *moments) total() float64 {
	n := 0.0
	for _, c := range m.count {
		n += c
	}
	return n
}

// mean returns the mean [D] of all examples, zeros if there are none.
func (m *moments) mean() []float64 {
	mean, n := make([]float64, m.features), max(1, m.total())
	for i, v := range m.sum {
		mean[i%m.features] += v / n
	}
	return mean
}

// standardisation returns mean and deviation of every feature.
func (m *moments) standardisation() standardisation {
	s := standardisation{mean: m.mean(), std: make([]float64, m.features)}
	n := m.total()
	for j := range s.std {
		s.std[j] = math.Sqrt(max(0, m.scatter[j*m.features+j])/n) + epsilon
	}
	return s
}

// epsilon is added to the standard deviation, outside of the root (fewshot_lsr.py).
const epsilon = 1e-5

// standardisation is z = (x − mean) / std.
type standardisation struct{ mean, std []float64 }

// standardise returns mean and deviation of the features of examples x [n, D].
func standardise(x []float32, d int) standardisation {
	n := len(x) / d
	s := standardisation{mean: make([]float64, d), std: make([]float64, d)}
	for i, v := range x {
		s.mean[i%d] += float64(v)
	}
	for j := range d {
		s.mean[j] /= float64(n)
	}
	for i, v := range x {
		c := float64(v) - s.mean[i%d]
		s.std[i%d] += c * c
	}
	for j := range d {
		s.std[j] = math.Sqrt(s.std[j]/float64(n)) + epsilon
	}
	return s
}

// apply returns x [n, D] standardised.
func (s standardisation) apply(x []float32) []float64 {
	d := len(s.mean)
	z := make([]float64, len(x))
	for at := 0; at < len(x); at += d {
		row, out := x[at:at+d], z[at:at+d]
		for j, v := range row {
			out[j] = (float64(v) - s.mean[j]) / s.std[j]
		}
	}
	return z
}
