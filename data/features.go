package data

import (
	"encoding/json"
	"fmt"

	"github.com/bigtransfer/bit/internal/parquetfile"
)

// features are what Python's datasets writes about the columns of a Parquet file (datasets arrow_writer.py,
// ArrowWriter._build_metadata).
type features struct {
	images  []string            // columns of pictures
	labels  []string            // columns of classes, or of lists of them
	classes map[string][]string // their names, by column
}

// featuresKey is the key of the file's metadata that holds them.
const featuresKey = "huggingface"

// readFeatures reads a file's features. There are none if another program wrote it.
func readFeatures(f *parquetfile.File) (features, error) {
	text, ok := f.Lookup(featuresKey)
	if !ok {
		return features{}, nil
	}
	var columns []string
	for _, leaf := range f.Leaves() {
		if n := len(columns); n == 0 || columns[n-1] != leaf.Path[0] {
			columns = append(columns, leaf.Path[0])
		}
	}
	parsed, err := parseFeatures([]byte(text), columns)
	if err != nil {
		return features{}, fmt.Errorf("its metadata %q: %w", featuresKey, err)
	}
	return parsed, nil
}

// feature is the type of a column.
type feature struct {
	Type    string          `json:"_type"`
	Names   []string        `json:"names"`
	Feature json.RawMessage `json:"feature"` // of the elements of a Sequence or List
}

// parseFeatures reads the features of the given columns.
func parseFeatures(text []byte, columns []string) (features, error) {
	var meta struct {
		Info struct {
			Features map[string]json.RawMessage `json:"features"`
		} `json:"info"`
	}
	if err := json.Unmarshal(text, &meta); err != nil {
		return features{}, err
	}
	found := features{classes: map[string][]string{}}
	for _, column := range columns {
		f, ok := parseFeature(meta.Info.Features[column], 0)
		if !ok {
			continue
		}
		switch f.Type {
		case "Image":
			found.images = append(found.images, column)
		case "ClassLabel":
			found.labels = append(found.labels, column)
			found.classes[column] = f.Names
		}
	}
	return found, nil
}

// parseFeature reads the type of a column, or that of the elements of a list, which is written as a Sequence, a List or a
// list of one type. Other things that a type may be are none of ours.
func parseFeature(text json.RawMessage, depth int) (feature, bool) {
	var list []json.RawMessage
	if json.Unmarshal(text, &list) == nil && len(list) == 1 && depth == 0 {
		return parseFeature(list[0], depth+1)
	}
	var f feature
	if json.Unmarshal(text, &f) != nil {
		return f, false
	}
	if f.Feature != nil && depth == 0 {
		return parseFeature(f.Feature, depth+1)
	}
	return f, true
}
