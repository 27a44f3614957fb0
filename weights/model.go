// Package weights reads and writes the parameters of BiT networks: the official .npz files of big_transfer, and what
// Hugging Face transformers and timm keep in a directory, config.json with model.safetensors or pytorch_model.bin,
// whole or in shards.
//
// In memory every format looks the same: the names, shapes and layout of [resnet.Config.ParamSpecs], float32,
// convolution kernels H W I O, the head kernel (features, classes). What a file holds is checked against that before
// any of it is used; a tensor that is wrong, missing, extra, cut short, overlapping or not finite is a [TensorError].
package weights

import (
	"archive/zip"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"

	"github.com/bigtransfer/bit/calibrate"
	"github.com/bigtransfer/bit/imaging"
	"github.com/bigtransfer/bit/internal/torchfile"
	"github.com/bigtransfer/bit/resnet"
	"github.com/bigtransfer/bit/tensor"
)

// The formats that Open recognises, by the names and layouts of their tensors.
const (
	FormatNpz         = "npz"          // big_transfer's files
	FormatHuggingFace = "Hugging Face" // transformers' BitForImageClassification and BitModel
	FormatTimm        = "timm"         // timm's resnetv2_*_bit
)

// Model is what a checkpoint holds: the architecture, the parameters and what belongs to their use.
type Model struct {
	Format       string // where it was read from: one of the Format constants, or empty
	Config       resnet.Config
	Labels       []string                  // readable class names in output order, nil if the checkpoint has none
	Preprocessor *imaging.Processor        // nil if the checkpoint has none
	Tensors      map[string]*tensor.Tensor // by the names of Config.ParamSpecs, in their shapes
	MultiLabel   bool                      // each class is a question of its own: scores are sigmoids
	Calibration  calibrate.Calibration     // of its scores; zero if there is none
	Headless     bool                      // the checkpoint has no head: that of Tensors has 1 class, all zeros
	Warnings     []string                  // what its reader should know: a name that contradicts the shapes

	// Statistics writes StatisticsFile, what a closed-form head can be extended by without its pictures; nil for none. It is
	// only written: who wants to extend a head reads the file.
	Statistics func(w io.Writer) error
}

// Open reads a checkpoint, whose format is told by its content: an .npz file; a directory with config.json and tensors;
// or a file of tensors, which is read with the config.json beside it, if there is one.
func Open(path string) (*Model, error) { return openPath(path, true) }

// Describe is [Open] without reading any value: the model has no Tensors, and values that are damaged or not finite go
// unseen. It takes the time and memory of the headers.
func Describe(path string) (*Model, error) { return openPath(path, false) }

func openPath(path string, values bool) (*Model, error) {
	st, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if st.IsDir() {
		return openDir(os.DirFS(path), "", path, values)
	}
	dir, name := filepath.Split(filepath.Clean(path))
	return openFile(os.DirFS(filepath.Clean(dir)), name, path, values)
}

// OpenFS reads the checkpoint at name, a file or a directory, of a file system such as an [embed.FS].
func OpenFS(fsys fs.FS, name string) (*Model, error) {
	st, err := fs.Stat(fsys, name)
	if err != nil {
		return nil, err
	}
	dir := name
	if !st.IsDir() {
		dir = path.Dir(name)
	}
	sub, err := fs.Sub(fsys, dir)
	if err != nil {
		return nil, err
	}
	if st.IsDir() {
		return openDir(sub, "", name, true)
	}
	return openFile(sub, path.Base(name), name, true)
}

// openFile reads the file called name in a directory; shown is how messages call it.
func openFile(dir fs.FS, name, shown string, values bool) (*Model, error) {
	f, err := dir.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	r, err := readerAt(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", shown, err)
	}
	switch kind, err := sniff(r, st.Size()); {
	case err != nil:
		return nil, fmt.Errorf("%s: %w", shown, err)
	case kind == npzKind:
		m, err := openNpz(shown, r, st.Size(), values)
		return m.named(shown), err
	default:
		return openDir(dir, name, shown, values)
	}
}

