package kernels

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/bigtransfer/bit/internal/cpu"
)

// The benchmarks are named …/impl=LEVEL/shape=NAME, so that "benchstat -col /impl" sets the levels side by side.

func eachLevelOf(b *testing.B, shape string, f func(b *testing.B)) {
	for _, l := range cpu.Available() {
		b.Run("impl="+string(l)+"/shape="+shape, func(b *testing.B) {
			defer cpu.SetForTest(l)()
			f(b)
		})
	}
}

func randomValues(n int) []float32 {
	r := rand.New(rand.NewPCG(1, uint64(n)))
	s := make([]float32, n)
	for i := range s {
		s[i] = float32(r.NormFloat64())
	}
	return s
}

// BenchmarkGemm multiplies pixels by one panel of filters, as the layers of R50x1 at 224 pixels do: the rows of a
// block of pixels, the depth kernel height · width · input channels.
func BenchmarkGemm(b *testing.B) {
	for _, s := range []struct {
		name        string
		rows, depth int
	}{
		{"root_7x7", 112, 7 * 7 * 3},
		{"conv1_1x1_64", 98, 64},
		{"conv1_3x3_64", 98, 9 * 64},
		{"conv2_1x1_128", 98, 128},
		{"conv2_3x3_128", 98, 9 * 128},
		{"conv3_1x1_256", 98, 256},
		{"conv3_3x3_256", 98, 9 * 256},
		{"conv4_1x1_2048", 49, 2048},
		{"conv4_3x3_512", 49, 9 * 512},
		{"head_one_image", 1, 2048},
	} {
		eachLevelOf(b, s.name, func(b *testing.B) {
			_, panel := Tile()
			x, w, y := randomValues(s.rows*s.depth), randomValues(s.depth*panel), make([]float32, s.rows*panel)
			for b.Loop() {
				Gemm(s.rows, s.depth, x, s.depth, 1, w, y, panel, panel, false)
			}
			flop := 2 * float64(s.rows) * float64(s.depth) * float64(panel)
			b.ReportMetric(flop*float64(b.N)/b.Elapsed().Seconds()/1e9, "GFLOP/s")
		})
	}
}

// activations are the matrices of the stages of R50x1 at 224 pixels: pixels by channels.
var activations = []shape{{56 * 56, 64}, {56 * 56, 256}, {14 * 14, 1024}, {7 * 7, 2048}}

// benchmarkRows measures a kernel over a matrix of activations. streams is how often the kernel reads or writes a value
// of the matrix's size.
func benchmarkRows(b *testing.B, streams int, kernel func(s shape, m [3][]float32, v [5][]float32)) {
	for _, s := range activations {
		eachLevelOf(b, fmt.Sprintf("%dx%d", s.rows, s.cols), func(b *testing.B) {
			var m [3][]float32
			for i := range m {
				m[i] = randomValues(s.rows * s.cols)
			}
			var v [5][]float32
			for i := range v {
				v[i] = make([]float32, s.cols) // zeros: no value grows from call to call
			}
			b.SetBytes(int64(4 * streams * s.rows * s.cols))
			for b.Loop() {
				kernel(s, m, v)
			}
		})
	}
}

func BenchmarkAffine(b *testing.B) {
	benchmarkRows(b, 2, func(s shape, m [3][]float32, v [5][]float32) {
		Affine(m[0], s.cols, m[1], s.cols, s.rows, s.cols, v[0], v[1], 0)
	})
}

func BenchmarkCopyRows(b *testing.B) {
	benchmarkRows(b, 2, func(s shape, m [3][]float32, _ [5][]float32) {
		CopyRows(m[0], s.cols, m[1], s.cols, s.rows, s.cols)
	})
}

func BenchmarkAddRows(b *testing.B) {
	benchmarkRows(b, 3, func(s shape, m [3][]float32, _ [5][]float32) {
		AddRows(m[0], s.cols, m[1], s.cols, s.rows, s.cols)
	})
}

func BenchmarkMaxRows(b *testing.B) {
	benchmarkRows(b, 3, func(s shape, m [3][]float32, _ [5][]float32) {
		MaxRows(m[0], s.cols, m[1], s.cols, s.rows, s.cols)
	})
}

func BenchmarkGradRows(b *testing.B) {
	benchmarkRows(b, 4, func(s shape, m [3][]float32, v [5][]float32) {
		GradRows(m[0], s.cols, m[1], s.cols, m[2], s.cols, s.rows, s.cols, v[0], v[1], v[2])
	})
}

func BenchmarkColumnMoments(b *testing.B) {
	benchmarkRows(b, 1, func(s shape, m [3][]float32, v [5][]float32) {
		ColumnMoments(m[0], s.cols, s.rows, s.cols, v[0], v[1])
	})
}

func BenchmarkColumnGrads(b *testing.B) {
	benchmarkRows(b, 3, func(s shape, m [3][]float32, v [5][]float32) {
		ColumnGrads(m[0], s.cols, m[1], s.cols, s.rows, s.cols, v[0], v[1], v[2], v[3], v[4])
	})
}

// BenchmarkMaxPoolBackward pools the root of R50x1 backwards: 112x112 pixels of 64 channels.
func BenchmarkMaxPoolBackward(b *testing.B) {
	const h, w, c = 112, 112, 64
	eachLevelOf(b, "112x112x64", func(b *testing.B) {
		x, dx := randomValues(h*w*c), make([]float32, h*w*c)
		y, dy := make([]float32, h*w*c/4), randomValues(h*w*c/4)
		pixels := h * w / 4
		taps := make([][9]int, pixels)
		for o := range pixels {
			taps[o] = poolTaps(h, w, c, o/(w/2), o%(w/2))
			for _, tap := range taps[o] {
				if tap >= 0 {
					MaxRows(y[o*c:], c, x[tap:], c, 1, c) // y starts as the padding's zeros
				}
			}
		}
		b.SetBytes(4 * (3*h*w*c + 2*h*w*c/4)) // x once, dx read and written, y, dy
		for b.Loop() {
			for o := range pixels {
				MaxPoolBackward(dx, x, y[o*c:], dy[o*c:], &taps[o], c)
			}
		}
	})
}

// BenchmarkSGD updates as many parameters as a 3x3 convolution of 512 channels has.
func BenchmarkSGD(b *testing.B) {
	const n = 9 * 512 * 512
	eachLevelOf(b, "3x3x512x512", func(b *testing.B) {
		w, v, g := randomValues(n), make([]float32, n), randomValues(n)
		b.SetBytes(4 * 5 * n) // w and v read and written, g read
		for b.Loop() {
			SGD(w, v, g, 0.003, 0.9, 3e-5, 1)
		}
	})
}
