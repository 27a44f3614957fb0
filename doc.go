// Package bit classifies pictures with Big Transfer (BiT) models and fine-tunes them on pictures of your own.
//
//	m, err := bit.Open(ctx, "") // the pretrained model inside the package
//	predictions, err := m.ClassifyFile("cat.jpg", 5)
//	tuned, result, err := bit.FineTune(ctx, m, "my-photos", transfer.Config{}) // my-photos/<class>/<file>
//	err = tuned.Save("my-model", weights.Card{})
//
// [Open] takes the name of an embedded model, an official .npz file, or a folder in Hugging Face's layout, which is also
// what [Model.Save] writes. For a model that is neither trained nor saved, [OpenClassifier] takes half the memory.
//
// # Conventions
//
// Pictures are of type [image.Image]; package imaging decodes files to them, upright and of the colours that the
// reference sees. Prepared input is float32 in N H W C order. Scores are the softmax of a model's logits.
//
// # Concurrency
//
// A [Classifier] and a [Model] may be used by any number of goroutines. They have one set of threads and buffers: pictures
// are decoded and prepared on the calling goroutine, network passes wait for one another, and each uses all of the
// model's threads. [Classifier.ClassifyPictures] does both at once. A picture's result has the same bits for any number of
// threads, whatever other pictures share its pass, and whatever else the model does meanwhile.
package bit
