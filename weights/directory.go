package weights

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"path"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/bigtransfer/bit/internal/safetensors"
	"github.com/bigtransfer/bit/internal/strictjson"
	"github.com/bigtransfer/bit/internal/torchfile"
	"github.com/bigtransfer/bit/resnet"
)

// The usual names of files of tensors, of which the first is written. What is inside is told by the content.
const (
	tensorsFile = "model.safetensors"
	torchFile   = "pytorch_model.bin"
)

// tensorsNames are the files that hold the tensors of a directory, or say which files do, in the order in which
// transformers looks for them (modeling_utils.py, from_pretrained).
var tensorsNames = []string{tensorsFile, tensorsFile + indexSuffix, torchFile, torchFile + indexSuffix}

// indexSuffix ends the name of a file that maps tensors to shards.
const indexSuffix = ".index.json"

// tensorFiles are the tensors of a directory, from one file or several, which stay open.
type tensorFiles struct {
	name    string // of the file or index, for messages
	entries []entry
	files   []fs.File
	values  bool // wanted, not only the header
}

func (t *tensorFiles) Close() {
	for _, f := range t.files {
		f.Close() // only read from
	}
}

// openDir reads a model directory. tensors is the file that holds its tensors, "" for the first of tensorsNames, and
// shown is how messages call the directory, or else the file. Values are read only if they are wanted.
func openDir(fsys fs.FS, tensors, shown string, values bool) (*Model, error) {
	dir := shown
	if tensors != "" {
		dir = filepath.Dir(shown)
	}
	config, err := fs.ReadFile(fsys, configFile)
	switch {
	case errors.Is(err, fs.ErrNotExist) && tensors != "":
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("%s: %w: the directory has no %s", dir, ErrFormat, configFile)
	case err != nil:
		return nil, fmt.Errorf("%s/%s: %w", dir, configFile, err)
	}
	if config != nil {
		if err := strictjson.CheckKeys(config); err != nil {
			return nil, fmt.Errorf("%s/%s: %w", dir, configFile, err)
		}
	}
	t := &tensorFiles{values: values}
	defer t.Close()
	if err := t.find(dir, fsys, tensors); err != nil {
		return nil, err
	}
	var m *Model
	var kind struct {
		Architecture string `json:"architecture"` // of timm; transformers has "architectures"
	}
	switch {
	case config == nil:
		m, err = openTensors(t)
	case json.Unmarshal(config, &kind) == nil && kind.Architecture != "":
		m, err = openTimm(dir, config, t)
	default:
		m, err = openHF(dir, fsys, config, t)
	}
	return m.named(shown), err
}

// find opens the file of tensors called name, "" for the first of tensorsNames that is there.
func (t *tensorFiles) find(dir string, fsys fs.FS, name string) error {
	if name == "" {
		i := slices.IndexFunc(tensorsNames, func(name string) bool {
			_, err := fs.Stat(fsys, name)
			return !errors.Is(err, fs.ErrNotExist)
		})
		if i < 0 {
			return fmt.Errorf("%s: %w: the directory has no %s and no %s", dir, ErrFormat, tensorsFile, torchFile)
		}
		name = tensorsNames[i]
	}
	t.name = path.Join(filepath.ToSlash(dir), name)
	if path.Ext(name) == path.Ext(indexSuffix) {
		return t.openShards(dir, fsys, name)
	}
	entries, err := t.open(fsys, name)
	if err != nil {
		return fmt.Errorf("%s: %w", t.name, err)
	}
	t.entries = entries
	return nil
}

// open lists the tensors of one file.
func (t *tensorFiles) open(fsys fs.FS, name string) ([]entry, error) {
	f, err := fsys.Open(name)
	if err != nil {
		return nil, err
	}
	t.files = append(t.files, f)
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	r, err := readerAt(f)
	if err != nil {
		return nil, err
	}
	switch kind, err := sniff(r, st.Size()); {
	case err != nil:
		return nil, err
	case kind == torchKind:
		return torchEntries(r, st.Size())
	case kind == safetensorsKind:
		return safetensorsEntries(r, st.Size())
	default:
		return nil, fmt.Errorf("%w: an .npz file, whose network is told by itself alone", ErrFormat)
	}
}

