package data

import (
	"encoding/binary"
	"fmt"
	"io"
	"io/fs"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/bigtransfer/bit/imaging"
)

// The IDX format (yann.lecun.com/exdb/mnist): two zero bytes, the type of an element, how many dimensions, each of them as
// a big-endian uint32, and the elements, the last dimension changing fastest.
const idxBytes = 8 // the type of unsigned bytes

// idxImages matches the names of files of pictures: those of MNIST and Fashion-MNIST, with either a dash or a dot in
// their middle, and with a prefix those of EMNIST; unpacked or not.
var idxImages = regexp.MustCompile(`^(?:(.+)-)?(train|t10k|test|valid|val|validation)-images[-.]idx[34]-ubyte(\.gz)?$`)

// isIDX reports whether the root has such a file.
func (l *lister) isIDX() bool {
	_, files, err := (&lister{fsys: l.fsys}).read(".")
	return err == nil && slices.ContainsFunc(files, idxImages.MatchString)
}

// idx lists the data set. Its classes are the numbers up to the largest label.
func (l *lister) idx() (*Dataset, error) {
	_, files, err := l.read(".")
	if err != nil {
		return nil, err
	}
	d := &Dataset{}
	source := &idxSource{}
	d.Source = source
	prefix, found, largest := "", "", 0
	for _, name := range files {
		match := idxImages.FindStringSubmatch(name)
		if match == nil {
			continue
		}
		if found != "" && prefix != match[1] {
			return nil, fmt.Errorf("%s and %s are of two data sets: expected one in a folder", found, name)
		}
		prefix, found = match[1], name
		to := &d.Test
		switch splitOf(match[2]) {
		case splitTrain:
			to = &d.Train
		case splitVal:
			to = &d.Val
		}
		if len(*to) > 0 {
			return nil, fmt.Errorf("%s is of the same split as %s", name, (*to)[0].Path)
		}
		labels, err := l.idxLabels(name, files)
		if err != nil {
			return nil, err
		}
		if *to, err = l.idxPictures(source, name, labels); err != nil {
			return nil, err
		}
		largest = max(largest, int(slices.Max(labels)))
	}
	d.Classes, err = l.numbered(largest + 1)
	return d, err
}

// numbered returns the names of classes that are numbers up to n-1: those that the Opener was given, or the numbers.
func (l *lister) numbered(n int) ([]string, error) {
	if given := l.opener.Classes; given != nil {
		if len(given) < n {
			return nil, fmt.Errorf("there is a label %d, expected one of the %d classes given", n-1, len(given))
		}
		return slices.Clone(given), nil
	}
	classes := make([]string, n)
	for i := range classes {
		classes[i] = strconv.Itoa(i)
	}
	return classes, nil
}

// openIDX opens a file and returns its dimensions and where its elements start.
func (l *lister) openIDX(name string) (f *packedFile, shape []int64, start int64, err error) {
	var unpack func(io.Reader) (io.Reader, error)
	if strings.HasSuffix(name, ".gz") {
		unpack = gunzip
	}
	if f, err = openPacked(l.fsys, name, unpack); err != nil {
		return nil, nil, 0, err
	}
	head := make([]byte, 4+4*4)
	n := 0
	err = f.with(func(r io.ReaderAt) (err error) {
		if n, err = r.ReadAt(head, 0); err == io.EOF {
			err = nil
		}
		return err
	})
	if err != nil {
		return nil, nil, 0, err
	}
	if n < 4 || head[0] != 0 || head[1] != 0 || head[2] != idxBytes || head[3] < 1 || head[3] > 4 {
		return nil, nil, 0, fmt.Errorf("%s: expected an IDX file of bytes, found one that starts with %q", name, head[:min(n, 4)])
	}
	dimensions := int(head[3])
	start = int64(4 + 4*dimensions)
	if int64(n) < start {
		return nil, nil, 0, fmt.Errorf("%s: it is cut short after %d bytes", name, n)
	}
	// A product that does not overflow: as soon as it is above the file's size, the rest cannot matter.
	size := int64(1)
	for i := range dimensions {
		shape = append(shape, int64(binary.BigEndian.Uint32(head[4+4*i:])))
		if size *= shape[i]; size > f.size {
			break
		}
	}
	if size != f.size-start {
		return nil, nil, 0, fmt.Errorf("%s: expected %d elements, as its header says %v, found %d bytes", name, size, shape, f.size-start)
	}
	return f, shape, start, nil
}

// idxLabels reads the labels that belong to a file of pictures.
func (l *lister) idxLabels(images string, files []string) ([]byte, error) {
	stem := strings.TrimSuffix(images, ".gz")
	stem, _, _ = strings.Cut(stem, "-images")
	for _, name := range []string{stem + "-labels-idx1-ubyte", stem + "-labels.idx1-ubyte", stem + "-labels-idx1-ubyte.gz", stem + "-labels.idx1-ubyte.gz"} {
		if !slices.Contains(files, name) {
			continue
		}
		f, shape, start, err := l.openIDX(name)
		if err != nil {
			return nil, err
		}
		if len(shape) != 1 {
			return nil, fmt.Errorf("%s: expected one dimension, found %v", name, shape)
		}
		return f.read(start, int(shape[0]))
	}
	return nil, &fs.PathError{Op: "open", Path: stem + "-labels-idx1-ubyte", Err: fs.ErrNotExist}
}

// idxPictures lists a file of pictures.
func (l *lister) idxPictures(source *idxSource, name string, labels []byte) ([]Example, error) {
	f, shape, start, err := l.openIDX(name)
	if err != nil {
		return nil, err
	}
	channels := 1
	if len(shape) == 4 {
		channels = int(shape[3])
	}
	if len(shape) < 3 || channels != 1 && channels != 3 {
		return nil, fmt.Errorf("%s: expected pictures x rows x columns, perhaps x 3, found %v", name, shape)
	}
	n, height, width := int(shape[0]), int(shape[1]), int(shape[2])
	switch {
	case n != len(labels):
		return nil, fmt.Errorf("%s has %d pictures, but there are %d labels", name, n, len(labels))
	case n == 0 || height == 0 || width == 0:
		return nil, fmt.Errorf("%s: %w: %v", name, ErrNoImages, shape)
	case source.decode != nil && (width != source.width || height != source.height || channels != source.channels):
		return nil, fmt.Errorf("%s has pictures of %d x %d x %d, those before %d x %d x %d",
			name, height, width, channels, source.height, source.width, source.channels)
	}
	if source.decode == nil {
		source.width, source.height, source.channels = width, height, channels
		source.decode = func(_ int64, b []byte) (*imaging.Image, error) { return pixels(width, height, channels, b), nil }
	}
	file := source.addFile(f)
	size := int64(height * width * channels)
	examples := make([]Example, n)
	for i := range examples {
		at, err := source.add(file, start+int64(i)*size, size)
		if err != nil {
			return nil, err
		}
		examples[i] = Example{Path: name + "#" + strconv.Itoa(i), At: at, Label: int(labels[i])}
	}
	return examples, nil
}

// idxSource is a packed source of pictures of one size.
type idxSource struct {
	packed
	width, height, channels int
}
