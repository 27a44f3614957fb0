package serve

import (
	"encoding/json"
	"math"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/bigtransfer/bit/api"
)

// Tensors of the Open Inference Protocol. A request gives one of the inputs: the first two have the names and layouts of
// exported ONNX models (package onnx), the third are picture files.
const (
	tensorImages = "images" // FP32 [N,3,H,W], or [N,H,W,3] with the parameter layout: prepared as the network wants them
	tensorPixels = "pixels" // UINT8 [N,H,W,3]: RGB of any size, which the model prepares
	tensorFiles  = "files"  // BYTES [N]: encoded pictures, in base64 where they are in JSON, which the model prepares

	tensorLogits    = "logits"    // FP32 [N,classes]
	tensorScores    = "scores"    // FP32 [N,classes]: those of /v1/classify, in the order of the classes
	tensorEmbedding = "embedding" // FP32 [N,features]
)

// Parameters of requests, inputs and outputs.
const (
	paramLayout         = "layout"             // of an input: "NCHW", as declared, or "NHWC"
	paramTimeout        = "timeout"            // of a request, in microseconds, as Triton takes it
	paramBinarySize     = "binary_data_size"   // of a tensor that follows the JSON, in bytes
	paramBinary         = "binary_data"        // of an output: whether it is to follow the JSON
	paramBinaryOutput   = "binary_data_output" // of a request: the same for all outputs
	paramClassification = "classification"     // of an output: so many best classes, as BYTES "score:index:label"
)

func (s *Server) serverLive(w http.ResponseWriter, r *http.Request) error {
	writeJSON(w, http.StatusOK, api.ServerLive{Live: true})
	return nil
}

func (s *Server) serverReady(w http.ResponseWriter, r *http.Request) error {
	status := http.StatusOK
	if s.draining.Load() {
		status = http.StatusServiceUnavailable
	}
	writeJSON(w, status, api.ServerReady{Ready: status == http.StatusOK})
	return nil
}

func (s *Server) serverMetadata(w http.ResponseWriter, r *http.Request) error {
	writeJSON(w, http.StatusOK, api.ServerMetadata{Name: "bit", Version: s.config.Version,
		Extensions: []string{"binary_tensor_data", "classification"}})
	return nil
}

func (s *Server) modelReady(w http.ResponseWriter, r *http.Request) error {
	i, done, err := s.model(r.PathValue("model"))
	if err != nil {
		return err
	}
	defer done()
	status := http.StatusOK
	if s.draining.Load() {
		status = http.StatusServiceUnavailable
	}
	writeJSON(w, status, api.ModelReady{Name: i.name, Ready: status == http.StatusOK})
	return nil
}

func (s *Server) modelMetadata(w http.ResponseWriter, r *http.Request) error {
	i, done, err := s.model(r.PathValue("model"))
	if err != nil {
		return err
	}
	defer done()
	m := api.ModelMetadata{
		Name: i.name, Platform: "bit",
		Inputs: []api.TensorMetadata{
			{Name: tensorFiles, Datatype: datatypeBytes, Shape: []int{-1}},
			{Name: tensorPixels, Datatype: datatypeUint8, Shape: []int{-1, -1, -1, 3}},
			{Name: tensorImages, Datatype: datatypeFloat, Shape: []int{-1, 3, i.height, i.width}},
		},
	}
	for _, name := range i.outputs() {
		m.Outputs = append(m.Outputs, api.TensorMetadata{Name: name, Datatype: datatypeFloat, Shape: []int{-1, i.outputWidth(name)}})
	}
	writeJSON(w, http.StatusOK, m)
	return nil
}

// outputs lists what a model gives.
func (i *instance) outputs() []string {
	if i.batcher.model.Headless() {
		return []string{tensorEmbedding}
	}
	return []string{tensorLogits, tensorScores, tensorEmbedding}
}

func (i *instance) outputWidth(name string) int {
	if name == tensorEmbedding {
		return i.batcher.model.Config().FeatureWidth()
	}
	return i.batcher.model.Config().Classes
}

// modelInfer answers POST /v2/models/{model}/infer.
func (s *Server) modelInfer(w http.ResponseWriter, r *http.Request) error {
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
	req, binary, err := splitBody(body, r.Header.Get(api.HeaderLength))
	if err != nil {
		return err
	}
	wanted, err := i.wantedOutputs(req)
	if err != nil {
		return err
	}
	ctx := r.Context()
	if timeout, ok := req.Parameters[paramTimeout]; ok {
		us, err := asNumber(timeout)
		if err != nil || us <= 0 {
			return failf(http.StatusBadRequest, "parameter timeout: want microseconds")
		}
		var cancel func()
		ctx, cancel = withTimeout(ctx, time.Duration(min(us, math.MaxInt64/int64(time.Microsecond)))*time.Microsecond)
		defer cancel()
	}
	in, err := readInput(req, binary, hold.grow)
	if err != nil {
		return err
	}
	if n := in.count(); n > 1 {
		if err := hold.more(n - 1); err != nil {
			return err
		}
	}
	arrived := i.expect(in.count())
	defer arrived()
	tasks, err := s.inputTasks(ctx, i, in)
	if err != nil {
		return err
	}
	if err := s.infer(ctx, i, tasks, arrived); err != nil {
		return err
	}
	return i.writeInference(w, req, wanted, tasks)
}

