package api

// ExplainedPicture is what one picture shows, and where the model sees it.
type ExplainedPicture struct {
	Model       string       `json:"model"`
	Predictions []Prediction `json:"predictions"`       // the best first
	Unknown     bool         `json:"unknown,omitempty"` // the picture shows none of the classes, by the model's own threshold
	Explanation Explanation  `json:"explanation"`
}

// Explanation says which parts of a picture speak for a class: the class-activation map, whose values sum to the logit
// less the bias.
type Explanation struct {
	Class   int       `json:"class"`
	Label   string    `json:"label"`
	Logit   float32   `json:"logit"`
	Bias    float32   `json:"bias"`
	Rows    int       `json:"rows"`
	Columns int       `json:"columns"`
	Map     []float32 `json:"map"` // [rows, columns], row-major

	Width  int        `json:"width"` // of the upright picture, in pixels
	Height int        `json:"height"`
	View   [4]float64 `json:"view"`   // left, top, right, bottom of what the network saw of it, in its pixels
	Origin [2]float64 `json:"origin"` // x and y of what the first value looks at, in its pixels
	Step   [2]float64 `json:"step"`   // from a column and a row to the next, in its pixels
}
