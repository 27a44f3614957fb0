package serve

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"net/http"
	"sync"

	"go.yaml.in/yaml/v3"
)

//go:embed openapi.yaml
var openAPIYAML []byte

// openAPIJSON is the description of the interface in JSON, without what others add.
var openAPIJSON = sync.OnceValues(func() (json.RawMessage, error) {
	return mergedOpenAPI()
})

// mergedOpenAPI is the description with others merged into it: their entries are added to its maps and lists.
func mergedOpenAPI(others ...[]byte) (json.RawMessage, error) {
	var document map[string]any
	for _, text := range append([][]byte{openAPIYAML}, others...) {
		var part map[string]any
		if err := yaml.Unmarshal(text, &part); err != nil {
			return nil, fmt.Errorf("OpenAPI document: %w", err)
		}
		document = merge(document, part)
	}
	return json.Marshal(document)
}

func merge(to, from map[string]any) map[string]any {
	if to == nil {
		return from
	}
	for key, v := range from {
		switch old := to[key].(type) {
		case map[string]any:
			if m, ok := v.(map[string]any); ok {
				v = merge(old, m)
			}
		case []any:
			if l, ok := v.([]any); ok {
				v = append(old, l...)
			}
		}
		to[key] = v
	}
	return to
}

// Describe adds to the server's OpenAPI document the one, in YAML, of routes that others add: its tags, paths and
// components. It must not be called any more once the server serves.
func (s *Server) Describe(document []byte) (err error) {
	s.described = append(s.described, document)
	s.document, err = mergedOpenAPI(s.described...)
	return err
}

// Document is the server's OpenAPI document in JSON.
func (s *Server) Document() (json.RawMessage, error) {
	if s.document != nil {
		return s.document, nil
	}
	return openAPIJSON()
}

func (s *Server) openAPI(w http.ResponseWriter, r *http.Request) error {
	document, err := s.Document()
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, document)
	return nil
}
