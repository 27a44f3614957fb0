package data_test

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"testing"

	"github.com/bigtransfer/bit/internal/datatest"
)

// formats is every reader that this package has.
func formats(t *testing.T) []datatest.Format {
	all, gray := datatest.NewSample(t, false), datatest.NewSample(t, true)
	flat := all.WithoutSplits()
	digits := []string{"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"}
	return []datatest.Format{
		{Name: "split folders", Sample: all, Write: writeFolders, Loose: true},
		{Name: "class folders", Sample: flat, Write: writeClassFolders, Loose: true},
		{Name: "CIFAR-10", Sample: all.Only("train", "test"), Write: writeCIFAR10, Raw: true},
		{Name: "CIFAR-100", Sample: all.Only("train", "test"), Write: writeCIFAR100, Classes: hundred(all.Classes), Raw: true},
		{Name: "IDX", Sample: gray, Write: writeIDX(false), Classes: digits, Raw: true},
		{Name: "IDX in gzip", Sample: gray, Write: writeIDX(true), Classes: digits, Raw: true},
		{Name: "IDX of colours", Sample: all, Write: writeIDX(false), Classes: digits, Raw: true},
		{Name: "zip by Info-ZIP", Sample: all, Write: archived(writeFolders, "zip -q -r ../data.zip .")},
		{Name: "zip of a folder, not compressed", Sample: flat, Write: archived(writeClassFolders, "cd .. && zip -q -0 -r data.zip set")},
		{Name: "tar by GNU tar", Sample: all, Write: archived(writeFolders, "tar -cf ../data.tar .")},
		{Name: "tar of a folder, pax", Sample: flat, Write: archived(writeClassFolders, "tar --format pax -C .. -cf ../data.tar set")},
		{Name: "tar.gz", Sample: all, Write: archived(writeFolders, "tar -C .. -czf ../data.tar.gz set")},
		{Name: "CIFAR-10 in tar.gz", Sample: all.Only("train", "test"), Write: archived(writeCIFAR10, "tar -C .. -czf ../cifar.tgz set"), Raw: true},
		{Name: "CIFAR-10 in zip", Sample: all.Only("train", "test"), Write: archived(writeCIFAR10, "zip -q -r ../cifar.zip ."), Raw: true},
		{Name: "WebDataset, labels in .cls", Sample: all, Write: writeShards(all.Classes, "cls"), Cut: isTar},
		{Name: "WebDataset, names in .txt", Sample: all, Write: writeShards(nil, "txt")},
		{Name: "WebDataset, names in .json", Sample: all, Write: writeShards(nil, "json")},
		{Name: "WebDataset, a shard", Sample: flat, Write: shard("tar --sort=name -cf ../shard.tar ."), Classes: digits},
		{Name: "WebDataset, a shard in gzip", Sample: flat, Write: shard("tar -czf ../shard.tar.gz ."), Classes: digits},
		{Name: "TFRecord of TF-slim", Sample: all, Write: writeRecords("{split}-0000{n}-of-00002", slimExample)},
		{Name: "TFRecord of TensorFlow Datasets", Sample: all, Write: writeRecords("set-{split}.tfrecord-0000{n}-of-00002", tfdsExample), Cut: isRecords},
		{Name: "TFRecord of pixels", Sample: gray, Write: writeRecords("{split}-{n}.tfrecords", rawExample), Classes: digits, Raw: true},
		{Name: "IDX in tar", Sample: gray, Write: archived(writeIDX(true), "tar -C .. -cf ../mnist.tar set"), Classes: digits, Raw: true},
	}
}

func TestConformance(t *testing.T) {
	for _, f := range append(formats(t), tables(datatest.NewSample(t, false))...) {
		datatest.Run(t, f)
	}
}

func isTar(path string) bool { return filepath.Ext(path) == ".tar" }
func isRecords(path string) bool {
	return filepath.Ext(path) != ".txt" && filepath.Ext(path) != ".json"
}

func writeFolders(t testing.TB, s *datatest.Sample, dir string) string {
	s.WriteFolders(t, dir, s.FolderPath)
	return dir
}

func writeClassFolders(t testing.TB, s *datatest.Sample, dir string) string {
	s.WriteFolders(t, dir, func(p datatest.Picture) string { return path.Join(s.Classes[p.Label], p.Name+".png") })
	return dir
}

