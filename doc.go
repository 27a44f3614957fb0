// Package bit classifies pictures with Big Transfer (BiT) models and teaches them classes of your own.
//
//	m, err := bit.Open(ctx, "") // the pretrained model inside the package
//	predictions, err := m.ClassifyFile("cat.jpg", 5)
//	ds, err := data.Open("my-photos")                             // my-photos/<class>/<file>, or a table, an archive, …
//	_, err = ds.EnsureSplit(ctx, data.SplitOptions{})             // pictures to judge by, where there are none
//	probed, r, err := m.Probe(ctx, ds, bit.ProbeOptions{})        // in seconds, in closed form
//	tuned, result, err := bit.FineTuneOn(ctx, m, ds, transfer.Config{}) // by BiT-HyperRule
//	err = tuned.Save("my-model", weights.Card{})
//
// [Open] takes the name of an embedded model, a file or folder of any format that package weights reads, or a published
// model; [Model.Save] writes Hugging Face's layout. For a model that is neither trained nor saved, [OpenClassifier] takes
// half the memory.
//
// A model classifies one picture ([Classifier.Classify]) or a stream of them ([Classifier.ClassifyPictures]), gives features
// ([Classifier.Features], [Classifier.Embed]) and says which parts of a picture speak for a class ([Classifier.Explain]). It
// is judged by [Classifier.Evaluate], and judges a data set by [Classifier.Audit].
//
// # Conventions
//
// Pictures are of type [image.Image]; package imaging decodes files to them, upright and of the colours that the
// reference sees. Prepared input is float32 in N H W C order. Scores are the softmax of a model's logits, at its temperature
// if it is calibrated, or the sigmoid of each where a picture may have several labels.
//
// # Concurrency
//
// A [Classifier] and a [Model] may be used by any number of goroutines. They have one set of threads and buffers: pictures
// are decoded and prepared on the calling goroutine, network passes wait for one another, and each uses all of the
// model's threads. [Classifier.ClassifyPictures] does both at once. A picture's result has the same bits for any number of
// threads, whatever other pictures share its pass, and whatever else the model does meanwhile.
package bit
