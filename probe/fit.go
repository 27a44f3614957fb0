package probe

import (
	"errors"
	"fmt"
	"math"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas64"
	"gonum.org/v1/gonum/mat"
)

// DefaultLambda is the penalty of big_vision's few-shot evaluation (fewshot_lsr.py, l2_reg = 2¹⁰).
const DefaultLambda = 1024

// bias is the constant feature that stands for the bias, so large that the penalty hardly touches it (fewshot_lsr.py).
const bias = 100

// Config says how to fit a head. The zero value chooses the penalty by leaving one out.
type Config struct {
	Lambda      float64 // penalty of the squared weights; 0 for the best of [Lambdas] by leave-one-out
	NoScale     bool    // leave the outputs as they are, which spares leaving one out when Lambda is given
	MaxExamples int     // most examples to leave out, evenly spread; 0 for all
}

// Head is a linear layer: logits = xK + b of features x [D].
type Head struct {
	Features, Classes int
	Kernel            []float64 // [D, C]
	Bias              []float64 // [C]
	Lambda            float64
	Scale             float64      // from outputs of ridge regression, around −1 and +1, to logits; in Kernel and Bias already
	LeftOut           *LeaveOneOut // what it was chosen by; nil with NoScale and a Lambda
}

// ErrNoExamples says that a class has no examples.
var ErrNoExamples = errors.New("no examples")

// Fit fits a head to the features x [N, D] of N examples with labels below classes.
func Fit(x []float32, labels []int, classes int, cfg Config) (*Head, error) {
	n := len(labels)
	if n == 0 || len(x)%n != 0 || len(x) == 0 {
		return nil, fmt.Errorf("probe: %d feature values for %d examples", len(x), n)
	}
	d := len(x) / n
	if err := check(x, labels, d, classes); err != nil {
		return nil, err
	}
	if n < d {
		return dual(x, labels, d, classes).fit(cfg)
	}
	m := newMoments(d, classes)
	m.add(x, labels)
	return primal(m, x, labels).fit(cfg)
}

// check reports labels and features that are none.
func check(x []float32, labels []int, features, classes int) error {
	for i, label := range labels {
		if label < 0 || label >= classes {
			return fmt.Errorf("probe: example %d has the label %d, expected one below %d", i, label, classes)
		}
	}
	for i, v := range x {
		if v-v != 0 {
			return fmt.Errorf("probe: feature %d of example %d is %v, expected a finite number", i%features, i/features, v)
		}
	}
	return nil
}

// system is the ridge regression (A + λI) U = B, of centred and standardised features and targets. As both are centred,
// the bias is a system of its own.
type system struct {
	n        int       // order of A
	a        []float64 // [n, n], upper triangle
	b        []float64 // [n, C]
	examples float64   // N
	classes  int
	count    []float64 // [C], examples of each class
	std      standardisation
	z        []float64 // [m, D], standardised features of what is left out; of a dual system m = N
	labels   []int     // [m]
	isDual   bool
}

// dual is the system of fewer examples than features: A = ZZᵀ, B = Y less its mean, and W = ZᵀU.
func dual(x []float32, labels []int, d, classes int) *system {
	n := len(labels)
	std := standardise(x, d)
	s := &system{
		n: n, a: make([]float64, n*n), b: make([]float64, n*classes), examples: float64(n), classes: classes,
		count: make([]float64, classes), std: std, z: std.apply(x), labels: labels, isDual: true,
	}
	blas64.Syrk(blas.NoTrans, 1, general(s.z, n, d), 0, blas64.Symmetric{N: n, Stride: n, Data: s.a, Uplo: blas.Upper})
	for _, label := range labels {
		s.count[label]++
	}
	for i, label := range labels {
		for c := range classes {
			s.b[i*classes+c] = target(c == label) - s.meanTarget(c)
		}
	}
	return s
}

// primal is the system of at least as many examples as features: A = ZᵀZ, B = ZᵀY, W = U. x [m, D] are the examples
// that can be left out.
func primal(m *moments, x []float32, labels []int) *system {
	d, classes := m.features, len(m.count)
	std := m.standardisation()
	s := &system{
		n: d, a: make([]float64, d*d), b: make([]float64, d*classes), examples: m.total(), classes: classes,
		count: m.count, std: std, z: std.apply(x), labels: labels,
	}
	for i := range d {
		for j := i; j < d; j++ {
			s.a[i*d+j] = m.scatter[i*d+j] / (std.std[i] * std.std[j])
		}
		for c := range classes {
			// Σ z·y, where Σ z = 0 leaves twice the sum over the class.
			s.b[i*classes+c] = 2 * (m.sum[c*d+i] - m.count[c]*std.mean[i]) / std.std[i]
		}
	}
	return s
}

func target(own bool) float64 {
	if own {
		return 1
	}
	return -1
}

// meanTarget is the mean of the targets of a class over all examples.
func (s *system) meanTarget(class int) float64 { return 2*s.count[class]/s.examples - 1 }

// intercept is the constant's share of a class's output: the ridge regression of its targets on a constant.
func (s *system) intercept(class int, lambda float64) float64 {
	square := bias * bias * s.examples
	return s.meanTarget(class) * square / (square + lambda)
}

