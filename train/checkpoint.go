package train

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/bigtransfer/bit/batch"
	"github.com/bigtransfer/bit/data"
	"github.com/bigtransfer/bit/imaging"
	"github.com/bigtransfer/bit/internal/atomicfile"
	"github.com/bigtransfer/bit/internal/safetensors"
	"github.com/bigtransfer/bit/resnet"
)

// Names of the two checkpoints in Config.Dir.
const (
	LastFile = "last.safetensors" // the run as it was last saved, to resume from
	BestFile = "best.safetensors" // the run as it was at the best evaluation, the first one if several are equal
)

// identity names everything that the bits of a run depend on: the network, its starting weights, the recipe, the data.
// A checkpoint is resumed only by a run of the same identity.
type identity map[string]string

// MismatchError says that a checkpoint belongs to another run than the one that tried to resume it.
type MismatchError struct {
	File        string
	Differences []Difference // sorted by Field
}

// Difference is one field of two identities; a field that one of them lacks is "".
type Difference struct{ Field, Saved, Wanted string }

func (e *MismatchError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s is the checkpoint of another run:", e.File)
	for i, d := range e.Differences {
		if i > 0 {
			b.WriteString(";")
		}
		fmt.Fprintf(&b, " %s is %s there and %s here", d.Field, orNone(d.Saved), orNone(d.Wanted))
	}
	b.WriteString("; use the same settings, or another output directory")
	return b.String()
}

func orNone(s string) string {
	if s == "" {
		return "not set"
	}
	return s
}

// ErrCorrupt is wrapped by the error of reading a checkpoint that is cut short or whose checksum does not match.
var ErrCorrupt = errors.New("damaged checkpoint")

// Metadata keys of a checkpoint, beside "identity/" + field. Everything is text, as safetensors wants it.
const (
	keyFormat    = "format"
	keyStep      = "step"
	keyEvaluated = "evaluated"
	keyTop1      = "top1"
	keyTop5      = "top5"
	keyLoss      = "loss"
	keyImages    = "images"
	keyBestStep  = "best_step"
	keyStale     = "evaluations_since_best"
	keyBest      = "best_" // before those of the last evaluation
	keyIdentity  = "identity/"

	checkpointFormat = "bit training run 2"
)

// identify returns the identity of a run. It is taken before the first step, when net holds the starting weights.
func identify(net *resnet.Network, c Config) identity {
	float := func(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }
	d := c.Data
	micro := d.MicroBatch
	if micro == 0 || micro > d.Batch {
		micro = d.Batch
	}
	id := identity{
		"network":          fmt.Sprintf("%+v", net.Config),
		"starting weights": digestWeights(net),
		"optimiser":        fmt.Sprintf("%+v", c.SGD),
		"schedule":         fmt.Sprintf("%T%+v", c.Schedule, c.Schedule),
		"learning rate":    float(c.Rate),
		"loss":             c.Loss.String(),
		"label smoothing":  float(c.Smoothing),
		"images":           digestExamples(d.Examples),
		"augmentation":     d.Pipeline.String(),
		"pixel values":     describeNormalizer(d.Normalizer),
		"batch":            strconv.Itoa(d.Batch),
		"micro-batch":      strconv.Itoa(micro),
		"mixup":            float(d.MixupAlpha),
		"seed":             strconv.FormatUint(d.Seed, 10),
	}
	// What is not asked for has no field.
	if c.ClassWeights != nil {
		id["class weights"] = fmt.Sprint(c.ClassWeights)
	}
	if d.Sampling != batch.Natural {
		id["sampling"] = d.Sampling.String()
	}
	if d.Classes != 0 {
		id["labels"] = "several an image"
	}
	if c.Frozen != resnet.FrozenNothing {
		id["frozen"] = c.Frozen.String()
	}
	if c.KeepBest || c.Patience > 0 {
		id["choice"] = fmt.Sprintf("best kept: %v, patience %d, evaluated every %d steps on %s", c.KeepBest, c.Patience, c.EvaluateEvery, digestExamples(c.Eval.Examples))
	}
	return id
}

