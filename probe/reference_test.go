package probe

import (
	"math"
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"
)

// ridge is the recipe word by word, in float64 and by Gaussian elimination: standardise, append the constant, solve
// (ZᵀZ + λI)W = ZᵀY. It returns Z [N, D+1] of all rows of x and W [D+1, C] fitted to the rows that fit names.
func ridge(x []float32, labels []int, classes int, lambda float64, fit func(i int) bool) (z, w [][]float64) {
	n := len(labels)
	d := len(x) / n
	z = make([][]float64, n)
	for i := range z {
		z[i] = make([]float64, d+1)
		z[i][d] = 100
	}
	for j := range d {
		mean, variance := 0.0, 0.0
		for i := range n {
			mean += float64(x[i*d+j]) / float64(n)
		}
		for i := range n {
			variance += math.Pow(float64(x[i*d+j])-mean, 2) / float64(n)
		}
		for i := range n {
			z[i][j] = (float64(x[i*d+j]) - mean) / (math.Sqrt(variance) + 1e-5)
		}
	}
	a := make([][]float64, d+1) // [D+1, D+1+C], the right-hand side beside the matrix
	for i := range a {
		a[i] = make([]float64, d+1+classes)
		a[i][i] = lambda
	}
	for k, row := range z {
		if !fit(k) {
			continue
		}
		for i := range row {
			for j := range row {
				a[i][j] += row[i] * row[j]
			}
			for c := range classes {
				y := -1.0
				if labels[k] == c {
					y = 1
				}
				a[i][d+1+c] += row[i] * y
			}
		}
	}
	for i := range a {
		pivot := i
		for k := i; k < len(a); k++ {
			if math.Abs(a[k][i]) > math.Abs(a[pivot][i]) {
				pivot = k
			}
		}
		a[i], a[pivot] = a[pivot], a[i]
		for k := range a {
			if f := a[k][i] / a[i][i]; k != i {
				for j := range a[k] {
					a[k][j] -= f * a[i][j]
				}
			}
		}
	}
	w = make([][]float64, d+1)
	for i := range w {
		for c := range classes {
			w[i] = append(w[i], a[i][d+1+c]/a[i][i])
		}
	}
	return z, w
}

func times(row []float64, w [][]float64) []float64 {
	y := make([]float64, len(w[0]))
	for j, v := range row {
		for c := range y {
			y[c] += v * w[j][c]
		}
	}
	return y
}

// examples draws n examples of d features in which the classes differ; every class has one at least.
func examples(seed uint64, n, d, classes int) (x []float32, labels []int) {
	rng := rand.New(rand.NewPCG(seed, 1))
	for i := range n {
		label := i % classes
		labels = append(labels, label)
		for j := range d {
			v := rng.NormFloat64() + 2*math.Sin(float64(label*(j+1))) + 3
			if j%5 == 4 {
				v = max(0, v-4) // features after a ReLU
			}
			x = append(x, float32(v))
		}
	}
	return x, labels
}

// close fails unless got and want differ by less than a fraction of the largest value.
func near(t interface{ Errorf(string, ...any) }, what string, got, want []float64, tolerance float64) {
	if len(got) != len(want) {
		t.Errorf("%s: %d values, want %d", what, len(got), len(want))
		return
	}
	scale := 0.0
	for _, v := range want {
		scale = max(scale, math.Abs(v))
	}
	for i := range want {
		if !(math.Abs(got[i]-want[i]) <= tolerance*scale) {
			t.Errorf("%s: value %d is %v, want %v", what, i, got[i], want[i])
			return
		}
	}
}

// Both forms of the system, by Cholesky and by the tridiagonal matrix, with features that are constant.
func TestFitAgainstElimination(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		classes := rapid.IntRange(2, 5).Draw(t, "classes")
		n := rapid.IntRange(classes, 24).Draw(t, "examples")
		d := rapid.IntRange(1, 20).Draw(t, "features")
		lambda := rapid.SampledFrom([]float64{1, 16, 1024, 1e6}).Draw(t, "lambda")
		x, labels := examples(rapid.Uint64().Draw(t, "seed"), n, d, classes)
		if constant := rapid.IntRange(0, d).Draw(t, "constant"); constant < d {
			for i := range n {
				x[i*d+constant] = 7
			}
		}
		z, w := ridge(x, labels, classes, lambda, func(int) bool { return true })
		var want []float64
		for _, row := range z {
			want = append(want, times(row, w)...)
		}
		plain, err := Fit(x, labels, classes, Config{Lambda: lambda, NoScale: true})
		if err != nil {
			t.Fatal(err)
		}
		near(t, "outputs by Cholesky", plain.Logits(x), want, 1e-9)
		scaled, err := Fit(x, labels, classes, Config{Lambda: lambda})
		if err != nil {
			t.Fatal(err)
		}
		for i := range want {
			want[i] *= scaled.Scale
		}
		near(t, "outputs by the tridiagonal matrix", scaled.Logits(x), want, 1e-9)
	})
}

// The closed form against fitting N times to N-1 examples, with the standardisation of all.
func TestLeaveOneOutAgainstRefitting(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		classes := rapid.IntRange(2, 4).Draw(t, "classes")
		n := rapid.IntRange(classes+1, 16).Draw(t, "examples")
		d := rapid.IntRange(1, 12).Draw(t, "features")
		lambda := rapid.SampledFrom([]float64{1, 32, 1024}).Draw(t, "lambda")
		x, labels := examples(rapid.Uint64().Draw(t, "seed"), n, d, classes)
		var want []float64
		press := 0.0
		for i := range n {
			z, w := ridge(x, labels, classes, lambda, func(k int) bool { return k != i })
			y := times(z[i], w)
			want = append(want, y...)
			for c, v := range y {
				press += math.Pow(v-target(c == labels[i]), 2) / float64(n*classes)
			}
		}
		h, err := Fit(x, labels, classes, Config{Lambda: lambda})
		if err != nil {
			t.Fatal(err)
		}
		near(t, "outputs", h.LeftOut.Outputs, want, 1e-8)
		near(t, "PRESS", []float64{h.LeftOut.Press}, []float64{press}, 1e-8)
		// Some of them are what they are among all.
		few, err := Fit(x, labels, classes, Config{Lambda: lambda, MaxExamples: 2})
		if err != nil {
			t.Fatal(err)
		}
		at := n / 2
		near(t, "two outputs", few.LeftOut.Outputs, append(append([]float64{}, want[:classes]...), want[at*classes:][:classes]...), 1e-7)
	})
}
