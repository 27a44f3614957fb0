package bit

import "github.com/bigtransfer/bit/resnet"

// Outputs returns both what [Classifier.Logits] and what [Classifier.Features] would, of one pass of the network: the
// logits [n, classes] and the pooled features [n, Config().FeatureWidth()] of prepared input x [n, h, w, channels].
func (m *Classifier) Outputs(x []float32, n, h, w int) (logits, features []float32, err error) {
	logits = make([]float32, max(0, n)*m.net.Classes)
	features = make([]float32, max(0, n)*m.net.FeatureWidth())
	err = m.pass(func(p *resnet.Predictor) error { return p.Outputs(logits, features, x, n, h, w) })
	if err != nil {
		return nil, nil, err
	}
	return logits, features, nil
}
