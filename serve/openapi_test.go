package serve

import (
	"context"
	"encoding/base64"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/bigtransfer/bit/internal/openapitest"
)

// document reads and checks the description of the interface.
var document = sync.OnceValues(func() (*openapi3.T, error) {
	text, err := openAPIJSON()
	if err != nil {
		return nil, err
	}
	doc, err := openapi3.NewLoader().LoadFromData(text)
	if err != nil {
		return nil, err
	}
	return doc, doc.Validate(context.Background())
})

// described puts a check by the document round a handler.
func described(t testing.TB, h http.Handler) http.Handler {
	t.Helper()
	doc, err := document()
	if err != nil {
		t.Fatal(err)
	}
	return openapitest.Wrap(t, h, doc)
}

// The document has every route of the server, and the server every operation of the document.
func TestDocumentHasEveryRoute(t *testing.T) {
	s, _ := newServer(t, nil)
	doc, err := document()
	if err != nil {
		t.Fatal(err)
	}
	have := openapitest.Operations(doc)
	var want []string
	for _, r := range s.routes {
		want = append(want, r.Method+" "+strings.TrimSuffix(r.Pattern, "{$}"))
	}
	slices.Sort(have)
	slices.Sort(want)
	if !slices.Equal(have, want) {
		t.Errorf("the document has\n%s\nthe server\n%s", strings.Join(have, "\n"), strings.Join(want, "\n"))
	}
}

// Every route answers a sound request with success, in the words of the document.
func TestEveryRoute(t *testing.T) {
	s, h := newServer(t, nil)
	file := references(t)[0].file
	text := base64.StdEncoding.EncodeToString(file)
	const asJSON = "application/json"
	bodies := map[string][2]string{ // of those that take one: its type, and itself
		"/{$}":                      {asJSON, `{"inputs":"` + text + `","parameters":{"top_k":2}}`},
		"/models/{model}":           {asJSON, `{"inputs":"` + text + `"}`},
		"/v2/models/{model}/infer":  {asJSON, `{"inputs":[{"name":"files","shape":[1],"datatype":"BYTES","data":["` + text + `"]}]}`},
		"/v1/classify":              {"image/png", string(file)},
		"/v1/embed":                 {"image/png", string(file)},
		"/v1/models/{model}/embed":  {"application/octet-stream", string(file)},
		"/v1/models/{model}/reload": {"", ""},
	}
	for _, pattern := range []string{"/v1/explain", "/v1/models/{model}/explain", "/v1/models/{model}/classify"} {
		bodies[pattern] = bodies["/v1/classify"]
	}
	for _, r := range s.routes {
		body, ok := bodies[r.Pattern]
		if ok == (r.Method == http.MethodGet) {
			t.Errorf("%s %s: this test has a body for it: %v", r.Method, r.Pattern, ok)
			continue
		}
		path := strings.NewReplacer("{model}", "tiny", "{$}", "").Replace(r.Pattern)
		if a := send(t, r.Method, h.URL+path, []byte(body[1]), "Content-Type", body[0]); a.status != http.StatusOK {
			t.Errorf("%s %s: status %d: %s", r.Method, path, a.status, a.body)
		}
	}
}

// What is in no route is a 404 or 405 in JSON, and a path that climbs is cleaned before it means anything.
func TestUnknownRoutes(t *testing.T) {
	_, h := newServer(t, nil)
	for _, c := range []struct {
		method, path string
		status       int
	}{
		{"GET", "/v3", 404}, {"DELETE", "/v1/classify", 405}, {"GET", "/v1/models/none", 404}, {"POST", "/v1/models/none/classify", 404},
		{"GET", "/v1/models/..%2f..%2fetc%2fpasswd", 404}, {"GET", "/v1/models/%00", 404}, {"GET", "/v1/models/../../etc/passwd", 404},
		{"GET", "/v2/models/%2e%2e/ready", 404}, {"POST", "/models/a%2fb", 404},
	} {
		a := send(t, c.method, h.URL+c.path, nil)
		if a.status != c.status || !strings.HasPrefix(string(a.body), `{"error":`) {
			t.Errorf("%s %s: status %d, %s, want %d and an error", c.method, c.path, a.status, a.body, c.status)
		}
	}
}
