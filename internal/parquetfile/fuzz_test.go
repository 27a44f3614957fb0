package parquetfile_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/parquet-go/parquet-go"

	"github.com/bigtransfer/bit/internal/fuzztest"
	"github.com/bigtransfer/bit/internal/parquetfile"
)

// FuzzFile changes bytes of files. Whatever they then say, reading every column in order, and values by row, ends soon and
// takes little memory.
func FuzzFile(f *testing.F) {
	names, err := filepath.Glob("../../data/testdata/parquet/*.parquet")
	if err != nil || len(names) == 0 {
		f.Fatal(names, err)
	}
	for _, name := range names {
		content, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(content)
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		fuzztest.Within(t, len(content), func() {
			file, err := parquetfile.Open(bytes.NewReader(content), int64(len(content)), new(parquetfile.Cache))
			if err != nil {
				return
			}
			for _, leaf := range file.Leaves() {
				file.Scan(leaf, func(int64, []parquet.Value) error { return nil })
				if leaf.Kind != parquet.ByteArray || leaf.Repeated {
					continue
				}
				for row := int64(0); row < file.Rows(); row += 1 + file.Rows()/7 {
					file.Bytes(leaf, row)
				}
			}
		})
	})
}
