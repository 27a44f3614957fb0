// Package openapitest holds an HTTP handler to its OpenAPI document. Only tests import it.
package openapitest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/legacy"
)

// Read reads a document and checks it.
func Read(t testing.TB, document []byte) *openapi3.T {
	t.Helper()
	doc, err := openapi3.NewLoader().LoadFromData(document)
	if err == nil {
		err = doc.Validate(context.Background())
	}
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

// Operations lists what a document has, as "GET /path".
func Operations(doc *openapi3.T) (list []string) {
	for path, item := range doc.Paths.Map() {
		for method := range item.Operations() {
			list = append(list, method+" "+path)
		}
	}
	return list
}

// Wrap puts a check round a handler: what it answers must be what the document says, and what it answers with success must
// have been asked as the document says. An answer is passed on when it is complete.
func Wrap(t testing.TB, h http.Handler, doc *openapi3.T) http.Handler {
	t.Helper()
	router, err := legacy.NewRouter(doc)
	if err != nil {
		t.Fatal(err)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, r)
		answer := rec.Body.Bytes()
		for key, values := range rec.Header() {
			w.Header()[key] = values
		}
		w.WriteHeader(rec.Code)
		w.Write(answer)

		asked := r.Clone(r.Context())
		asked.Body = io.NopCloser(bytes.NewReader(body))
		if err := conforms(router, asked, rec, answer); err != nil {
			t.Errorf("%s %s, answered %d: %v", r.Method, r.URL.Path, rec.Code, err)
		}
	})
}

// conforms compares a request and its answer with the document.
func conforms(router routers.Router, r *http.Request, rec *httptest.ResponseRecorder, answer []byte) error {
	if r.Method == http.MethodOptions {
		return nil // of browsers, about other routes
	}
	route, params, err := router.FindRoute(r)
	if unknown, ok := errors.AsType[*routers.RouteError](err); ok {
		if rec.Code != http.StatusNotFound && rec.Code != http.StatusMethodNotAllowed && rec.Code != http.StatusForbidden {
			return fmt.Errorf("the document does not have it: %v", unknown)
		}
		return nil
	}
	if err != nil {
		return err
	}
	// Bodies that are no JSON are of any bytes.
	raw := r.Header.Get("Content-Type") != "application/json"
	in := &openapi3filter.RequestValidationInput{Request: r, PathParams: params, Route: route,
		Options: &openapi3filter.Options{ExcludeRequestBody: raw, AuthenticationFunc: openapi3filter.NoopAuthenticationFunc}}
	if rec.Code < 400 {
		if err := openapi3filter.ValidateRequest(r.Context(), in); err != nil {
			return fmt.Errorf("the request is not as described: %w", err)
		}
	}
	return openapi3filter.ValidateResponse(r.Context(), &openapi3filter.ResponseValidationInput{RequestValidationInput: in,
		Status: rec.Code, Header: rec.Header(), Body: io.NopCloser(bytes.NewReader(answer)),
		Options: &openapi3filter.Options{IncludeResponseStatus: true, ExcludeResponseBody: !strings.HasPrefix(rec.Header().Get("Content-Type"), "application/json")}})
}
