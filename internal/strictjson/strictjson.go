// Package strictjson is JSON as the files of other programs need it, where encoding/json alone is too lenient or loses
// the order: what is read has every key once, and what is written has its keys in the writer's order.
package strictjson

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// ErrDuplicate means that an object has a key twice.
var ErrDuplicate = errors.New("there more than once")

// maxNesting bounds the depth of what is read: the header of a safetensors file has 3 levels, a config.json not many
// more.
const maxNesting = 100

// CheckKeys reports an object that has a key twice, of which encoding/json would silently keep the last, and text that
// is no JSON.
func CheckKeys(text []byte) error {
	type level struct {
		keys  map[string]bool // nil in an array
		isKey bool            // the next string is a key
	}
	var stack []level
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) && len(stack) == 0 {
			return nil
		}
		if errors.Is(err, io.EOF) {
			return io.ErrUnexpectedEOF
		}
		if err != nil {
			return err
		}
		switch token {
		case json.Delim('}'), json.Delim(']'):
			stack = stack[:len(stack)-1]
			continue
		}
		if len(stack) > 0 {
			if top := &stack[len(stack)-1]; top.keys != nil {
				if top.isKey {
					key := token.(string)
					if top.keys[key] {
						return fmt.Errorf("key %q: %w", key, ErrDuplicate)
					}
					top.keys[key] = true
				}
				top.isKey = !top.isKey
			}
		}
		switch token {
		case json.Delim('{'):
			stack = append(stack, level{map[string]bool{}, true})
		case json.Delim('['):
			stack = append(stack, level{})
		}
		if len(stack) > maxNesting {
			return fmt.Errorf("nested more than %d deep", maxNesting)
		}
	}
}

// Object is a JSON object that keeps the order of its members, so that what is written is the same every time and "10"
// does not come before "2".
type Object []Member

// Member is one key of an object and its value, which is anything that encoding/json writes.
type Member struct {
	Key   string
	Value any
}

// MarshalJSON writes the members in order, without escaping <, > and & for HTML.
func (o Object) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	for i, m := range o {
		if i > 0 {
			b.WriteByte(',')
		}
		if err := enc.Encode(m.Key); err != nil {
			return nil, err
		}
		b.WriteByte(':')
		if err := enc.Encode(m.Value); err != nil {
			return nil, err
		}
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}
