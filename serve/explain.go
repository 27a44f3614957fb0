package serve

import (
	"bytes"
	"image"
	"image/png"
	"net/http"
	"strconv"
	"strings"

	"github.com/bigtransfer/bit"
	"github.com/bigtransfer/bit/api"
	"github.com/bigtransfer/bit/imaging"
)

// explain answers POST and PUT of a picture with its most likely classes and which parts of it speak for one of them: in
// numbers, or as a map drawn over the picture.
func (s *Server) explain(w http.ResponseWriter, r *http.Request) error {
	top, err := QueryInt(r, "top", DefaultTop)
	if err != nil {
		return err
	}
	i, done, err := s.model(r.PathValue("model"))
	if err != nil {
		return err
	}
	defer done()
	class := -1
	if name := r.URL.Query().Get("class"); name != "" {
		if class, err = i.batcher.model.Class(name); err != nil {
			return failf(http.StatusBadRequest, "class in the query: %v", err)
		}
	}
	pictures, release, err := s.ReadPictures(w, r)
	if err != nil {
		return err
	}
	defer release()
	if len(pictures) != 1 {
		return failf(http.StatusBadRequest, "%d pictures in one request: one at a time is explained", len(pictures))
	}
	img, release, err := s.decode(r.Context(), pictures[0].File)
	if err != nil {
		return err
	}
	defer release()
	var e *bit.Explanation
	t := &task{alone: func() (err error) {
		e, err = i.batcher.model.Explain(img, class)
		return err
	}}
	if err := s.infer(r.Context(), i, []*task{t}, func() {}); err != nil {
		return err
	}
	if wantsPNG(r) {
		return writePNG(w, e.Overlay(shrink(img)))
	}
	writeJSON(w, http.StatusOK, Explained(i.name, e, top))
	return nil
}

// wantsPNG reports whether a client asks for an image and not for JSON, as browsers do for <img> and curl when told to.
func wantsPNG(r *http.Request) bool {
	accept := strings.Join(r.Header.Values("Accept"), ",")
	return strings.Contains(accept, "image/png") && !strings.Contains(accept, "application/json")
}

// overlaySide is the longer side in pixels that a map is drawn over at most: it has a few dozen values a side.
const overlaySide = 1024

// shrink returns a picture whose longer side is overlaySide, or a smaller one as it is.
func shrink(im *imaging.Image) *imaging.Image {
	long := max(im.W, im.H)
	if long <= overlaySide {
		return im
	}
	return im.Resize(max(1, im.W*overlaySide/long), max(1, im.H*overlaySide/long), imaging.Bilinear)
}

func writePNG(w http.ResponseWriter, img image.Image) error {
	var b bytes.Buffer
	if err := png.Encode(&b, img); err != nil {
		return err
	}
	h := w.Header()
	h.Set("Content-Type", "image/png")
	h.Set("Content-Length", strconv.Itoa(b.Len()))
	w.WriteHeader(http.StatusOK)
	w.Write(b.Bytes())
	return nil
}

// Explained is an explanation as a message, with the top classes of the picture.
func Explained(model string, e *bit.Explanation, top int) api.ExplainedPicture {
	p := api.ExplainedPicture{Model: model, Unknown: e.Unknown, Explanation: api.Explanation{
		Class: e.Class, Label: e.Label, Logit: e.Logit, Bias: e.Bias, Rows: e.H, Columns: e.W, Map: e.Map,
		Width: e.Width, Height: e.Height, View: [4]float64{e.View.X0, e.View.Y0, e.View.X1, e.View.Y1}, Origin: e.Origin, Step: e.Step,
	}}
	for _, best := range e.Predictions[:min(top, len(e.Predictions))] {
		p.Predictions = append(p.Predictions, api.Prediction(best))
	}
	return p
}
