package api

// Prediction is one class and how likely the model thinks it.
type Prediction struct {
	Label string  `json:"label"` // readable name, "class 17" if the model has none
	Index int     `json:"index"` // of the class among the outputs
	Score float32 `json:"score"` // in [0, 1]
}

// Classification answers a request to classify: the model and a result for each picture, in their order.
type Classification struct {
	Model   string              `json:"model"`
	Results []ClassifiedPicture `json:"results"`
}

// ClassifiedPicture is what one picture shows.
type ClassifiedPicture struct {
	Name        string       `json:"name,omitempty"`    // of the picture, where the request gave one
	Predictions []Prediction `json:"predictions"`       // the best first
	Unknown     bool         `json:"unknown,omitempty"` // the picture shows none of the classes, by the model's own threshold
}

// Embeddings answers a request to embed.
type Embeddings struct {
	Model   string      `json:"model"`
	Results []Embedding `json:"results"`
}

// Embedding is the pooled feature vector of one picture.
type Embedding struct {
	Name      string    `json:"name,omitempty"`
	Embedding []float32 `json:"embedding"`
}

// Model describes a model that a server has.
type Model struct {
	Name       string   `json:"name"`
	Default    bool     `json:"default"`    // whether it answers requests that name no model
	Format     string   `json:"format"`     // of its file
	Parameters int      `json:"parameters"` // how many numbers it learnt
	Classes    int      `json:"classes"`    // 0 if it has no head, and then only gives embeddings
	Features   int      `json:"features"`   // length of an embedding
	Height     int      `json:"height"`     // of what pictures are resized to, in pixels; -1 where it depends on the picture
	Width      int      `json:"width"`
	Labels     []string `json:"labels,omitempty"` // names of the classes; not in lists of models
}

// Models lists the models of a server, by name.
type Models struct {
	Models []Model `json:"models"`
}

// ErrorBody is the body of every answer whose status is 400 or more.
type ErrorBody struct {
	Error string `json:"error"`
}
