package bit_test

import (
	"testing"

	"github.com/bigtransfer/bit"
	"github.com/bigtransfer/bit/internal/fixture"
	"github.com/bigtransfer/bit/transfer"
)

// Fine-tuning the embedded model on 400 small photographs of ten classes beats the same network, trained by the same
// rule and as long from random weights, by at least ten points on 300 others. The rule is BiT-HyperRule's with its steps
// shortened: its schedule's shape in 60 steps of 128 images instead of 500 of 512, at the model's own 64 pixels.
func TestPretrainingPays(t *testing.T) {
	m, err := bit.Open(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	scratch, err := m.Untrained(1)
	if err != nil {
		t.Fatal(err)
	}
	cfg := transfer.Config{Steps: 60, Batch: 128, LearningRate: transfer.BaseLearningRate, Resize: 80, Crop: 64}
	top1 := func(m *bit.Model) float64 {
		_, r, err := bit.FineTune(t.Context(), m, fixture.Data(t, "cifar10-mini"), cfg)
		if err != nil {
			t.Fatal(err)
		}
		return 100 * r.Eval.Top1
	}
	pretrained, random := top1(m), top1(scratch)
	t.Logf("top-1 on 300 images: %.1f %% from the embedded weights, %.1f %% from random ones", pretrained, random)
	if pretrained < random+10 {
		t.Errorf("pre-training is worth %.1f points, want at least 10", pretrained-random)
	}
}
