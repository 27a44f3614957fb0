package api

import "encoding/json"

// Messages of the Open Inference Protocol, version 2, over REST
// (github.com/kserve/open-inference-protocol, specification/protocol/inference_rest.md).

// ServerLive answers /v2/health/live.
type ServerLive struct {
	Live bool `json:"live"`
}

// ServerReady answers /v2/health/ready.
type ServerReady struct {
	Ready bool `json:"ready"`
}

// ModelReady answers /v2/models/{model}/ready.
type ModelReady struct {
	Name  string `json:"name"`
	Ready bool   `json:"ready"`
}

// ServerMetadata answers /v2.
type ServerMetadata struct {
	Name       string   `json:"name"`
	Version    string   `json:"version"`
	Extensions []string `json:"extensions"`
}

// ModelMetadata answers /v2/models/{model}.
type ModelMetadata struct {
	Name     string           `json:"name"`
	Versions []string         `json:"versions,omitempty"`
	Platform string           `json:"platform"`
	Inputs   []TensorMetadata `json:"inputs"`
	Outputs  []TensorMetadata `json:"outputs"`
}

// TensorMetadata describes a tensor; a side of -1 is of any length.
type TensorMetadata struct {
	Name     string `json:"name"`
	Datatype string `json:"datatype"`
	Shape    []int  `json:"shape"`
}

// Parameters are settings by name: of a request, an input or an output.
type Parameters map[string]any

// InferRequest asks a model for outputs. With the binary tensor data extension, the values of inputs follow the JSON.
type InferRequest struct {
	ID         string          `json:"id,omitempty"`
	Parameters Parameters      `json:"parameters,omitempty"`
	Inputs     []InferInput    `json:"inputs"`
	Outputs    []RequestOutput `json:"outputs,omitempty"` // none: all of them
}

// InferInput is a tensor of a request.
type InferInput struct {
	Name       string          `json:"name"`
	Shape      []int           `json:"shape"`
	Datatype   string          `json:"datatype"`
	Parameters Parameters      `json:"parameters,omitempty"`
	Data       json.RawMessage `json:"data,omitempty"` // flat or nested, row-major
}

// RequestOutput names an output that is wanted.
type RequestOutput struct {
	Name       string     `json:"name"`
	Parameters Parameters `json:"parameters,omitempty"`
}

// InferResponse answers an [InferRequest].
type InferResponse struct {
	ModelName string        `json:"model_name"`
	ID        string        `json:"id,omitempty"`
	Outputs   []InferOutput `json:"outputs"`
}

// InferOutput is a tensor of a response. Its values are in Data, flat and row-major, or follow the JSON.
type InferOutput struct {
	Name       string     `json:"name"`
	Shape      []int      `json:"shape"`
	Datatype   string     `json:"datatype"`
	Parameters Parameters `json:"parameters,omitempty"`
	Data       any        `json:"data,omitempty"` // []float32 or []string
}

// HeaderLength is the HTTP header of the binary tensor data extension: the length of the JSON in bytes.
const HeaderLength = "Inference-Header-Content-Length"
