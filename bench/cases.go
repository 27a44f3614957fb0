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

// FLOPs returns the arithmetic of one run by the usual count: 2 for a multiply-accumulate of the forward pass, and
// twice as much again for the backward pass, which makes two products of the same size for every one.
func (c benchCase) FLOPs() float64 {
	flops := 2 * float64(c.Config.MACs(c.Side, c.Side)) * float64(c.Batch)
	if c.Task == train {
		flops *= 3
	}
	return flops
}

// cases lists everything that can be timed.
func cases() []benchCase {
	var all []benchCase
	released := func(t task, depth, width, side, batch int) {
		v := resnet.Variant{Depth: depth, Width: width}
		all = append(all, benchCase{t, v.String(), v.Config(1000), side, batch})
	}
	// The network of the embedded model: half the width of the smallest released one, two units in every stage.
	embedded := resnet.Config{
		Channels: 3, StemWidth: 32, Widths: []int{128, 256, 512, 1024}, Depths: []int{2, 2, 2, 2}, Groups: 32, Classes: 200,
		GNEpsilon: resnet.GNEpsilon, WSEpsilon: resnet.WSEpsilonOfficial,
	}
	released(predict, 50, 1, 224, 1)
	released(predict, 50, 1, 224, 8)
	released(predict, 50, 1, 480, 1)
	released(predict, 101, 1, 224, 8)
	released(predict, 50, 3, 224, 1)
	all = append(all, benchCase{predict, "embedded", embedded, 64, 64})
	released(train, 50, 1, 128, 16)
	released(train, 50, 1, 224, 8)
	return append(all, benchCase{train, "embedded", embedded, 64, 128})
}

// selectCases returns the cases whose name matches an expression.
func selectCases(expression string) ([]benchCase, error) {
	match, err := regexp.Compile(expression)
	if err != nil {
		return nil, err
	}
	var chosen []benchCase
	for _, c := range cases() {
		if match.MatchString(c.String()) {
			chosen = append(chosen, c)
		}
	}
	if chosen == nil {
		return nil, fmt.Errorf("no case matches %q; -list shows them", expression)
	}
	return chosen, nil
}
