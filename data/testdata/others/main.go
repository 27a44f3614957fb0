// Command others compares what data.Open reads in data sets that write.py wrote with what is true of them: split, class and
// SHA-256 of the pixels of every picture. It is run by hand, since it needs Pillow and numpy.
package main

import (
	"crypto/sha256"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/bigtransfer/bit/data"
)

func main() {
	failed := false
	for _, facts := range os.Args[1:] {
		n, err := check(strings.TrimSuffix(facts, ".facts"), facts)
		if err != nil {
			failed = true
			fmt.Println(facts, err)
			continue
		}
		fmt.Printf("%s: all %d pictures are as they were written\n", facts, n)
	}
	if failed {
		os.Exit(1)
	}
}

func check(path, facts string) (n int, err error) {
	want, err := os.ReadFile(facts)
	if err != nil {
		return 0, err
	}
	d, err := data.Open(path)
	if err != nil {
		return 0, err
	}
	var rows []string
	for split, examples := range map[string][]data.Example{"train": d.Train, "val": d.Val, "test": d.Test} {
		for _, e := range examples {
			im, err := d.Image(e)
			if err != nil {
				return 0, fmt.Errorf("%s: %w", e.Path, err)
			}
			rows = append(rows, fmt.Sprintf("%s %s %x", split, d.Classes[e.Label], sha256.Sum256(im.Pix)))
		}
	}
	slices.Sort(rows)
	if got := strings.Join(rows, "\n") + "\n"; got != string(want) {
		return 0, fmt.Errorf("%d pictures, and others than were written", len(rows))
	}
	return len(rows), nil
}
