package resnet_test

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/bigtransfer/bit/internal/cpu"
	"github.com/bigtransfer/bit/internal/golden"
	"github.com/bigtransfer/bit/internal/kernels"
	"github.com/bigtransfer/bit/internal/oracle"
	"github.com/bigtransfer/bit/internal/par"
	"github.com/bigtransfer/bit/nn"
	"github.com/bigtransfer/bit/resnet"
)

const (
	// float32Tolerance bounds the engine's error against float64, relative to a tensor's largest value.
	float32Tolerance = 1e-4
	// float64Tolerance bounds the difference between two float64 programs that sum in another order.
	float64Tolerance = 1e-10
)

// errors keeps the largest relative error of each kind.
type errors map[string]worst

type worst struct {
	err   float64
	where string
}

func (e errors) add(kind, where string, err float64) {
	if old, ok := e[kind]; !ok || !(err <= old.err) {
		e[kind] = worst{err, where}
	}
}

// report logs the largest error of each kind and fails where one exceeds the tolerance.
func (e errors) report(t *testing.T, what string, tolerance float64) {
	t.Helper()
	var b strings.Builder
	for _, kind := range slices.Sorted(maps.Keys(e)) {
		fmt.Fprintf(&b, "  %s %.1e", kind, e[kind].err)
		if w := e[kind]; !(w.err <= tolerance) {
			t.Errorf("%s: %s of %s is off by %.1e of the largest value, want at most %.0e", what, kind, w.where, w.err, tolerance)
		}
	}
	t.Logf("%s: largest relative errors%s", what, b.String())
}

// freshNetwork returns a network with a case's weights, its own copy of them.
func freshNetwork(t *testing.T, c *golden.Case) *resnet.Network {
	t.Helper()
	net, err := c.Model.Network()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range net.Params() {
		p.Value = slices.Clone(p.Value)
	}
	return net
}

func wideInput(r golden.Run, channels int) oracle.Map {
	return oracle.Map{N: r.N, H: r.H, W: r.W, C: channels, V: oracle.Wide(r.X)}
}

func (t *tape) activations() map[string]oracle.Map {
	a := map[string]oracle.Map{golden.Root: t.root}
	for _, u := range t.units {
		a[u.name] = u.output
	}
	return a
}

// TestGoldenFloat64 ties the float64 network of these tests to the reference: all of its numbers agree to the rounding
// of float64. TestGoldenEngine can then compare whole tensors where the reference keeps only summaries.
func TestGoldenFloat64(t *testing.T) {
	for _, c := range golden.Cases(t) {
		t.Run(c.Name, func(t *testing.T) {
			for _, r := range c.Runs {
				e := errors{}
				n := newFloat64Net(freshNetwork(t, c))
				pass := n.forward(wideInput(r, n.Channels), nil)
				acts := pass.activations()
				for name, s := range r.Activations {
					a := acts[name]
					e.add("activations", name, s.Activation(a.V, a.N, a.H, a.W, a.C))
				}
				e.add("logits", "", oracle.Error(pass.logits.V, r.Logits))
				if r.Features != nil {
					e.add("features", "", oracle.Error(pass.features.V, r.Features))
				}
				if r.Labels != nil {
					loss, dlogits := oracle.CrossEntropy(pass.logits.V, r.Labels)
					e.add("loss", "", math.Abs(loss-r.Loss)/r.Loss)
					n.backward(pass, dlogits)
					for _, p := range n.ParamSpecs() {
						e.add("gradients", p.Name, r.Gradients[p.Name].Param(n.grad[p.Name], p.Shape))
					}
				}
				e.report(t, "float64 "+r.Name, float64Tolerance)
			}
			if c.SGD == nil {
				return
			}
			s, r, e := c.SGD, c.Runs[c.SGD.Run], errors{}
			net := freshNetwork(t, c)
			net.NewHead(net.Classes)
			n, v := newFloat64Net(net), map[string][]float64{}
			losses := make([]float64, len(s.Losses))
			for step := range losses {
				losses[step] = n.step(n.forward(wideInput(r, n.Channels), nil), r.Labels, v, s.StepRate(step), s.Momentum)
			}
			e.add("losses", "", oracle.Error(losses, s.Losses))
			for _, p := range n.ParamSpecs() {
				e.add("parameters", p.Name, s.After[p.Name].Param(n.value[p.Name], p.Shape))
			}
			// The steps magnify the rounding of float64 as they go.
			e.report(t, fmt.Sprintf("float64 SGD, %d steps", len(losses)), 1e-9)
		})
	}
}

