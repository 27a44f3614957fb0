package data

import (
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/bigtransfer/bit/internal/archive"
)

// WebDataset (github.com/webdataset/webdataset): tar files whose files of one key are a sample. The key of a file is its
// path up to the first dot of its name, and what follows says what it is: 000017.jpg and 000017.cls.

// webPictures are the extensions of the picture of a sample; of several, the first of these is taken.
var webPictures = []string{"jpg", "jpeg", "png", "webp", "gif", "bmp", "tif", "tiff", "jpe", "jfif"}

// webLabels are the extensions of its label: of several, the first of these that has one.
var webLabels = []string{"cls", "json", "txt"}

const (
	maxLabelFile = 1 << 20 // bytes of a .json file; metadata may be large
	maxLabelText = 200     // bytes of a .cls or .txt file: what is longer is a caption
)

// webKey cuts a path into the key of its sample and the extension that says what it is.
func webKey(name string) (key, ext string) {
	dir, base := path.Split(name)
	base, ext, _ = strings.Cut(base, ".")
	return dir + base, strings.ToLower(ext)
}

func isShardName(name string) bool { return strings.HasSuffix(strings.ToLower(name), ".tar") }

// isWebDataset reports whether there are shards, and the first of them has samples.
func (l *lister) isWebDataset() bool {
	shards := l.shards(isShardName)
	if len(shards) == 0 {
		return false
	}
	// A shard that cannot be read is one, too: the error shall be that of reading it.
	members, err := tarMembers(shards[0])
	return err != nil || hasSamples(members)
}

// hasSamples tells shards from folders in a tar file, in which a text may lie beside a picture as well: a .cls file says
// it, and the others only where pictures are in no folder.
func hasSamples(members []archive.Member) bool {
	const enough = 10_000
	pictures, labels := map[string]bool{}, map[string]bool{}
	for _, m := range members[:min(enough, len(members))] {
		key, ext := webKey(m.Name)
		switch {
		case slices.Contains(webPictures, ext):
			pictures[key] = true
		case ext == "cls", slices.Contains(webLabels, ext) && !strings.Contains(key, "/"):
			labels[key] = true
		}
	}
	for key := range labels {
		if pictures[key] {
			return true
		}
	}
	return false
}

func tarMembers(s shard) ([]archive.Member, error) {
	f, err := s.open()
	if err != nil {
		return nil, err
	}
	var members []archive.Member
	err = f.with(func(r io.ReaderAt) error {
		members, _, err = archive.TarMembers(r, f.size)
		return err
	})
	return members, err
}

// webDataset lists the shards of a folder.
func (l *lister) webDataset() (*Dataset, error) { return l.webDatasetOf(l.shards(isShardName)) }

// webDatasetOf lists shards. The order of a shard's files does not matter, only their keys.
func (l *lister) webDatasetOf(shards []shard) (*Dataset, error) {
	b, err := l.newShardBuilder()
	if err != nil {
		return nil, err
	}
	for _, s := range shards {
		f, err := s.open()
		if err != nil {
			return nil, err
		}
		err = f.with(func(r io.ReaderAt) error {
			members, left, err := archive.TarMembers(r, f.size)
			for _, m := range left {
				l.skip(s.name+"/"+m.Name, m.Reason)
			}
			if err != nil {
				return err
			}
			return b.addShard(s, f, r, members)
		})
		if err != nil {
			return nil, fmt.Errorf("%s: %w", s.name, err)
		}
	}
	return b.finish()
}

// addShard adds the samples of a shard.
func (b *shardBuilder) addShard(s shard, f *packedFile, r io.ReaderAt, members []archive.Member) error {
	slices.SortStableFunc(members, func(x, y archive.Member) int {
		first, _ := webKey(x.Name)
		second, _ := webKey(y.Name)
		return strings.Compare(first, second)
	})
	file := b.source.addFile(f)
	for start, end := 0, 0; start < len(members); start = end {
		key, _ := webKey(members[start].Name)
		sample := map[string]*archive.Member{}
		for ; end < len(members); end++ {
			k, ext := webKey(members[end].Name)
			if k != key {
				break
			}
			if sample[ext] != nil {
				return fmt.Errorf("the key %s has two files .%s", key, ext)
			}
			sample[ext] = &members[end]
		}
		if err := b.addSample(s, file, r, key, sample); err != nil {
			return err
		}
	}
	return nil
}

