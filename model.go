package bit

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"sync"

	"github.com/bigtransfer/bit/calibrate"
	"github.com/bigtransfer/bit/hub"
	"github.com/bigtransfer/bit/imaging"
	"github.com/bigtransfer/bit/internal/par"
	"github.com/bigtransfer/bit/models"
	"github.com/bigtransfer/bit/resnet"
	"github.com/bigtransfer/bit/weights"
)

// DefaultModel is the name of the embedded model that an empty reference means.
const DefaultModel = models.Tiny

// DefaultResolution is the side in pixels to which pictures are squashed for a model that does not say how to prepare
// them, as official files do not: BiT's evaluation of images of 96x96 pixels and more (big_transfer bit_hyperrule.py).
// Smaller ones were evaluated at 128; see [Opener].
const DefaultResolution = 480

// Classifier is a network with what belongs to its use: labels, and how pictures are prepared for it. Its weights are in
// memory once, in the form that computing with them takes.
type Classifier struct {
	Description
	net     *resnet.Network
	threads int
	keep    bool   // the network's weights, beside the predictor's
	dir     string // that the model was read from; "" if none

	mu        sync.Mutex // guards what follows, made at the first pass
	predictor *resnet.Predictor
	body      string      // see bodyDigest; "" until it is needed
	stats     *statistics // that the head was fitted to; nil if they are not in memory
}

// Model is a [Classifier] that can be saved and trained further: it keeps its weights as they are in its file too, which
// takes about twice the memory.
type Model struct{ *Classifier }

// ModelNotFoundError says that a reference is neither the name of an embedded or published model nor an existing file or
// folder. It is an [fs.ErrNotExist].
type ModelNotFoundError struct{ Ref string }

func (e *ModelNotFoundError) Error() string {
	return fmt.Sprintf("no model %q: expected %s, an .npz file, a folder with config.json and model.safetensors, or a published name such as BiT-M-R50x1 or google/bit-50", e.Ref, DefaultModel)
}

// Is reports whether target is [fs.ErrNotExist].
func (e *ModelNotFoundError) Is(target error) bool { return target == fs.ErrNotExist }

// Opener opens models with settings of its own. The zero value is what [Open] uses.
type Opener struct {
	Threads    int                // to compute with; 0 for one per CPU
	Resolution int                // side in pixels to which pictures are squashed; 0 for what the model says, or else DefaultResolution
	Processor  *imaging.Processor // prepares pictures in place of what the model says; nil for that. Resolution is then not used
	Hub        *hub.Client        // brings published models; nil for [hub.FromEnv]
}

// Open opens a model. ref is "" or [DefaultModel] for the one inside this package, the path of an official .npz file or
// of a folder or file of transformers or timm, see [weights.Open], or else a published model, which is taken from the
// cache or downloaded: a name of [hub.Catalog], a hub's "org/name" or "org/name@revision", an https URL. (A folder that
// is named like the embedded model is "./BiT-Tiny-R26x0.5".)
//
// The errors are a [*ModelNotFoundError], a [*hub.Error], those of package weights, which name the tensor or file that is
// wrong, and the context's.
func Open(ctx context.Context, ref string) (*Model, error) { return Opener{}.Open(ctx, ref) }

// OpenClassifier is [Open] for a model that is neither trained nor saved.
func OpenClassifier(ctx context.Context, ref string) (*Classifier, error) {
	return Opener{}.OpenClassifier(ctx, ref)
}

// Open is the function [Open] with o's settings.
func (o Opener) Open(ctx context.Context, ref string) (*Model, error) {
	c, err := o.OpenClassifier(ctx, ref)
	if err != nil {
		return nil, err
	}
	c.keep = true
	return &Model{c}, nil
}

// OpenClassifier is the function [OpenClassifier] with o's settings.
func (o Opener) OpenClassifier(ctx context.Context, ref string) (*Classifier, error) {
	file, path, err := o.read(ctx, ref, weights.Open)
	if err != nil {
		return nil, err
	}
	if err := context.Cause(ctx); err != nil { // large files take their time
		return nil, err
	}
	net, err := file.Network()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", ref, err)
	}
	m := &Classifier{net: net, threads: o.Threads}
	if m.Description, err = o.describe(ref, file); err != nil {
		return nil, err
	}
	if path != "" {
		m.dir = path
		if info, err := os.Stat(path); err == nil && !info.IsDir() {
			m.dir = filepath.Dir(path)
		}
	}
	return m, nil
}

