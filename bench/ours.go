package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"os"
	"runtime"
	"time"

	"github.com/bigtransfer/bit/internal/cpu"
	"github.com/bigtransfer/bit/internal/kernels"
	"github.com/bigtransfer/bit/internal/machine"
	"github.com/bigtransfer/bit/internal/par"
	"github.com/bigtransfer/bit/nn"
	"github.com/bigtransfer/bit/resnet"
	"github.com/bigtransfer/bit/tensor"
	"github.com/bigtransfer/bit/weights"
)

// ours is this program as a contender.
type ours struct {
	net       *resnet.Network
	pool      *par.Pool
	predictor *resnet.Predictor
	training  *training // nil until asked to train

	x       []float32 // N H W C
	n, h, w int
	logits  []float32
}

// training is the state of training steps.
type training struct {
	trainer        *resnet.Trainer
	velocity       [][]float32
	targets        nn.Targets
	dlogits        []float32
	rate, momentum float32
}

func (o *ours) handle(r request) (reply, error) {
	switch r.Op {
	case "open":
		return o.open(r)
	case "input":
		return reply{}, o.input(r)
	case "logits":
		return o.answer()
	case "train":
		return reply{}, o.train(r)
	case "steps":
		var losses []float64
		for range r.Count {
			loss, err := o.step()
			if err != nil {
				return reply{}, err
			}
			losses = append(losses, loss)
		}
		return reply{Losses: losses}, finite("loss", losses)
	case "time":
		return o.time(r)
	case "limits":
		return measure(r)
	default:
		return reply{}, fmt.Errorf("unknown request %q", r.Op)
	}
}

func (o *ours) open(r request) (reply, error) {
	if err := cpu.OverrideError(); err != nil {
		return reply{}, err
	}
	runtime.GOMAXPROCS(r.Threads) // the runtime's own threads count too
	m, err := weights.Open(r.Model)
	if err != nil {
		return reply{}, err
	}
	if o.net, err = m.Network(); err != nil {
		return reply{}, err
	}
	o.pool = par.New(r.Threads)
	return reply{Version: "bit", Detail: "with " + runtime.Version()}, nil
}

func (o *ours) input(r request) error {
	raw, err := os.ReadFile(r.Input)
	if err != nil {
		return err
	}
	if len(r.Shape) != 4 || len(raw) != 4*tensor.Len(r.Shape) {
		return fmt.Errorf("%s: %d bytes, want float32 values in shape %s", r.Input, len(raw), tensor.FormatShape(r.Shape))
	}
	c := r.Shape[1]
	o.n, o.h, o.w = r.Shape[0], r.Shape[2], r.Shape[3]
	o.x = make([]float32, len(raw)/4)
	pixels := o.h * o.w
	for i := range o.x { // i counts N C H W
		n, ch, p := i/(c*pixels), i/pixels%c, i%pixels
		o.x[(n*pixels+p)*c+ch] = math.Float32frombits(binary.LittleEndian.Uint32(raw[4*i:]))
	}
	o.logits = make([]float32, o.n*o.net.Classes)
	return nil
}

// answer returns the logits of the input by the program's own way to them: a trainer's while training, so that the
// memory of a predictor is not counted too.
func (o *ours) answer() (reply, error) {
	logits := o.logits
	var err error
	if o.training != nil {
		o.training.trainer.ZeroGrad()
		logits, err = o.training.trainer.Forward(o.x, o.n, o.h, o.w)
	} else {
		err = o.predict()
	}
	if err != nil {
		return reply{}, err
	}
	wide := make([]float64, len(logits))
	for i, v := range logits {
		wide[i] = float64(v)
	}
	return reply{Logits: wide}, finite("logit", wide)
}

func (o *ours) predict() error {
	if o.predictor == nil {
		o.predictor = o.net.Freeze(o.pool)
	}
	return o.predictor.Logits(o.logits, o.x, o.n, o.h, o.w)
}

func (o *ours) train(r request) error {
	if o.predictor != nil {
		return errors.New("the network has become a predictor")
	}
	t := &training{trainer: o.net.NewTrainer(o.pool), rate: float32(r.Rate), momentum: float32(r.Momentum)}
	for _, p := range o.net.Params() {
		t.velocity = append(t.velocity, make([]float32, len(p.Value)))
	}
	for _, label := range r.Labels {
		t.targets.A = append(t.targets.A, int32(label))
	}
	t.dlogits = make([]float32, len(o.logits))
	o.training = t
	return nil
}

// step is one training step. It returns the loss before the update.
func (o *ours) step() (float64, error) {
	t := o.training
	t.trainer.ZeroGrad()
	logits, err := t.trainer.Forward(o.x, o.n, o.h, o.w)
	if err != nil {
		return 0, err
	}
	loss := nn.SoftmaxCrossEntropy(t.dlogits, logits, o.net.Classes, t.targets, 1/float64(o.n))
	t.trainer.Backward(t.dlogits)
	params := o.net.Params()
	o.pool.For(len(params), func(_, i int) {
		kernels.SGD(params[i].Value, t.velocity[i], params[i].Grad, t.rate, t.momentum, 0, 1)
	})
	return loss, nil
}

func (o *ours) time(r request) (reply, error) {
	run := o.predict
	if o.training != nil {
		run = func() error { _, err := o.step(); return err }
	}
	for range r.Warmup {
		if err := run(); err != nil {
			return reply{}, err
		}
	}
	begin := time.Now()
	for range r.Count {
		if err := run(); err != nil {
			return reply{}, err
		}
	}
	return reply{Seconds: time.Since(begin).Seconds() / float64(r.Count)}, nil
}

// measure measures the machine.
func measure(r request) (reply, error) {
	if err := cpu.OverrideError(); err != nil {
		return reply{}, err
	}
	runtime.GOMAXPROCS(r.Threads)
	pool := par.New(r.Threads)
	defer pool.Close()
	l := machine.Measure(pool)
	return reply{Limits: &l}, nil
}
