package main

import (
	"testing"

	"github.com/bigtransfer/bit/resnet"
)

// R50x1 with 1000 classes: parameters, and for an image of 224 pixels multiply-accumulates and the values of its maps,
// added up by hand:
//
//	stem 112²·64, pool 56²·64
//	stage 1: 3 units of 56²·(64 + 64 + 256)
//	stage 2: 56²·128 + 28²·(128 + 512), 3 units of 28²·(128 + 128 + 512)
//	stage 3: 28²·256 + 14²·(256 + 1024), 5 units of 14²·(256 + 256 + 1024)
//	stage 4: 14²·512 + 7²·(512 + 2048), 2 units of 7²·(512 + 512 + 2048)
const (
	r50x1Parameters = 25_549_352
	r50x1MACs       = 4_089_184_256
	r50x1Maps       = 9_809_408
)

func TestMapValues(t *testing.T) {
	r50x1 := resnet.Variant{Depth: 50, Width: 1}.Config(1000)
	if got := mapValues(r50x1, 224); got != r50x1Maps {
		t.Errorf("R50x1 at 224 pixels: %d values, want %d", got, r50x1Maps)
	}
	// 5 pixels become 3, 2 and, in the second stage, 1: 3²·8, 2²·8, 2²·(4 + 4 + 16), 2²·8 + 1·(8 + 32).
	odd := resnet.Config{Channels: 3, StemWidth: 8, Widths: []int{16, 32}, Depths: []int{1, 1}, Groups: 4, Classes: 3}
	if got := mapValues(odd, 5); got != 72+32+96+72 {
		t.Errorf("5 pixels: %d values, want 272", got)
	}
}

func TestCost(t *testing.T) {
	const batch, pixels = 8, 3 * 224 * 224
	c := released(predict, 50, 1, 224, batch)
	if got := c.FLOPs(); got != 2*batch*r50x1MACs {
		t.Errorf("predict: %.0f FLOPs, want %.0f", got, 2.*batch*r50x1MACs)
	}
	if got, want := c.Traffic(), float64(4*(r50x1Parameters+batch*(pixels+2*r50x1Maps))); got != want {
		t.Errorf("predict: %.0f bytes, want %.0f", got, want)
	}
	c.Task = train
	if got := c.FLOPs(); got != 6*batch*r50x1MACs {
		t.Errorf("train: %.0f FLOPs, want %.0f", got, 6.*batch*r50x1MACs)
	}
	if got, want := c.Traffic(), float64(4*(8*r50x1Parameters+batch*(2*pixels+5*r50x1Maps))); got != want {
		t.Errorf("train: %.0f bytes, want %.0f", got, want)
	}
}
