package main

import (
	"fmt"
	"regexp"

	"github.com/bigtransfer/bit/resnet"
)

// task is what is timed.
type task string

const (
	predict task = "predict"
	train   task = "train"
)

// benchCase is one thing to time: a task on a batch of square images.
type benchCase struct {
	Task    task
	Network string
	Config  resnet.Config
	Side    int // pixels
	Batch   int
}

// String returns the case's name: "predict/R50x1/224/1".
func (c benchCase) String() string {
	return fmt.Sprintf("%s/%s/%d/%d", c.Task, c.Network, c.Side, c.Batch)
}

// released is a case with the network of a released variant.
func released(t task, depth, width, side, batch int) benchCase {
	v := resnet.Variant{Depth: depth, Width: width}
	return benchCase{t, v.String(), v.Config(1000), side, batch}
}

// cases lists what is compared with the peers.
func cases() []benchCase {
	// The network of the embedded model: half the width of the smallest released one, two units in every stage.
	embedded := resnet.Config{
		Channels: 3, StemWidth: 32, Widths: []int{128, 256, 512, 1024}, Depths: []int{2, 2, 2, 2}, Groups: 32, Classes: 200,
		GNEpsilon: resnet.GNEpsilon, WSEpsilon: resnet.WSEpsilonOfficial,
	}
	return []benchCase{
		released(predict, 50, 1, 224, 1),
		released(predict, 50, 1, 224, 8),
		released(predict, 50, 1, 480, 1),
		released(predict, 101, 1, 224, 8),
		released(predict, 50, 3, 224, 1),
		{predict, "embedded", embedded, 64, 64},
		released(train, 50, 1, 128, 16),
		released(train, 50, 1, 224, 8),
		{train, "embedded", embedded, 64, 128},
	}
}

// scalingCases lists what shows how time grows with the batch, with the pixels and with the network. R50x1 at 224
// pixels, batch 1, belongs to all three. The largest network comes last.
func scalingCases() []benchCase {
	var all []benchCase
	for _, batch := range []int{1, 2, 4, 8, 16, 32, 64} {
		all = append(all, released(predict, 50, 1, 224, batch))
	}
	for _, side := range []int{64, 96, 128, 160, 256, 320, 384, 448, 512} {
		all = append(all, released(predict, 50, 1, side, 1))
	}
	for _, v := range resnet.Released()[1:] {
		all = append(all, released(predict, v.Depth, v.Width, 224, 1))
	}
	return all
}

// selectCases returns those whose name matches an expression.
func selectCases(all []benchCase, expression string) ([]benchCase, error) {
	match, err := regexp.Compile(expression)
	if err != nil {
		return nil, err
	}
	var chosen []benchCase
	for _, c := range all {
		if match.MatchString(c.String()) {
			chosen = append(chosen, c)
		}
	}
	if chosen == nil {
		return nil, fmt.Errorf("no case matches %q; -list shows them", expression)
	}
	return chosen, nil
}
