package weights

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/bigtransfer/bit/internal/atomicfile"
	"github.com/bigtransfer/bit/internal/numpy"
	"github.com/bigtransfer/bit/resnet"
)

// SaveNpz writes the parameters of a model as an official file of big_transfer: float32, one stored member for each, in
// alphabetical order. Such a file holds no labels and no preparation of pictures, and nothing says that a network has
// other than 32 groups or another epsilon of GroupNorm than 1e-5: those are errors. (That of weight standardisation, which
// is 1e-10 when the file is read, only shows in filters of a variance near it.) The file appears complete or not at all.
func SaveNpz(ctx context.Context, path string, m *Model) error {
	err := m.check()
	switch {
	case err != nil:
	case m.Config.Groups != releasedGroups:
		err = fmt.Errorf("an official file is of %d groups, the model has %d", releasedGroups, m.Config.Groups)
	case m.Config.GNEpsilon != resnet.GNEpsilon:
		err = fmt.Errorf("an official file is of GroupNorm's epsilon %v, the model has %v", resnet.GNEpsilon, m.Config.GNEpsilon)
	default:
		err = atomicfile.Replace(path, func(w io.Writer) error { return m.writeNpz(atomicfile.Until(ctx, w)) })
	}
	if err != nil {
		return fmt.Errorf("save %s: %w", path, err)
	}
	return nil
}

func (m *Model) writeNpz(w io.Writer) error {
	params := npzNaming.params(m.Config)
	slices.SortFunc(params, func(a, b param) int { return strings.Compare(a.file, b.file) })
	var arrays []numpy.Array
	for _, p := range params {
		arrays = append(arrays, numpy.Float32(p.file, p.stored, m.Tensors[p.Name].Data))
	}
	return numpy.WriteZip(w, arrays)
}