// addSample adds the sample of a key, or says why not. Samples without a picture are none of our business.
func (b *shardBuilder) addSample(s shard, file int32, r io.ReaderAt, key string, sample map[string]*archive.Member) error {
	i := slices.IndexFunc(webPictures, func(ext string) bool { return sample[ext] != nil })
	if i < 0 {
		b.l.skip(s.name+"/"+key, "a sample without a picture")
		return nil
	}
	m := sample[webPictures[i]]
	labels, reason, err := b.webLabels(r, sample)
	if err != nil {
		return err
	}
	if reason != "" {
		b.skip(s.name+"/"+m.Name, reason)
		return nil
	}
	offset, _ := m.Span()
	at, err := b.source.add(file, offset, m.Size)
	if err != nil {
		return err
	}
	return b.put(s.split, s.name+"/"+m.Name, at, labels)
}

// webLabels reads the labels of a sample, or says why it has none.
func (b *shardBuilder) webLabels(r io.ReaderAt, sample map[string]*archive.Member) (labels []string, reason string, err error) {
	reason = "no label: no file .cls, .json or .txt of its key"
	for _, ext := range webLabels {
		m := sample[ext]
		if m == nil {
			continue
		}
		limit := int64(maxLabelText)
		if ext == "json" {
			limit = maxLabelFile
		}
		if m.Size > limit {
			reason = fmt.Sprintf("no label: .%s has %d bytes, at most %d are one", ext, m.Size, limit)
			continue
		}
		offset, _ := m.Span()
		content := make([]byte, m.Size)
		if n, err := r.ReadAt(content, offset); n < len(content) {
			return nil, "", &fs.PathError{Op: "read", Path: m.Name, Err: err}
		}
		if ext == "json" {
			labels, reason = b.l.jsonLabels(content)
		} else if text := strings.TrimSpace(string(content)); text == "" || strings.Contains(text, "\n") {
			reason = fmt.Sprintf("no label: expected one line in .%s", ext)
		} else {
			labels, reason = []string{text}, ""
		}
		if reason == "" {
			return labels, "", nil
		}
	}
	return nil, reason, nil
}

// jsonLabels returns the labels in the fields of an object, of which one has the name of a column of labels, or of a class
// by its usual short name.
func (l *lister) jsonLabels(content []byte) (labels []string, reason string) {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(content, &fields); err != nil {
		return nil, "no label: .json: " + err.Error()
	}
	names := slices.Concat(labelColumns, []string{"cls", "class_id", "label_id"})
	if l.opener.LabelColumn != "" {
		names = []string{l.opener.LabelColumn}
	}
	for _, name := range names {
		raw, ok := fields[name]
		if !ok || string(raw) == "null" {
			continue
		}
		var list []json.RawMessage
		if json.Unmarshal(raw, &list) != nil {
			list = []json.RawMessage{raw}
		} else if len(list) == 0 {
			return []string{}, ""
		}
		for _, value := range list {
			label, ok := jsonLabel(value)
			if !ok {
				return nil, fmt.Sprintf("no label: %q in .json is neither a name nor a whole number", name)
			}
			labels = append(labels, label)
		}
		return labels, ""
	}
	return nil, fmt.Sprintf("no label: expected a field %q in .json", names[0])
}

func jsonLabel(value json.RawMessage) (string, bool) {
	var text string
	if json.Unmarshal(value, &text) == nil {
		text = strings.TrimSpace(text)
		return text, text != ""
	}
	n, err := strconv.ParseInt(string(value), 10, 64)
	return strconv.FormatInt(n, 10), err == nil
}
