// Package imagenet knows the classes of ImageNet, for checkpoints that do not name theirs: the 1,000 of ILSVRC-2012 and
// the 21,843 of ImageNet-21k in Google's order, which BiT-M's head has.
//
// A line of a list is a class in output order: WordNet id, tab, lemmas. The ids are those of the synset lists in
// huggingface/pytorch-image-models, timm/data/_info (imagenet21k_goog_synsets.txt for the second), the lemmas those of
// imagenet_synset_to_lemma.txt there; WordNet is Princeton University's.
package imagenet

import (
	"compress/gzip"
	_ "embed"
	"fmt"
	"io"
	"strings"
	"sync"
)

// Classes are the classes of a head, in the order of its outputs.
type Classes struct {
	IDs    []string // WordNet's, as in "n02123045"
	Labels []string // lemmas, as in "tabby, tabby cat"; two classes may share them
}

//go:embed ilsvrc2012.tsv.gz
var ilsvrc2012 string

//go:embed imagenet21k.tsv.gz
var imagenet21k string

var lists = map[int]func() *Classes{
	1000:  sync.OnceValue(func() *Classes { return read(ilsvrc2012) }),
	21843: sync.OnceValue(func() *Classes { return read(imagenet21k) }),
}

// Of returns the classes that a head of n outputs stands for, or nil if ImageNet has no such number. The caller must not
// change them.
func Of(n int) *Classes {
	if list := lists[n]; list != nil {
		return list()
	}
	return nil
}

// Are reports whether labels are the names of these classes, in this order. Lists of them spell a few otherwise, such as
// the two cranes: transformers' is one.
func (c *Classes) Are(labels []string) bool {
	if len(labels) != len(c.Labels) {
		return false
	}
	same := 0
	for i, label := range labels {
		if label == c.Labels[i] || label == c.IDs[i] {
			same++
		}
	}
	return same >= len(labels)*19/20
}

func read(packed string) *Classes {
	r, err := gzip.NewReader(strings.NewReader(packed))
	if err != nil {
		panic(fmt.Sprintf("imagenet: %v", err)) // it is part of the program
	}
	text, err := io.ReadAll(r)
	if err != nil {
		panic(fmt.Sprintf("imagenet: %v", err))
	}
	var c Classes
	for line := range strings.Lines(string(text)) {
		id, lemmas, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		c.IDs, c.Labels = append(c.IDs, id), append(c.Labels, lemmas)
	}
	return &c
}
