package teach

import (
	"bytes"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/bigtransfer/bit/api"
	"github.com/bigtransfer/bit/imaging"
	"github.com/bigtransfer/bit/project"
	"github.com/bigtransfer/bit/serve"
)

// addPictures takes one picture as the body, with its file's name in the query, or any number as the files of a form.
func (t *Teacher) addPictures(w http.ResponseWriter, r *http.Request) error {
	class, err := number(r, "class")
	if err != nil {
		return err
	}
	pictures, release, err := t.Server.ReadPictures(w, r)
	if err != nil {
		return err
	}
	defer release()
	form := strings.HasPrefix(r.Header.Get("Content-Type"), "multipart/")
	answer := api.Upload{Added: []api.ProjectPicture{}}
	for _, p := range pictures {
		name := p.Name
		if !form {
			name = r.URL.Query().Get("name")
		}
		var added project.Added
		err := t.Server.Decoding(r.Context(), p.File, func(imaging.Decoder) (err error) {
			added, err = t.Store.Add(r.PathValue("project"), class, name, p.File)
			return err
		})
		switch {
		case err != nil && (!form || !isRefusal(err)):
			return err
		case err != nil:
			answer.Refused = append(answer.Refused, api.RefusedFile{Name: name, Error: err.Error()})
		case added.Known:
			answer.Known = append(answer.Known, pictureMessage(added.Picture))
		default:
			answer.Added = append(answer.Added, pictureMessage(added.Picture))
		}
	}
	return serve.Answer(w, answer)
}

// isRefusal reports whether an error is about a file, and not about the request or the store.
func isRefusal(err error) bool {
	for _, problem := range []error{imaging.ErrNotImage, imaging.ErrTooLarge, imaging.ErrTruncated, imaging.ErrCorrupt, imaging.ErrUnsupported} {
		if errors.Is(err, problem) {
			return true
		}
	}
	_, limit := errors.AsType[*project.LimitError](err)
	return limit
}

func (t *Teacher) listPictures(w http.ResponseWriter, r *http.Request) error {
	list, err := t.Store.Pictures(r.PathValue("project"))
	if err != nil {
		return err
	}
	answer := api.ProjectPictures{Pictures: []api.ProjectPicture{}}
	for _, p := range list {
		answer.Pictures = append(answer.Pictures, pictureMessage(p))
	}
	return serve.Answer(w, answer)
}

func (t *Teacher) movePictures(w http.ResponseWriter, r *http.Request) error {
	var m api.MovePictures
	if err := readJSON(w, r, &m); err != nil {
		return err
	}
	if err := t.Store.Move(r.PathValue("project"), m.Pictures, m.Class); err != nil {
		return err
	}
	return done(w)
}

// removePictures takes the numbers of pictures from the query: ?picture=1&picture=2.
func (t *Teacher) removePictures(w http.ResponseWriter, r *http.Request) error {
	var pictures []uint64
	for _, text := range r.URL.Query()["picture"] {
		n, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			return serve.Failf(http.StatusBadRequest, "picture=%q in the query: expected a number", text)
		}
		pictures = append(pictures, n)
	}
	if len(pictures) == 0 {
		return serve.Failf(http.StatusBadRequest, "no picture in the query: expected ?picture=1&picture=2")
	}
	if err := t.Store.Remove(r.PathValue("project"), pictures); err != nil {
		return err
	}
	return done(w)
}

func (t *Teacher) picture(r *http.Request) (string, project.Picture, error) {
	id := r.PathValue("project")
	n, err := number(r, "picture")
	if err != nil {
		return id, project.Picture{}, err
	}
	p, err := t.Store.Picture(id, n)
	return id, p, err
}

func (t *Teacher) showPicture(w http.ResponseWriter, r *http.Request) error {
	id, p, err := t.picture(r)
	if err != nil {
		return err
	}
	f, err := t.Store.File(id, p)
	if err != nil {
		return err
	}
	defer f.Close()
	content(w, p.File)
	http.ServeContent(w, r, "", time.Time{}, f)
	return nil
}

func (t *Teacher) showThumbnail(w http.ResponseWriter, r *http.Request) error {
	id, p, err := t.picture(r)
	if err != nil {
		return err
	}
	thumbnail, err := t.Store.Thumbnail(id, p)
	if err != nil {
		return err
	}
	content(w, p.File)
	w.Header().Set("Content-Type", "image/jpeg")
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(thumbnail))
	return nil
}

// content sets what a browser must know of a file that someone uploaded: that it is what it is called, that it is nobody
// else's, and that it never changes.
func content(w http.ResponseWriter, file string) {
	h := w.Header()
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy", "default-src 'none'; sandbox")
	h.Set("Cache-Control", "private, max-age=31536000, immutable")
	h.Set("ETag", `"`+file[:32]+`"`)
}
