package batch_test

import (
	"fmt"
	"log"

	"github.com/bigtransfer/bit/batch"
)

func ExamplePipeline() {
	p := batch.Pipeline{batch.Resize{Size: 160}, batch.RandomCrop{Size: 128}, batch.FlipLR{}}
	side, err := p.Side()
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(p, "gives", side, "x", side)
	// Output: resize(160)|random_crop(128)|flip_lr gives 128 x 128
}
