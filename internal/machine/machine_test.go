package machine

import (
	"math"
	"testing"

	"github.com/bigtransfer/bit/internal/cpu"
	"github.com/bigtransfer/bit/internal/par"
)

func TestMeasure(t *testing.T) {
	for _, l := range cpu.Available() {
		restore := cpu.SetForTest(l)
		for threads := 1; threads <= 2; threads++ {
			pool := par.New(threads)
			m := Measure(pool)
			pool.Close()
			if m.Threads != threads || m.SIMD != l {
				t.Errorf("%d threads at %s: measured %d at %s", threads, l, m.Threads, m.SIMD)
			}
			for what, v := range map[string]float64{"GFLOP/s": m.GFLOPS, "GB/s": m.CopyGBs} {
				if !(v > 0) || math.IsInf(v, 0) {
					t.Errorf("%d threads at %s: %v %s", threads, l, v, what)
				}
			}
		}
		restore()
	}
}

// What is timed is really done, all of it.
func TestRounds(t *testing.T) {
	pool := par.New(2)
	defer pool.Close()

	values := make([][192]float32, 2)
	multiplyAdds(pool, values)
	worked := 0
	for thread, v := range values {
		for i, x := range v {
			if x != v[0] || x != 0 && x != 2 { // half of a value and 1, thousands of times: 2; 0 if all parts fell to the other
				t.Fatalf("value %d of thread %d is %v", i, thread, x)
			}
		}
		if v[0] == 2 {
			worked++
		}
	}
	if worked == 0 {
		t.Error("no thread multiplied")
	}

	from, to := make([]float32, copyParts*copyPart), make([]float32, copyParts*copyPart)
	for i := range from {
		from[i] = float32(i % 65537)
	}
	copyAll(pool, to, from)
	for i := range to {
		if to[i] != from[i] {
			t.Fatalf("value %d of %d is %v, want %v", i, len(to), to[i], from[i])
		}
	}
}

func TestModelName(t *testing.T) {
	for _, c := range []struct{ info, want string }{
		{"processor\t: 0\nmodel\t\t: 17\nmodel name\t: AMD EPYC 9354P \nstepping\t: 1\n\nprocessor\t: 1\nmodel name\t: other\n", "AMD EPYC 9354P"},
		{"processor\t: 0\nBogoMIPS\t: 50.00\nCPU part\t: 0xd0c\n", ""}, // arm64 has no such line
		{"model name\t:\nstepping\t: 1\n", ""},
		{"", ""},
	} {
		if got := modelName([]byte(c.info)); got != c.want {
			t.Errorf("%q: %q, want %q", c.info, got, c.want)
		}
	}
	if CPU() == "" {
		t.Error("the processor has no name")
	}
}
