package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/bigtransfer/bit"
	"github.com/bigtransfer/bit/batch"
	"github.com/bigtransfer/bit/resnet"
	"github.com/bigtransfer/bit/train"
	"github.com/bigtransfer/bit/transfer"
)

// print shows every number of a run before it begins.
func (r *finetuneRun) print(out io.Writer) {
	c := r.model.Config()
	fmt.Fprintf(out, "model      %s: units %v, stem width %d, %.2f million parameters\n", r.o.origin(), c.Depths, c.StemWidth, float64(c.NumParams())/1e6)
	fmt.Fprintf(out, "data       %s\n", r.about)
	for i, text := range r.describe() {
		name := ""
		if i == 0 {
			name = "recipe"
		}
		fmt.Fprintf(out, "%-10s %s\n", name, text)
	}
	fmt.Fprintf(out, "machine    %s, %s\n", describeMachine(r.o.threads), r.plan.Memory)
}

// describe says everything that a run depends on besides network, data and seed.
func (r *finetuneRun) describe() []string {
	p, s := r.plan, r.plan.Schedule
	mixup := "no mixup"
	if p.MixupAlpha > 0 {
		mixup = fmt.Sprintf("mixup with alpha %v", p.MixupAlpha)
	}
	evaluated := fmt.Sprintf("evaluated at %d pixels", p.Crop)
	switch p.Framing {
	case transfer.Crop:
		evaluated = fmt.Sprintf("evaluated on the middle %d pixels of %d", p.Crop, p.Resize)
	case transfer.Pad:
		evaluated = fmt.Sprintf("evaluated in a black square of %d pixels", p.Crop)
	}
	lines := []string{
		fmt.Sprintf("images of typically %dx%d pixels: %v, %s", p.Width, p.Height, p.Augmentation, evaluated),
		fmt.Sprintf("%d steps of %d images, %.3g epochs", s.Total, p.Batch, float64(s.Total)*float64(p.Batch)/float64(p.Examples)),
		fmt.Sprintf("SGD with momentum %v, learning rate %.3g after %d steps of warm-up, divided by 10 after steps %v", transfer.Momentum, p.LearningRate, s.WarmUp, s.Drops),
		mixup,
	}
	if p.Loss == train.Sigmoid {
		lines = append(lines, "several labels an image: sigmoid loss, the head's bias begins at the classes' frequencies")
	}
	if p.Frozen != resnet.FrozenNothing {
		lines = append(lines, fmt.Sprintf("frozen up to the %v: %.3g million parameters are trained", p.Frozen, float64(p.Trained)/1e6))
	}
	if p.Sampling == batch.Balanced {
		lines = append(lines, "balanced sampling: every class equally often")
	}
	if p.ClassWeights != nil {
		lightest, heaviest := 0, 0
		for k, w := range p.ClassWeights {
			if w < p.ClassWeights[lightest] {
				lightest = k
			}
			if w > p.ClassWeights[heaviest] {
				heaviest = k
			}
		}
		lines = append(lines, fmt.Sprintf("classes weigh from %.3g (%s) to %.3g (%s) in the loss", p.ClassWeights[lightest], r.ds.Classes[lightest], p.ClassWeights[heaviest], r.ds.Classes[heaviest]))
	}
	if p.KeepBest {
		choice := fmt.Sprintf("evaluated on the validation split every %d steps, the best weights are kept", p.EvaluateEvery)
		if p.Patience > 0 {
			choice += fmt.Sprintf("; ends after %d evaluations that were not better", p.Patience)
		}
		lines = append(lines, choice)
	}
	return lines
}

// announceTime says how long the run is expected to take, and proposes a shorter one if that is more than --time-limit.
// If the limit was given, the run is then not started.
func (a *app) announceTime(ctx context.Context, r *finetuneRun) error {
	if r.o.resume { // what was a long run may be a short rest
		return nil
	}
	e, proposal, err := r.estimate(ctx)
	if err != nil {
		return err
	}
	fmt.Fprintf(a.stderr, "time       %s\n", describeTime(e))
	if proposal == nil {
		return nil
	}
	if r.o.timeLimitSet() {
		return fmt.Errorf("not started: %s", proposal)
	}
	fmt.Fprintln(a.stderr, proposal)
	return nil
}

// describeTime says how long a run is expected to take.
func describeTime(e transfer.Estimate) string {
	text := fmt.Sprintf("about %s: %s a step", duration(e.Total), short(e.Step))
	if e.Evaluations > 0 {
		text += fmt.Sprintf(", %s an evaluation", short(e.Evaluation))
	}
	return text + fmt.Sprintf("; measured on %d images of %d pixels, and corrected as the run goes on", e.Images, e.Side)
}

