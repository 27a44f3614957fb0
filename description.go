package bit

import (
	"context"
	"fmt"

	"github.com/bigtransfer/bit/calibrate"
	"github.com/bigtransfer/bit/imaging"
	"github.com/bigtransfer/bit/internal/imagenet"
	"github.com/bigtransfer/bit/resnet"
	"github.com/bigtransfer/bit/weights"
)

// Description is what is known of a model without its weights.
type Description struct {
	name        string
	format      string
	config      resnet.Config
	labels      []string           // nil if the classes have no names
	processor   *imaging.Processor // never nil
	ids         []string           // WordNet's, of ImageNet's classes
	headless    bool
	warnings    []string
	multiLabel  bool
	calibration calibrate.Calibration
}

// Describe describes a model that [Open] would open. Of a file it reads the header alone, so that a large one takes neither
// time nor memory; weights that are damaged go unseen.
func Describe(ctx context.Context, ref string) (*Description, error) {
	return Opener{}.Describe(ctx, ref)
}

// Describe is the function [Describe] with o's settings.
func (o Opener) Describe(ctx context.Context, ref string) (*Description, error) {
	file, _, err := o.read(ctx, ref, weights.Describe)
	if err != nil {
		return nil, err
	}
	d, err := o.describe(ref, file)
	return &d, err
}

// describe says what a file and the settings say of a model.
func (o Opener) describe(ref string, file *weights.Model) (Description, error) {
	d := Description{
		name: ref, format: file.Format, config: file.Config, labels: file.Labels, processor: file.Preprocessor,
		headless: file.Headless, warnings: file.Warnings, multiLabel: file.MultiLabel, calibration: file.Calibration,
	}
	if d.name == "" {
		d.name = DefaultModel
	}
	if known := imagenet.Of(file.Config.Classes); known != nil && d.labels == nil {
		d.labels, d.ids = known.Labels, known.IDs
	} else if known != nil && known.Are(d.labels) {
		d.ids = known.IDs
	}
	if d.processor == nil {
		d.processor = imaging.Squash(DefaultResolution, imaging.Bilinear)
	}
	switch {
	case o.Processor != nil:
		p := *o.Processor
		d.processor = &p
	case o.Resolution != 0:
		p := imaging.Squash(o.Resolution, d.processor.Resample)
		p.DoRescale, p.RescaleFactor = d.processor.DoRescale, d.processor.RescaleFactor
		p.DoNormalize, p.Mean, p.Std = d.processor.DoNormalize, d.processor.Mean, d.processor.Std
		d.processor = p
	default:
		return d, nil
	}
	return d, d.processor.Validate()
}

// Name returns the reference that the model was opened by.
func (d *Description) Name() string { return d.name }

// Format returns the format of the file that the model was read from, one of the Format constants of package weights, or
// "" for a model that comes from no file.
func (d *Description) Format() string { return d.format }

// Warnings says in sentences what seemed odd in the file that the model was read from, such as a name that speaks of
// another network than the one inside; usually nothing.
func (d *Description) Warnings() []string { return d.warnings }

// Headless reports whether the file had no head: the model gives features and can be fine-tuned, but knows no classes.
func (d *Description) Headless() bool { return d.headless }

// Config returns the architecture.
func (d *Description) Config() resnet.Config { return d.config }

// Labels returns the names of the classes in the order of the outputs, or nil if they have none. A model of 1,000 or
// 21,843 classes without names, as official files are, is taken to have those of ILSVRC-2012 or ImageNet-21k. The caller
// must not change them.
func (d *Description) Labels() []string { return d.labels }

// WordNetIDs returns the WordNet ids of the classes, as in "n02123045", if they are ImageNet's, by the names that the model's
// file gives them or, if it gives none, by their number; else nil. The caller must not change them.
func (d *Description) WordNetIDs() []string { return d.ids }

// Label returns the name of a class, "class 17" if it has none.
func (d *Description) Label(class int) string {
	if d.labels == nil {
		return fmt.Sprintf("class %d", class)
	}
	return d.labels[class]
}

// MultiLabel reports whether each class is a question of its own, so that a picture can have any number of them.
func (d *Description) MultiLabel() bool { return d.multiLabel }

// Calibration returns what was fitted to make the model's scores mean what they say; zero if nothing was.
func (d *Description) Calibration() calibrate.Calibration { return d.calibration }

// Processor returns how pictures are prepared for the model. It is a copy.
func (d *Description) Processor() *imaging.Processor {
	p := *d.processor
	return &p
}