// step ends a step of SGD with velocities v and returns the loss before it.
func (n *float64Net) step(pass *tape, labels []int, v map[string][]float64, rate, momentum float64) float64 {
	loss, dlogits := oracle.CrossEntropy(pass.logits.V, labels)
	n.backward(pass, dlogits)
	for name, w := range n.value {
		if v[name] == nil {
			v[name] = make([]float64, len(w))
		}
		oracle.SGD(w, v[name], n.grad[name], rate, momentum)
	}
	return loss
}

// TestGoldenEngine compares the engine at every level with the reference's numbers and, element by element, with the
// float64 network that TestGoldenFloat64 ties to them.
//
// A float32 run can decide otherwise than float64 where ReLU or pooling is within rounding of a jump, and then its
// gradients rightly differ from the reference's by more than rounding. So gradients are compared with those of the
// float64 network under the engine's decisions, which forward checks to be legitimate; with the reference itself where
// no decision differs.
func TestGoldenEngine(t *testing.T) {
	pool := par.New(0)
	defer pool.Close()
	for _, c := range golden.Cases(t) {
		for _, level := range cpu.Available() {
			for _, algorithm := range algorithms {
				t.Run(fmt.Sprintf("%s/%s/%s", c.Name, level, algorithm.name), func(t *testing.T) {
					defer cpu.SetForTest(level)()
					net := freshNetwork(t, c)
					tr, pr, e := net.NewTrainer(pool).WithWinograd(algorithm.use), net.NewPredictor(pool).WithWinograd(algorithm.use), errors{}
					for _, r := range c.Runs {
						compareRun(t, e, net, tr, pr, r)
					}
					if c.SGD != nil {
						compareTrajectory(t, e, c, pool, algorithm.use)
					}
					e.report(t, fmt.Sprintf("%s at %s, %s", c.Name, level, algorithm.name), float32Tolerance)
				})
			}
		}
	}
}

// algorithms are the ways in which 3x3 convolutions are computed.
var algorithms = []struct {
	name string
	use  nn.WinogradUse
}{{"direct", nn.WinogradNever}, {"winograd", nn.WinogradAlways}}

func compareRun(t *testing.T, e errors, net *resnet.Network, tr *resnet.Trainer, pr *resnet.Predictor, r golden.Run) {
	tr.ZeroGrad()
	logits, err := tr.Forward(r.X, r.N, r.H, r.W)
	if err != nil {
		t.Fatal(err)
	}
	e.add("logits", r.Name, oracle.Error(logits, r.Logits))
	n := newFloat64Net(net)
	pass := n.forward(wideInput(r, n.Channels), trainerDecisions(tr))
	noteKinks(t, r.Name, pass)
	e.add("features", r.Name, oracle.Error(tr.Features(), pass.features.V))
	if r.Features != nil {
		e.add("features", r.Name, oracle.Error(tr.Features(), r.Features))
	}
	want := pass.activations()
	for name, got := range tr.Activations() {
		e.add("activations", r.Name+" "+name, oracle.Error(got.Data, want[name].V))
		if s, ok := r.Activations[name]; ok {
			e.add("activations", r.Name+" "+name, s.Activation(oracle.Wide(got.Data), got.N, got.H, got.W, got.C))
		}
	}

	predicted := make([]float32, len(logits))
	if err := pr.Logits(predicted, r.X, r.N, r.H, r.W); err != nil {
		t.Fatal(err)
	}
	e.add("predicted logits", r.Name, oracle.Error(predicted, r.Logits))
	if !sameBits(predicted, logits) {
		t.Errorf("%s: the predictor's logits are not the trainer's to the bit", r.Name)
	}
	if r.Labels == nil {
		return
	}

	loss, dlogits := oracle.CrossEntropy(oracle.Wide(logits), r.Labels)
	e.add("loss", r.Name, math.Abs(loss-r.Loss)/r.Loss)
	tr.Backward(narrow(dlogits))
	_, dlogits = oracle.CrossEntropy(pass.logits.V, r.Labels)
	n.backward(pass, dlogits)
	for _, p := range net.Params() {
		e.add("gradients", r.Name+" "+p.Name, oracle.Error(p.Grad, n.grad[p.Name]))
		if len(pass.kinks) == 0 {
			e.add("gradients", r.Name+" "+p.Name, r.Gradients[p.Name].Param(oracle.Wide(p.Grad), p.Shape))
		}
	}
}

