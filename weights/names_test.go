package weights

import (
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/bigtransfer/bit/resnet"
)

// testdata/r50x1-names.tsv lists the 153 tensors of BiT R50x1 with 1000 classes as the loaders of big_transfer
// (bit_pytorch/models.py), transformers (convert_bit_to_pytorch.py) and timm (models/resnetv2.py) name and shape them.
func TestNamesOfR50x1(t *testing.T) {
	text, err := os.ReadFile("testdata/r50x1-names.tsv")
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")[1:]
	if len(lines) != 153 {
		t.Fatalf("%d rows, want 153", len(lines))
	}
	rows := make([][]string, len(lines))
	for i, line := range lines {
		rows[i] = strings.Split(line, "\t")
	}
	for _, c := range []struct {
		format      string
		naming      naming
		name, shape int // columns
	}{{"npz", npzNaming, 0, 1}, {"Hugging Face", hfNaming, 2, 3}, {"timm", timmNaming, 4, 5}} {
		params := c.naming.params(resnet.Variant{Depth: 50, Width: 1}.Config(1000))
		if len(params) != len(rows) {
			t.Fatalf("%s: %d parameters, want %d", c.format, len(params), len(rows))
		}
		// The table goes by block and unit, with the projection before conv1: the order of the forward pass here.
		for i, p := range params {
			if p.file != rows[i][c.name] {
				t.Errorf("%s: parameter %d, %s, is %q, want %q", c.format, i, p.Name, p.file, rows[i][c.name])
			}
			if got := commaShape(p.stored); got != rows[i][c.shape] {
				t.Errorf("%s: %s has shape %s, want %s", c.format, p.file, got, rows[i][c.shape])
			}
		}
	}
}

func commaShape(shape []int) string {
	parts := make([]string, len(shape))
	for i, d := range shape {
		parts[i] = strconv.Itoa(d)
	}
	return strings.Join(parts, ",")
}

func TestNormaliseNpz(t *testing.T) {
	const plain = "resnet/block1/unit02/b/standardized_conv2d/kernel"
	for _, key := range []string{
		plain,
		"resnet/block1/unit02/b/standardized_conv2d_17/kernel",
		"block1/unit02/b/standardized_conv2d_0/kernel",
		"resnet/block1/unit02/b/standardized_conv2d_123456/kernel",
	} {
		if got := normaliseNpz(key); got != plain {
			t.Errorf("%q becomes %q, want %q", key, got, plain)
		}
	}
	if got, want := normaliseNpz("resnet/block1/unit01/a/proj_1/standardized_conv2d_2/kernel"), "resnet/block1/unit01/a/proj/standardized_conv2d/kernel"; got != want {
		t.Errorf("two counters: %q, want %q", got, want)
	}
	for _, key := range []string{ // a counter is digits before a slash, on that component only
		"resnet/block1/unit02/b/standardized_conv2d_x/kernel",
		"resnet/block1_2/unit02/b/group_norm/gamma",
		"resnet/head/conv2d/kernel_1",
	} {
		if got := normaliseNpz(key); got != key {
			t.Errorf("%q becomes %q, want it unchanged", key, got)
		}
	}
}

func TestParseUnit(t *testing.T) {
	for _, c := range []struct {
		naming      naming
		key         string
		stage, unit int
		ok          bool
	}{
		{npzNaming, "resnet/block1/unit01/a/group_norm/gamma", 0, 0, true},
		{npzNaming, "resnet/block3/unit36/a/group_norm/gamma", 2, 35, true},
		{npzNaming, "resnet/block1/unit00/a/group_norm/gamma", 0, 0, false},
		{npzNaming, "resnet/block0/unit01/a/group_norm/gamma", 0, 0, false},
		{npzNaming, "resnet/block1/unit1/a/group_norm/gamma", 0, 0, false},
		{npzNaming, "resnet/root_block/conv/kernel", 0, 0, false},
		{hfNaming, "bit.encoder.stages.2.layers.35.conv1.weight", 2, 35, true},
		{hfNaming, "encoder.stages.2.layers.35.conv1.weight", 0, 0, false},
		{hfBareNaming, "encoder.stages.0.layers.0.norm1.bias", 0, 0, true},
		{timmNaming, "stages.3.blocks.10.conv2.weight", 3, 10, true},
		{timmNaming, "stages.03.blocks.1.conv2.weight", 0, 0, false},
		{timmNaming, "stages.3.blocks.-1.conv2.weight", 0, 0, false},
	} {
		stage, unit, ok := c.naming.parseUnit(c.key)
		if ok != c.ok || ok && (stage != c.stage || unit != c.unit) {
			t.Errorf("%q: stage %d, unit %d, %v, want %d, %d, %v", c.key, stage, unit, ok, c.stage, c.unit, c.ok)
		}
	}
}
