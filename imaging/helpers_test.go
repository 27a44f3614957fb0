package imaging

import (
	"os"
	"path/filepath"
	"testing"
)

// goldenDir is the folder of reference numbers; the README in it says where they come from.
func goldenDir(t testing.TB) string {
	dir := os.Getenv("BIT_GOLDEN")
	if dir == "" {
		dir = filepath.Join("..", "..", "shared", "golden")
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) == 0 {
		t.Fatalf("reference numbers are missing: %v (folder %q, %d entries); set BIT_GOLDEN", err, dir, len(entries))
	}
	return dir
}

func goldenImage(t testing.TB, name string) []byte {
	data, err := os.ReadFile(filepath.Join(goldenDir(t), "images", name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// For the tests outside this package, which use package weights: it imports this one.
var (
	GoldenDir   = goldenDir
	GoldenImage = goldenImage
)
