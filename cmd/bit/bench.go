package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/bigtransfer/bit"
	"github.com/bigtransfer/bit/internal/machine"
	"github.com/bigtransfer/bit/internal/par"
	"github.com/bigtransfer/bit/nn"
	"github.com/bigtransfer/bit/resnet"
)

type benchOptions struct {
	model      string
	variant    string
	resolution int
	batch      int
	threads    int
	train      bool
	runs       int
	profile    bool
	json       bool
}

// What --variant stands for, whose weights and head are nobody's.
const (
	variantSide    = 224
	variantClasses = 1000 // ILSVRC-2012
)

// The largest values of flags, far beyond any use: products of them are still numbers of bytes.
const (
	maxSide  = 1 << 14
	maxBatch = 1 << 20
)

func (a *app) newBenchCommand() *cobra.Command {
	var o benchOptions
	cmd := &cobra.Command{
		Use:   "bench [flags]",
		Short: "Measure the speed of a model on this machine",
		Long: `Measure how fast this machine runs a model, and where the time goes.

Images are random numbers of the model's size. With --train a run is the gradient of a
batch: kernels standardised, forward and backward, without pictures to decode and without
the update of the weights. The first run, which plans memory, does not count.

GFLOP/s count two operations for each multiplication of direct convolution, three times
as many in training. The peak is what the processor does in a loop of multiply-adds.
Winograd's convolutions, F(4x4,3x3), multiply a quarter as often, so a share of the peak
says how long something takes, not how busy the processor is, and can pass 100 %.

With --profile, a second series of runs times every layer by itself.`,
		Example: `  bit bench
  bit bench --variant R50x1 --profile
  bit bench --variant R50x1 --train --batch 16 --resolution 128
  bit bench --model my-model --batch 8 --threads 1 --json`,
		Args: wants(0, 0, "no arguments"),
	}
	cmd.RunE = a.runE(func(ctx context.Context, _ []string) error {
		if o.variant != "" && cmd.Flags().Changed("model") {
			return usagef("--model and --variant: want one of them")
		}
		return a.bench(ctx, o)
	})
	addModelFlag(cmd, &o.model)
	f := cmd.Flags()
	f.StringVar(&o.variant, "variant", "", "in place of a model, random weights in one of the released architectures: "+variants())
	f.IntVar(&o.resolution, "resolution", 0, fmt.Sprintf("side of the images in pixels (default what the model says, %d for a variant)", variantSide))
	f.IntVar(&o.batch, "batch", 1, "images in a batch")
	addThreadsFlag(cmd, &o.threads)
	f.BoolVar(&o.train, "train", false, "measure training")
	f.IntVar(&o.runs, "runs", 9, "timed runs")
	f.BoolVar(&o.profile, "profile", false, "show the time of every layer")
	f.BoolVar(&o.json, "json", false, "print a JSON object, with the time of every run")
	return cmd
}

func variants() string {
	var names []string
	for _, v := range resnet.Released() {
		names = append(names, v.String())
	}
	return strings.Join(names, ", ")
}

func (o *benchOptions) check() error {
	switch {
	case o.resolution < 0 || o.resolution > maxSide:
		return usagef("--resolution %d: want 1 to %d pixels", o.resolution, maxSide)
	case o.batch < 1 || o.batch > maxBatch:
		return usagef("--batch %d: want 1 to %d", o.batch, maxBatch)
	case o.runs < 1:
		return usagef("--runs %d: want at least 1", o.runs)
	}
	return checkThreads(o.threads)
}

// benchReport is what bench measures.
type benchReport struct {
	CPU     string         `json:"cpu"`
	Machine machine.Limits `json:"machine"`

	Model      string `json:"model"`
	Parameters int    `json:"parameters"`
	Train      bool   `json:"train"`
	Input      []int  `json:"input"`                // batch, height, width, channels
	MACs       int64  `json:"multiply_accumulates"` // of a run, by direct products; of training three times those of the forward pass, the usual count

	Seconds   []float64 `json:"seconds"` // of each run
	Median    float64   `json:"median"`
	Images    float64   `json:"images_per_second"`
	GFLOPS    float64   `json:"gflops"`
	PeakShare float64   `json:"peak_share"`
	Memory    int64     `json:"memory"` // largest resident set in bytes, 0 if the system does not tell

	Layers []layerSpeed `json:"layers,omitempty"` // in the order in which they run
	Kinds  []layerSpeed `json:"kinds,omitempty"`  // sums of layers, the longest first
}

