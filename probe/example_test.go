package probe_test

import (
	"fmt"
	"log"

	"github.com/bigtransfer/bit/probe"
)

// Two classes of two features; then a third, without the examples of the first two.
func Example() {
	s := probe.NewStatistics(2, 2)
	if err := s.Add([]float32{0, 1, 0, 2, 4, 1, 4, 2}, []int{0, 0, 1, 1}); err != nil {
		log.Fatal(err)
	}
	third := s.AddClass()
	if err := s.Add([]float32{2, 8, 2, 9}, []int{third, third}); err != nil {
		log.Fatal(err)
	}
	h, err := s.Fit(probe.Config{Lambda: 0.1})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%.0f %% right when left out\n", 100*h.LeftOut.Accuracy())
	logits := h.Logits([]float32{2, 7})
	fmt.Println("class 2 is the likeliest:", logits[2] > logits[0] && logits[2] > logits[1])
	// Output:
	// 100 % right when left out
	// class 2 is the likeliest: true
}