// read reads a model's file: what is embedded, then what lies at the path, then what is published. It also returns the
// path, "" of what is embedded. open reads what lies at a path.
func (o Opener) read(ctx context.Context, ref string, open func(path string) (*weights.Model, error)) (*weights.Model, string, error) {
	if err := context.Cause(ctx); err != nil {
		return nil, "", err
	}
	if ref == "" || ref == models.Tiny {
		file, err := weights.OpenFS(models.FS(), models.Tiny)
		return file, "", err
	}
	if _, err := os.Stat(ref); !errors.Is(err, fs.ErrNotExist) {
		file, err := open(ref)
		return file, ref, err
	}
	client := o.Hub
	if client == nil {
		client = hub.FromEnv()
	}
	published, err := client.ParseRef(ref)
	if errors.Is(err, hub.ErrNoRef) {
		return nil, "", &ModelNotFoundError{ref}
	}
	if err != nil {
		return nil, "", err
	}
	path, err := client.Get(ctx, published)
	if err != nil {
		return nil, "", fmt.Errorf("no file or folder %s here: %w", ref, err)
	}
	file, err := open(path)
	return file, path, err
}

// SetCalibration makes the model use a calibration; zero for none. It must not be called while the model is used.
func (m *Classifier) SetCalibration(c calibrate.Calibration) error {
	if err := c.Validate(); err != nil {
		return err
	}
	m.calibration = c
	return nil
}

// Save writes the model as a Hugging Face model directory with 32-bit weights, which read back to the same bits.
// See [weights.SaveHF] for how a directory that exists is treated, and for other ways to write it.
//
// A model read from a checkpoint without head cannot be saved: the error is [ErrNoHead].
func (m *Model) Save(dir string, card weights.Card) error {
	if m.headless {
		return fmt.Errorf("save %s: %w", dir, ErrNoHead)
	}
	return weights.SaveHF(context.Background(), dir, m.Weights(), weights.F32, card)
}

// Weights returns the model as package weights writes it. The values are not copied.
func (m *Model) Weights() *weights.Model {
	w := weights.FromNetwork(m.net, m.labels, m.processor)
	w.MultiLabel, w.Calibration = m.multiLabel, m.calibration
	if s, err := m.readStatistics(); err == nil { // those of another head are not worth keeping
		w.Statistics = s.write(m)
	}
	return w
}

// Network returns the network itself, for what this package has no method for. The model and the caller share it: it must
// not be frozen while the model is used.
func (m *Model) Network() *resnet.Network { return m.net }

// Untrained returns a model of the same architecture, labels and preparation whose weights are drawn at random, to
// train from scratch.
func (m *Model) Untrained(seed uint64) (*Model, error) {
	net, err := resnet.NewNetwork(m.net.Config)
	if err != nil {
		return nil, err
	}
	net.Init(rand.New(rand.NewPCG(seed, untrainedStream)))
	return m.derive("", net, m.labels, m.processor), nil
}

// untrainedStream keeps these random numbers apart from others of the same seed.
const untrainedStream = 0x756e747261696e65 // "untraine"

// derive returns a new model that computes with the same threads.
func (m *Model) derive(name string, net *resnet.Network, labels []string, p *imaging.Processor) *Model {
	return &Model{&Classifier{
		Description: Description{name: name, config: net.Config, labels: labels, processor: p}, net: net, threads: m.threads, keep: true,
	}}
}

// pass runs the network while no one else does.
func (m *Classifier) pass(run func(p *resnet.Predictor) error) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.predictor == nil {
		pool := par.New(m.threads)
		if m.keep {
			m.predictor = m.net.NewPredictor(pool)
		} else {
			m.predictor = m.net.Freeze(pool)
		}
		// The pool's goroutines do not know the model, so they can end with it.
		runtime.AddCleanup(m, (*par.Pool).Close, pool)
	}
	return run(m.predictor)
}
