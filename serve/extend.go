package serve

import (
	"context"
	"net/http"
	"slices"

	"github.com/bigtransfer/bit/imaging"
)

// Picture is a picture file as a request brought it.
type Picture struct {
	Name string // what the client calls it; may be empty
	File []byte
}

// ReadPictures takes a request on and reads its pictures, within the server's limits. Its places and its memory are those
// of the pictures until release is called. It is for routes that others add with [Server.Handle].
func (s *Server) ReadPictures(w http.ResponseWriter, r *http.Request) (pictures []Picture, release func(), err error) {
	hold, err := s.admit(w, r)
	if err != nil {
		return nil, nil, err
	}
	if pictures, err = s.readPictures(r, hold); err != nil {
		hold.leave()
		return nil, nil, err
	}
	return pictures, hold.leave, nil
}

// Decoding calls f, which decodes a picture file with the decoder that it is given, when there is a processor and memory for
// that. The picture's size has been checked by its header. Its memory is f's until f returns: the picture must not outlive it.
func (s *Server) Decoding(ctx context.Context, file []byte, f func(imaging.Decoder) error) error {
	decoder, release, err := s.beginDecode(ctx, file)
	if err != nil {
		return err
	}
	defer release()
	defer func() { <-s.decoders }()
	return f(decoder)
}

// Answer writes an answer in JSON. It is for routes that others add.
func Answer(w http.ResponseWriter, v any) error {
	writeJSON(w, http.StatusOK, v)
	return nil
}

// CheckName returns an error if a model cannot have a name.
func CheckName(name string) error {
	if !nameOK(name) {
		return failf(http.StatusUnprocessableEntity, "a model cannot be called %q: a name has letters, digits, '.', '_' and '-', and begins with no '.'", name)
	}
	return nil
}

// Routes lists what the server answers.
func (s *Server) Routes() []Route { return slices.Clone(s.routes) }
