package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/bigtransfer/bit"
	"github.com/bigtransfer/bit/data"
	"github.com/bigtransfer/bit/hub"
	"github.com/bigtransfer/bit/imaging"
	"github.com/bigtransfer/bit/resnet"
)

// verdict is how a model stands to a published number. Numbers are of logits or in per cent.
type verdict struct {
	Check     string  `json:"check"` // "logit 0", "label", "top-1"
	On        string  `json:"on"`    // picture or data set
	Published any     `json:"published"`
	Found     any     `json:"found"`
	Bound     float64 `json:"bound"` // largest difference that passes; 0 for a label
	Source    string  `json:"source"`
	OK        bool    `json:"ok"`
}

// verifyPublished holds a published model, or a file of the name of one, to what is published of it.
func (a *app) verifyPublished(ctx context.Context, ref string, o verifyOptions) error {
	if err := o.check(); err != nil {
		return err
	}
	if o.resolution != 0 {
		return usagef("--resolution: what is published holds for its own preparation of pictures")
	}
	if o.float64 {
		return usagef("--float64: it is for an ONNX file")
	}
	e := publishedEntry(hub.FromEnv(), ref)
	if e == nil {
		return usagef("%s: nothing is published of it that is known here; want a name of bit models, or REFERENCE", ref)
	}
	return a.verifyEntry(ctx, ref, e, o)
}

// publishedEntry returns the published model that a reference means or a file is named after, or nil.
func publishedEntry(c *hub.Client, ref string) *hub.Entry {
	if exists(ref) {
		if e := hub.Lookup(ref); e != nil {
			return e
		}
		return hub.Lookup(strings.TrimSuffix(baseName(ref), ".npz"))
	}
	published, err := c.ParseRef(ref)
	switch {
	case err != nil:
		return nil
	case published.Repo != "":
		return hub.Lookup(published.Repo)
	default:
		return published.Entry
	}
}

func (a *app) verifyEntry(ctx context.Context, ref string, e *hub.Entry, o verifyOptions) error {
	if e.Proof == nil && o.data == "" {
		if e.Accuracy == nil {
			return fmt.Errorf("%s: no number is published of this very model, so there is nothing to hold it to; a REFERENCE can be given instead", e.Name)
		}
		return fmt.Errorf("%s: what is published of it is %s, so --data has to name the %d images of %s for evaluation",
			e.Name, describeAccuracy(e.Accuracy), e.Accuracy.Images, e.Accuracy.Data)
	}
	if e.Accuracy == nil && o.data != "" {
		return fmt.Errorf("%s: no accuracy is published of this very model that --data could be compared with", e.Name)
	}
	var failed []string
	report := func(v verdict) error {
		if !v.OK {
			failed = append(failed, v.Check)
		}
		return a.printVerdict(v, o.json)
	}
	if e.Proof != nil {
		m, err := a.openPublished(ctx, ref, e, bit.Opener{Threads: o.threads})
		if err != nil {
			return err
		}
		if err := a.verifyProof(ctx, m, e.Proof, o.images, report); err != nil {
			return fmt.Errorf("%s: %w", ref, err)
		}
	}
	if o.data != "" {
		if err := a.verifyAccuracy(ctx, ref, e, o, report); err != nil {
			return err
		}
	}
	if len(failed) > 0 {
		return fmt.Errorf("%s is not what is published of %s: %s", ref, e.Name, strings.Join(failed, ", "))
	}
	return nil
}

// openPublished opens a model that must be of the entry's network.
func (a *app) openPublished(ctx context.Context, ref string, e *hub.Entry, o bit.Opener) (*bit.Classifier, error) {
	m, err := a.openClassifier(ctx, o, ref)
	if err != nil {
		return nil, err
	}
	c := m.Config()
	if v, ok := c.Variant(); e.Variant != (resnet.Variant{}) && (!ok || v != e.Variant || c.Classes != e.Classes) {
		return nil, fmt.Errorf("%s is not what is published of %s: that is %v with %d classes, this has units %v, stage widths %v and %d classes",
			ref, e.Name, e.Variant, e.Classes, c.Depths, c.Widths, c.Classes)
	}
	return m, nil
}

