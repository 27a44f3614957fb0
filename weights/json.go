package weights

import (
	"bytes"
	"encoding/json"
)

// object is a JSON object that keeps the order of its members, so that what is written is the same every time and
// "10" does not come before "2".
type object []member

type member struct {
	key   string
	value any
}

// MarshalJSON writes the members in order, without escaping <, > and & for HTML.
func (o object) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	for i, m := range o {
		if i > 0 {
			b.WriteByte(',')
		}
		if err := enc.Encode(m.key); err != nil {
			return nil, err
		}
		b.WriteByte(':')
		if err := enc.Encode(m.value); err != nil {
			return nil, err
		}
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}
