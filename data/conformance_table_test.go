package data_test

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"os"
	"path"
	"path/filepath"
	"slices"
	"testing"

	"github.com/parquet-go/parquet-go"

	"github.com/bigtransfer/bit/internal/datatest"
)

// tables is every reader of tables that this package has.
func tables(all *datatest.Sample) []datatest.Format {
	flat := all.WithoutSplits()
	return []datatest.Format{
		{Name: "CSV with a column of splits", Sample: all, Write: writeCSV, Loose: true},
		{Name: "TSV for each split, pictures in a folder", Sample: all, Write: writeTSVs, Loose: true},
		{Name: "JSON lines", Sample: flat, Write: writeJSONLines, Loose: true},
		{Name: "imagefolder with labels", Sample: all, Write: writeImageFolder(true), Loose: true},
		{Name: "imagefolder by folders", Sample: all, Write: writeImageFolder(false), Loose: true},
		{Name: "zip with a CSV", Sample: all, Write: archived(writeTSVs, "zip -q -r ../data.zip .")},
		{Name: "Parquet files as datasets writes them", Sample: all, Write: writeParquetShards(true)},
		{Name: "Parquet file of bytes and texts", Sample: all, Write: writeParquetFile},
		{Name: "zip of Parquet files", Sample: all, Write: archived(writeParquetShards(false), "zip -q -r ../data.zip .")},
	}
}

// writeRows writes a table of some columns.
func writeRows(t testing.TB, file string, comma rune, rows ...[]string) {
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	w.Comma = comma
	if err := w.WriteAll(rows); err != nil {
		t.Fatal(err)
	}
	datatest.Write(t, file, b.Bytes())
}

func loosePath(p datatest.Picture) string { return path.Join("pictures", p.Name+".png") }

func writeCSV(t testing.TB, s *datatest.Sample, dir string) string {
	s.WriteFolders(t, dir, loosePath)
	rows := [][]string{{"split", "file_name", "label"}}
	for _, p := range s.Pictures {
		rows = append(rows, []string{p.Split, loosePath(p), s.Classes[p.Label]})
	}
	writeRows(t, filepath.Join(dir, "all.csv"), ',', rows...)
	return filepath.Join(dir, "all.csv")
}

func writeTSVs(t testing.TB, s *datatest.Sample, dir string) string {
	s.WriteFolders(t, dir, func(p datatest.Picture) string { return path.Join("images", p.Name+".png") })
	for _, split := range datatest.Splits {
		var rows [][]string
		for _, p := range s.Pictures {
			if p.Split == split {
				rows = append(rows, []string{p.Name + ".png", s.Classes[p.Label]})
			}
		}
		writeRows(t, filepath.Join(dir, split+".tsv"), '\t', rows...)
	}
	return dir
}

func writeJSONLines(t testing.TB, s *datatest.Sample, dir string) string {
	s.WriteFolders(t, dir, loosePath)
	var b bytes.Buffer
	for _, p := range s.Pictures {
		json.NewEncoder(&b).Encode(map[string]any{"file_name": p.Name + ".png", "label": s.Classes[p.Label], "width": 32})
	}
	datatest.Write(t, filepath.Join(dir, "pictures/labels.jsonl"), b.Bytes())
	return filepath.Join(dir, "pictures")
}

func writeImageFolder(labels bool) func(testing.TB, *datatest.Sample, string) string {
	return func(t testing.TB, s *datatest.Sample, dir string) string {
		s.WriteFolders(t, dir, s.FolderPath)
		for _, split := range datatest.Splits {
			rows := [][]string{{"file_name", "caption"}}
			if labels {
				rows[0] = append(rows[0], "label")
			}
			for _, p := range s.Pictures {
				row := []string{path.Join(s.Classes[p.Label], p.Name+".png"), "some words"}
				if labels {
					row = append(row, s.Classes[p.Label])
				}
				if p.Split == split {
					rows = append(rows, row)
				}
			}
			writeRows(t, filepath.Join(dir, split, "metadata.csv"), ',', rows...)
		}
		return dir
	}
}

// shardRow is a row as Python's datasets writes it.
type shardRow struct {
	Image struct {
		Bytes []byte  `parquet:"bytes,optional"`
		Path  *string `parquet:"path,optional"`
	} `parquet:"image,optional"`
	Label *int64 `parquet:"label,optional"` // of a plain one, 0 is null
}

// writeParquetShards writes two files for the split to train, and pages of about five pictures in groups of ten.
func writeParquetShards(snappy bool) func(testing.TB, *datatest.Sample, string) string {
	return func(t testing.TB, s *datatest.Sample, dir string) string {
		names, err := json.Marshal(s.Classes)
		if err != nil {
			t.Fatal(err)
		}
		options := []parquet.WriterOption{
			parquet.KeyValueMetadata("huggingface", `{"info":{"features":{"image":{"_type":"Image"},"label":{"names":`+string(names)+`,"_type":"ClassLabel"}}}}`),
			parquet.PageBufferSize(10 << 10), parquet.MaxRowsPerRowGroup(10),
		}
		if snappy {
			options = append(options, parquet.Compression(&parquet.Snappy))
		}
		write := func(name string, pictures []datatest.Picture) {
			rows := make([]shardRow, len(pictures))
			for i, p := range pictures {
				label := int64(p.Label)
				rows[i].Image.Bytes, rows[i].Label = p.File, &label
			}
			writeParquetRows(t, filepath.Join(dir, "data", name), rows, options...)
		}
		train := s.Only("train").Pictures
		write("train-00000-of-00002.parquet", train[:len(train)/2])
		write("train-00001-of-00002.parquet", train[len(train)/2:])
		write("validation-00000-of-00001.parquet", s.Only("val").Pictures)
		write("test-00000-of-00001.parquet", s.Only("test").Pictures)
		return dir
	}
}

func writeParquetFile(t testing.TB, s *datatest.Sample, dir string) string {
	type row struct {
		File    []byte `parquet:"file"`
		Subset  string `parquet:"subset,dict"`
		Species string `parquet:"species,dict"`
	}
	var rows []row
	for _, p := range s.Pictures {
		rows = append(rows, row{p.File, p.Split, s.Classes[p.Label]})
	}
	file := filepath.Join(dir, "all.parquet")
	writeParquetRows(t, file, rows, parquet.DataPageStatistics(true), parquet.Compression(&parquet.Zstd))
	return file
}

func writeParquetRows[T any](t testing.TB, file string, rows []T, options ...parquet.WriterOption) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := parquet.WriteFile(file, slices.Clone(rows), options...); err != nil {
		t.Fatal(err)
	}
}
