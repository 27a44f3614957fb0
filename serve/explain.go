package serve

import (
	"net/http"

	"github.com/bigtransfer/bit"
	"github.com/bigtransfer/bit/api"
	"github.com/bigtransfer/bit/imaging"
)

// explain answers POST and PUT of a picture with its most likely classes and which parts of it speak for one of them.
func (s *Server) explain(w http.ResponseWriter, r *http.Request) error {
	top, err := queryInt(r, "top", DefaultTop)
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
	var img *imaging.Image
	err = s.Decoding(r.Context(), pictures[0].File, func(d imaging.Decoder) error {
		img, err = d.Decode(pictures[0].File)
		return err
	})
	if err != nil {
		return err
	}
	var e *bit.Explanation
	t := &task{alone: func() (err error) {
		e, err = i.batcher.model.Explain(img, class)
		return err
	}}
	if err := s.infer(r.Context(), i, []*task{t}, func() {}); err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, Explained(i.name, e, top))
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