// fileKind is what a file of tensors is.
type fileKind int

const (
	npzKind fileKind = iota
	safetensorsKind
	torchKind // of torch.save
)

// sniff tells the kind of a file by its content.
func sniff(r io.ReaderAt, size int64) (fileKind, error) {
	head := make([]byte, min(size, 9))
	if _, err := r.ReadAt(head, 0); err != nil && len(head) > 0 {
		return 0, err
	}
	switch {
	case len(head) >= 4 && string(head[:4]) == "PK\x03\x04":
		// One without directory is for openNpz to explain.
		if z, err := zip.NewReader(r, size); err == nil && torchfile.Is(z) {
			return torchKind, nil
		}
		return npzKind, nil
	case len(head) == 9 && head[8] == '{':
		return safetensorsKind, nil
	case len(head) >= 2 && head[0] == 0x80 && head[1] <= 5:
		return 0, fmt.Errorf("%w: a bare pickle, as PyTorch wrote before 1.6; load it there and save it again", ErrFormat)
	default:
		return 0, fmt.Errorf("%w: %d bytes that start with % x, want an .npz file, a safetensors file, one of torch.save, or a directory with config.json and %s",
			ErrFormat, size, head[:min(4, len(head))], tensorsFile)
	}
}

// readerAt returns a file of a file system as an io.ReaderAt; files on disk and embedded files are one.
func readerAt(f fs.File) (io.ReaderAt, error) {
	r, ok := f.(io.ReaderAt)
	if !ok {
		return nil, fmt.Errorf("a %T cannot be read at an offset", f)
	}
	return r, nil
}

// Network returns a network with these parameters. The values are not copied, so that a large model is in memory
// once: training the network changes m.Tensors, and freezing it leaves them without meaning.
func (m *Model) Network() (*resnet.Network, error) {
	if err := m.check(); err != nil {
		return nil, err
	}
	return resnet.NewNetworkOver(m.Config, func(p resnet.ParamSpec) []float32 { return m.Tensors[p.Name].Data })
}

// FromNetwork describes a network, ready to be saved. The values are not copied. labels and preprocessor may be nil.
func FromNetwork(net *resnet.Network, labels []string, preprocessor *imaging.Processor) *Model {
	m := &Model{Config: net.Config, Labels: labels, Preprocessor: preprocessor, Tensors: map[string]*tensor.Tensor{}}
	for _, p := range net.Params() {
		m.Tensors[p.Name] = &tensor.Tensor{Shape: p.Shape, Data: p.Value}
	}
	return m
}

// check reports the first parameter that is missing, of another shape, or not finite, and a tensor that is no
// parameter.
func (m *Model) check() error {
	if err := m.Config.Validate(); err != nil {
		return err
	}
	specs := m.Config.ParamSpecs()
	known := make(map[string]bool, len(specs))
	for _, p := range specs {
		known[p.Name] = true
		t := m.Tensors[p.Name]
		switch {
		case t == nil:
			return &TensorError{Name: p.Name, Problem: ErrMissing, Want: p.Shape}
		case !slices.Equal(t.Shape, p.Shape) || len(t.Data) != tensor.Len(p.Shape):
			return &TensorError{Name: p.Name, Problem: ErrShape, Want: p.Shape, Got: t.Shape}
		}
		if i := notFinite(t.Data); i >= 0 {
			return &TensorError{Name: p.Name, Problem: ErrNotFinite, Want: p.Shape, Got: t.Shape, Detail: fmt.Sprintf("%v at %s", t.Data[i], index(p.Shape, i))}
		}
	}
	for name, t := range m.Tensors {
		if !known[name] {
			return &TensorError{Name: name, Problem: ErrUnexpected, Got: t.Shape}
		}
	}
	if m.Labels != nil && len(m.Labels) != m.Config.Classes {
		return fmt.Errorf("%d labels for %d classes", len(m.Labels), m.Config.Classes)
	}
	return m.Calibration.Validate()
}
