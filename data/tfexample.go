package data

import (
	"errors"
	"slices"
	"strconv"

	"google.golang.org/protobuf/encoding/protowire"
)

// tfFeature is a feature of a tf.train.Example: texts or whole numbers. Numbers with a fraction are left out.
type tfFeature struct {
	texts   [][]byte
	at      []int // where each text starts in the record
	numbers []int64
}

// labels returns the values of a feature as texts.
func (f tfFeature) labels() []string {
	var labels []string
	for _, t := range f.texts {
		labels = append(labels, string(t))
	}
	for _, n := range f.numbers {
		labels = append(labels, strconv.FormatInt(n, 10))
	}
	return labels
}

// number returns the value of a feature that is one whole number, or 0.
func (f tfFeature) number() int64 {
	if len(f.numbers) == 1 {
		return f.numbers[0]
	}
	return 0
}

var errExample = errors.New("it is no tf.train.Example")

// fields calls use for every field of a message with its number. value is what a field of bytes holds, from place at in
// the record on, or nil for a field that is the number n.
func fields(b []byte, start int, use func(field protowire.Number, value []byte, at int, n uint64) error) error {
	for len(b) > 0 {
		field, kind, size := protowire.ConsumeTag(b)
		if size < 0 {
			return errExample
		}
		b, start = b[size:], start+size
		var err error
		switch kind {
		case protowire.BytesType:
			value, all := protowire.ConsumeBytes(b)
			if all < 0 {
				return errExample
			}
			err = use(field, value, start+all-len(value), 0)
			size = all
		case protowire.VarintType:
			var n uint64
			if n, size = protowire.ConsumeVarint(b); size < 0 {
				return errExample
			}
			err = use(field, nil, start, n)
		default:
			if size = protowire.ConsumeFieldValue(field, kind, b); size < 0 {
				return errExample
			}
		}
		if err != nil {
			return err
		}
		b, start = b[size:], start+size
	}
	return nil
}

// parseExample reads a tf.train.Example (tensorflow/core/example/example.proto and feature.proto): a message of features,
// which is a map from names to a list of texts (field 1), of floats (2) or of whole numbers (3). The texts point into b.
func parseExample(b []byte) (map[string]tfFeature, error) {
	features := map[string]tfFeature{}
	err := fields(b, 0, func(field protowire.Number, b []byte, start int, _ uint64) error {
		if field != 1 || b == nil {
			return nil
		}
		return fields(b, start, func(field protowire.Number, entry []byte, start int, _ uint64) error {
			if field != 1 || entry == nil {
				return nil
			}
			var name string
			var f tfFeature
			err := fields(entry, start, func(field protowire.Number, value []byte, start int, _ uint64) error {
				switch {
				case field == 1 && value != nil:
					name = string(value)
				case field == 2 && value != nil:
					return f.parse(value, start)
				}
				return nil
			})
			features[name] = f
			return err
		})
	})
	return features, err
}

// parse reads a Feature.
func (f *tfFeature) parse(b []byte, start int) error {
	return fields(b, start, func(kind protowire.Number, list []byte, start int, _ uint64) error {
		if list == nil || kind == 2 {
			return nil
		}
		return fields(list, start, func(field protowire.Number, value []byte, start int, n uint64) error {
			switch {
			case field != 1:
			case kind == 1 && value != nil:
				f.texts, f.at = append(f.texts, value), append(f.at, start)
			case kind == 3 && value == nil:
				f.numbers = append(f.numbers, int64(n))
			case kind == 3: // packed
				for len(value) > 0 {
					n, size := protowire.ConsumeVarint(value)
					if size < 0 {
						return errExample
					}
					f.numbers = append(f.numbers, int64(n))
					value = value[size:]
				}
			}
			return nil
		})
	})
}

// Names of features, the likeliest first: those of TF-slim's data sets, of TensorFlow Datasets, and others.
var (
	tfImages = []string{"image/encoded", "image", "image_raw", "image/raw", "img", "image_bytes", "jpg", "jpeg", "png", "x"}
	tfTexts  = []string{"image/class/text", "class_name", "class/text", "label_name", "label/text"}
	tfLabels = slices.Concat([]string{"image/class/label", "image/label", "cls", "class_id", "label_id"}, labelColumns)
	tfShapes = [][3]string{{"image/height", "image/width", "image/channels"}, {"height", "width", "depth"}, {"height", "width", "channels"}, {"rows", "cols", "depth"}}
)