// layerSpeed is a layer's time, or that of all layers of a kind, and what follows from it.
type layerSpeed struct {
	resnet.LayerTime
	Count     int     `json:"count"`                // layers
	TimeShare float64 `json:"time_share"`           // of the sum of all layers
	GFLOPS    float64 `json:"gflops,omitempty"`     // of convolutions
	PeakShare float64 `json:"peak_share,omitempty"` // of convolutions
}

func (a *app) bench(ctx context.Context, o benchOptions) error {
	if err := o.check(); err != nil {
		return err
	}
	line := &status{out: a.stderr}
	r, err := o.measure(ctx, a, func(format string, args ...any) {
		if line.due() {
			line.show(fmt.Sprintf(format, args...))
		}
	})
	line.clear()
	if err != nil {
		return err
	}
	if o.json {
		e := json.NewEncoder(a.stdout)
		e.SetEscapeHTML(false)
		return e.Encode(r)
	}
	_, err = fmt.Fprint(a.stdout, r.text())
	return err
}

// network returns the network to measure, its name and the size of its images.
func (o *benchOptions) network(ctx context.Context, a *app) (net *resnet.Network, name string, h, w int, err error) {
	if o.variant == "" {
		m, err := a.openModel(ctx, bit.Opener{Resolution: o.resolution}, o.model)
		if err != nil {
			return nil, "", 0, 0, err
		}
		h, w = inputSize(m.Processor())
		return m.Network(), m.Name(), h, w, o.fits(m.Config(), h, w)
	}
	for _, v := range resnet.Released() {
		if v.String() != o.variant {
			continue
		}
		side := cmp.Or(o.resolution, variantSide)
		c := v.Config(variantClasses)
		if err := o.fits(c, side, side); err != nil {
			return nil, "", 0, 0, err
		}
		net, err := randomNetwork(c)
		return net, o.variant + " with random weights", side, side, err
	}
	return nil, "", 0, 0, usagef("--variant %s: want one of %s", o.variant, variants())
}

// randomNetwork returns a network as training from scratch begins with, but for the head: a zero one would make all
// gradients zero.
func randomNetwork(c resnet.Config) (*resnet.Network, error) {
	net, err := resnet.NewNetwork(c)
	if err != nil {
		return nil, err
	}
	r := rand.New(rand.NewPCG(1, 0))
	net.Init(r)
	head := net.Param(resnet.HeadKernel).Value
	for i := range head {
		head[i] = float32(r.NormFloat64() / math.Sqrt(float64(c.FeatureWidth())))
	}
	return net, nil
}

// fits refuses what cannot be in the machine's memory: the least that it takes is parameters, once to predict and with
// their gradients to train, pixels, and maps: to predict that of the stem, to train all.
func (o *benchOptions) fits(c resnet.Config, h, w int) error {
	values := float64(c.NumParams())
	image := float64(h*w*c.Channels) + float64((h+1)/2*((w+1)/2)*c.StemWidth)
	if o.train {
		values *= 2
		image = float64(c.TrainingBytes(h, w, resnet.TrainerOptions{})) / 4
	}
	need, have := 4*(values+float64(o.batch)*image), float64(machine.TotalMemory())
	if have > 0 && need > have {
		return fmt.Errorf("a batch of %d images of %dx%d pixels takes more than %.1f GB of memory, and this machine has %.1f GB: choose a smaller --batch or --resolution",
			o.batch, h, w, need/1e9, have/1e9)
	}
	return nil
}

