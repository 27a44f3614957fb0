package golden

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/bigtransfer/bit/internal/fixture"
)

// recorder is a test that keeps its failure to itself.
type recorder struct {
	testing.TB
	failure string
}

func (r *recorder) Helper() {}

func (r *recorder) Fatal(args ...any) { r.Fatalf("%s", fmt.Sprint(args...)) }

func (r *recorder) Fatalf(format string, args ...any) {
	r.failure = fmt.Sprintf(format, args...)
	runtime.Goexit()
}

// failure returns what Cases fails with in the folder dir.
func failure(dir string, t *testing.T) string {
	t.Setenv(fixture.GoldenEnv, dir)
	r := &recorder{}
	done := make(chan struct{})
	go func() {
		defer close(done)
		Cases(r)
	}()
	<-done
	return r.failure
}

// A comparison with nothing must not pass.
func TestCasesFail(t *testing.T) {
	empty, broken, half := t.TempDir(), t.TempDir(), t.TempDir()
	if err := os.Mkdir(filepath.Join(broken, "hf-broken"), 0o755); err != nil {
		t.Fatal(err)
	}
	// A case whose gradients have a parameter less than the network.
	from, to := fixture.Case(t, "official-tiny"), filepath.Join(half, "official-half")
	if err := os.Mkdir(to, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"weights.npz", "arrays.npz", "case.json"} {
		data, err := os.ReadFile(filepath.Join(from, name))
		if err != nil {
			t.Fatal(err)
		}
		if name == "case.json" {
			data = []byte(strings.ReplaceAll(string(data), `"head.gn.bias"`, `"head.gn.weight"`))
		}
		if err := os.WriteFile(filepath.Join(to, name), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct{ dir, want string }{
		{filepath.Join(empty, "none"), "set " + fixture.GoldenEnv},
		{empty, "no case"},
		{broken, "hf-broken"},
		{half, "norm/beta"},
	} {
		if got := failure(c.dir, t); !strings.Contains(got, c.want) {
			t.Errorf("%s: fails with %q, want something of %q", c.dir, got, c.want)
		}
	}
}

// Two images of 1x2 pixels and three channels, in our order and in the reference's.
func TestSummaryOrder(t *testing.T) {
	ours := []float64{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}
	s := Summary{Shape: []int{2, 3, 1, 2}, Sum: 78, L2: math.Sqrt(650), First: []float64{1, 4, 2, 5, 3, 6, 7, 10}, Last: []float64{3, 6, 7, 10, 8, 11, 9, 12}}
	if e := s.Activation(ours, 2, 1, 2, 3); e > 1e-15 {
		t.Errorf("equal activations are off by %v", e)
	}
	// A kernel [Kh,Kw,Ci,Co] = [1,2,3,2] as O I H W.
	s = Summary{Shape: []int{2, 3, 1, 2}, Sum: 78, L2: math.Sqrt(650), First: []float64{1, 7, 3, 9, 5, 11, 2, 8}, Last: []float64{5, 11, 2, 8, 4, 10, 6, 12}}
	if e := s.Param(ours, []int{1, 2, 3, 2}); e > 1e-15 {
		t.Errorf("equal kernels are off by %v", e)
	}
	s = Summary{Shape: []int{2, 2, 1, 1}, Sum: 10, L2: math.Sqrt(30), First: []float64{1, 3, 2, 4}, Last: []float64{1, 3, 2, 4}}
	if e := s.Param([]float64{1, 2, 3, 4}, []int{2, 2}); e > 1e-15 {
		t.Errorf("equal heads are off by %v", e)
	}
}

// Each of the four figures tells a different tensor apart.
func TestSummaryError(t *testing.T) {
	s := Summary{Shape: []int{20}, Sum: 20, L2: math.Sqrt(20), First: []float64{1, 1}, Last: []float64{1, 1}}
	x := func(change func(x []float64)) []float64 {
		v := make([]float64, 20)
		for i := range v {
			v[i] = 1
		}
		change(v)
		return v
	}
	for name, c := range map[string]struct {
		x    []float64
		want float64
	}{
		"equal":       {x(func([]float64) {}), 0},
		"first":       {x(func(x []float64) { x[1], x[2] = 0.5, 1.5 }), 0.5 / 1.5},
		"last":        {x(func(x []float64) { x[19], x[2] = 0.5, 1.5 }), 0.5 / 1.5},
		"sum":         {x(func(x []float64) { x[5] = -1 }), 2. / 20},
		"norm":        {x(func(x []float64) { x[5], x[6] = 3, -1 }), (math.Sqrt(28) - math.Sqrt(20)) / math.Sqrt(20)},
		"not finite":  {x(func(x []float64) { x[5] = math.NaN() }), math.Inf(1)},
		"other shape": {make([]float64, 19), math.Inf(1)},
	} {
		if got := s.Error(c.x, []int{len(c.x)}); !(got == c.want || math.Abs(got-c.want) < 1e-12) {
			t.Errorf("%s: error %v, want %v", name, got, c.want)
		}
	}
}
