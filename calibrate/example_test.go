package calibrate_test

import (
	"fmt"
	"log"

	"github.com/bigtransfer/bit/calibrate"
)

// A model that says 98 % and is right in four of five cases.
func ExampleFitTemperature() {
	var logits []float32
	var labels []int32
	for i := range 1000 {
		logits = append(logits, 4, 0)
		label := int32(0)
		if i%5 == 0 {
			label = 1
		}
		labels = append(labels, label)
	}
	fit, err := calibrate.FitTemperature(logits, labels, 2)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("calibration error %.1f %% before, %.1f %% after; it pays: %v\n", 100*fit.ECEBefore, 100*fit.ECEAfter, fit.Pays())
	scores := make([]float64, 2)
	calibrate.Calibration{Temperature: fit.Temperature}.Softmax(scores, []float32{4, 0})
	fmt.Printf("now it says %.0f %%\n", 100*scores[0])
	// Output:
	// calibration error 18.2 % before, 0.1 % after; it pays: true
	// now it says 80 %
}
