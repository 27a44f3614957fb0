package main

import (
	"image"
	"image/color"
	"image/png"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/mattn/go-runewidth"

	"github.com/bigtransfer/bit"
	"github.com/bigtransfer/bit/hub"
)

func writePNG(path string, w, h int, level, tint uint8) error {
	img := image.NewNRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			img.Set(x, y, color.NRGBA{level, level ^ tint, level, 255})
		}
	}
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	return png.Encode(f, img)
}

// screen is a stream that believes to be a terminal, of 80 columns.
func screen() (*stream, *strings.Builder) {
	var b strings.Builder
	return &stream{Writer: &b, terminal: true, fd: -1}, &b
}

func TestBars(t *testing.T) {
	t.Setenv("NO_COLOR", "1")
	out, text := screen()
	a := &app{stdout: out}
	r := bit.Result{Name: "cat.jpg", Predictions: []bit.Prediction{
		{Label: "tabby", Index: 1, Score: 0.5},
		{Label: strings.Repeat("長い名前", 20), Index: 2, Score: 0.25},
		{Label: "", Index: 3, Score: 1},
	}}
	if err := a.writeBars(r); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSuffix(text.String(), "\n"), "\n")
	if len(lines) != 4 || lines[0] != "cat.jpg" {
		t.Fatalf("wrote %q", lines)
	}
	// 79 columns less indent 2, label 40, a space and the score's 9 leave a bar of 27.
	for i, want := range []struct {
		full  int
		score string
	}{{13, " 50.00 %"}, {6, " 25.00 %"}, {27, "100.00 %"}} {
		line := lines[i+1]
		if got := strings.Count(line, "█"); got != want.full {
			t.Errorf("%q: %d full blocks, want %d", line, got, want.full)
		}
		if !strings.HasSuffix(line, want.score) {
			t.Errorf("%q does not end in %q", line, want.score)
		}
		if w := runewidth.StringWidth(line); w != 79 {
			t.Errorf("%q is %d columns wide, want 79", line, w)
		}
	}
	if !strings.Contains(lines[2], "…") {
		t.Errorf("%q: a long label is not cut", lines[2])
	}
	if strings.Contains(text.String(), "\x1b") {
		t.Errorf("colours in spite of NO_COLOR: %q", text.String())
	}

	t.Setenv("NO_COLOR", "")
	text.Reset()
	if err := a.writeBars(r); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(text.String(), "\x1b[") {
		t.Error("no colours on a terminal")
	}
}

func TestBar(t *testing.T) {
	for _, c := range []struct {
		share float32
		want  string
	}{{0, "    "}, {1, "████"}, {0.5, "██  "}, {0.125, "▌   "}, {0.97, "███▉"}, {0.001, "    "}} {
		if got := bar(c.share, 4); got != c.want {
			t.Errorf("bar(%v) = %q, want %q", c.share, got, c.want)
		}
	}
}

// A shorter line must not leave the end of a longer one on the screen.
func TestStatusOverwrites(t *testing.T) {
	out, text := screen()
	s := &status{out: out}
	s.show("a longer line")
	s.show("short")
	s.println("stays")
	if want := "\ra longer line\rshort        \r     \rstays\n"; text.String() != want {
		t.Errorf("wrote %q, want %q", text.String(), want)
	}
	text.Reset()
	s.show(strings.Repeat("x", 100))
	if got := strings.TrimPrefix(text.String(), "\r"); runewidth.StringWidth(got) > 79 {
		t.Errorf("%d columns on a terminal of 80", runewidth.StringWidth(got))
	}
}

func TestDownloadLog(t *testing.T) {
	out, text := screen()
	l := newDownloadLog(&status{out: out})
	l.show(hub.Progress{File: "model.safetensors", Done: 25_000_000, Total: 100_000_000})
	if want := "\rmodel.safetensors  ███           25 %  25.0 of 100.0 MB"; text.String() != want {
		t.Errorf("wrote %q, want %q", text.String(), want)
	}
	l.line.next = time.Time{}
	l.start = l.start.Add(-5 * time.Second) // 25 MB in 5 s
	text.Reset()
	l.show(hub.Progress{File: "model.safetensors", Done: 50_000_000, Total: 100_000_000})
	if want := " 50 %  50.0 of 100.0 MB  5.0 MB/s  10s left"; !strings.Contains(text.String(), want) {
		t.Errorf("wrote %q, want %q", text.String(), want)
	}
	l.line.next = time.Time{}
	text.Reset()
	l.show(hub.Progress{File: "x", Done: 1_500_000, Total: -1})
	if got := strings.TrimSpace(text.String()); got != "x  1.5 MB" {
		t.Errorf("wrote %q of an unknown size", got)
	}
}

func TestQuote(t *testing.T) {
	for in, want := range map[string]string{
		"": "''", "plain-1.5/x_y": "plain-1.5/x_y", "two words": "'two words'", "it's": `'it'\''s'`, "$HOME": "'$HOME'", "é": "'é'",
	} {
		if got := quote(in); got != want {
			t.Errorf("quote(%q) = %s, want %s", in, got, want)
		}
	}
}

func TestResumeCommand(t *testing.T) {
	a := &app{args: []string{"pretrain", "my data", "--resume", "-o", "out"}}
	if got, want := a.resumeCommand(), "bit pretrain 'my data' -o out --resume"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}
