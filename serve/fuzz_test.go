package serve

import (
	"net/http"
	"testing"

	"github.com/bigtransfer/bit/api"
)

// A body of the Open Inference Protocol, whatever it holds, is an input of the shape that it claims, or a mistake of the
// client's.
func FuzzInferBody(f *testing.F) {
	f.Add([]byte(`{"inputs":[{"name":"images","datatype":"FP32","shape":[1,3,1,1],"data":[1,[2],3e0]}]}`), "")
	f.Add([]byte(`{"inputs":[{"name":"pixels","datatype":"UINT8","shape":[1,1,1,3],"parameters":{"binary_data_size":3}}]}abc`), "103")
	f.Add([]byte(`{"inputs":[{"name":"files","datatype":"BYTES","shape":[2,1],"parameters":{"binary_data_size":9}}]}`+"\x01\x00\x00\x00a\x00\x00\x00\x00"), "98")
	f.Fuzz(func(t *testing.T, body []byte, length string) {
		req, rest, err := splitBody(body, length)
		var in *inferInput
		if err == nil {
			in, err = readInput(req, rest, func(int64) error { return nil })
		}
		if err != nil {
			if got := failureOf(err).status; got != http.StatusBadRequest {
				t.Errorf("status %d: %v", got, err)
			}
			return
		}
		size := 1
		for _, n := range in.shape {
			size *= n
		}
		values := map[string]int{tensorImages: len(in.floats), tensorPixels: len(in.pixels), tensorFiles: len(in.files)}[in.name]
		if values != size || in.count() < 1 {
			t.Errorf("%d values of shape %v: %+v", values, in.shape, api.InferInput{Name: in.name})
		}
	})
}
