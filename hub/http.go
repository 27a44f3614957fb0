package hub

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

const (
	maxRedirects = 10
	maxAttempts  = 5                // without a byte of progress
	maxPause     = 60 * time.Second // that a server may ask for between two of them
	patience     = 30 * time.Second // with a body that stands still
	maxJSON      = 16 << 20         // bytes of an answer that is not a file
)

// waiter waits for a time or until the context is done.
type waiter func(ctx context.Context, d time.Duration) error

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(d):
		return nil
	}
}

// transport gives up on a server that does not answer; how long a body takes is watched where it is read.
var transport = &http.Transport{
	Proxy:                 http.ProxyFromEnvironment,
	DialContext:           (&net.Dialer{Timeout: 10 * time.Second}).DialContext,
	ForceAttemptHTTP2:     true,
	TLSHandshakeTimeout:   10 * time.Second,
	ResponseHeaderTimeout: 30 * time.Second,
	IdleConnTimeout:       30 * time.Second,
}

// upload is the body of a request.
type upload struct {
	size int64
	open func() (io.Reader, error) // from its beginning, once for every time that it is sent
}

// do sends one request and follows its redirects, those to other hosts only with abroad: otherwise such an answer is
// returned as it is. The token goes to the hub's own host and scheme alone.
func (c *Client) do(ctx context.Context, method, address string, header http.Header, abroad bool) (*http.Response, error) {
	return c.doWith(ctx, method, address, header, nil, abroad)
}

// doWith is do for a request that may have a body, which is sent again only to where a server says that it wants it again.
func (c *Client) doWith(ctx context.Context, method, address string, header http.Header, body *upload, abroad bool) (*http.Response, error) {
	client := http.Client{Transport: transport}
	if body != nil {
		client.Transport = uploadTransport
	}
	if c.HTTP != nil {
		client = *c.HTTP
	}
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	for range maxRedirects {
		req, err := http.NewRequestWithContext(ctx, method, address, nil)
		if err != nil {
			return nil, err
		}
		for k, v := range header {
			req.Header[k] = v
		}
		if body != nil {
			r, err := body.open()
			if err != nil {
				return nil, err
			}
			req.Body, req.ContentLength = io.NopCloser(r), body.size
			if body.size == 0 {
				req.Body = http.NoBody
			}
		}
		req.Header.Set("User-Agent", userAgent)
		req.Header.Set("Accept-Encoding", "identity") // sizes and ranges are of the file, not of a packed form
		if c.Token != "" && sameOrigin(req.URL, c.Endpoint) {
			req.Header.Set("Authorization", "Bearer "+c.Token)
		}
		resp, err := client.Do(req)
		if err != nil {
			if ctx.Err() != nil {
				return nil, context.Cause(ctx)
			}
			return nil, classify(err)
		}
		to := resp.Header.Get("Location")
		if resp.StatusCode < 300 || resp.StatusCode > 399 || to == "" {
			return resp, nil
		}
		next, err := req.URL.Parse(to)
		if err != nil {
			resp.Body.Close()
			return nil, fmt.Errorf("%w: a redirect to %q", ErrCorrupt, to)
		}
		if !abroad && (next.Host != req.URL.Host || next.Scheme != req.URL.Scheme) {
			return resp, nil
		}
		resp.Body.Close()
		if body != nil && resp.StatusCode != http.StatusTemporaryRedirect && resp.StatusCode != http.StatusPermanentRedirect {
			return nil, fmt.Errorf("%w: a redirect (%s) of what is sent", ErrCorrupt, resp.Status)
		}
		if req.URL.Scheme == "https" && next.Scheme != "https" {
			return nil, fmt.Errorf("%w: a redirect from https to %s", ErrCorrupt, next.Scheme)
		}
		address = next.String()
	}
	return nil, fmt.Errorf("%w: more than %d redirects", ErrCorrupt, maxRedirects)
}

// uploadTransport is patient: what was sent is stored or committed before it is answered.
var uploadTransport = func() *http.Transport {
	t := transport.Clone()
	t.ResponseHeaderTimeout = 10 * time.Minute
	return t
}()

func sameOrigin(u *url.URL, endpoint string) bool {
	e, err := url.Parse(endpoint)
	return err == nil && u.Scheme == e.Scheme && u.Host == e.Host
}

// transientError is a failure that another attempt may not meet.
type transientError struct {
	error
	after time.Duration // to wait first, if the server said so
}

