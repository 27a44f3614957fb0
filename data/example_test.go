package data_test

import (
	"fmt"
	"log"
	"testing/fstest"

	"github.com/bigtransfer/bit/data"
)

func ExampleOpenFS() {
	photos := fstest.MapFS{
		"cat/tom.jpg":    {},
		"cat/felix.jpg":  {},
		"dog/snoopy.jpg": {},
		"dog/pluto.jpg":  {},
		"dog/notes.txt":  {},
	}
	d, err := data.OpenFS(photos) // data.Open takes a directory
	if err != nil {
		log.Fatal(err)
	}
	train, held, err := data.HoldOut(d.Train, d.Classes, 0.5, 0)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(d.Classes, len(train), len(held))
	for _, s := range d.Skipped {
		fmt.Println(s.Path, "is skipped:", s.Reason)
	}
	// Output:
	// [cat dog] 2 2
	// dog/notes.txt is skipped: not an image by its extension
}
