package train

import (
	"bytes"
	"fmt"
	"image"
	"image/draw"
	"image/jpeg"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/bigtransfer/bit/batch"
	"github.com/bigtransfer/bit/data"
	"github.com/bigtransfer/bit/imaging"
	"github.com/bigtransfer/bit/internal/fixture"
	"github.com/bigtransfer/bit/resnet"
)

// photographs writes a data set of n JPEG files, different parts of one photograph of w x h pixels each.
func photographs(b *testing.B, n, w, h int) *data.Dataset {
	picture, err := imaging.Decode(fixture.Picture(b, "cat.png"))
	if err != nil {
		b.Fatal(err)
	}
	dir, r := b.TempDir(), rand.New(rand.NewPCG(1, 2))
	for i := range n {
		cw, ch := picture.W/2+r.IntN(picture.W/2), picture.H/2+r.IntN(picture.H/2)
		at := image.Pt(r.IntN(picture.W-cw+1), r.IntN(picture.H-ch+1))
		part := picture.ResizeCrop(image.Rectangle{Min: at, Max: at.Add(image.Pt(cw, ch))}, w, h, imaging.Bicubic)
		rgba := image.NewRGBA(part.Bounds())
		draw.Draw(rgba, rgba.Rect, part, image.Point{}, draw.Src)
		var file bytes.Buffer
		if err := jpeg.Encode(&file, rgba, &jpeg.Options{Quality: 90}); err != nil {
			b.Fatal(err)
		}
		path := filepath.Join(dir, fmt.Sprint("class", i%2), fmt.Sprint(i, ".jpg"))
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			b.Fatal(err)
		}
		if err := os.WriteFile(path, file.Bytes(), 0o666); err != nil {
			b.Fatal(err)
		}
	}
	ds, err := data.Open(dir)
	if err != nil {
		b.Fatal(err)
	}
	return ds
}

// BenchmarkStepFromFiles trains from JPEG files that are decoded anew each time, on two threads, and reports the share of
// the time in which the network waited for pictures; what these cost besides, while the network computes on the same
// cores, a profile tells (-cpuprofile). One operation is a step.
func BenchmarkStepFromFiles(b *testing.B) {
	inception := func(side int) batch.Pipeline { return batch.Pipeline{batch.InceptionCrop{Size: side}, batch.FlipLR{}} }
	for _, c := range []struct {
		name           string
		depths         []int
		stem           int
		files, w, h    int
		batch, cropped int
	}{
		{"R50x1/side=224/batch=8/files=500x375", []int{3, 4, 6, 3}, 64, 64, 500, 375, 8, 224},
		{"R26x0.5/side=64/batch=128/files=64x64", []int{2, 2, 2, 2}, 32, 512, 64, 64, 128, 64},
		{"R26x0.5/side=64/batch=128/files=500x375", []int{2, 2, 2, 2}, 32, 128, 500, 375, 128, 64},
	} {
		b.Run(c.name, func(b *testing.B) {
			ds := photographs(b, c.files, c.w, c.h)
			net, err := resnet.NewNetwork(resnet.Config{
				Channels: 3, StemWidth: c.stem, Widths: []int{4 * c.stem, 8 * c.stem, 16 * c.stem, 32 * c.stem}, Depths: c.depths,
				Groups: 32, Classes: 2, GNEpsilon: resnet.GNEpsilon, WSEpsilon: resnet.WSEpsilonOfficial,
			})
			if err != nil {
				b.Fatal(err)
			}
			net.Init(rand.New(rand.NewPCG(1, 2)))
			var last Progress
			b.ResetTimer()
			_, err = Run(b.Context(), net, Config{
				SGD: SGD{Momentum: 0.9}, Schedule: Cosine{WarmUp: 1, Total: b.N + 1}, Rate: 0.001,
				Data: batch.TrainConfig{
					Source: ds.Source, Examples: ds.Train, Batch: c.batch, Seed: 1, Pipeline: inception(c.cropped),
				},
				Options: Options{Threads: 2, CacheBytes: -1, OnStep: func(p Progress) { last = p }},
			})
			if err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(last.ImagesPerSecond, "images/s")
			b.ReportMetric(100*last.Waiting, "%waiting")
		})
	}
}
