package serve

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/bigtransfer/bit/api"
)

// A picture as the body, by PUT as curl -T sends it and by POST, of the default model and by name.
func TestClassify(t *testing.T) {
	_, h := newServer(t, nil)
	for _, ref := range references(t) {
		for _, route := range []string{"PUT /v1/classify", "POST /v1/classify", "PUT /v1/models/tiny/classify", "POST /v1/models/tiny/classify"} {
			method, path, _ := strings.Cut(route, " ")
			var got api.Classification
			send(t, method, h.URL+path+"?top=10", ref.file, "Content-Type", "image/png").read(t, http.StatusOK, &got)
			if got.Model != "tiny" || len(got.Results) != 1 || len(got.Results[0].Predictions) != 10 {
				t.Fatalf("%s: %s: got %+v", ref.name, route, got)
			}
			scores := make([]float32, 10)
			for i, p := range got.Results[0].Predictions {
				scores[p.Index] = p.Score
				if want := order(ref.logits)[i]; p.Index != want {
					t.Errorf("%s: class %d in place %d, want %d", ref.name, p.Index, i, want)
				}
			}
			near(t, ref.name, scores, softmax(ref.logits))
		}
	}
}

// A form of several pictures: an answer for each, in their order, with their names.
func TestClassifyForm(t *testing.T) {
	_, h := newServer(t, nil)
	refs := references(t)
	var names []string
	var files [][]byte
	for _, ref := range refs {
		names, files = append(names, ref.name), append(files, ref.file)
	}
	body, kind := form(t, names, files)
	var got api.Classification
	send(t, "POST", h.URL+"/v1/classify", body, "Content-Type", kind).read(t, http.StatusOK, &got)
	if len(got.Results) != len(refs) {
		t.Fatalf("%d results, want %d", len(got.Results), len(refs))
	}
	for i, r := range got.Results {
		if r.Name != names[i] || len(r.Predictions) != DefaultTop {
			t.Errorf("result %d is of %q with %d classes, want %q with %d", i, r.Name, len(r.Predictions), names[i], DefaultTop)
			continue
		}
		if best := order(refs[i].logits)[0]; r.Predictions[0].Index != best {
			t.Errorf("%s: class %d, want %d", r.Name, r.Predictions[0].Index, best)
		}
	}
	var e api.ErrorBody
	body, kind = form(t, []string{"a.png", "b.png"}, [][]byte{refs[0].file, refs[1].file[:100]})
	send(t, "POST", h.URL+"/v1/classify", body, "Content-Type", kind).read(t, http.StatusUnprocessableEntity, &e)
	if !strings.Contains(e.Error, "b.png") {
		t.Errorf("error %q, want one that names b.png", e.Error)
	}
}

func TestEmbed(t *testing.T) {
	_, h := newServer(t, nil)
	for _, ref := range references(t) {
		var got api.Embeddings
		send(t, "POST", h.URL+"/v1/embed", ref.file).read(t, http.StatusOK, &got)
		if len(got.Results) != 1 {
			t.Fatalf("%d results", len(got.Results))
		}
		near(t, ref.name, got.Results[0].Embedding, ref.features)
	}
}

// The task image-classification: a body of its own and JSON, at / and under /models, with every function.
func TestHuggingFace(t *testing.T) {
	_, h := newServer(t, nil)
	ref := references(t)[0]
	sigmoids := make([]float64, len(ref.logits))
	for i, z := range ref.logits {
		sigmoids[i] = 1 / (1 + math.Exp(-z))
	}
	for _, c := range []struct {
		path, parameters string
		want             []float64
		n                int
	}{
		{"/", "", softmax(ref.logits), 5},
		{"/models/tiny", "", softmax(ref.logits), 5},
		{"/models/tiny", `{}`, softmax(ref.logits), 5},
		{"/models/tiny", `{"top_k":3,"function_to_apply":"softmax"}`, softmax(ref.logits), 3},
		{"/", `{"top_k":10,"function_to_apply":"sigmoid"}`, sigmoids, 10},
		{"/", `{"top_k":100,"function_to_apply":"none"}`, ref.logits, 10},
	} {
		body, kind := ref.file, "image/png"
		if c.parameters != "" {
			body, kind = fmt.Appendf(nil, `{"inputs":%q,"parameters":%s}`, base64.StdEncoding.EncodeToString(ref.file), c.parameters), "application/json"
		}
		var got []api.ImageClassificationOutput
		send(t, "POST", h.URL+c.path, body, "Content-Type", kind).read(t, http.StatusOK, &got)
		if len(got) != c.n {
			t.Errorf("%s %s: %d classes, want %d", c.path, c.parameters, len(got), c.n)
			continue
		}
		scores, want := make([]float32, c.n), make([]float64, c.n)
		for i, o := range got {
			scores[i], want[i] = o.Score, c.want[order(ref.logits)[i]]
		}
		near(t, c.path+" "+c.parameters, scores, want)
	}
	for _, bad := range []string{`{"inputs":"AAAA"`, `{"inputs":"%"}`, `{"inputs":"AAAA"} 1`, `{"inputs":"` + base64.StdEncoding.EncodeToString(ref.file) + `","parameters":{"top_k":0}}`,
		`{"inputs":"AAAA","parameters":{"function_to_apply":"tanh"}}`, `[]`, `{}`} {
		if a := send(t, "POST", h.URL+"/", []byte(bad), "Content-Type", "application/json"); a.status != http.StatusBadRequest {
			t.Errorf("%s: status %d: %s, want 400", bad, a.status, a.body)
		}
	}
}

