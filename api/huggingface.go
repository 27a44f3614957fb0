package api

// ImageClassificationInput is the request of the Hugging Face task image-classification
// (huggingface.js, packages/tasks/src/tasks/image-classification/spec/input.json).
type ImageClassificationInput struct {
	Inputs     []byte                        `json:"inputs"` // a picture file, in base64
	Parameters ImageClassificationParameters `json:"parameters"`
}

// ImageClassificationParameters say what is answered.
type ImageClassificationParameters struct {
	FunctionToApply string `json:"function_to_apply,omitempty"` // "softmax" (the default), "sigmoid" or "none"
	TopK            *int   `json:"top_k,omitempty"`             // at least 1; 5 if absent
}

// ImageClassificationOutput is an element of that task's answer, which is a list, the best first.
type ImageClassificationOutput struct {
	Label string  `json:"label"`
	Score float32 `json:"score"`
}
