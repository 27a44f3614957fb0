package serve

import (
	_ "embed"
	"encoding/json"
	"net/http"
	"sync"

	"go.yaml.in/yaml/v3"
)

//go:embed openapi.yaml
var openAPIYAML []byte

// openAPIJSON is the description of the interface in JSON.
var openAPIJSON = sync.OnceValues(func() (json.RawMessage, error) {
	var document any
	if err := yaml.Unmarshal(openAPIYAML, &document); err != nil {
		return nil, err
	}
	return json.Marshal(document)
})

func (s *Server) openAPI(w http.ResponseWriter, r *http.Request) error {
	document, err := openAPIJSON()
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, document)
	return nil
}
