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
	few, err := data.FewShot(d.Train, d.Classes, 1, 0)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(d.Classes, len(d.Train), len(few))
	for _, s := range d.Skipped {
		fmt.Println(s.Path, "is skipped:", s.Reason)
	}
	// Output:
	// [cat dog] 4 2
	// dog/notes.txt is skipped: not an image by its extension
}
