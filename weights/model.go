// Package weights reads and writes the parameters of BiT networks: the official .npz files of big_transfer, and model
// directories as Hugging Face transformers keeps them (config.json, model.safetensors, preprocessor_config.json).
//
// In memory every format looks the same: the names, shapes and layout of [resnet.Config.ParamSpecs], float32,
// convolution kernels H W I O, the head kernel (features, classes). What a file holds is checked against that before
// any of it is used; a tensor that is wrong, missing, extra, cut short, overlapping or not finite is a [TensorError].
package weights

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/bigtransfer/bit/imaging"
	"github.com/bigtransfer/bit/resnet"
	"github.com/bigtransfer/bit/tensor"
)

// The formats that Open recognises.
const (
	FormatNpz         = "npz"          // big_transfer's files
	FormatHuggingFace = "Hugging Face" // a transformers model directory
)

// Model is what a checkpoint holds: the architecture, the parameters and what belongs to their use.
type Model struct {
	Format       string // where it was read from: one of the Format constants, or empty
	Config       resnet.Config
	Labels       []string                  // readable class names in output order, nil if the checkpoint has none
	Preprocessor *imaging.Processor        // nil if the checkpoint has none
	Tensors      map[string]*tensor.Tensor // by the names of Config.ParamSpecs, in their shapes
}

// Open reads a checkpoint: an .npz file or a Hugging Face model directory, told apart by content.
func Open(path string) (*Model, error) {
	st, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if st.IsDir() {
		return openDir(path, os.DirFS(path))
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return openFile(path, f, st.Size())
}

// OpenFS reads the checkpoint at name, a file or a directory, of a file system such as an [embed.FS].
func OpenFS(fsys fs.FS, name string) (*Model, error) {
	st, err := fs.Stat(fsys, name)
	if err != nil {
		return nil, err
	}
	if st.IsDir() {
		sub, err := fs.Sub(fsys, name)
		if err != nil {
			return nil, err
		}
		return openDir(name, sub)
	}
	f, err := fsys.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	r, err := readerAt(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return openFile(name, r, st.Size())
}

// readerAt returns a file of a file system as an io.ReaderAt; files on disk and embedded files are one.
func readerAt(f fs.File) (io.ReaderAt, error) {
	r, ok := f.(io.ReaderAt)
	if !ok {
		return nil, fmt.Errorf("a %T cannot be read at an offset", f)
	}
	return r, nil
}

// openFile reads a checkpoint that is one file.
func openFile(name string, r io.ReaderAt, size int64) (*Model, error) {
	head := make([]byte, min(size, 9))
	if _, err := r.ReadAt(head, 0); err != nil && len(head) > 0 {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	switch {
	case len(head) >= 4 && string(head[:4]) == "PK\x03\x04":
		return openNpz(name, r, size)
	case len(head) == 9 && head[8] == '{':
		return nil, fmt.Errorf("%s: %w: a safetensors file says nothing of its network; open the directory that also holds its config.json", name, ErrFormat)
	default:
		return nil, fmt.Errorf("%s: %w: %d bytes that start with % x, want an .npz file or a directory with config.json and model.safetensors",
			filepath.ToSlash(name), ErrFormat, size, head[:min(4, len(head))])
	}
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
	return nil
}
