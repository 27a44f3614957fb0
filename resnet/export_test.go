package resnet

import (
	"github.com/bigtransfer/bit/nn"
)

// WithWinograd makes the predictor use Winograd's convolutions otherwise than by its own choice.
func (p *Predictor) WithWinograd(use nn.WinogradUse) *Predictor {
	p.e.Winograd = use
	return p
}

// WithWinograd makes the trainer use Winograd's convolutions otherwise than by its own choice.
func (t *Trainer) WithWinograd(use nn.WinogradUse) *Trainer {
	t.e.Winograd = use
	return t
}

// Activations returns what the last Forward computed: "root" is the pooled output of the stem, the others are the
// outputs of the units.
func (t *Trainer) Activations() map[string]*nn.Map {
	p := t.passes.last
	maps := map[string]*nn.Map{"root": p.pooled}
	for i, k := range t.ks.units {
		maps[UnitName(k.stage, k.unit)] = p.units[i].y
	}
	return maps
}

// LastLogits returns the logits that the last pass left behind.
func (p *Predictor) LastLogits() []float32 { return p.passes.last.logits.Data }

// LastLogits returns the logits that the last pass left behind.
func (t *Trainer) LastLogits() []float32 { return t.passes.last.logits.Data }

// Features returns the pooled features of the last Forward.
func (t *Trainer) Features() []float32 { return t.passes.last.features.Data }

// Norms returns the normalisations of the last Forward by the names of their parameters: "block1/unit01/gn1", "norm".
func (t *Trainer) Norms() map[string]*nn.GroupNorm {
	p := t.passes.last
	norms := map[string]*nn.GroupNorm{"norm": p.norm}
	for i, k := range t.ks.units {
		name, u := UnitName(k.stage, k.unit), p.units[i]
		norms[name+"/gn1"], norms[name+"/gn2"], norms[name+"/gn3"] = u.gn1, u.gn2, u.gn3
	}
	return norms
}

// StemOutput returns the last Forward's map between the stem's convolution and its pooling.
func (t *Trainer) StemOutput() *nn.Map { return t.passes.last.stemOut }
