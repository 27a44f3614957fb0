package data

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/bigtransfer/bit/imaging"
	"github.com/bigtransfer/bit/internal/tfrecord"
)

// tfName matches the names of files of records: with the extension, or of shards as in train-00000-of-01024.
var tfName = regexp.MustCompile(`(?i)(\.tfrecords?|\.tfrec)([-.].*)?$|-\d{5}-of-\d{5}$`)

func isTFRecordName(name string) bool {
	return tfName.MatchString(name) && !strings.HasSuffix(name, ".json")
}

// isTFRecordFile tells a file by its first record.
func isTFRecordFile(_ string, head []byte) bool { return tfrecord.Is(head) }

// isTFRecords reports whether there are shards. Whether they can be read is another question.
func (l *lister) isTFRecords() bool { return len(l.shards(isTFRecordName)) > 0 }

func (l *lister) tfRecords() (*Dataset, error) { return l.tfRecordOf(l.shards(isTFRecordName)) }

// isTFRecord reports whether a shard is a file of records, by its name or by what it holds.
func isTFRecord(s shard) bool {
	if isTFRecordName(s.name) {
		return true
	}
	f, err := s.fsys.Open(s.name)
	if err != nil {
		return false
	}
	defer f.Close()
	head := make([]byte, headLen)
	n, _ := io.ReadFull(f, head)
	return tfrecord.Is(head[:n])
}

// openTFRecord lists the data set in one file.
func (o Opener) openTFRecord(path string) (*Dataset, error) {
	dir, name := filepath.Split(path)
	l := newDirLister(o, filepath.Clean(dir))
	return l.completed(l.tfRecordOf([]shard{{fsys: l.fsys, name: name, split: splitInName(name)}}))
}

// tfRecordOf lists shards. Every record is read once, since there is no index and labels are within.
func (l *lister) tfRecordOf(shards []shard) (*Dataset, error) {
	b, err := l.newShardBuilder()
	if err != nil {
		return nil, err
	}
	raw := &rawPixels{shape: map[int64][3]int{}}
	b.source.decode = raw.decode
	for _, s := range shards {
		if err := b.addRecords(s, raw); err != nil {
			return nil, err
		}
	}
	return b.finish()
}

// addRecords adds the examples of a file.
func (b *shardBuilder) addRecords(s shard, raw *rawPixels) error {
	f, err := s.open()
	if err != nil {
		return err
	}
	file := b.source.addFile(f)
	return f.with(func(r io.ReaderAt) error {
		records := tfrecord.NewReader(bufio.NewReaderSize(io.NewSectionReader(r, 0, f.size), 1<<18))
		for i := 0; ; i++ {
			record, err := records.Next()
			if err == io.EOF && i > 0 {
				return nil
			}
			if err == io.EOF {
				err = errors.New("it is empty, expected records")
			}
			if err == nil {
				err = b.addRecord(s, file, fmt.Sprintf("%s#%d", s.name, i), records.Offset(), record, raw)
			}
			if err != nil {
				return fmt.Errorf("%s: %w", s.name, err)
			}
		}
	})
}

// addRecord adds an example, or says why not.
func (b *shardBuilder) addRecord(s shard, file int32, path string, offset int64, record []byte, raw *rawPixels) error {
	features, err := parseExample(record)
	if err != nil {
		return fmt.Errorf("record at byte %d: %w", offset, err)
	}
	var image tfFeature
	for _, name := range tfImages {
		if image = features[name]; len(image.texts) > 0 {
			break
		}
	}
	if len(image.texts) != 1 {
		b.skip(path, fmt.Sprintf("no picture: expected one as %s or %s, found the features %s", tfImages[0], tfImages[1], featureNames(features)))
		return nil
	}
	labels, reason := b.tfLabels(features)
	if reason != "" {
		b.skip(path, reason)
		return nil
	}
	at, err := b.source.add(file, offset+int64(image.at[0]), int64(len(image.texts[0])))
	if err != nil {
		return err
	}
	raw.note(at, image.texts[0], features)
	return b.put(s.split, path, at, labels)
}

// tfLabels returns the labels of an example, or why it has none. A text is a better name than a number, unless the names
// of the numbers are known.
func (b *shardBuilder) tfLabels(features map[string]tfFeature) (labels []string, reason string) {
	names := slices.Concat(tfTexts, tfLabels)
	if b.labels.given {
		names = slices.Concat(tfLabels, tfTexts)
	}
	if column := b.l.opener.LabelColumn; column != "" {
		names = []string{column}
	}
	for _, name := range names {
		feature, ok := features[name]
		labels := feature.labels()
		if ok && len(labels) == 1 && strings.TrimSpace(labels[0]) == "" {
			continue // an empty text beside a number
		}
		if ok && (len(labels) > 0 || b.l.opener.LabelColumn != "") {
			return labels, ""
		}
	}
	return nil, fmt.Sprintf("no label: expected one as %s or %s, found the features %s", tfLabels[0], labelColumns[0], featureNames(features))
}

// featureNames lists the features of an example, but not all of very many.
func featureNames(features map[string]tfFeature) string {
	var names []string
	for name := range features {
		names = append(names, name)
	}
	slices.Sort(names)
	if len(names) > 12 {
		names = append(names[:12], "…")
	}
	return strings.Join(names, ", ")
}

// rawPixels is the shapes of those pictures in a file of records that are pixels and not files.
type rawPixels struct {
	shape map[int64][3]int // height, width, channels by At
}

// note notes that the picture at a place is pixels, if an example says that it is as many.
func (p *rawPixels) note(at int64, image []byte, features map[string]tfFeature) {
	for _, names := range tfShapes {
		h, w, c := features[names[0]].number(), features[names[1]].number(), features[names[2]].number()
		if n := int64(len(image)); h > 0 && w > 0 && h <= n && w <= n && (c == 1 || c == 3) && h*w*c == n {
			p.shape[at] = [3]int{int(h), int(w), int(c)}
			return
		}
	}
}

func (p *rawPixels) decode(at int64, b []byte) (*imaging.Image, error) {
	if shape, ok := p.shape[at]; ok {
		return pixels(shape[1], shape[0], shape[2], b), nil
	}
	return imaging.Decode(b)
}