func safetensorsEntries(r io.ReaderAt, size int64) ([]entry, error) {
	file, err := safetensors.NewReader(r, size)
	if err != nil {
		return nil, err
	}
	entries := make([]entry, len(file.Tensors))
	for i, t := range file.Tensors {
		entries[i] = entry{
			name: t.Name, key: t.Name, shape: t.Shape, dtype: t.DType, problem: tensorError(t.Fault),
			open: func() (io.ReadCloser, error) { return io.NopCloser(t.Open()), nil },
		}
	}
	return entries, nil
}

func torchEntries(r io.ReaderAt, size int64) ([]entry, error) {
	tensors, err := torchfile.Read(r, size)
	if err != nil {
		return nil, err
	}
	entries := make([]entry, len(tensors))
	for i, t := range tensors {
		entries[i] = entry{name: t.Name, key: t.Name, shape: t.Shape, dtype: t.DType, problem: tensorError(t.Fault), open: t.Open}
	}
	return entries, nil
}

// openShards reads an index, {"metadata": …, "weight_map": {tensor: file}}, and lists the tensors of its files, which
// must be those that it says.
func (t *tensorFiles) openShards(dir string, fsys fs.FS, index string) error {
	text, err := fs.ReadFile(fsys, index)
	if err == nil {
		err = strictjson.CheckKeys(text)
	}
	var content struct {
		WeightMap map[string]string `json:"weight_map"`
	}
	if err == nil {
		err = json.Unmarshal(text, &content)
	}
	if err == nil && len(content.WeightMap) == 0 {
		err = fmt.Errorf("%w: no weight_map", ErrFormat)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", t.name, err)
	}
	shards := map[string]map[string]bool{} // the tensors that are due in each
	for _, name := range slices.Sorted(maps.Keys(content.WeightMap)) {
		shard := content.WeightMap[name]
		if shard != path.Base(shard) || !fs.ValidPath(shard) || shard == "." {
			return fmt.Errorf("%s: tensor %q is said to be in %q, want the name of a file beside the index", t.name, name, shard)
		}
		if shards[shard] == nil {
			shards[shard] = map[string]bool{}
		}
		shards[shard][name] = true
	}
	for _, shard := range slices.Sorted(maps.Keys(shards)) {
		file := dir + "/" + shard
		entries, err := t.open(fsys, shard)
		if err != nil {
			return fmt.Errorf("%s, a shard of %s: %w", file, index, err)
		}
		due := shards[shard]
		for i := range entries {
			e := &entries[i]
			e.file = file
			if !due[e.name] {
				detail := "which the index does not know"
				if other := content.WeightMap[e.name]; other != "" {
					detail = "which by the index is in " + strconv.Quote(other)
				}
				return &TensorError{File: file, Name: e.name, Problem: ErrUnexpected, Got: e.shape, Detail: detail}
			}
			delete(due, e.name)
		}
		for _, name := range slices.Sorted(maps.Keys(due)) {
			return &TensorError{File: file, Name: name, Problem: ErrMissing, Detail: "which by the index is there"}
		}
		t.entries = append(t.entries, entries...)
	}
	return nil
}

// openTensors reads tensors without a config.json: a network as the released ones are.
func openTensors(t *tensorFiles) (*Model, error) {
	n, err := recognise(t.entries)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", t.name, err)
	}
	m := &Model{Format: FormatHuggingFace}
	if n.timm {
		m.Format = FormatTimm
	}
	if m.Config, err = n.infer(t.name, t.entries); err != nil {
		return nil, err
	}
	m.Config.Groups, m.Config.GNEpsilon, m.Config.WSEpsilon = releasedGroups, resnet.GNEpsilon, resnet.WSEpsilonTimm
	if err := m.Config.Validate(); err != nil {
		return nil, fmt.Errorf("%s: %w: %w, which a network without %s would have to be", t.name, ErrFormat, err, configFile)
	}
	return m.load(t, n)
}

// load reads the tensors of m.Config.
func (m *Model) load(t *tensorFiles, n naming) (*Model, error) {
	var err error
	if m.Tensors, err = load(t.name, n, m.Config, t.entries, t.values); err != nil {
		return nil, err
	}
	m.Headless = n.headless(t.entries)
	return m, nil
}