// compareTrajectory trains with the engine and, under its decisions, in float64.
func compareTrajectory(t *testing.T, e errors, c *golden.Case, pool *par.Pool, use nn.WinogradUse) {
	s, r := c.SGD, c.Runs[c.SGD.Run]
	net := freshNetwork(t, c)
	net.NewHead(net.Classes)
	n, v64, v := newFloat64Net(net), map[string][]float64{}, map[string][]float32{}
	for _, p := range net.Params() {
		v[p.Name] = make([]float32, len(p.Value))
	}
	tr := net.NewTrainer(pool).WithWinograd(use)
	losses, want, kinks := make([]float64, len(s.Losses)), make([]float64, len(s.Losses)), 0
	for step := range s.Losses {
		tr.ZeroGrad()
		logits, err := tr.Forward(r.X, r.N, r.H, r.W)
		if err != nil {
			t.Fatal(err)
		}
		var dlogits []float64
		losses[step], dlogits = oracle.CrossEntropy(oracle.Wide(logits), r.Labels)
		tr.Backward(narrow(dlogits))
		rate := s.StepRate(step)
		for _, p := range net.Params() {
			kernels.SGD(p.Value, v[p.Name], p.Grad, float32(rate), float32(s.Momentum), 0, 1)
		}
		pass := n.forward(wideInput(r, n.Channels), trainerDecisions(tr))
		noteKinks(t, fmt.Sprintf("SGD step %d", step), pass)
		kinks += len(pass.kinks)
		want[step] = n.step(pass, r.Labels, v64, rate, s.Momentum)
	}
	e.add("SGD losses", "", oracle.Error(losses, want))
	if kinks == 0 {
		e.add("SGD losses", "", oracle.Error(losses, s.Losses))
	}
	for _, p := range net.Params() {
		e.add("SGD parameters", p.Name, oracle.Error(p.Value, n.value[p.Name]))
		if kinks == 0 {
			e.add("SGD parameters", p.Name, s.After[p.Name].Param(oracle.Wide(p.Value), p.Shape))
		}
	}
}

func noteKinks(t *testing.T, what string, pass *tape) {
	t.Helper()
	if len(pass.kinks) > 0 {
		t.Logf("%s: %d decisions differ from float64's: %s", what, len(pass.kinks), strings.Join(pass.kinks[:min(4, len(pass.kinks))], ", "))
	}
	if pass.err != nil {
		t.Errorf("%s: %v", what, pass.err)
	}
}

func narrow(x []float64) []float32 {
	y := make([]float32, len(x))
	for i, v := range x {
		y[i] = float32(v)
	}
	return y
}

func sameBits(a, b []float32) bool {
	return slices.EqualFunc(a, b, func(a, b float32) bool { return math.Float32bits(a) == math.Float32bits(b) })
}