// measure runs the network.
func (o *benchOptions) measure(ctx context.Context, a *app, progress func(format string, args ...any)) (*benchReport, error) {
	net, name, h, w, err := o.network(ctx, a)
	if err != nil {
		return nil, err
	}
	boundGarbage(net.Config)
	r := &benchReport{
		CPU: machine.CPU(), Model: name, Parameters: net.NumParams(), Train: o.train, Input: []int{o.batch, h, w, net.Channels},
		MACs: int64(o.batch) * net.MACs(h, w),
	}
	if o.train {
		r.MACs *= 3
	}
	pool := par.New(o.threads)
	defer pool.Close()
	job := newBenchJob(net, pool, o.train, o.batch, h, w)
	for i := -1; i < o.runs; i++ {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		progress("run %d/%d", max(i, 0)+1, o.runs)
		begin := time.Now()
		if err := job.run(); err != nil {
			return nil, err
		}
		if i >= 0 {
			r.Seconds = append(r.Seconds, time.Since(begin).Seconds())
		}
	}
	r.Memory = machine.PeakMemory(os.Getpid()) // before the machine is measured, which takes memory too
	var layers []resnet.LayerTime
	if o.profile {
		progress("profile of %d runs", o.runs)
		if layers, err = job.profile(ctx, o.runs); err != nil {
			return nil, err
		}
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	r.Machine = machine.Measure(pool)
	r.finish(layers)
	return r, nil
}

// benchJob is one batch to run again and again, without and with the times of the layers.
type benchJob struct {
	run     func() error
	profile func(ctx context.Context, runs int) ([]resnet.LayerTime, error)
}

func newBenchJob(net *resnet.Network, pool *par.Pool, train bool, n, h, w int) benchJob {
	random := rand.New(rand.NewPCG(2, 0))
	x := make([]float32, n*h*w*net.Channels)
	for i := range x {
		x[i] = 2*random.Float32() - 1 // as prepared pictures are
	}
	if !train {
		p, logits := net.Freeze(pool), make([]float32, n*net.Classes)
		return benchJob{
			run: func() error { return p.Logits(logits, x, n, h, w) },
			profile: func(ctx context.Context, runs int) ([]resnet.LayerTime, error) {
				return p.Profile(ctx, x, n, h, w, runs)
			},
		}
	}
	t, dlogits := net.NewTrainer(pool), make([]float32, n*net.Classes)
	targets := nn.Targets{A: make([]int32, n)}
	for i := range targets.A {
		targets.A[i] = int32(i % net.Classes)
	}
	return benchJob{
		run: func() error {
			t.ZeroGrad()
			logits, err := t.Forward(x, n, h, w)
			if err != nil {
				return err
			}
			nn.SoftmaxCrossEntropy(dlogits, logits, net.Classes, targets, 1/float64(n))
			t.Backward(dlogits)
			return nil
		},
		profile: func(ctx context.Context, runs int) ([]resnet.LayerTime, error) {
			return t.Profile(ctx, x, dlogits, n, h, w, runs)
		},
	}
}

// finish computes what follows from times and the machine's limits.
func (r *benchReport) finish(layers []resnet.LayerTime) {
	sorted := slices.Sorted(slices.Values(r.Seconds))
	r.Median = (sorted[(len(sorted)-1)/2] + sorted[len(sorted)/2]) / 2
	r.Images = float64(r.Input[0]) / r.Median
	r.GFLOPS = gflops(r.MACs, r.Median)
	r.PeakShare = r.GFLOPS / r.Machine.GFLOPS
	for _, l := range layers {
		r.Layers = append(r.Layers, layerSpeed{LayerTime: l, Count: 1})
		same := func(k layerSpeed) bool { return k.Kind == l.Kind && k.Algorithm == l.Algorithm && k.Part == l.Part }
		i := slices.IndexFunc(r.Kinds, same)
		if i < 0 {
			i = len(r.Kinds)
			r.Kinds = append(r.Kinds, layerSpeed{LayerTime: resnet.LayerTime{Kind: l.Kind, Algorithm: l.Algorithm, Part: l.Part}})
		}
		k := &r.Kinds[i]
		k.Count, k.MACs, k.Seconds = k.Count+1, k.MACs+l.MACs, k.Seconds+l.Seconds
	}
	slices.SortStableFunc(r.Kinds, func(a, b layerSpeed) int { return cmp.Compare(b.Seconds, a.Seconds) })
	sum := r.sum()
	for _, list := range [][]layerSpeed{r.Layers, r.Kinds} {
		for i := range list {
			l := &list[i]
			l.TimeShare = l.Seconds / sum
			l.GFLOPS = gflops(l.MACs, l.Seconds)
			l.PeakShare = l.GFLOPS / r.Machine.GFLOPS
		}
	}
}

// sum returns the time of all layers.
func (r *benchReport) sum() float64 {
	sum := 0.0
	for _, l := range r.Layers {
		sum += l.Seconds
	}
	return sum
}

func gflops(macs int64, seconds float64) float64 { return 2 * float64(macs) / seconds / 1e9 }

// text is the report for people.
func (r *benchReport) text() string {
	var b strings.Builder
	line := func(name, format string, args ...any) {
		fmt.Fprintf(&b, "%-13s %s\n", name, fmt.Sprintf(format, args...))
	}
	work := "prediction"
	if r.Train {
		work = "training"
	}
	m := r.Machine
	line("machine", "%s, %d threads, %s, peak %.0f GFLOP/s, copy %.1f GB/s", r.CPU, m.Threads, m.SIMD, m.GFLOPS, m.CopyGBs)
	line("model", "%s, %.2f million parameters", r.Model, float64(r.Parameters)/1e6)
	line("batch", "%s, %d x %dx%d pixels, %.4g million multiply-accumulates", work, r.Input[0], r.Input[1], r.Input[2], float64(r.MACs)/1e6)
	line("time", "%s ms, the median of %d runs of %s to %s ms", milliseconds(r.Median), len(r.Seconds), milliseconds(slices.Min(r.Seconds)), milliseconds(slices.Max(r.Seconds)))
	line("speed", "%.4g images/s", r.Images)
	line("arithmetic", "%.1f GFLOP/s, %.1f %% of the peak", r.GFLOPS, 100*r.PeakShare)
	if r.Memory > 0 {
		line("memory", "%.0f MB at most", float64(r.Memory)/1e6)
	}
	if len(r.Layers) == 0 {
		return b.String()
	}
	const numbers = "      ms       %  GFLOP/s  % peak\n"
	t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprint(t, "\nlayer\tpart\tshape\talgorithm\t"+numbers)
	for _, l := range r.Layers {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\n", l.Layer, l.Part, l.Shape, l.Algorithm, l.numbers())
	}
	fmt.Fprint(t, "\nkind\tpart\tlayers\talgorithm\t"+numbers)
	for _, k := range r.Kinds {
		fmt.Fprintf(t, "%s\t%s\t%d\t%s\t%s\n", k.Kind, k.Part, k.Count, k.Algorithm, k.numbers())
	}
	t.Flush() // into memory
	sum := r.sum()
	fmt.Fprintf(&b, "\nThe layers take %s ms together, %.1f %% of the median without a profile.\n", milliseconds(sum), 100*sum/r.Median)
	return b.String()
}

// numbers are the last columns of a table, aligned at their ends.
func (l *layerSpeed) numbers() string {
	s := fmt.Sprintf("%8.3f  %6.2f", 1000*l.Seconds, 100*l.TimeShare)
	if l.MACs > 0 {
		s += fmt.Sprintf("  %7.1f  %6.1f", l.GFLOPS, 100*l.PeakShare)
	}
	return s
}

// milliseconds formats a time with as many digits as a measurement is good for.
func milliseconds(seconds float64) string {
	ms := 1000 * seconds
	digits := 0
	for limit := 1000.0; digits < 3 && ms < limit; limit /= 10 {
		digits++
	}
	return fmt.Sprintf("%.*f", digits, ms)
}
