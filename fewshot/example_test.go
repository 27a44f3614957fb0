package fewshot_test

import (
	"context"
	"log"
	"os"

	"github.com/bigtransfer/bit"
	"github.com/bigtransfer/bit/data"
	"github.com/bigtransfer/bit/fewshot"
)

// The table of a probe at 1, 5, 10 and 25 pictures of each class.
func Example() {
	ctx := context.Background()
	m, err := bit.Open(ctx, "")
	if err != nil {
		log.Fatal(err)
	}
	ds, err := data.Open("cifar10")
	if err != nil {
		log.Fatal(err)
	}
	runs, _, err := fewshot.Measure(ctx, m, ds, fewshot.Config{})
	if err != nil {
		log.Fatal(err)
	}
	fewshot.WriteTable(os.Stdout, fewshot.Summarise(runs))
}
