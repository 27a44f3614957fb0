package resnet

import "testing"

// The time of a layer is the median of its runs.
func TestProfilerMedian(t *testing.T) {
	p := profiler{layers: make([]LayerTime, 2), times: [][]float64{{3, 1, 2}, {8, 1, 2, 3}}}
	for i, want := range []float64{2, 2.5} {
		if got := p.result()[i].Seconds; got != want {
			t.Errorf("%v: %v, want %v", p.times[i], got, want)
		}
	}
}