func TestOpenInferenceMetadata(t *testing.T) {
	_, h := newServer(t, nil)
	var live api.ServerLive
	send(t, "GET", h.URL+"/v2/health/live", nil).read(t, http.StatusOK, &live)
	var ready api.ServerReady
	send(t, "GET", h.URL+"/v2/health/ready", nil).read(t, http.StatusOK, &ready)
	var modelReady api.ModelReady
	send(t, "GET", h.URL+"/v2/models/tiny/ready", nil).read(t, http.StatusOK, &modelReady)
	if !live.Live || !ready.Ready || !modelReady.Ready || modelReady.Name != "tiny" {
		t.Errorf("%+v %+v %+v, want all to be ready", live, ready, modelReady)
	}
	var server api.ServerMetadata
	send(t, "GET", h.URL+"/v2", nil).read(t, http.StatusOK, &server)
	if server.Name != "bit" || server.Version != "v0" || fmt.Sprint(server.Extensions) != "[binary_tensor_data classification]" {
		t.Errorf("server metadata %+v", server)
	}
	var model api.ModelMetadata
	send(t, "GET", h.URL+"/v2/models/tiny", nil).read(t, http.StatusOK, &model)
	want := `{tiny [] bit [{files BYTES [-1]} {pixels UINT8 [-1 -1 -1 3]} {images FP32 [-1 3 64 64]}] [{logits FP32 [-1 10]} {scores FP32 [-1 10]} {embedding FP32 [-1 128]}]}`
	if got := fmt.Sprint(model); got != want {
		t.Errorf("model metadata\n%s, want\n%s", got, want)
	}
}

// infer sends a request of the Open Inference Protocol, with binary data after the JSON if there is any, and returns the
// outputs by name.
func infer(t testing.TB, url string, req any, rest []byte) map[string]api.InferOutput {
	t.Helper()
	body, err := json.Marshal(req)
	if err != nil {
		t.Fatal(err)
	}
	headers := []string{"Content-Type", "application/json"}
	if rest != nil {
		headers = []string{"Content-Type", "application/octet-stream", api.HeaderLength, strconv.Itoa(len(body))}
	}
	a := send(t, "POST", url, append(body, rest...), headers...)
	var binaryData []byte
	if n := a.header.Get(api.HeaderLength); n != "" {
		length, err := strconv.Atoi(n)
		if err != nil || length > len(a.body) {
			t.Fatalf("%s: %q of a body of %d", api.HeaderLength, n, len(a.body))
		}
		a.body, binaryData = a.body[:length], a.body[length:]
	}
	var got api.InferResponse
	a.read(t, http.StatusOK, &got)
	if got.ModelName != "tiny" || got.ID != "42" {
		t.Errorf("model_name %q and id %q", got.ModelName, got.ID)
	}
	outputs := map[string]api.InferOutput{}
	for _, o := range got.Outputs {
		if size, ok := o.Parameters[paramBinarySize]; ok {
			n := int(size.(float64))
			o.Data, binaryData = binaryData[:n], binaryData[n:]
		}
		outputs[o.Name] = o
	}
	if len(binaryData) != 0 {
		t.Errorf("%d bytes after the last output", len(binaryData))
	}
	return outputs
}

// numbers returns the values of an output.
func numbers(t testing.TB, o api.InferOutput) []float64 {
	t.Helper()
	var values []float64
	switch data := o.Data.(type) {
	case []any:
		for _, v := range data {
			values = append(values, v.(float64))
		}
	case []byte:
		for ; len(data) >= 4; data = data[4:] {
			values = append(values, float64(math.Float32frombits(binary.LittleEndian.Uint32(data))))
		}
	default:
		t.Fatalf("output %s has data of type %T", o.Name, o.Data)
	}
	return values
}

