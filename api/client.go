package api

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Client asks a server. The zero value but for Server is ready to use, by any number of goroutines.
type Client struct {
	Server string       // its address, such as "http://127.0.0.1:8080"
	Token  string       // sent as a bearer token if not empty
	HTTP   *http.Client // nil for http.DefaultClient

	// Patience is how long a request is repeated while the server is busy (503), after the pauses it asks for; 0 means
	// not at all.
	Patience time.Duration
}

// Options choose what a server answers.
type Options struct {
	Model string // by name; "" for the server's default
	Top   int    // classes for each picture; 0 for 5
}

// Error is an answer of a server that is no success.
type Error struct {
	Status     int           // of HTTP
	Message    string        // the server's words
	RetryAfter time.Duration // when to ask again; 0 if the server did not say
}

func (e *Error) Error() string {
	return fmt.Sprintf("the server answered %d %s: %s", e.Status, http.StatusText(e.Status), e.Message)
}

// Classify returns the most likely classes of a picture file.
func (c *Client) Classify(ctx context.Context, picture []byte, o Options) (*Classification, error) {
	query := url.Values{}
	if o.Top != 0 {
		query.Set("top", strconv.Itoa(o.Top))
	}
	var result Classification
	if err := c.post(ctx, "classify", query, picture, o, &result); err != nil {
		return nil, err
	}
	if len(result.Results) != 1 {
		return nil, fmt.Errorf("the server answered with %d results for one picture", len(result.Results))
	}
	return &result, nil
}

// Embed returns the feature vector of a picture file.
func (c *Client) Embed(ctx context.Context, picture []byte, o Options) ([]float32, error) {
	var result Embeddings
	if err := c.post(ctx, "embed", nil, picture, o, &result); err != nil {
		return nil, err
	}
	if len(result.Results) != 1 {
		return nil, fmt.Errorf("the server answered with %d results for one picture", len(result.Results))
	}
	return result.Results[0].Embedding, nil
}

// Explain returns the most likely classes of a picture file, and which parts of it speak for a class: "" for the most
// likely one.
func (c *Client) Explain(ctx context.Context, picture []byte, class string, o Options) (*ExplainedPicture, error) {
	query := url.Values{}
	if o.Top != 0 {
		query.Set("top", strconv.Itoa(o.Top))
	}
	if class != "" {
		query.Set("class", class)
	}
	var result ExplainedPicture
	if err := c.post(ctx, "explain", query, picture, o, &result); err != nil {
		return nil, err
	}
	return &result, nil
}

// Models lists the server's models.
func (c *Client) Models(ctx context.Context) ([]Model, error) {
	var result Models
	err := c.do(ctx, http.MethodGet, "/v1/models", "", nil, &result)
	return result.Models, err
}

// post sends a picture to /v1/VERB or that of a model.
func (c *Client) post(ctx context.Context, verb string, query url.Values, picture []byte, o Options, result any) error {
	path := "/v1/" + verb
	if o.Model != "" {
		path = "/v1/models/" + url.PathEscape(o.Model) + "/" + verb
	}
	if len(query) > 0 {
		path += "?" + query.Encode()
	}
	return c.do(ctx, http.MethodPost, path, "application/octet-stream", picture, result)
}

// do sends a request, again while the server is busy, and reads the answer.
func (c *Client) do(ctx context.Context, method, path, contentType string, body []byte, result any) error {
	give := time.Now().Add(c.Patience)
	for {
		err := c.once(ctx, method, path, contentType, body, result)
		busy, ok := err.(*Error)
		if !ok || busy.Status != http.StatusServiceUnavailable {
			return err
		}
		pause := max(busy.RetryAfter, 100*time.Millisecond)
		if time.Now().Add(pause).After(give) {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(pause):
		}
	}
}

// maxAnswer is more than any answer to one picture takes.
const maxAnswer = 64 << 20

func (c *Client) once(ctx context.Context, method, path, contentType string, body []byte, result any) error {
	resp, err := c.open(ctx, method, path, contentType, body)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("%s %s: reading the answer: %w", method, resp.Request.URL, err)
	}
	if err := json.Unmarshal(answer, result); err != nil {
		return fmt.Errorf("%s %s: the answer is not the JSON expected: %w", method, resp.Request.URL, err)
	}
	return nil
}

// open sends a request and returns the answer if it is a success, with a body to be read and closed.
func (c *Client) open(ctx context.Context, method, path, contentType string, body []byte) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, strings.TrimSuffix(c.Server, "/")+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	req.Header.Set("Accept", "application/json")
	if c.Token != "" {
		req.Header.Set("Authorization", "Bearer "+c.Token)
	}
	client := c.HTTP
	if client == nil {
		client = http.DefaultClient
	}
	resp, err := client.Do(req)
	if err != nil || resp.StatusCode == http.StatusOK {
		return resp, err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return nil, fmt.Errorf("%s %s: reading the answer: %w", method, req.URL, err)
	}
	return nil, answerError(resp, answer)
}

func answerError(resp *http.Response, answer []byte) *Error {
	e := &Error{Status: resp.StatusCode}
	var body ErrorBody
	if json.Unmarshal(answer, &body) == nil && body.Error != "" {
		e.Message = body.Error
	} else {
		e.Message = strings.TrimSpace(string(answer[:min(len(answer), 200)]))
	}
	if s, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil && s > 0 {
		e.RetryAfter = time.Duration(s) * time.Second
	}
	return e
}