// verifyProof compares a model's outputs for one picture.
func (a *app) verifyProof(ctx context.Context, m *bit.Classifier, p *hub.Proof, images []string, report func(verdict) error) error {
	file, err := a.proofPicture(ctx, p, images)
	if err != nil {
		return err
	}
	// The reference does not turn pictures upright.
	im, err := imaging.Decoder{KeepOrientation: true}.DecodeFile(file)
	if err != nil {
		return err
	}
	_, _, logits, err := runPicture(m, im)
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	if len(logits) < len(p.Logits) {
		return fmt.Errorf("it has %d logits, %d are published", len(logits), len(p.Logits))
	}
	on, best := baseName(p.Picture), 0
	if len(images) > 0 {
		on = file
	}
	for i, want := range p.Logits {
		difference := math.Abs(float64(logits[i]) - want)
		v := verdict{Check: fmt.Sprintf("logit %d", i), On: on, Published: want, Found: logits[i], Bound: p.Tolerance, Source: p.Source, OK: difference <= p.Tolerance}
		if err := report(v); err != nil {
			return err
		}
	}
	for i, logit := range logits {
		if logit > logits[best] {
			best = i
		}
	}
	label := m.Label(best)
	return report(verdict{Check: "label", On: on, Published: p.Label, Found: label, Source: p.Source, OK: label == p.Label})
}

// proofPicture returns the file of a proof's picture: what --image names, or what is downloaded.
func (a *app) proofPicture(ctx context.Context, p *hub.Proof, images []string) (string, error) {
	switch len(images) {
	case 0:
	case 1:
		return images[0], nil
	default:
		return "", usagef("--image: the published numbers are of one picture")
	}
	c := hub.FromEnv()
	line := &status{out: a.stderr}
	c.Progress = newDownloadLog(line).show
	defer line.clear()
	ref, err := c.ParseDataset(p.Picture)
	if err != nil {
		return "", err
	}
	// What is here needs no hub: the picture of a name never changes.
	offline := *c
	offline.Offline = true
	ds, err := offline.Dataset(ctx, ref)
	if err != nil && !c.Offline {
		ds, err = c.Dataset(ctx, ref)
	}
	if err == nil {
		var file string
		if file, err = ds.Get(ctx, ref.Path); err == nil {
			return file, nil
		}
	}
	if ctx.Err() != nil {
		return "", context.Cause(ctx)
	}
	if _, ok := errors.AsType[*hub.Error](err); ok {
		err = fmt.Errorf("%w; or save %s and give its path with --image", err, p.Origin)
	}
	return "", err
}

// verifyAccuracy measures a model as its published accuracy was measured.
func (a *app) verifyAccuracy(ctx context.Context, ref string, e *hub.Entry, o verifyOptions, report func(verdict) error) error {
	m, err := a.openPublished(ctx, ref, e, bit.Opener{Threads: o.threads, Processor: e.Accuracy.Processor})
	if err != nil {
		return err
	}
	r, err := a.measure(ctx, m, o.data, evaluateOptions{
		modelOptions: modelOptions{threads: o.threads}, dataOptions: dataOptions{maxSkipped: data.DefaultMaxSkipped},
	})
	if err != nil {
		return err
	}
	if r.Images != e.Accuracy.Images {
		fmt.Fprintf(a.stderr, "note: %d images in the %s split of %s, the published accuracy is of %d: the bound has three standard errors more\n",
			r.Images, r.split, o.data, e.Accuracy.Images)
	}
	found, bound := 100*r.Top1, e.Accuracy.Allowance(r.Images)
	return report(verdict{
		Check: "top-1", On: e.Accuracy.Data, Published: e.Accuracy.Top1, Found: found, Bound: bound, Source: e.Accuracy.Source,
		OK: math.Abs(found-e.Accuracy.Top1) <= bound,
	})
}

// describeAccuracy is "80.386 % top-1 on ImageNet-1k at 448 pixels (timm)".
func describeAccuracy(a *hub.Accuracy) string {
	return fmt.Sprintf("%s %% top-1 on %s at %d pixels (%s)", strconv.FormatFloat(a.Top1, 'f', -1, 64), a.Data, a.Pixels, a.Source)
}

func (a *app) printVerdict(v verdict, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(a.stdout).Encode(v)
	}
	ok, bound := "ok", ""
	if !v.OK {
		ok = "FAIL"
	}
	if v.Bound > 0 {
		bound = fmt.Sprintf("  within %.4g", v.Bound)
	}
	_, err := fmt.Fprintf(a.stdout, "%-8s %s  published %v (%s)  found %v%s  %s\n", v.Check, v.On, v.Published, v.Source, v.Found, bound, ok)
	return err
}