// archived writes what write does into a folder "set" and runs a command there that makes the one file beside it.
func archived(write func(testing.TB, *datatest.Sample, string) string, command string) func(testing.TB, *datatest.Sample, string) string {
	return func(t testing.TB, s *datatest.Sample, dir string) string {
		set := filepath.Join(dir, "set")
		write(t, s, set)
		cmd := exec.Command("sh", "-c", command)
		cmd.Dir = set
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", command, err, out)
		}
		if err := os.RemoveAll(set); err != nil {
			t.Fatal(err)
		}
		made, err := os.ReadDir(dir)
		if err != nil || len(made) != 1 {
			t.Fatalf("%s made %v, error %v", command, made, err)
		}
		return filepath.Join(dir, made[0].Name())
	}
}

// planes returns the pixels of a picture as CIFAR has them: all of red, of green, of blue.
func planes(p datatest.Picture) []byte {
	b := make([]byte, 0, len(p.Image.Pix))
	for c := range 3 {
		for i := c; i < len(p.Image.Pix); i += 3 {
			b = append(b, p.Image.Pix[i])
		}
	}
	return b
}

func writeCIFAR10(t testing.TB, s *datatest.Sample, dir string) string {
	var names bytes.Buffer
	for _, class := range s.Classes {
		fmt.Fprintln(&names, class)
	}
	fmt.Fprintln(&names) // as the published file ends
	datatest.Write(t, filepath.Join(dir, "batches.meta.txt"), names.Bytes())
	batches := map[string][]byte{}
	for i, p := range s.Pictures {
		name := "test_batch.bin"
		if p.Split == "train" {
			name = fmt.Sprintf("data_batch_%d.bin", 1+i%2*9) // 1 and 10
		}
		batches[name] = append(append(batches[name], byte(p.Label)), planes(p)...)
	}
	for name, b := range batches {
		datatest.Write(t, filepath.Join(dir, name), b)
	}
	return dir
}

// hundred adds classes to those there are.
func hundred(classes []string) []string {
	for i := len(classes); i < 100; i++ {
		classes = append(classes[:i:i], fmt.Sprint("class ", i))
	}
	return classes
}

func writeCIFAR100(t testing.TB, s *datatest.Sample, dir string) string {
	var fine bytes.Buffer
	for _, class := range hundred(s.Classes) {
		fmt.Fprintln(&fine, class)
	}
	datatest.Write(t, filepath.Join(dir, "fine_label_names.txt"), fine.Bytes())
	batches := map[string][]byte{}
	for _, p := range s.Pictures {
		name := p.Split + ".bin"
		batches[name] = append(append(batches[name], 19, byte(p.Label)), planes(p)...)
	}
	for name, b := range batches {
		datatest.Write(t, filepath.Join(dir, name), b)
	}
	return dir
}

// idx returns an IDX file of bytes.
func idx(shape []int, elements []byte) []byte {
	b := []byte{0, 0, 8, byte(len(shape))}
	for _, n := range shape {
		b = binary.BigEndian.AppendUint32(b, uint32(n))
	}
	return append(b, elements...)
}

// writeIDX writes colours if the sample has any.
func writeIDX(packed bool) func(testing.TB, *datatest.Sample, string) string {
	return func(t testing.TB, s *datatest.Sample, dir string) string {
		for split, name := range map[string]string{"train": "train", "val": "validation", "test": "t10k"} {
			var labels, pixels []byte
			channels := 1
			for _, p := range s.Pictures {
				for i := 0; i < len(p.Image.Pix); i += 3 {
					if p.Image.Pix[i] != p.Image.Pix[i+1] {
						channels = 3
					}
				}
			}
			for _, p := range s.Only(split).Pictures {
				labels = append(labels, byte(p.Label))
				for i := 0; i < len(p.Image.Pix); i += 3 {
					pixels = append(pixels, p.Image.Pix[i:i+channels]...)
				}
			}
			shape := []int{len(labels), 32, 32}
			if channels == 3 {
				shape = append(shape, 3)
			}
			for file, content := range map[string][]byte{
				fmt.Sprintf("%s-images-idx%d-ubyte", name, len(shape)): idx(shape, pixels),
				name + "-labels-idx1-ubyte":                            idx([]int{len(labels)}, labels),
			} {
				if packed {
					var buf bytes.Buffer
					w := gzip.NewWriter(&buf)
					w.Write(content)
					w.Close()
					file, content = file+".gz", buf.Bytes()
				}
				datatest.Write(t, filepath.Join(dir, file), content)
			}
		}
		return dir
	}
}
