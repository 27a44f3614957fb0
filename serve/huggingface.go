package serve

import (
	"bytes"
	"encoding/json"
	"io"
	"math"
	"net/http"
	"strings"

	"github.com/bigtransfer/bit/api"
)

// huggingFace answers the task image-classification: a picture as the body, or in base64 in JSON with parameters.
func (s *Server) huggingFace(w http.ResponseWriter, r *http.Request) error {
	i, done, err := s.model(r.PathValue("model"))
	if err != nil {
		return err
	}
	defer done()
	hold, err := s.admit(w, r)
	if err != nil {
		return err
	}
	defer hold.leave()
	body, err := s.readBody(r)
	if err != nil {
		return err
	}
	// Clients say application/json for JSON; some of raw bytes say nothing, or what a form says.
	in := api.ImageClassificationInput{Inputs: body}
	if strings.HasPrefix(r.Header.Get("Content-Type"), "application/json") {
		in = api.ImageClassificationInput{}
		if err := unmarshal(body, &in); err != nil {
			return err
		}
	}
	top := DefaultTop
	if k := in.Parameters.TopK; k != nil {
		if top = *k; top < 1 {
			return failf(http.StatusBadRequest, "top_k %d: want a number from 1 on", top)
		}
	}
	apply := in.Parameters.FunctionToApply
	switch apply {
	case "", "softmax", "sigmoid", "none":
	default:
		return failf(http.StatusBadRequest, "function_to_apply %q: want softmax, sigmoid or none", apply)
	}
	tasks, err := s.run(r.Context(), i, []Picture{{File: in.Inputs}})
	if err != nil {
		return err
	}
	predictions, _, err := i.judge(tasks[0], top)
	if err != nil {
		return err
	}
	answer := make([]api.ImageClassificationOutput, len(predictions))
	for k, p := range predictions {
		answer[k] = api.ImageClassificationOutput{Label: p.Label, Score: p.Score}
		switch logit := tasks[0].logits[p.Index]; apply { // the order is the same
		case "sigmoid":
			answer[k].Score = sigmoid(logit)
		case "none":
			answer[k].Score = logit
		}
	}
	writeJSON(w, http.StatusOK, answer)
	return nil
}

// unmarshal reads JSON that a client sent. Keys that are not known are passed over, as servers of these protocols do.
func unmarshal(body []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(body))
	if err := d.Decode(v); err != nil {
		return failf(http.StatusBadRequest, "the body is not the JSON expected: %v", err)
	}
	if _, err := d.Token(); err != io.EOF {
		return failf(http.StatusBadRequest, "the body has more after its JSON")
	}
	return nil
}

func sigmoid(v float32) float32 { return float32(1 / (1 + math.Exp(-float64(v)))) }