func checkOutputs(t testing.TB, what string, outputs map[string]api.InferOutput, refs []reference) {
	t.Helper()
	var logits, scores, features []float64
	for _, ref := range refs {
		logits, scores, features = append(logits, ref.logits...), append(scores, softmax(ref.logits)...), append(features, ref.features...)
	}
	if len(outputs) != 3 {
		t.Errorf("%s: %d outputs, want 3", what, len(outputs))
	}
	near(t, what+": logits", numbers(t, outputs["logits"]), logits)
	near(t, what+": scores", numbers(t, outputs["scores"]), scores)
	near(t, what+": embedding", numbers(t, outputs["embedding"]), features)
	if got, want := fmt.Sprint(outputs["logits"].Shape), fmt.Sprintf("[%d 10]", len(refs)); got != want {
		t.Errorf("%s: logits of shape %s, want %s", what, got, want)
	}
}

// Tensors of prepared pictures and picture files, in JSON and after it, in both layouts, give the reference's numbers.
func TestInfer(t *testing.T) {
	_, h := newServer(t, nil)
	url := h.URL + "/v2/models/tiny/infer"
	refs := references(t)
	n := len(refs)
	var nchw, nhwc []float32
	var files []string
	for _, ref := range refs {
		for _, v := range ref.pixels {
			nchw = append(nchw, float32(v))
		}
		for p := range 64 * 64 {
			for c := range 3 {
				nhwc = append(nhwc, float32(ref.pixels[c*64*64+p]))
			}
		}
		files = append(files, base64.StdEncoding.EncodeToString(ref.file))
	}
	input := func(name, datatype string, parameters map[string]any, data any, shape ...int) any {
		in := map[string]any{"name": name, "datatype": datatype, "shape": shape}
		if parameters != nil {
			in["parameters"] = parameters
		}
		if data != nil {
			in["data"] = data
		}
		return map[string]any{"id": "42", "inputs": []any{in}}
	}
	checkOutputs(t, "NCHW in JSON", infer(t, url, input("images", "FP32", nil, nchw, n, 3, 64, 64), nil), refs)
	checkOutputs(t, "NHWC in JSON", infer(t, url, input("images", "FP32", map[string]any{"layout": "NHWC"}, nhwc, n, 64, 64, 3), nil), refs)
	checkOutputs(t, "files in JSON", infer(t, url, input("files", "BYTES", nil, files, n), nil), refs)

	nested := make([][][]float32, n) // [N][3][64*64]: nested to a depth that is not the shape's, as some clients flatten
	for i := range nested {
		for c := range 3 {
			nested[i] = append(nested[i], nchw[(3*i+c)*64*64:][:64*64])
		}
	}
	checkOutputs(t, "nested JSON", infer(t, url, input("images", "FP32", nil, nested, n, 3, 64, 64), nil), refs)

	size := func(n int) map[string]any { return map[string]any{"binary_data_size": n} }
	bytes := floatBytes(nchw)
	checkOutputs(t, "binary NCHW", infer(t, url, input("images", "FP32", size(len(bytes)), nil, n, 3, 64, 64), bytes), refs)
	var raw []string
	for _, ref := range refs {
		raw = append(raw, string(ref.file))
	}
	bytes = stringBytes(raw)
	checkOutputs(t, "binary files", infer(t, url, input("files", "BYTES", size(len(bytes)), nil, n, 1), bytes), refs)

	request := input("files", "BYTES", nil, files, n).(map[string]any)
	request["parameters"] = map[string]any{"binary_data_output": true, "timeout": 5_000_000}
	outputs := infer(t, url, request, nil)
	if _, ok := outputs["logits"].Data.([]byte); !ok {
		t.Errorf("logits of type %T, want bytes", outputs["logits"].Data)
	}
	checkOutputs(t, "binary output", outputs, refs)

	request["parameters"] = map[string]any{"timeout": 1e16} // microseconds: more than a time.Duration has
	checkOutputs(t, "a long time", infer(t, url, request, nil), refs)
}

// Outputs that are asked for, and the best classes as text.
func TestInferOutputs(t *testing.T) {
	_, h := newServer(t, nil)
	ref := references(t)[0]
	request := map[string]any{"id": "42",
		"inputs": []any{map[string]any{"name": "files", "datatype": "BYTES", "shape": []int{1}, "data": []string{base64.StdEncoding.EncodeToString(ref.file)}}},
		"outputs": []any{
			map[string]any{"name": "embedding", "parameters": map[string]any{"binary_data": true}},
			map[string]any{"name": "logits", "parameters": map[string]any{"classification": 2}},
		}}
	got := infer(t, h.URL+"/v2/models/tiny/infer", request, nil)
	if len(got) != 2 {
		t.Fatalf("%d outputs, want 2", len(got))
	}
	near(t, "embedding", numbers(t, got["embedding"]), ref.features)
	o := got["logits"]
	labels, _ := o.Data.([]any)
	if o.Datatype != "BYTES" || fmt.Sprint(o.Shape) != "[1 2]" || len(labels) != 2 {
		t.Fatalf("classification is %+v", o)
	}
	for i, class := range order(ref.logits)[:2] {
		parts := strings.SplitN(labels[i].(string), ":", 3)
		v, _ := strconv.ParseFloat(parts[0], 64)
		if math.Abs(v-ref.logits[class]) > tolerance*math.Abs(ref.logits[class])+1e-6 || parts[1] != strconv.Itoa(class) || parts[2] == "" {
			t.Errorf("place %d is %q, want %.6f:%d:label", i, labels[i], ref.logits[class], class)
		}
	}
}

