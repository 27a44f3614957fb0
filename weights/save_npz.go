package weights

import (
	"archive/zip"
	"context"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"slices"
	"strings"

	"github.com/bigtransfer/bit/internal/atomicfile"
	"github.com/bigtransfer/bit/internal/safetensors"
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
	z := zip.NewWriter(w)
	for _, p := range params {
		values := m.Tensors[p.Name].Data
		write := func(w io.Writer) error {
			if _, err := w.Write(npyFloat32Header(p.stored)); err != nil {
				return err
			}
			return safetensors.NewEncoder(w, F32).Encode(values)
		}
		// Without a data descriptor, which NumPy does not write either, the checksum stands before the data.
		sum := crc32.NewIEEE()
		if err := write(sum); err != nil {
			return err
		}
		size := uint64(npyHeaderSize + 4*len(values))
		member, err := z.CreateRaw(&zip.FileHeader{
			Name: p.file + ".npy", Method: zip.Store, CRC32: sum.Sum32(), CompressedSize64: size, UncompressedSize64: size,
		})
		if err != nil {
			return err
		}
		if err := write(member); err != nil {
			return err
		}
	}
	return z.Close()
}

// npyHeaderSize is the length of the header that NumPy writes for an array of few axes.
const npyHeaderSize = 128

// npyFloat32Header returns what stands before the values of an array in C order (NumPy's lib/format.py, version 1.0).
func npyFloat32Header(shape []int) []byte {
	tuple := strings.TrimSuffix(formatShape(shape), ")")
	if len(shape) == 1 {
		tuple += "," // as Python writes a tuple of one
	}
	text := fmt.Sprintf("{'descr': '<f4', 'fortran_order': False, 'shape': %s), }", tuple)
	head := append([]byte("\x93NUMPY\x01\x00"), 0, 0)
	binary.LittleEndian.PutUint16(head[8:], npyHeaderSize-10)
	head = append(head, text...)
	for len(head) < npyHeaderSize-1 {
		head = append(head, ' ')
	}
	return append(head, '\n')
}
