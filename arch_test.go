package bit_test

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// floors lists the packages from the ground up. A package may import those on floors below its own, and nothing else
// of this module.
var floors = [][]string{
	{"api", "internal/openapitest"},
	{"tensor", "internal/cpu", "internal/par", "internal/oracle", "internal/fixture", "internal/strictjson",
		"internal/atomicfile", "internal/parquetfile", "internal/tfrecord", "internal/spool", "internal/archive", "internal/onnxruntime", "internal/hubtest", "internal/imagenet", "internal/torchfile/torchtest", "internal/counter", "examples", "internal/fuzztest"},
	{"internal/kernels", "internal/safetensors", "internal/featurecache"},
	{"nn", "internal/numpy", "internal/tensorboard", "internal/torchfile", "internal/machine", "internal/jpeg"},
	{"calibrate", "probe", "resnet", "imaging"},
	{"weights", "onnx", "hub", "internal/float64net"},
	{"data"},
	{"audit", "batch", "project", "models", "internal/golden", "internal/datatest"},
	{"eval", "features"},
	{"train"},
	{"transfer", "pretrain"},
	{""},
	{"results", "serve", "fewshot", "report"},
	{"teach", "page"},
	{"cmd/bit", "bench", "bench/load"},
}

func TestImportsPointDown(t *testing.T) {
	const module = "github.com/bigtransfer/bit"
	out, err := exec.Command("go", "list", "-f", `{{.ImportPath}} {{join .Imports " "}}`, "./...").Output()
	if err != nil {
		t.Fatal(err)
	}
	floor := func(path string) int {
		name := strings.TrimPrefix(strings.TrimPrefix(path, module), "/")
		i := slices.IndexFunc(floors, func(f []string) bool { return slices.Contains(f, name) })
		if i < 0 {
			t.Errorf("package %q has no floor", name)
		}
		return i
	}
	for line := range strings.Lines(strings.TrimSpace(string(out))) {
		f := strings.Fields(line)
		for _, imported := range f[1:] {
			if strings.HasPrefix(imported, module) && floor(imported) >= floor(f[0]) {
				t.Errorf("%s imports %s, which is not below it", f[0], imported)
			}
		}
	}
}
