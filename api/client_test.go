package api

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// answering returns a client of a server that answers with a handler.
func answering(t *testing.T, h http.HandlerFunc) *Client {
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return &Client{Server: s.URL + "/", Token: "secret"}
}

// What is sent where, and with which token.
func TestRequests(t *testing.T) {
	var got []string
	c := answering(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got = append(got, r.Method+" "+r.URL.RequestURI()+" "+string(body)+" "+r.Header.Get("Authorization"))
		io.WriteString(w, `{"model":"m","results":[{"predictions":[{"label":"cat","index":3,"score":0.5}],"unknown":true,"embedding":[1,2]}],
			"models":[{"name":"m"}],"explanation":{"class":3}}`)
	})
	ctx := t.Context()
	classified, err := c.Classify(ctx, []byte("p"), Options{Top: 2})
	if err != nil || classified.Results[0].Predictions[0] != (Prediction{"cat", 3, 0.5}) || !classified.Results[0].Unknown {
		t.Errorf("%+v, %v", classified, err)
	}
	embedding, err := c.Embed(ctx, []byte("p"), Options{Model: "a b"})
	if err != nil || len(embedding) != 2 {
		t.Errorf("%v, %v", embedding, err)
	}
	explained, err := c.Explain(ctx, []byte("p"), "tabby cat", Options{Model: "m"})
	if err != nil || explained.Explanation.Class != 3 {
		t.Errorf("%+v, %v", explained, err)
	}
	models, err := c.Models(ctx)
	if err != nil || len(models) != 1 {
		t.Errorf("%+v, %v", models, err)
	}
	want := []string{"POST /v1/classify?top=2 p Bearer secret", "POST /v1/models/a%20b/embed p Bearer secret",
		"POST /v1/models/m/explain?class=tabby+cat p Bearer secret", "GET /v1/models  Bearer secret"}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("requests\n%s, want\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// A busy server is asked again, for as long as the client is patient.
func TestPatience(t *testing.T) {
	var asked atomic.Int64
	c := answering(t, func(w http.ResponseWriter, r *http.Request) {
		if asked.Add(1) < 3 {
			http.Error(w, `{"error":"busy"}`, http.StatusServiceUnavailable)
			return
		}
		io.WriteString(w, `{"models":[]}`)
	})
	_, err := c.Models(t.Context())
	if e, ok := errors.AsType[*Error](err); !ok || e.Status != 503 || e.Message != "busy" || asked.Load() != 1 {
		t.Errorf("without patience: %v after %d requests, want 503 after one", err, asked.Load())
	}
	c.Patience = time.Minute
	if _, err = c.Models(t.Context()); err != nil || asked.Load() != 3 {
		t.Errorf("with patience: %v after %d requests, want success after 3", err, asked.Load())
	}
	asked.Store(-1000)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := c.Models(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("with patience and a deadline: %v", err)
	}
}

// Answers that are no success, or no answers of such a server, say what came.
func TestErrors(t *testing.T) {
	for body, says := range map[string]string{
		`{"error":"no model \"x\" here"}`: `the server answered 404 Not Found: no model "x" here`,
		"<html>nginx":                     "the server answered 404 Not Found: <html>nginx",
	} {
		c := answering(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Retry-After", "7")
			w.WriteHeader(http.StatusNotFound)
			io.WriteString(w, body)
		})
		_, err := c.Models(t.Context())
		if e, ok := errors.AsType[*Error](err); !ok || e.Error() != says || e.RetryAfter != 7*time.Second {
			t.Errorf("%v, want %s", err, says)
		}
	}
	for _, body := range []string{"", "<html>", `{"results":[]}`} {
		c := answering(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, body) })
		if _, err := c.Classify(t.Context(), nil, Options{}); err == nil {
			t.Errorf("an answer %q is no error", body)
		}
	}
}