// describeNormalizer gives the numbers that black and white become, which says all of an affine map per channel.
func describeNormalizer(n *imaging.Normalizer) string {
	if n == nil {
		n = imaging.SymmetricNormalizer()
	}
	ends := make([]float32, 6)
	n.Normalize(ends, &imaging.Image{W: 2, H: 1, Pix: []uint8{0, 0, 0, 255, 255, 255}})
	return fmt.Sprintf("%v to %v", ends[:3], ends[3:])
}

// digestExamples names a list of examples by their number and a hash of paths and labels, in order.
func digestExamples(examples []data.Example) string {
	h := sha256.New()
	for _, e := range examples {
		if e.Labels != nil {
			fmt.Fprintf(h, "%q %d\n", e.Path, e.Labels)
			continue
		}
		fmt.Fprintf(h, "%q %d\n", e.Path, e.Label)
	}
	return fmt.Sprintf("%d, sha256 %x…", len(examples), h.Sum(nil)[:8])
}

// digestWeights hashes the values of all parameters in order.
func digestWeights(net *resnet.Network) string {
	h := sha256.New()
	for _, p := range net.Params() {
		safetensors.NewEncoder(h, safetensors.F32).Encode(p.Value) // a hash takes every write
	}
	return fmt.Sprintf("sha256 %x…", h.Sum(nil)[:8])
}

// tensors lists what a checkpoint holds, in file order: "param/", "momentum/" and "ema/" + parameter name.
func (l *loop) tensors() []tensorRef {
	var list []tensorRef
	for _, group := range []string{"param/", "momentum/", "ema/"} {
		for i, p := range l.net.Params() {
			values := p.Value
			switch group {
			case "momentum/":
				values = l.opt.state[i].velocity
			case "ema/":
				values = l.opt.state[i].ema
			}
			if values == nil { // no averages, or of a frozen parameter
				continue
			}
			list = append(list, tensorRef{group + p.Name, p.Shape, values})
		}
	}
	return list
}

func (l *loop) meta() map[string]string {
	m := map[string]string{keyFormat: checkpointFormat}
	for key, v := range l.at.ints() {
		m[key] = strconv.Itoa(*v)
	}
	for key, v := range l.at.floats() {
		m[key] = strconv.FormatFloat(*v, 'g', -1, 64)
	}
	for k, v := range l.id {
		m[keyIdentity+k] = v
	}
	return m
}

// saveIfDue saves the run if the last time is SaveEvery ago.
func (l *loop) saveIfDue() error {
	every := l.cfg.SaveEvery
	if every == 0 {
		every = defaultSaveEvery
	}
	if time.Since(l.savedAt) < every {
		return nil
	}
	return l.save(LastFile)
}

// save writes the run to one of the two files, or nowhere if the run has no directory.
func (l *loop) save(name string) error {
	if err := l.record.flush(); err != nil {
		return err
	}
	if l.cfg.Dir == "" {
		return nil
	}
	path := filepath.Join(l.cfg.Dir, name)
	err := atomicfile.Replace(path, func(w io.Writer) error { return writeTensors(w, l.meta(), l.tensors()) })
	if err != nil {
		return fmt.Errorf("checkpoint %s after step %d not saved: %w", path, l.at.Step, err)
	}
	if name == LastFile {
		l.saved, l.savedAt = l.at, time.Now()
	}
	return nil
}

// saveBest keeps the run as it is after the best evaluation, of net: in a file, or the weights in memory.
func (l *loop) saveBest(net *resnet.Network) error {
	if l.cfg.Dir != "" || !l.cfg.KeepBest {
		return l.save(BestFile)
	}
	if l.best == nil {
		for _, p := range net.Params() {
			l.best = append(l.best, make([]float32, len(p.Value)))
		}
	}
	for i, p := range net.Params() {
		copy(l.best[i], p.Value)
	}
	return nil
}

