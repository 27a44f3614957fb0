package strictjson

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
)

func TestCheckKeys(t *testing.T) {
	for text, want := range map[string]string{
		`{"a":1,"b":{"a":2},"c":[{"a":3},{"a":4}]}`: "",
		`{"a":"b","b":"a","c":"a"}`:                 "",
		`[]`:                                        "",
		`{"a":1,"a":1}`:                             `key "a"`,
		`{"a":1,"\u0061":1}`:                        `key "a"`,
		`{"x":[{"a":1,"b":2,"a":3}]}`:               `key "a"`,
		`{"a":{},"b":[1,{}],"a":null}`:              `key "a"`,
		`{"a":1,}`:                                  "invalid character",
		`{"a":1`:                                    "unexpected EOF",
		strings.Repeat("[", 101):                    "nested more than 100 deep",
	} {
		err := CheckKeys([]byte(text))
		switch {
		case want == "" && err != nil:
			t.Errorf("%.40s: %v", text, err)
		case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
			t.Errorf("%.40s: error %v, want one with %q", text, err, want)
		case strings.HasPrefix(want, "key") && !errors.Is(err, ErrDuplicate):
			t.Errorf("%.40s: error %v, want ErrDuplicate", text, err)
		}
	}
}

func TestObject(t *testing.T) {
	text, err := json.Marshal(Object{{"b", 1}, {"a", Object{}}, {"10", Object{{"2", nil}, {"1", "x"}}}})
	if want := `{"b":1,"a":{},"10":{"2":null,"1":"x"}}`; err != nil || string(text) != want {
		t.Errorf("%s, %v, want %s", text, err, want)
	}
	if _, err := json.Marshal(Object{{"a", func() {}}}); err == nil {
		t.Error("no error for a function")
	}
}
