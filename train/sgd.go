package train

import (
	"math"

	"github.com/bigtransfer/bit/internal/kernels"
	"github.com/bigtransfer/bit/internal/par"
	"github.com/bigtransfer/bit/resnet"
)

// SGD is stochastic gradient descent with momentum as PyTorch defines it:
//
//	g ← g + WeightDecay·p     kernels only
//	v ← Momentum·v + g        v starts at 0
//	p ← p − rate·v
//
// The velocity does not contain the rate, so a tenfold drop of the rate acts at once (in Keras' form, which scales the
// gradient instead, the old velocity keeps moving the weights for about ten steps more).
// The zero value is plain gradient descent; BiT uses Momentum 0.9 and nothing else when fine-tuning.
type SGD struct {
	Momentum    float64
	WeightDecay float64 // coupled L2 decay of convolution and head kernels (resnet.Param.IsKernel)
	ClipNorm    float64 // scale the gradient of all parameters together down to this norm, before the decay; 0 for never
	EMA         float64 // decay of the exponential moving average of the weights, 0.999 say; 0 keeps none
}

// chunk is how many values one piece of an update holds. The pieces depend on the shapes alone, and sums are taken
// piece by piece in order, so the bits do not depend on the number of threads.
const chunk = 1 << 14

// optimiser is the state of SGD for the parameters of one network that have a gradient.
type optimiser struct {
	SGD
	pool   *par.Pool
	params []*resnet.Param
	state  []paramState // one per parameter, frozen ones too
	pieces []piece
	sums   []float64 // squared norm of each piece's gradient

	rate, scale, keep float32        // of the step under way
	square, update    func(_, i int) // the tasks, bound once so that a step allocates nothing
}

type paramState struct {
	velocity []float32 // nil for a frozen parameter
	ema      []float32 // nil without EMA; set by the loop
}

// piece is values [from, to) of one parameter.
type piece struct{ param, from, to int }

func newOptimiser(o SGD, pool *par.Pool, params []*resnet.Param) *optimiser {
	s := &optimiser{SGD: o, pool: pool, params: params, state: make([]paramState, len(params))}
	for i, p := range params {
		if p.Grad == nil { // frozen
			continue
		}
		s.state[i].velocity = make([]float32, len(p.Value))
		for from := 0; from < len(p.Value); from += chunk {
			s.pieces = append(s.pieces, piece{i, from, min(from+chunk, len(p.Value))})
		}
	}
	s.sums = make([]float64, len(s.pieces))
	s.square, s.update = s.squareTask, s.updateTask
	return s
}

// norm returns the Euclidean norm of the gradient of all parameters together.
func (s *optimiser) norm() float64 {
	s.pool.For(len(s.pieces), s.square)
	total := 0.0
	for _, v := range s.sums {
		total += v
	}
	return math.Sqrt(total)
}

// squareTask sums the squares of one piece, which are exact in float64. Four sums let additions overlap; which value
// enters which is fixed.
func (s *optimiser) squareTask(_, i int) {
	c := s.pieces[i]
	g := s.params[c.param].Grad[c.from:c.to]
	var sum [4]float64
	for ; len(g) >= 4; g = g[4:] {
		for j := range sum {
			sum[j] += float64(g[j]) * float64(g[j])
		}
	}
	for _, v := range g {
		sum[0] += float64(v) * float64(v)
	}
	s.sums[i] = (sum[0] + sum[1]) + (sum[2] + sum[3])
}

// step updates every parameter from its gradient, whose norm is given. step counts from 0 and sets the EMA's warm-up.
func (s *optimiser) step(rate, norm float64, step int) {
	s.rate, s.scale, s.keep = float32(rate), 1, float32(s.keepAt(step))
	if s.ClipNorm > 0 && norm > s.ClipNorm {
		s.scale = float32(s.ClipNorm / norm)
	}
	s.pool.For(len(s.pieces), s.update)
}

func (s *optimiser) updateTask(_, i int) {
	c := s.pieces[i]
	p, st := s.params[c.param], s.state[c.param]
	decay := float32(0)
	if p.IsKernel() {
		decay = float32(s.WeightDecay)
	}
	w := p.Value[c.from:c.to]
	kernels.SGD(w, st.velocity[c.from:c.to], p.Grad[c.from:c.to], s.rate, float32(s.Momentum), decay, s.scale)
	if st.ema != nil {
		average(st.ema[c.from:c.to], w, s.keep)
	}
}

// keepAt is the decay of the moving average: min(EMA, (1+t)/(10+t)) after t updates, so that the first weights do not
// linger in a short run (TensorFlow's ExponentialMovingAverage with num_updates).
func (s *optimiser) keepAt(step int) float64 {
	t := float64(step + 1)
	return min(s.EMA, (1+t)/(10+t))
}

// average moves the averaged weights towards the new ones: ema ← ema + (1−keep)·(w − ema). The conversion forbids a
// fused multiply-add, which only some processors would use.
func average(ema, w []float32, keep float32) {
	w = w[:len(ema)]
	for i, e := range ema {
		ema[i] = e + float32((1-keep)*(w[i]-e))
	}
}
