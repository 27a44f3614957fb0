package fewshot

import (
	"bytes"
	"encoding/xml"
	"errors"
	"image/png"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

func runs(method Method, shots int, top1 ...float64) (list []Run) {
	for seed, v := range top1 {
		list = append(list, Run{Method: method, Shots: shots, Seed: uint64(seed), Top1: v, Examples: 10 * shots, Images: 100, Seconds: float64(seed)})
	}
	return list
}

// The median of an odd number is the one in the middle, of an even number the mean of two.
func TestSummarise(t *testing.T) {
	all := slices.Concat(runs(Scratch, 1, 0.125), runs(Probe, 5, 0.5, 0.25, 0.75), runs(Probe, 1, 0.5, 0.125, 0.25, 0.375))
	want := []Summary{
		{Probe, 1, 4, 0.125, 0.3125, 0.5, 10, 100, 1.5},
		{Probe, 5, 3, 0.25, 0.5, 0.75, 50, 100, 1},
		{Scratch, 1, 1, 0.125, 0.125, 0.125, 10, 100, 0},
	}
	if got := Summarise(all); !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
}

func TestWriteTable(t *testing.T) {
	for _, c := range []struct {
		runs []Run
		want string
	}{
		{runs(Probe, 1, 0.499, 0.544, 0.602), `| per class | probe (3 runs)       |
| --------- | -------------------- |
| 1         | 49.9 ← 54.4 → 60.2   |
`},
		{slices.Concat(runs(Scratch, 5, 0.2), runs(FineTune, 1, 0.4, 0.5), runs(FineTune, 5, 0.6, 0.62), runs(Probe, 5, 0.59)), `| per class | probe (1 run) | finetune (2 runs)  | scratch (1 run) | probe − scratch | finetune − scratch |
| --------- | ------------- | ------------------ | --------------- | --------------- | ------------------ |
| 1         | –             | 40.0 ← 45.0 → 50.0 | –               | –               | –                  |
| 5         | 59.0          | 60.0 ← 61.0 → 62.0 | 20.0            | +39.0           | +41.0              |
`},
	} {
		var b bytes.Buffer
		if err := WriteTable(&b, Summarise(c.runs)); err != nil {
			t.Fatal(err)
		}
		squeeze := func(s string) string { return strings.Join(strings.Fields(strings.ReplaceAll(s, "-", "")), " ") }
		if squeeze(b.String()) != squeeze(c.want) {
			t.Errorf("wrote\n%s\nwant\n%s", b.String(), c.want)
		}
		width := 0
		for line := range strings.Lines(b.String()) {
			if n := len([]rune(line)); width != 0 && n != width {
				t.Errorf("%q is %d characters wide, want %d", line, n, width)
			} else {
				width = n
			}
		}
	}
}

func TestStore(t *testing.T) {
	path := filepath.Join(t.TempDir(), "runs.json")
	settings := map[string]string{"data": "d", "steps": "10"}
	s, err := OpenStore(path, settings)
	if err != nil {
		t.Fatal(err)
	}
	want := runs(Probe, 5, 0.1, 1.0/3)
	for _, r := range want {
		if err := s.Add(r); err != nil {
			t.Fatal(err)
		}
	}
	again, err := OpenStore(path, settings)
	if err != nil || !reflect.DeepEqual(again.Runs(), want) {
		t.Errorf("%v, %+v, want %+v", err, again.Runs(), want)
	}
	if _, err := OpenStore(path, map[string]string{"data": "d", "steps": "20"}); err == nil || !strings.Contains(err.Error(), `steps is "10" there and "20" here`) {
		t.Errorf("error %v of other settings", err)
	}
	for _, text := range []string{"", "{", `{"format":"x"}`, "[]"} {
		if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
		if _, err := OpenStore(path, settings); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%q: error %v, want one that names the file", text, err)
		}
	}
	if _, err := OpenStore(filepath.Join(path, "below"), settings); err == nil {
		t.Error("no error for a file below a file")
	}
}

func TestWritePlot(t *testing.T) {
	list := Summarise(slices.Concat(runs(Probe, 1, 0.2, 0.3), runs(Probe, 25, 0.5), runs(FineTune, 5, 0.5), runs(Scratch, 5, 0.1)))
	dir := t.TempDir()
	for _, name := range []string{"a.png", "b.SVG", "c.pdf"} {
		path := filepath.Join(dir, name)
		if err := WritePlot(path, "cifar <10>", list); err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		switch name {
		case "a.png":
			img, err := png.Decode(bytes.NewReader(text))
			if err != nil {
				t.Fatal(err)
			}
			seen := map[[3]uint32]bool{}
			for y := range img.Bounds().Dy() {
				for x := range img.Bounds().Dx() {
					r, g, b, _ := img.At(x, y).RGBA()
					seen[[3]uint32{r >> 8, g >> 8, b >> 8}] = true
				}
			}
			for method, c := range colours {
				if !seen[[3]uint32{uint32(c.R), uint32(c.G), uint32(c.B)}] {
					t.Errorf("no pixel has the colour of %s", method)
				}
			}
		case "b.SVG":
			words := 0
			for d := xml.NewDecoder(bytes.NewReader(text)); ; {
				token, err := d.Token()
				if errors.Is(err, io.EOF) {
					break
				}
				if err != nil {
					t.Fatal(err)
				}
				if s, ok := token.(xml.CharData); ok {
					for _, want := range []string{"probe", "finetune", "scratch", "cifar <10>", "25", "top-1 accuracy in %"} {
						if strings.TrimSpace(string(s)) == want {
							words++
						}
					}
				}
			}
			if words != 6 {
				t.Errorf("%d of 6 texts are in the drawing:\n%s", words, text)
			}
		case "c.pdf":
			if !bytes.HasPrefix(text, []byte("%PDF-")) {
				t.Errorf("starts with %q", text[:8])
			}
		}
	}
	if err := WritePlot(filepath.Join(dir, "a.gif"), "", list); err == nil || !strings.Contains(err.Error(), "a.gif") {
		t.Errorf("error %v of another format", err)
	}
	if err := WritePlot(filepath.Join(dir, "none.png"), "", nil); err == nil {
		t.Error("no error for no runs")
	}
}