// short formats the time of a step.
func short(d time.Duration) string {
	if d < 10*time.Second {
		return fmt.Sprintf("%.2g s", d.Seconds())
	}
	return duration(d)
}

// proposal is a run that takes less time.
type proposal struct {
	limit, full time.Duration
	lite        bool              // whether --preset lite is the proposal, or the run is that already
	plan        transfer.Plan     // the lite one
	estimate    transfer.Estimate // of it
	steps       int               // so many of its steps keep to the limit; 0 if all do
}

func (p *proposal) String() string {
	text := fmt.Sprintf("the run would take about %s, more than %s (--time-limit)", duration(p.full), duration(p.limit))
	if p.lite {
		text += fmt.Sprintf("; --preset lite would take about %s, with batches of %d at learning rate %.3g on images of %d pixels",
			duration(p.estimate.Total), p.plan.Batch, p.plan.LearningRate, p.plan.Crop)
	}
	if p.steps > 0 {
		text += fmt.Sprintf("; --steps %d would keep to the limit", p.steps)
		if p.lite {
			text = text[:len(text)-len(" would keep to the limit")] + " with it would keep to the limit"
		}
	}
	return text
}

// estimate measures a little of the run, and of the lite one if it would take too long.
func (r *finetuneRun) estimate(ctx context.Context) (transfer.Estimate, *proposal, error) {
	e, err := bit.MeasureFineTune(ctx, r.model, r.ds, r.plan, r.cfg)
	if err != nil || e.Total <= r.o.timeLimit {
		return e, nil, err
	}
	p := &proposal{limit: r.o.timeLimit, full: e.Total, plan: r.plan, estimate: e}
	if r.cfg.Preset == transfer.Rule {
		cfg := r.cfg
		cfg.Preset = transfer.Lite
		plan, err := bit.PlanFineTune(r.model, r.ds, cfg)
		if err != nil {
			return e, nil, err
		}
		if plan.Batch < r.plan.Batch || plan.Crop < r.plan.Crop { // flags may have left nothing to gain
			p.lite, p.plan = true, plan
			if p.estimate, err = bit.MeasureFineTune(ctx, r.model, r.ds, plan, cfg); err != nil {
				return e, nil, err
			}
		}
	}
	if p.estimate.Total > p.limit {
		p.steps = int(float64(p.plan.Schedule.Total) * 0.95 * float64(p.limit) / float64(p.estimate.Total))
	}
	return e, p, nil
}

// timeJSON is an estimate in seconds.
type timeJSON struct {
	Seconds     float64 `json:"seconds"`
	Step        float64 `json:"step_seconds"`
	Evaluation  float64 `json:"evaluation_seconds"`
	Evaluations int     `json:"evaluations"`
	Images      int     `json:"measured_images"`
	Side        int     `json:"measured_side"`
}

func timeOf(e transfer.Estimate) timeJSON {
	return timeJSON{e.Total.Seconds(), e.Step.Seconds(), e.Evaluation.Seconds(), e.Evaluations, e.Images, e.Side}
}

// planJSON is what --dry-run --json prints.
type planJSON struct {
	Model      string        `json:"model"`
	Parameters int           `json:"parameters"`
	Data       string        `json:"data"`
	Classes    int           `json:"classes"`
	Train      int           `json:"train"`
	Val        int           `json:"val"`
	Test       int           `json:"test"`
	MultiLabel bool          `json:"multi_label"`
	Preset     string        `json:"preset"`
	Plan       transfer.Plan `json:"plan"`
	Time       timeJSON      `json:"time"`
	Limit      float64       `json:"time_limit_seconds"`
	Proposal   string        `json:"proposal,omitempty"` // if the limit is exceeded
}

// showPlan is --dry-run.
func (a *app) showPlan(ctx context.Context, r *finetuneRun) error {
	e, proposal, err := r.estimate(ctx)
	if err != nil {
		return err
	}
	if !r.o.json {
		r.print(a.stdout)
		fmt.Fprintf(a.stdout, "time       %s\n", describeTime(e))
		if proposal != nil {
			fmt.Fprintln(a.stdout, proposal)
		}
		a.warnOfMemory(r.plan.Memory.Bytes)
		return nil
	}
	c := r.model.Config()
	c.Classes = len(r.ds.Classes)
	j := planJSON{
		Model: r.model.Name(), Parameters: c.NumParams(), Data: r.dir, Classes: len(r.ds.Classes),
		Train: len(r.ds.Train), Val: len(r.ds.Val), Test: len(r.ds.Test), MultiLabel: r.ds.MultiLabel,
		Preset: r.cfg.Preset.String(), Plan: r.plan, Time: timeOf(e), Limit: r.o.timeLimit.Seconds(),
	}
	if proposal != nil {
		j.Proposal = proposal.String()
	}
	return json.NewEncoder(a.stdout).Encode(j)
}
