package probe

import (
	"math"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas64"
)

// LeaveOneOut is what the head says of examples when they are not among those it is fitted to.
type LeaveOneOut struct {
	Lambda  float64
	Press   float64   // mean over examples and classes of the squared residual, the PRESS statistic divided by their number
	Outputs []float64 // [M, C], before scaling
	Labels  []int     // [M]
}

// Accuracy returns the fraction of examples whose class has the largest output, NaN if none was left out.
func (l *LeaveOneOut) Accuracy() float64 { return accuracy(l.Outputs, l.Labels) }

// Probabilities returns the out-of-sample probabilities [M, C] at a head's scale.
func (l *LeaveOneOut) Probabilities(scale float64) []float64 {
	p := append([]float64(nil), l.Outputs...)
	for i, c := 0, len(p)/max(1, len(l.Labels)); i < len(p); i += c {
		softmax(p[i:i+c], scale)
	}
	return p
}

// Lambdas returns the penalties that are tried for features of the given width: D·4ᵏ, k = −5 … 5. The Gram matrix of
// N standardised features has the trace N·D, so D is what one example contributes; for D = 1024 the middle one is
// [DefaultLambda].
func Lambdas(features int) []float64 {
	var list []float64
	for k := -5; k <= 5; k++ {
		list = append(list, float64(features)*math.Pow(4, float64(k)))
	}
	return list
}

// leaveOneOut returns the outputs of the penalty of least PRESS, and the solution U.
func (s *system) leaveOneOut(cfg Config) (*LeaveOneOut, []float64) {
	l := &leaver{system: s, t: tridiagonalise(s.a, s.n, s.isDual)}
	l.prepare(cfg.MaxExamples)
	lambdas := []float64{cfg.Lambda}
	if cfg.Lambda == 0 {
		lambdas = Lambdas(len(s.std.mean))
		if !l.informative() {
			lambdas = []float64{DefaultLambda}
		}
	}
	var best *LeaveOneOut
	var solution []float64
	for _, lambda := range lambdas {
		if r, u := l.at(lambda); best == nil || r.Press < best.Press {
			best, solution = r, u
		}
	}
	return best, l.t.multiply(blas.NoTrans, solution, s.classes)
}

// leaver leaves examples out at any penalty.
type leaver struct {
	*system
	t      *tridiagonal
	right  []float64 // [n, C], QᵀB
	rows   []float64 // [m, n]: of a dual system rows of Q, else zᵀQ
	labels []int     // [m]
}

// prepare takes at most so many examples, evenly spread.
func (l *leaver) prepare(most int) {
	s := l.system
	l.right = l.t.multiply(blas.Trans, s.b, s.classes)
	d, from := len(s.std.mean), s.z
	if s.isDual {
		d, from = s.n, l.t.q
	}
	l.labels, l.rows = s.labels, from
	if most > 0 && most < len(s.labels) {
		l.labels, l.rows = nil, nil
		for i := range most {
			at := i * len(s.labels) / most
			l.labels = append(l.labels, s.labels[at])
			l.rows = append(l.rows, from[at*d:][:d]...)
		}
	}
	if !s.isDual {
		l.rows = l.t.project(l.rows, len(l.labels))
	}
}

// informative reports whether leaving one out can say anything: whether some example has another one of its class.
func (l *leaver) informative() bool {
	for _, label := range l.labels {
		if l.count[label] > 1 {
			return true
		}
	}
	return false
}

// at returns the outputs at a penalty and the solution QᵀU [n, C].
func (l *leaver) at(lambda float64) (*LeaveOneOut, []float64) {
	s, m := l.system, len(l.labels)
	shifted := l.t.shift(lambda)
	u := append([]float64(nil), l.right...)
	shifted.solve(u, s.classes)
	r := &LeaveOneOut{Lambda: lambda, Labels: l.labels, Outputs: make([]float64, m*s.classes)}
	if m > 0 {
		blas64.Gemm(blas.NoTrans, blas.NoTrans, 1, general(l.rows, m, s.n), general(u, s.n, s.classes), 0, general(r.Outputs, m, s.classes))
	}
	// The leverage of the constant is the same for all.
	constant := bias * bias / (bias*bias*s.examples + lambda)
	for i, label := range l.labels {
		quadratic := shifted.quadratic(l.rows[i*s.n:][:s.n])
		free := 1 - quadratic - constant // 1 − h
		if s.isDual {
			free = lambda*quadratic - constant
		}
		for c := range s.classes {
			out := &r.Outputs[i*s.classes+c]
			y, intercept := target(c == label), s.intercept(c, lambda)
			residual := y - *out - intercept
			if s.isDual { // y − K(K+λI)⁻¹y = λ(K+λI)⁻¹y, and *out holds (K+λI)⁻¹y of the centred y
				residual = lambda**out + s.meanTarget(c) - intercept
			}
			residual /= free
			*out = y - residual
			r.Press += residual * residual / float64(m*s.classes)
		}
	}
	return r, u
}
