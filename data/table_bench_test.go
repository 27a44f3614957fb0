package data_test

import (
	"bytes"
	"fmt"
	"io/fs"
	"runtime"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/bigtransfer/bit/data"
)

// allThere is a file system in which every photo exists.
type allThere struct{ fstest.MapFS }

func (a allThere) Stat(name string) (fs.FileInfo, error) {
	if strings.HasPrefix(name, "photos/") {
		name = "labels.csv"
	}
	return a.MapFS.Stat(name)
}

// BenchmarkTable lists a table of a million pictures, and reports how much memory the list keeps.
func BenchmarkTable(b *testing.B) {
	var text bytes.Buffer
	text.WriteString("file_name,label\n")
	for i := range 1_000_000 {
		fmt.Fprintf(&text, "photos/2024/%03d/IMG_%07d.jpg,class %d\n", i%500, i, i%1000)
	}
	files := allThere{fstest.MapFS{"labels.csv": {Data: text.Bytes()}}}
	for b.Loop() {
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		d, err := data.OpenFS(files)
		if err != nil || len(d.Train) != 1_000_000 {
			b.Fatal(err)
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/1e6, "MB-kept")
		b.ReportMetric(float64(after.Sys)/1e6, "MB-sys")
		runtime.KeepAlive(d)
	}
}