func (e *transientError) Unwrap() error { return e.error }

// classify tells a server that cannot be reached from a connection that broke.
func classify(err error) error {
	var op *net.OpError
	var dns *net.DNSError
	var certificate *tls.CertificateVerificationError
	switch {
	case errors.As(err, &dns), errors.As(err, &op) && op.Op == "dial", errors.As(err, &certificate):
		return fmt.Errorf("%w (%w)", ErrUnreachable, unwrapURL(err))
	default:
		return &transientError{error: fmt.Errorf("%w: the connection broke (%w)", ErrUnreachable, unwrapURL(err))}
	}
}

// unwrapURL removes method and address, which the message has already and which may hold a signature.
func unwrapURL(err error) error {
	if u, ok := errors.AsType[*url.Error](err); ok {
		return u.Err
	}
	return err
}

// statusError describes an answer that is none of those wanted.
func statusError(resp *http.Response) error {
	because := func(err error, hint string) error { return fmt.Errorf("%w: %s%s", err, resp.Status, hint) }
	switch code := resp.StatusCode; {
	case code == http.StatusUnauthorized:
		return because(ErrDenied, " (there is no such repository, or it is private or gated and HF_TOKEN is missing or wrong)")
	case code == http.StatusForbidden:
		return because(ErrDenied, " (the file is not public, or its conditions must be accepted on its page with the account of HF_TOKEN)")
	case code == http.StatusNotFound && resp.Header.Get("X-Error-Code") == "RevisionNotFound":
		return because(ErrNotFound, " (the repository has no such revision)")
	case code == http.StatusNotFound || code == http.StatusGone:
		return because(ErrNotFound, "")
	case code == http.StatusTooManyRequests:
		return &transientError{because(ErrBusy, ""), retryAfter(resp)}
	case code == http.StatusRequestTimeout || code >= 500:
		return &transientError{because(ErrUnreachable, ""), retryAfter(resp)}
	default:
		return because(ErrUnreachable, "")
	}
}

// retryAfter reads how long a server wants to be left alone, in seconds or until a date.
func retryAfter(resp *http.Response) time.Duration {
	v := resp.Header.Get("Retry-After")
	if s, err := strconv.Atoi(v); err == nil && s >= 0 {
		return time.Duration(min(s, 1<<20)) * time.Second
	}
	if t, err := http.ParseTime(v); err == nil {
		return max(0, time.Until(t))
	}
	return 0
}

// retry repeats what fails for the moment. attempt reports whether it got further than the one before.
func (c *Client) retry(ctx context.Context, attempt func() (progress bool, err error)) error {
	wait := c.wait
	if wait == nil {
		wait = sleep
	}
	for failures := 0; ; {
		progress, err := attempt()
		again, ok := errors.AsType[*transientError](err)
		if err == nil || !ok {
			return err
		}
		if failures++; progress {
			failures = 1
		}
		pause := max(again.after, time.Second<<(failures-1))
		if pause > maxPause {
			return fmt.Errorf("%w; the server asks to try again in %v", again.error, again.after.Round(time.Second))
		}
		if failures == maxAttempts {
			return fmt.Errorf("%w (%d attempts)", again.error, maxAttempts)
		}
		if err := wait(ctx, pause); err != nil {
			return err
		}
	}
}

// head asks for the properties of a file, see do for abroad.
func (c *Client) head(ctx context.Context, address string, abroad bool) (header http.Header, size int64, err error) {
	err = c.retry(ctx, func() (bool, error) {
		resp, err := c.do(ctx, http.MethodHead, address, nil, abroad)
		if err != nil {
			return false, err
		}
		resp.Body.Close()
		if resp.StatusCode >= 400 || abroad && resp.StatusCode != http.StatusOK {
			return false, statusError(resp)
		}
		header, size = resp.Header, resp.ContentLength
		return true, nil
	})
	return header, size, err
}

// getJSON returns the body and header of an answer that is not a file.
func (c *Client) getJSON(ctx context.Context, address string) (body []byte, header http.Header, err error) {
	err = c.retry(ctx, func() (bool, error) {
		resp, err := c.do(ctx, http.MethodGet, address, nil, true)
		if err != nil {
			return false, err
		}
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			return false, statusError(resp)
		}
		body, err = io.ReadAll(io.LimitReader(resp.Body, maxJSON))
		if err != nil {
			return false, classify(err)
		}
		header = resp.Header
		return true, nil
	})
	return body, header, err
}
