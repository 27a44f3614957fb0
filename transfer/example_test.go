package transfer_test

import (
	"bytes"
	"fmt"
	"image"
	"image/png"
	"log"
	"testing/fstest"

	"github.com/bigtransfer/bit/data"
	"github.com/bigtransfer/bit/resnet"
	"github.com/bigtransfer/bit/transfer"
)

// flowers is a data set of three small classes of unequal size.
func flowers() *data.Dataset {
	var picture bytes.Buffer
	if err := png.Encode(&picture, image.NewGray(image.Rect(0, 0, 32, 32))); err != nil {
		log.Fatal(err)
	}
	fsys := fstest.MapFS{}
	for class, n := range map[string]int{"daisy": 6, "poppy": 2, "rose": 1} {
		for i := range n {
			fsys[fmt.Sprintf("%s/%d.png", class, i)] = &fstest.MapFile{Data: picture.Bytes()}
		}
	}
	ds, err := data.OpenFS(fsys)
	if err != nil {
		log.Fatal(err)
	}
	return ds
}

// Every number of a run, before it is made.
func ExampleNewPlan() {
	r50x1 := resnet.Variant{Depth: 50, Width: 1}.Config(3)
	for _, preset := range []transfer.Preset{transfer.Rule, transfer.Lite} {
		p, err := transfer.NewPlan(r50x1, flowers(), transfer.Config{Preset: preset})
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%v: %d steps of %d at %v, %v\n",
			preset, p.Schedule.Total, p.Batch, p.LearningRate, p.Augmentation)
	}
	// Output:
	// rule: 500 steps of 512 at 0.003, resize(160)|random_crop(128)|flip_lr
	// lite: 500 steps of 128 at 0.001, resize(160)|random_crop(128)|flip_lr
}

// Weights that make up for classes of unequal size: 9 pictures in 3 classes, 9/(3·6), 9/(3·2), 9/(3·1).
func ExampleBalancedWeights() {
	ds := flowers()
	for k, w := range transfer.BalancedWeights(ds) {
		fmt.Println(ds.Classes[k], w)
	}
	// Output:
	// daisy 0.5
	// poppy 1.5
	// rose 3
}
