package probe

import (
	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas64"
	lapack "gonum.org/v1/gonum/lapack/gonum"
)

// tridiagonal is a symmetric matrix A = QTQᵀ with T tridiagonal and Q orthogonal. It serves to solve (A + λI)x = b for
// many λ: once it is found, in 4/3 n³ operations, a λ takes n for each right-hand side in the basis Q. The
// eigendecomposition, which big_vision uses, would make T diagonal too, and takes two to four times as long (BenchmarkFactorise).
type tridiagonal struct {
	n    int
	diag []float64 // [n]
	off  []float64 // [n-1]
	q    []float64 // [n, n], or below its diagonal the reflections whose product it is
	tau  []float64 // [n-1], of the reflections; nil if q is explicit
}

// tridiagonalise takes the upper triangle of a [n, n], and overwrites it. To make Q explicit pays where Q itself is asked
// for; to multiply by it, its reflections are enough.
func tridiagonalise(a []float64, n int, explicit bool) *tridiagonal {
	t := &tridiagonal{n: n, diag: make([]float64, n), off: make([]float64, max(0, n-1)), q: a, tau: make([]float64, max(1, n-1))}
	for i := range n { // the lower triangle is the one that LAPACK in Go reduces fastest
		for j := range i {
			a[i*n+j] = a[j*n+i]
		}
	}
	var l lapack.Implementation
	withWork(func(work []float64, size int) { l.Dsytrd(blas.Lower, n, a, n, t.diag, t.off, t.tau, work, size) })
	if explicit {
		withWork(func(work []float64, size int) { l.Dorgtr(blas.Lower, n, a, n, t.tau, work, size) })
		t.tau = nil
	}
	return t
}

// withWork calls a function of LAPACK that first says how much scratch memory it wants.
func withWork(call func(work []float64, size int)) {
	size := make([]float64, 1)
	call(size, -1)
	call(make([]float64, int(size[0])), int(size[0]))
}

// project returns zQ of z [m, n]. Q is not explicit.
func (t *tridiagonal) project(z []float64, m int) []float64 {
	p := append([]float64(nil), z...)
	if t.n > 1 && m > 0 { // the first row and column of Q are those of the identity
		var l lapack.Implementation
		withWork(func(work []float64, size int) {
			l.Dormqr(blas.Right, blas.NoTrans, m, t.n-1, t.n-1, t.q[t.n:], t.n, t.tau, p[1:], t.n, work, size)
		})
	}
	return p
}

// multiply returns QB, or QᵀB, of b [n, cols].
func (t *tridiagonal) multiply(trans blas.Transpose, b []float64, cols int) []float64 {
	c := append([]float64(nil), b...)
	if t.tau == nil {
		blas64.Gemm(trans, blas.NoTrans, 1, general(t.q, t.n, t.n), general(b, t.n, cols), 0, general(c, t.n, cols))
	} else if t.n > 1 {
		var l lapack.Implementation
		withWork(func(work []float64, size int) {
			l.Dormqr(blas.Left, trans, t.n-1, cols, t.n-1, t.q[t.n:], t.n, t.tau, c[cols:], cols, work, size)
		})
	}
	return c
}

// shifted is T + λI = L·diag(pivot)·Lᵀ, L of unit diagonal and lower below it. T + λI is positive definite, so this needs
// no pivoting.
type shifted struct{ pivot, lower []float64 }

func (t *tridiagonal) shift(lambda float64) shifted {
	s := shifted{make([]float64, t.n), make([]float64, len(t.off))}
	s.pivot[0] = t.diag[0] + lambda
	for i, e := range t.off {
		s.lower[i] = e / s.pivot[i]
		s.pivot[i+1] = t.diag[i+1] + lambda - s.lower[i]*e
	}
	return s
}

// solve overwrites b [n, cols] by (T + λI)⁻¹b.
func (s shifted) solve(b []float64, cols int) {
	n := len(s.pivot)
	for i := 1; i < n; i++ {
		l, from, to := s.lower[i-1], b[(i-1)*cols:i*cols], b[i*cols:(i+1)*cols]
		for j := range to {
			to[j] -= l * from[j]
		}
	}
	for i := n - 1; i >= 0; i-- {
		row := b[i*cols : (i+1)*cols]
		for j := range row {
			row[j] /= s.pivot[i]
			if i < n-1 {
				row[j] -= s.lower[i] * b[(i+1)*cols+j]
			}
		}
	}
}

// quadratic returns pᵀ(T + λI)⁻¹p.
func (s shifted) quadratic(p []float64) float64 {
	w, sum := p[0], 0.0
	for i, d := range s.pivot {
		if i > 0 {
			w = p[i] - s.lower[i-1]*w
		}
		sum += w * w / d
	}
	return sum
}