// fit solves the system.
func (s *system) fit(cfg Config) (*Head, error) {
	if cfg.Lambda < 0 || cfg.Lambda-cfg.Lambda != 0 {
		return nil, fmt.Errorf("probe: penalty %v, expected a positive number, or 0 to choose it", cfg.Lambda)
	}
	if s.classes < 2 {
		return nil, fmt.Errorf("probe: %d classes, expected at least 2 to tell apart", s.classes)
	}
	for c, n := range s.count {
		if n == 0 {
			return nil, fmt.Errorf("probe: class %d has %w", c, ErrNoExamples)
		}
	}
	h := &Head{Features: len(s.std.mean), Classes: s.classes, Lambda: cfg.Lambda, Scale: 1}
	var u []float64
	if cfg.NoScale && cfg.Lambda > 0 {
		var err error
		if u, err = s.solve(cfg.Lambda); err != nil {
			return nil, err
		}
	} else {
		h.LeftOut, u = s.leaveOneOut(cfg)
		h.Lambda = h.LeftOut.Lambda
		if !cfg.NoScale {
			h.Scale = s.scale(h.LeftOut, u)
		}
	}
	s.fold(h, u)
	for _, v := range h.Kernel {
		if v-v != 0 {
			return nil, fmt.Errorf("probe: the penalty %v is too small for these features: the system cannot be solved", h.Lambda)
		}
	}
	return h, nil
}

// solve returns U [n, C] by a Cholesky factorisation.
func (s *system) solve(lambda float64) ([]float64, error) {
	for i := range s.n {
		s.a[i*s.n+i] += lambda
	}
	var c mat.Cholesky
	if !c.Factorize(mat.NewSymDense(s.n, s.a)) {
		return nil, fmt.Errorf("probe: the penalty %v is too small for these features: the system cannot be solved", lambda)
	}
	u := mat.NewDense(s.n, s.classes, nil)
	if err := c.SolveTo(u, mat.NewDense(s.n, s.classes, s.b)); err != nil {
		if _, conditioned := errors.AsType[mat.Condition](err); !conditioned { // a warning: the solution is there
			return nil, fmt.Errorf("probe: %w", err)
		}
	}
	return u.RawMatrix().Data, nil
}

// weights returns W [D, C] of standardised features.
func (s *system) weights(u []float64) []float64 {
	if !s.isDual {
		return u
	}
	d := len(s.std.mean)
	w := make([]float64, d*s.classes)
	blas64.Gemm(blas.Trans, blas.NoTrans, 1, general(s.z, s.n, d), general(u, s.n, s.classes), 0, general(w, d, s.classes))
	return w
}

// fold makes the head of the solution: scaled, and for features as they are.
func (s *system) fold(h *Head, u []float64) {
	h.Kernel = make([]float64, h.Features*h.Classes)
	h.Bias = make([]float64, h.Classes)
	for c := range h.Bias {
		h.Bias[c] = h.Scale * s.intercept(c, h.Lambda)
	}
	for at, v := range s.weights(u) {
		j, c := at/h.Classes, at%h.Classes
		k := h.Scale * v / s.std.std[j]
		h.Kernel[at] = k
		h.Bias[c] -= k * s.std.mean[j]
	}
}

// Logits returns the logits [N, C] of features x [N, D].
func (h *Head) Logits(x []float32) []float64 {
	n := len(x) / h.Features
	wide, y := make([]float64, len(x)), make([]float64, n*h.Classes)
	for i, v := range x {
		wide[i] = float64(v)
	}
	for i := range n {
		copy(y[i*h.Classes:], h.Bias)
	}
	blas64.Gemm(blas.NoTrans, blas.NoTrans, 1, general(wide, n, h.Features), general(h.Kernel, h.Features, h.Classes), 1, general(y, n, h.Classes))
	return y
}

// Accuracy returns the fraction of examples x [N, D] whose label has the largest logit, of equal ones the first.
func (h *Head) Accuracy(x []float32, labels []int) float64 {
	const rows = 1024 // at a time
	right := 0.0
	for first := 0; first < len(labels); first += rows {
		last := min(first+rows, len(labels))
		right += accuracy(h.Logits(x[first*h.Features:last*h.Features]), labels[first:last]) * float64(last-first)
	}
	return right / float64(len(labels))
}

// accuracy is the fraction of rows of y [N, C] whose first largest value is at the label; NaN without rows.
func accuracy(y []float64, labels []int) float64 {
	right := 0
	for i, label := range labels {
		c := len(y) / len(labels)
		if argmax(y[i*c:][:c]) == label {
			right++
		}
	}
	return float64(right) / float64(len(labels))
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

func general(data []float64, rows, cols int) blas64.General {
	return blas64.General{Rows: rows, Cols: cols, Stride: cols, Data: data}
}

// softmax overwrites scale·y by its softmax.
func softmax(y []float64, scale float64) {
	top, sum := math.Inf(-1), 0.0
	for _, v := range y {
		top = max(top, scale*v)
	}
	for c, v := range y {
		y[c] = math.Exp(scale*v - top)
		sum += y[c]
	}
	for c := range y {
		y[c] /= sum
	}
}