// splitBody reads the JSON of a request and returns what follows it.
func splitBody(body []byte, header string) (*api.InferRequest, []byte, error) {
	n := len(body)
	if header != "" {
		var err error
		if n, err = strconv.Atoi(header); err != nil || n < 0 || n > len(body) {
			return nil, nil, failf(http.StatusBadRequest, "%s: %q, want the length of the JSON in a body of %d bytes", api.HeaderLength, header, len(body))
		}
	}
	var req api.InferRequest
	if err := unmarshal(body[:n], &req); err != nil {
		return nil, nil, err
	}
	return &req, body[n:], nil
}

// wantedOutput is an output that a request asks for.
type wantedOutput struct {
	name   string
	binary bool
	top    int // classes, as BYTES; 0 for all, as numbers
}

// wantedOutputs lists the outputs that a request asks for: all of them if it names none.
func (i *instance) wantedOutputs(req *api.InferRequest) ([]wantedOutput, error) {
	allBinary, err := asBool(req.Parameters, paramBinaryOutput)
	if err != nil {
		return nil, err
	}
	asked := req.Outputs
	if len(asked) == 0 {
		for _, name := range i.outputs() {
			asked = append(asked, api.RequestOutput{Name: name})
		}
	}
	var wanted []wantedOutput
	for _, o := range asked {
		if !slices.Contains(i.outputs(), o.Name) {
			return nil, failf(http.StatusBadRequest, "output %q: the model has %q", o.Name, i.outputs())
		}
		// A list of the same one over and over would make an answer far larger than its request.
		if slices.ContainsFunc(wanted, func(w wantedOutput) bool { return w.name == o.Name }) {
			return nil, failf(http.StatusBadRequest, "output %q is asked for twice", o.Name)
		}
		out := wantedOutput{name: o.Name, binary: allBinary}
		if _, ok := o.Parameters[paramBinary]; ok {
			if out.binary, err = asBool(o.Parameters, paramBinary); err != nil {
				return nil, err
			}
		}
		if top, ok := o.Parameters[paramClassification]; ok {
			n, err := asNumber(top)
			if err != nil || n < 0 || o.Name == tensorEmbedding {
				return nil, failf(http.StatusBadRequest, "output %q: parameter classification: want a number of classes, of logits or scores", o.Name)
			}
			out.top = int(n)
		}
		wanted = append(wanted, out)
	}
	return wanted, nil
}

func asNumber(v any) (int64, error) {
	f, ok := v.(float64)
	if !ok || f != float64(int64(f)) {
		return 0, strconv.ErrSyntax
	}
	return int64(f), nil
}

func asBool(p api.Parameters, name string) (bool, error) {
	v, ok := p[name]
	if !ok {
		return false, nil
	}
	b, ok := v.(bool)
	if !ok {
		return false, failf(http.StatusBadRequest, "parameter %s: want true or false", name)
	}
	return b, nil
}

// writeInference answers with the outputs that a request asked for.
func (i *instance) writeInference(w http.ResponseWriter, req *api.InferRequest, wanted []wantedOutput, tasks []*task) error {
	answer := api.InferResponse{ModelName: i.name, ID: req.ID}
	var binary []byte
	for _, o := range wanted {
		out, data, err := i.output(o, tasks)
		if err != nil {
			return err
		}
		answer.Outputs = append(answer.Outputs, out)
		binary = append(binary, data...)
	}
	if binary == nil {
		writeJSON(w, http.StatusOK, answer)
		return nil
	}
	head, err := json.Marshal(answer)
	if err != nil {
		return err
	}
	h := w.Header()
	h.Set("Content-Type", "application/octet-stream")
	h.Set(api.HeaderLength, strconv.Itoa(len(head)))
	h.Set("Content-Length", strconv.Itoa(len(head)+len(binary)))
	w.WriteHeader(http.StatusOK)
	w.Write(head)
	w.Write(binary)
	return nil
}

// output makes one output of a response: its description, with the values or with their size, and then the values.
func (i *instance) output(o wantedOutput, tasks []*task) (api.InferOutput, []byte, error) {
	width := i.outputWidth(o.name)
	out := api.InferOutput{Name: o.name, Datatype: datatypeFloat, Shape: []int{len(tasks), width}}
	var values []float32
	var labels []string
	for _, t := range tasks {
		switch {
		case o.name == tensorEmbedding:
			values = append(values, t.features...)
		case o.name == tensorLogits && o.top == 0:
			values = append(values, t.logits...)
		default:
			best, _, err := i.judge(t, o.top)
			if err != nil {
				return out, nil, err
			}
			if o.top == 0 {
				scores := make([]float32, width)
				for _, p := range best {
					scores[p.Index] = p.Score
				}
				values = append(values, scores...)
				continue
			}
			out.Shape[1] = len(best)
			for _, p := range best {
				v := p.Score
				if o.name == tensorLogits {
					v = t.logits[p.Index]
				}
				labels = append(labels, strconv.FormatFloat(float64(v), 'f', 6, 32)+":"+strconv.Itoa(p.Index)+":"+p.Label)
			}
		}
	}
	if o.top > 0 {
		out.Datatype = datatypeBytes
	}
	if !o.binary {
		if out.Data = any(values); o.top > 0 {
			out.Data = labels
		}
		return out, nil, nil
	}
	data := floatBytes(values)
	if o.top > 0 {
		data = stringBytes(labels)
	}
	out.Parameters = api.Parameters{paramBinarySize: len(data)}
	return out, data, nil
}
