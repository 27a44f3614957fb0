package bit_test

import (
	"context"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"log"
	"os"
	"path/filepath"

	"github.com/bigtransfer/bit"
	"github.com/bigtransfer/bit/audit"
	"github.com/bigtransfer/bit/data"
	"github.com/bigtransfer/bit/imaging"
	"github.com/bigtransfer/bit/transfer"
	"github.com/bigtransfer/bit/weights"
)

func ExampleOpen() {
	m, err := bit.Open(context.Background(), "") // the pretrained model inside the package
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(m.Name(), "knows", len(m.Labels()), "classes")
	fmt.Println("the first is", m.Label(0))
	// Output:
	// BiT-Tiny-R26x0.5 knows 200 classes
	// the first is goldfish, Carassius auratus
}

func ExampleClassifier_ClassifyFile() {
	m, err := bit.OpenClassifier(context.Background(), bit.DefaultModel)
	if err != nil {
		log.Fatal(err)
	}
	predictions, err := m.ClassifyFile("examples/cat.jpg", 3)
	if err != nil {
		log.Fatal(err)
	}
	for _, p := range predictions {
		fmt.Printf("%5.1f %%  %s\n", 100*p.Score, p.Label)
	}
}

// A folder, a table, a zip file, a pattern, a data set of a hub: whatever pictures lie in, they are classified as a stream.
func ExampleClassifier_ClassifyPictures() {
	ctx := context.Background()
	m, err := bit.OpenClassifier(ctx, "")
	if err != nil {
		log.Fatal(err)
	}
	pictures := data.Opener{}.Pictures(ctx, "examples/*.jpg", "examples/no-such.jpg")
	for r := range m.ClassifyPictures(ctx, pictures, bit.ClassifyOptions{Top: 1}) {
		if r.Err != nil {
			fmt.Println(r.Name, "could not be read")
			continue
		}
		fmt.Println(r.Name, "has", len(r.Predictions), "prediction")
	}
	// Output:
	// examples/cat.jpg has 1 prediction
	// examples/no-such.jpg could not be read
}

// Feature vectors tell how much two pictures are alike.
func ExampleClassifier_Features() {
	ctx := context.Background()
	m, err := bit.OpenClassifier(ctx, "")
	if err != nil {
		log.Fatal(err)
	}
	features, err := m.Features(ctx, plain(color.White), plain(color.Black))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(len(features), "vectors of", len(features[0]))
	// Output:
	// 2 vectors of 1024
}

// What in the picture makes it a tabby? The numbers sum to the logit.
func ExampleClassifier_Explain() {
	m, err := bit.OpenClassifier(context.Background(), "")
	if err != nil {
		log.Fatal(err)
	}
	img, err := imaging.DecodeFile("examples/cat.jpg")
	if err != nil {
		log.Fatal(err)
	}
	tabby, err := m.Class("tabby")
	if err != nil {
		log.Fatal(err)
	}
	e, err := m.Explain(img, tabby)
	if err != nil {
		log.Fatal(err)
	}
	sum := e.Bias
	for _, v := range e.Map {
		sum += v
	}
	fmt.Printf("%s: %.2f is the sum of the bias and %d x %d positions, %.2f\n", e.Label, e.Logit, e.W, e.H, sum)
	overlay := e.Overlay(img) // for png.Encode
	fmt.Println("drawn on", overlay.Bounds().Dx(), "x", overlay.Bounds().Dy(), "pixels")
	// Output:
	// tabby, tabby cat: 3.91 is the sum of the bias and 2 x 2 positions, 3.91
	// drawn on 451 x 300 pixels
}

// What is wrong with a folder of pictures?
func ExampleClassifier_Audit() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "audit")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	for i := range 4 {
		save(filepath.Join(dir, "red", fmt.Sprint(i, ".png")), plain(color.NRGBA{uint8(255 - i), 0, 0, 255}))
		save(filepath.Join(dir, "black", fmt.Sprint(i, ".png")), plain(color.NRGBA{uint8(i), 0, 0, 255}))
	}
	save(filepath.Join(dir, "red", "again.png"), plain(color.NRGBA{253, 0, 0, 255}))

	m, err := bit.OpenClassifier(ctx, "")
	if err != nil {
		log.Fatal(err)
	}
	ds, err := data.Open(dir)
	if err != nil {
		log.Fatal(err)
	}
	report, err := m.Audit(ctx, ds, bit.AuditOptions{Embed: bit.EmbedOptions{NoCache: true}})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(report.Counts[audit.Dark], "dark pictures")
	for _, f := range report.Findings {
		if f.Kind == audit.Duplicate {
			fmt.Println(f.SameAs, "and", f.Path, "are", f.Detail)
		}
	}
	// Output:
	// 4 dark pictures
	// red/2.png and red/again.png are the same pixels
}

