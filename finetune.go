package bit

import (
	"context"

	"github.com/bigtransfer/bit/data"
	"github.com/bigtransfer/bit/imaging"
	"github.com/bigtransfer/bit/resnet"
	"github.com/bigtransfer/bit/transfer"
	"github.com/bigtransfer/bit/weights"
)

// FineTune trains a copy of m on the pictures in the folder dir, laid out as class/file or train|val|test/class/file,
// and returns it; m stays as it is. The zero Config is BiT-HyperRule, the paper's setting, which follows from the number
// of training images and their size. For a small model or in a hurry, set Steps, Resize and Crop.
//
// If cfg.Dir is set, the run keeps checkpoints there and resumes from them. When ctx is cancelled the run is saved and
// the error is a [*train.InterruptedError]; the same call goes on with it, to the same bits. See [transfer.FineTune].
func FineTune(ctx context.Context, m *Model, dir string, cfg transfer.Config) (*Model, transfer.Result, error) {
	ds, err := data.Open(dir)
	if err != nil {
		return nil, transfer.Result{}, err
	}
	return FineTuneOn(ctx, m, ds, cfg)
}

// FineTuneOn is [FineTune] on a data set that has been listed already, and perhaps cut down.
func FineTuneOn(ctx context.Context, m *Model, ds *data.Dataset, cfg transfer.Config) (*Model, transfer.Result, error) {
	net, err := resnet.NewNetwork(m.net.Config)
	if err != nil {
		return nil, transfer.Result{}, err
	}
	for i, p := range m.net.Params() {
		copy(net.Params()[i].Value, p.Value)
	}
	r, err := transfer.FineTune(ctx, net, ds, m.complete(cfg))
	if err != nil {
		return nil, r, err
	}
	tuned := m.derive("", net, ds.Classes, r.Processor)
	tuned.multiLabel = ds.MultiLabel
	return tuned, r, nil
}

// PlanFineTune returns every number of the run that FineTuneOn would make of the same arguments, without making it.
func PlanFineTune(m *Model, ds *data.Dataset, cfg transfer.Config) (transfer.Plan, error) {
	return transfer.NewPlan(m.net.Config, ds, m.complete(cfg))
}

// MeasureFineTune returns how long the run of a plan is expected to take here, from a few seconds of it. See
// [transfer.Measure].
func MeasureFineTune(ctx context.Context, m *Model, ds *data.Dataset, p transfer.Plan, cfg transfer.Config) (transfer.Estimate, error) {
	return transfer.Measure(ctx, m.net, ds, p, m.complete(cfg))
}

// complete adds to a Config what the model knows.
func (m *Model) complete(cfg transfer.Config) transfer.Config {
	if cfg.Std == [3]float64{} {
		cfg.Mean, cfg.Std = valueRange(m.processor)
	}
	if cfg.Threads == 0 {
		cfg.Threads = m.threads
	}
	if cfg.PretrainedSide == 0 && m.format != weights.FormatNpz { // which does not say
		cfg.PretrainedSide, _ = m.processor.OutputSize(transfer.UpstreamSide, transfer.UpstreamSide)
	}
	return cfg
}

// valueRange returns the mean and deviation, in units of 255, by which a processor maps 8-bit values to the network's
// input, whichever of its steps does it.
func valueRange(p *imaging.Processor) (mean, std [3]float64) {
	scale := 1.0
	if p.DoRescale {
		scale = p.RescaleFactor
	}
	for c := range mean {
		mean[c], std[c] = 0, 1
		if p.DoNormalize {
			mean[c], std[c] = p.Mean[c], p.Std[c]
		}
		mean[c] /= 255 * scale
		std[c] /= 255 * scale
	}
	return mean, std
}
