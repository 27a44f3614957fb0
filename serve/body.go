package serve

import (
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"time"
)

// admit takes a request on: a place, memory for its body, and its limits.
func (s *Server) admit(w http.ResponseWriter, r *http.Request) (*hold, error) {
	limit := s.config.MaxBytes
	if r.ContentLength > limit {
		return nil, failf(http.StatusRequestEntityTooLarge, "a body of %d bytes, at most %d are read", r.ContentLength, limit)
	}
	if c := r.Header.Get("Content-Encoding"); c != "" && c != "identity" {
		return nil, failf(http.StatusUnsupportedMediaType, "Content-Encoding %q: send the body as it is", c)
	}
	h, err := s.admission.enter(max(0, r.ContentLength))
	if err != nil {
		return nil, err
	}
	r.Body = http.MaxBytesReader(w, r.Body, limit)
	if r.ContentLength < 0 {
		r.Body = &growing{ReadCloser: r.Body, hold: h}
	}
	return h, nil
}

// readBody reads the whole body of an admitted request.
func (s *Server) readBody(r *http.Request) ([]byte, error) {
	started := time.Now()
	defer func() { infoOf(r.Context()).read += s.metrics.stage(stageRead, started) }()
	return readAll(r.Body, r.ContentLength)
}

// readAll reads to the end, into memory of the size announced.
func readAll(r io.Reader, length int64) ([]byte, error) {
	if length < 0 {
		b, err := io.ReadAll(r)
		return b, bodyError(err)
	}
	b := make([]byte, length)
	_, err := io.ReadFull(r, b)
	return b, bodyError(err)
}

// bodyError gives an error of reading a body its status.
func bodyError(err error) error {
	var (
		tooMany *http.MaxBytesError
		known   *failure
	)
	switch {
	case err == nil, errors.As(err, &tooMany), errors.As(err, &known):
		return err
	case isTimeout(err):
		return failf(http.StatusRequestTimeout, "the body did not come in time")
	}
	return failf(http.StatusBadRequest, "the body ended early: %v", err)
}

func isTimeout(err error) bool {
	var t interface{ Timeout() bool }
	return errors.As(err, &t) && t.Timeout()
}

// readPictures reads the pictures of a request: the parts of a multipart body that are files, or else the body itself.
func (s *Server) readPictures(r *http.Request, h *hold) ([]Picture, error) {
	kind, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/form-data" {
		body, err := s.readBody(r)
		return []Picture{{File: body}}, err
	}
	started := time.Now()
	defer func() { infoOf(r.Context()).read += s.metrics.stage(stageRead, started) }()
	var pictures []Picture
	for parts := multipart.NewReader(r.Body, params["boundary"]); ; {
		part, err := parts.NextPart()
		switch {
		case err == io.EOF && len(pictures) == 0:
			return nil, failf(http.StatusBadRequest, "no picture: the form has no file")
		case err == io.EOF:
			return pictures, nil
		case err != nil:
			return nil, multipartError(err)
		}
		if part.FileName() == "" {
			return nil, failf(http.StatusBadRequest, "form field %q is no file: settings go into the query, as in ?top=5", part.FormName())
		}
		if len(pictures) > 0 {
			if err := h.more(1); err != nil {
				return nil, err
			}
		}
		file, err := io.ReadAll(part)
		if err != nil {
			return nil, multipartError(err)
		}
		pictures = append(pictures, Picture{part.FileName(), file})
	}
}

func multipartError(err error) error {
	var (
		tooMany *http.MaxBytesError
		known   *failure
	)
	if errors.As(err, &tooMany) || errors.As(err, &known) || isTimeout(err) {
		return bodyError(err)
	}
	return failf(http.StatusBadRequest, "the body is no multipart form: %v", err)
}

// growing is a body of unknown length. It takes memory as it comes.
type growing struct {
	io.ReadCloser
	hold *hold
	read int64
}

// growth is how much memory is taken at a time at least.
const growth = 256 << 10

func (g *growing) Read(p []byte) (int, error) {
	n, err := g.ReadCloser.Read(p)
	g.read += int64(n)
	if more := g.read - g.hold.bytes; more > 0 {
		if err := g.hold.grow(max(more, growth)); err != nil {
			return 0, err
		}
	}
	return n, err
}