// Teach the model two colours, save it, and use what was saved.
func ExampleFineTune() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "colours")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	for i := range 8 {
		save(filepath.Join(dir, "photos", "red", fmt.Sprint(i, ".png")), plain(color.NRGBA{uint8(255 - i), 0, 0, 255}))
		save(filepath.Join(dir, "photos", "blue", fmt.Sprint(i, ".png")), plain(color.NRGBA{0, 0, uint8(255 - i), 255}))
	}

	m, err := bit.Open(ctx, "")
	if err != nil {
		log.Fatal(err)
	}
	// The zero Config is the paper's rule: 500 steps of 512 images. Two colours need less.
	small := transfer.Config{Steps: 10, Batch: 8, LearningRate: 0.01, Resize: 36, Crop: 32}
	tuned, _, err := bit.FineTune(ctx, m, filepath.Join(dir, "photos"), small)
	if err != nil {
		log.Fatal(err)
	}
	if err := tuned.Save(filepath.Join(dir, "model"), weights.Card{Name: "colours"}); err != nil {
		log.Fatal(err)
	}

	m, err = bit.Open(ctx, filepath.Join(dir, "model"))
	if err != nil {
		log.Fatal(err)
	}
	predictions, err := m.Classify(plain(color.NRGBA{250, 10, 10, 255}), 1)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(predictions[0].Label)
	// Output:
	// red
}

// plain returns a picture of one colour.
func plain(c color.Color) image.Image {
	img := image.NewNRGBA(image.Rect(0, 0, 40, 40))
	for y := range 40 {
		for x := range 40 {
			img.Set(x, y, c)
		}
	}
	return img
}

func save(path string, img image.Image) {
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		log.Fatal(err)
	}
	f, err := os.Create(path)
	if err != nil {
		log.Fatal(err)
	}
	defer f.Close()
	if err := png.Encode(f, img); err != nil {
		log.Fatal(err)
	}
}

// Learn two colours in closed form, and a third one later, without the pictures of the first two.
func ExampleModel_Probe() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "colours")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	for i := range 8 {
		save(filepath.Join(dir, "photos", "red", fmt.Sprint(i, ".png")), plain(color.NRGBA{uint8(255 - i), 0, 0, 255}))
		save(filepath.Join(dir, "photos", "blue", fmt.Sprint(i, ".png")), plain(color.NRGBA{0, 0, uint8(255 - i), 255}))
		save(filepath.Join(dir, "later", "green", fmt.Sprint(i, ".png")), plain(color.NRGBA{0, uint8(255 - i), 0, 255}))
	}
	m, err := bit.Open(ctx, "")
	if err != nil {
		log.Fatal(err)
	}
	photos, err := data.Open(filepath.Join(dir, "photos"))
	if err != nil {
		log.Fatal(err)
	}
	options := bit.ProbeOptions{Embed: bit.EmbedOptions{NoCache: true}}
	tuned, result, err := m.Probe(ctx, photos, options)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%d pictures, %.0f %% right when left out\n", result.Examples, 100*result.LeaveOneOut)

	later, err := data.Open(filepath.Join(dir, "later"))
	if err != nil {
		log.Fatal(err)
	}
	tuned, _, err = tuned.AddExamples(ctx, "green", later, later.Train, options)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(tuned.Labels())
	predictions, err := tuned.Classify(plain(color.NRGBA{5, 250, 5, 255}), 1)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(predictions[0].Label)
	// Output:
	// 16 pictures, 100 % right when left out
	// [blue red green]
	// green
}

// How alike two pictures are, by their features.
func ExampleClassifier_Embed() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "pictures")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	save(filepath.Join(dir, "white.png"), plain(color.White))
	save(filepath.Join(dir, "black.png"), plain(color.Black))

	m, err := bit.OpenClassifier(ctx, "")
	if err != nil {
		log.Fatal(err)
	}
	examples := []data.Example{{Path: "white.png"}, {Path: "black.png"}}
	e, _, err := m.Embed(ctx, data.Files{FS: os.DirFS(dir)}, examples, bit.EmbedOptions{NoCache: true})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(len(e.Index), "vectors of", e.Width)
	// Output:
	// 2 vectors of 1024
}