// loadBest takes over the weights of the best evaluation. The run is at its end: its velocities are lost.
func (l *loop) loadBest() error {
	if l.cfg.Dir == "" {
		for i, p := range l.net.Params() {
			copy(p.Value, l.best[i])
		}
		return nil
	}
	at := l.at
	err := l.read(BestFile)
	if err == nil && l.at.Step != at.BestStep {
		err = fmt.Errorf("%s is of step %d, want the best one, %d", filepath.Join(l.cfg.Dir, BestFile), l.at.Step, at.BestStep)
	}
	if err == nil && l.averaged != nil {
		for i, p := range l.net.Params() {
			copy(p.Value, l.averaged.Params()[i].Value)
		}
	}
	l.at, l.saved = at, at
	return err
}

// resume loads LastFile into the loop if it exists.
func (l *loop) resume() error {
	if l.cfg.Dir == "" {
		return nil
	}
	if err := os.MkdirAll(l.cfg.Dir, 0o777); err != nil {
		return err
	}
	if err := l.read(LastFile); !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

// read loads one of the two files into the loop.
func (l *loop) read(name string) error {
	path := filepath.Join(l.cfg.Dir, name)
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return err
	}
	if err := l.load(f, st.Size()); err != nil {
		var mismatch *MismatchError
		if errors.As(err, &mismatch) {
			mismatch.File = path
			return mismatch
		}
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// load reads a checkpoint. The loop is unchanged unless the whole file is sound and of this run.
func (l *loop) load(f io.ReaderAt, size int64) error {
	file, err := openTensors(f, size)
	if err != nil {
		return err
	}
	if got := file.Metadata[keyFormat]; got != checkpointFormat {
		return fmt.Errorf("its format is %q, want %q", got, checkpointFormat)
	}
	saved := identity{}
	for k, v := range file.Metadata {
		if field, ok := strings.CutPrefix(k, keyIdentity); ok {
			saved[field] = v
		}
	}
	if diff := saved.differences(l.id); len(diff) > 0 {
		return &MismatchError{Differences: diff}
	}
	at, err := parsePosition(file.Metadata, l.cfg.Schedule.Steps())
	if err != nil {
		return fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	if err := readTensors(file, l.tensors()); err != nil {
		return err
	}
	l.at, l.saved = at, at
	return nil
}

// ints and floats name the fields of a position in a checkpoint's metadata.
func (p *position) ints() map[string]*int {
	return map[string]*int{keyStep: &p.Step, keyEvaluated: &p.Evaluated, keyBestStep: &p.BestStep, keyStale: &p.Stale,
		keyImages: &p.Eval.Images, keyBest + keyImages: &p.Best.Images}
}

func (p *position) floats() map[string]*float64 {
	return map[string]*float64{keyTop1: &p.Eval.Top1, keyTop5: &p.Eval.Top5, keyLoss: &p.Eval.Loss,
		keyBest + keyTop1: &p.Best.Top1, keyBest + keyTop5: &p.Best.Top5, keyBest + keyLoss: &p.Best.Loss}
}

func parsePosition(meta map[string]string, total int) (position, error) {
	var at position
	for key, v := range at.ints() {
		var err error
		if *v, err = strconv.Atoi(meta[key]); err != nil {
			return at, fmt.Errorf("field %q: %w", key, err)
		}
	}
	for key, v := range at.floats() {
		var err error
		if *v, err = strconv.ParseFloat(meta[key], 64); err != nil {
			return at, fmt.Errorf("field %q: %w", key, err)
		}
	}
	if at.Step < 0 || at.Step > total {
		return at, fmt.Errorf("field %q: %d, want at most %d", keyStep, at.Step, total)
	}
	return at, nil
}

// differences lists the fields in which saved and wanted differ, sorted.
func (saved identity) differences(wanted identity) []Difference {
	var diff []Difference
	for k, v := range saved {
		if wanted[k] != v {
			diff = append(diff, Difference{k, v, wanted[k]})
		}
	}
	for k, v := range wanted {
		if _, ok := saved[k]; !ok {
			diff = append(diff, Difference{k, "", v})
		}
	}
	slices.SortFunc(diff, func(a, b Difference) int { return strings.Compare(a.Field, b.Field) })
	return diff
}