// Every mistake in a request of the protocol is a 400 that says what was expected.
func TestInferRefuses(t *testing.T) {
	_, h := newServer(t, nil)
	for _, c := range []struct{ body, says string }{
		{`{"inputs":[]}`, "0 inputs"},
		{`{"inputs":[{"name":"x","datatype":"FP32","shape":[1]}]}`, `"x"`},
		{`{"inputs":[{"name":"images","datatype":"FP64","shape":[1,3,64,64],"data":[]}]}`, "FP32"},
		{`{"inputs":[{"name":"images","datatype":"FP32","shape":[1,3,64],"data":[]}]}`, "4 dimensions"},
		{`{"inputs":[{"name":"images","datatype":"FP32","shape":[1,64,64,3],"data":[]}]}`, "3 channels"},
		{`{"inputs":[{"name":"images","datatype":"FP32","shape":[-1,3,64,64],"data":[]}]}`, "positive"},
		{`{"inputs":[{"name":"images","datatype":"FP32","shape":[1048576,3,65536,65536],"data":[]}]}`, "2^31"},
		{`{"inputs":[{"name":"images","datatype":"FP32","shape":[1,3,64,64],"data":[1,2]}]}`, "fewer values"},
		{`{"inputs":[{"name":"images","datatype":"FP32","shape":[1,3,1,1],"data":[1,2,3]}]}`, "height 1"},
		{`{"inputs":[{"name":"images","datatype":"FP32","shape":[1,3,1,1],"data":[1,2,3,4]}]}`, "4 values"},
		{`{"inputs":[{"name":"images","datatype":"FP32","shape":[1,3,1,1],"data":["a","b","c"]}]}`, "value 0"},
		{`{"inputs":[{"name":"images","datatype":"FP32","shape":[1,3,1,1],"data":[1e99,1,1]}]}`, "value 0"},
		{`{"inputs":[{"name":"images","datatype":"FP32","shape":[1,3,1,1],"parameters":{"layout":"CHWN"},"data":[1,1,1]}]}`, "layout"},
		{`{"inputs":[{"name":"images","datatype":"FP32","shape":[1,3,1,1],"parameters":{"binary_data_size":12}}]}`, "0 bytes follow"},
		{`{"inputs":[{"name":"pixels","datatype":"UINT8","shape":[1,1,1,3],"data":[1,2,256]}]}`, "value 2"},
		{`{"inputs":[{"name":"files","datatype":"BYTES","shape":[1],"data":["?"]}]}`, "base64"},
		{`{"inputs":[{"name":"files","datatype":"BYTES","shape":[2],"data":["AAAA"]}]}`, "needs 2"},
		{`{"inputs":[{"name":"files","datatype":"BYTES","shape":[1],"data":["AAAA"]}],"outputs":[{"name":"boxes"}]}`, "boxes"},
		{`{"inputs":[{"name":"files","datatype":"BYTES","shape":[1],"data":["AAAA"]}],"outputs":[{"name":"logits"},{"name":"logits"}]}`, "twice"},
		{`{"inputs":[{"name":"files","datatype":"BYTES","shape":[1],"data":["AAAA"]}],"parameters":{"timeout":"soon"}}`, "timeout"},
		{`{"inputs":[{"name":"files","datatype":"BYTES","shape":[1],"data":["AAAA"]}],"parameters":{"binary_data_output":1}}`, "true or false"},
	} {
		var e api.ErrorBody
		send(t, "POST", h.URL+"/v2/models/tiny/infer", []byte(c.body), "Content-Type", "application/json").read(t, http.StatusBadRequest, &e)
		if !strings.Contains(e.Error, c.says) {
			t.Errorf("%s: error %q, want one that says %q", c.body, e.Error, c.says)
		}
	}
	for _, length := range []string{"-1", "x", "1000000"} {
		if a := send(t, "POST", h.URL+"/v2/models/tiny/infer", []byte(`{"inputs":[]}`), api.HeaderLength, length); a.status != http.StatusBadRequest {
			t.Errorf("%s: %s: status %d", api.HeaderLength, length, a.status)
		}
	}
}
