package resnet_test

import (
	"fmt"
	"math"
	"testing"

	"github.com/bigtransfer/bit/internal/golden"
	"github.com/bigtransfer/bit/internal/oracle"
	"github.com/bigtransfer/bit/internal/par"
	"github.com/bigtransfer/bit/resnet"
)

// TestClassMap compares every position's share in every logit with that of the float64 network, which is tied to the
// reference implementations, and their sum with the references' own logits. A frozen predictor has the same shares.
//
// ownTolerance is for the logits of the same pass: 32 roundings of float32, of the mean's and the head's sums.
func TestClassMap(t *testing.T) {
	const ownTolerance = 32.0 / (1 << 24)
	for _, c := range golden.Cases(t) {
		t.Run(c.Name, func(t *testing.T) {
			pool := par.New(2)
			defer pool.Close()
			predictors := map[string]*resnet.Predictor{
				"kept":   freshNetwork(t, c).NewPredictor(pool),
				"frozen": freshNetwork(t, c).Freeze(pool),
			}
			n := newFloat64Net(freshNetwork(t, c))
			for _, r := range c.Runs {
				tape := n.forward(wideInput(r, n.Channels), nil)
				last := tape.norm.y
				largest := oracle.Largest(r.Logits)
				for kind, p := range predictors {
					e, worstOwn := errors{}, 0.0
					got, err := p.Evidence(r.X, r.N, r.H, r.W)
					if err != nil {
						t.Fatal(err)
					}
					if got.H != last.H || got.W != last.W {
						t.Fatalf("map of %d x %d, want %d x %d", got.H, got.W, last.H, last.W)
					}
					e.add("logits", "", oracle.Error(got.Logits, r.Logits))
					for image := range r.N {
						for class := range n.Classes {
							want, sum, total := make([]float64, last.H*last.W), 0.0, 0.0
							for i := range want {
								for f := range last.C {
									want[i] += last.V[(image*len(want)+i)*last.C+f] * n.value[resnet.HeadKernel][f*n.Classes+class] / float64(len(want))
								}
							}
							m := got.ClassMap(image, class)
							where := fmt.Sprintf("image %d, class %d", image, class)
							e.add("contributions", where, oracle.Error(m, want))
							for _, v := range m {
								sum += float64(v)
								total += math.Abs(float64(v))
							}
							z := r.Logits[image*n.Classes+class]
							e.add("sum and logit", where, math.Abs(sum+float64(got.Bias(class))-z)/max(largest, total))
							// Of one and the same pass only the last sums differ: those of the mean and of the head.
							own := float64(got.Logits[image*n.Classes+class])
							own = math.Abs(sum+float64(got.Bias(class))-own) / max(largest, total)
							if worstOwn = max(worstOwn, own); !(own <= ownTolerance) {
								t.Errorf("%s, %s: shares sum to a logit off by %.1e of the largest, want at most %.0e", r.Name, where, own, ownTolerance)
							}
						}
					}
					e.report(t, kind+" "+r.Name, float32Tolerance)
					t.Logf("the same pass's logits: %.1e", worstOwn)
				}
			}
		})
	}
}

// TestOutputStride: position i of the last map looks at the surroundings of input pixel i·OutputStride. A pixel there
// moves it more than its neighbours, and moves those on both sides about alike.
func TestOutputStride(t *testing.T) {
	pool := par.New(2)
	defer pool.Close()
	cfg := smallConfig()
	net := newNetwork(t, cfg, 11)
	p := net.NewPredictor(pool)
	stride := cfg.OutputStride()
	const cells, at = 9, 4
	side := (cells-1)*stride + 1
	// Every class is a random mixture of the channels, so that together their maps show all of them.
	response := func(x, y int) []float64 {
		total := make([]float64, cells*cells)
		for seed := range uint64(4) {
			image := randomInput(seed, side*side*3)
			before, err := p.Evidence(image, 1, side, side)
			if err != nil {
				t.Fatal(err)
			}
			for c := range 3 {
				image[(y*side+x)*3+c] += 8
			}
			after, err := p.Evidence(image, 1, side, side)
			if err != nil {
				t.Fatal(err)
			}
			for class := range cfg.Classes {
				a, b := before.ClassMap(0, class), after.ClassMap(0, class)
				for i := range total {
					d := float64(b[i] - a[i])
					total[i] += d * d
				}
			}
		}
		return total
	}
	shift := 0.0
	for _, offset := range []int{0, stride / 2, stride} {
		r := response(at*stride+offset, at*stride)
		row, sum := 0.0, 0.0
		for i := range cells {
			v := r[at*cells+i]
			row += v * float64(i)
			sum += v
		}
		t.Logf("pixel %d+%d: centre of the response %.2f", at*stride, offset, row/sum)
		if want := float64(at) + float64(offset)/float64(stride); math.Abs(row/sum-want) > 0.25 {
			t.Errorf("pixel %d moves the positions around %.2f, want %.2f", at*stride+offset, row/sum, want)
		}
		if row/sum <= shift {
			t.Errorf("the response does not move with the pixel")
		}
		shift = row / sum
	}
}
