package weights

import (
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/bigtransfer/bit/resnet"
)

// testdata/r50x1-names.tsv lists the 153 tensors of BiT R50x1 with 1000 classes as the loaders of big_transfer
// (bit_pytorch/models.py) and transformers (convert_bit_to_pytorch.py) name and shape them.
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
	}{{"npz", npzNaming, 0, 1}, {"Hugging Face", hfNaming, 2, 3}} {
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
	} {
		if got := normaliseNpz(key); got != plain {
			t.Errorf("%q becomes %q, want %q", key, got, plain)
		}
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

func TestParseNpzUnit(t *testing.T) {
	for key, want := range map[string][2]int{
		"resnet/block1/unit01/a/group_norm/gamma": {1, 1},
		"resnet/block3/unit36/a/group_norm/gamma": {3, 36},
		"resnet/block1/unit00/a/group_norm/gamma": {},
		"resnet/block0/unit01/a/group_norm/gamma": {},
		"resnet/block1/unit1/a/group_norm/gamma":  {},
		"resnet/root_block/conv/kernel":           {},
	} {
		block, unit, ok := parseNpzUnit(key)
		if ok != (want != [2]int{}) || ok && [2]int{block, unit} != want {
			t.Errorf("%q: block %d, unit %d, %v, want %v", key, block, unit, ok, want)
		}
	}
}
