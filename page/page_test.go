package page_test

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/bigtransfer/bit"
	"github.com/bigtransfer/bit/api"
	"github.com/bigtransfer/bit/calibrate"
	"github.com/bigtransfer/bit/internal/fixture"
	"github.com/bigtransfer/bit/weights"
)

// cifar returns picture files of a class, the first of them in the order of their names.
func cifar(t testing.TB, split, class string, most int) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(fixture.Data(t, "cifar10-mini"), split, class, "*.png"))
	if err != nil || len(files) < most {
		t.Fatalf("%d pictures of %s: %v", len(files), class, err)
	}
	slices.Sort(files)
	return files[:most]
}

// A picture is dropped, pasted and filmed, and the page says what it shows and where.
func TestClassify(t *testing.T) {
	s := serveIn(t, t.TempDir())
	b := browse(t, 1280, 860)
	b.theme("light")
	b.run(chromedp.Navigate(s.url))
	b.until(`document.querySelector('.well')`)
	b.drop(".well", fixture.Case(t, "images", "coffee.png"))
	b.until(`document.querySelectorAll('.bars li').length === 5 && !document.querySelector('.waiting')`)
	want, err := (&api.Client{Server: s.url}).Classify(t.Context(), fixture.Picture(t, "coffee.png"), api.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for i, p := range want.Results[0].Predictions {
		row := b.text(fmt.Sprintf(".bars li:nth-child(%d)", i+1))
		if name, _, _ := strings.Cut(p.Label, ", "); !strings.Contains(row, name) || !strings.Contains(row, fmt.Sprintf("%.0f %%", 100*p.Score)) {
			t.Errorf("row %d says %q, the server %q with %.3f", i+1, row, p.Label, p.Score)
		}
	}
	// coloured says how many pixels of the map are drawn.
	const coloured = `(m => m.hidden ? 0 : m.getContext('2d').getImageData(0, 0, m.width, m.height).data.filter((v, i) => i % 4 === 3 && v > 0).length)(document.querySelector('.map'))`
	if n := evaluate[int](b, coloured); n < 1000 {
		t.Errorf("the map has %d pixels", n)
	}
	evaluate[any](b, `document.querySelector('.bars li:nth-child(3) button').click()`)
	b.until(`document.querySelector('.bars li:nth-child(3) button[aria-pressed=true]')`)
	b.button(".stage", "Show what it looks at")
	if n := evaluate[int](b, coloured); n != 0 {
		t.Errorf("a map that is switched off has %d pixels", n)
	}
	b.accessible("a result")

	b.run(chromedp.EmulateViewport(390, 844))
	if wide := evaluate[int](b, `document.documentElement.scrollWidth`); wide > 390 {
		t.Errorf("on a phone the page is %d pixels wide", wide)
	}
	before := b.text(".verdict h2")
	evaluate[any](b, `(async () => {
		const canvas = new OffscreenCanvas(64, 64), c = canvas.getContext('2d');
		c.fillStyle = 'royalblue'; c.fillRect(0, 0, 64, 64);
		const clipboard = new DataTransfer();
		clipboard.items.add(new File([await canvas.convertToBlob()], 'pasted.png', {type: 'image/png'}));
		document.dispatchEvent(new ClipboardEvent('paste', {clipboardData: clipboard, bubbles: true}));
	})()`)
	b.until(fmt.Sprintf(`!document.querySelector('.waiting') && document.querySelector('.verdict h2').innerText !== %q`, before))

	b.button(".stage", "Use the camera")
	b.until(`!document.querySelector('video').hidden && document.querySelector('video').videoWidth > 0 && document.querySelector('div.bar-row')`)
	b.button(".stage", "Stop the camera")
	b.until(`document.querySelector('video').hidden`)

	text := filepath.Join(t.TempDir(), "notes.txt")
	if err := os.WriteFile(text, []byte("this is no picture"), 0o600); err != nil {
		t.Fatal(err)
	}
	b.quiet()
	b.drop(".well", text)
	b.until(`document.querySelector('#alert p')`)
	if says := b.text("#alert p"); !strings.Contains(says, "expected JPEG, PNG") {
		t.Errorf("of a text file the page says %q", says)
	}
}

// Three classes are taught, tried, corrected and taken along.
func TestTeach(t *testing.T) {
	classes := []string{"airplane", "dog", "frog"}
	dir := t.TempDir()
	s := serveIn(t, dir)
	b := browse(t, 1280, 900)
	b.theme("light")
	b.run(chromedp.Navigate(s.url + "/#/teach"))
	b.until(`document.querySelector('#name')`)
	b.fill("#name", "Wings, fur, slime")
	b.button("main", "Begin")
	b.until(`document.querySelector('#class-name')`)
	card := map[string]string{}
	for i, class := range classes {
		b.fill("#class-name", class+kb.Enter)
		b.until(fmt.Sprintf(`document.querySelectorAll('.class').length === %d && document.querySelector('#class-name').value === ''`, i+1))
		card[class] = fmt.Sprintf(".class:nth-child(%d)", i+1)
	}
	const each = 25
	says := func(class string) string { return b.text(card[class] + " .class-title .soft") }
	counts := func(numbers ...int) {
		t.Helper()
		for i, n := range numbers {
			b.until(fmt.Sprintf(`document.querySelector(%q).innerText === '%d pictures'`, card[classes[i]]+" .class-title .soft", n))
		}
	}
	for i, class := range classes {
		b.drop(card[class], cifar(t, "train", class, each)...)
		numbers := []int{each, each, each}
		counts(numbers[:i+1]...)
	}
	b.button(".train", "Train")
	b.until(`document.querySelector('#accuracy') && document.querySelector('.train .fit').innerText.includes('75 pictures') && !document.querySelector('.train.waiting')`)
	t.Logf("left out one at a time, %s", strings.ReplaceAll(b.text(".train .score"), "\n", " "))

	// Pictures that it has not seen.
	right, all := 0, 0
	for _, class := range classes {
		for _, file := range cifar(t, "test", class, 8) {
			evaluate[any](b, `document.querySelector('.try .results').replaceChildren()`)
			b.drop(".try .well", file)
			b.until(`document.querySelector('.try .verdict h2') && !document.querySelector('.try .waiting')`)
			all++
			if strings.EqualFold(b.text(".try .verdict h2"), class) {
				right++
			}
		}
	}
	t.Logf("%d of %d held-out pictures are right", right, all)
	if float64(right) <= 0.6*float64(all) {
		t.Errorf("%d of %d held-out pictures are right, want more than 60 %%", right, all)
	}
	evaluate[any](b, `document.querySelector('.train details').open = true`)
	b.accessible("a project")
	b.theme("dark")
	b.accessible("a project, dark")
	b.theme("light")

	// Everything is there after a reload, in the list too.
	b.run(chromedp.Reload())
	b.until(`document.querySelector('#accuracy') && document.querySelectorAll('.thumb').length === 75`)
	b.button("nav", "Teach")
	b.until(`document.querySelector('.project')`)
	if text := b.text(".project"); !strings.Contains(text, "Wings, fur, slime") || !strings.Contains(text, "75 pictures") {
		t.Errorf("the list says %q", text)
	}
	evaluate[any](b, `document.querySelector('.project').click()`)
	b.until(`document.querySelectorAll('.thumb').length === 75`)

	// A picture is moved by the keyboard alone: to the third of a class, into its menu, to the class that begins with f.
	evaluate[any](b, fmt.Sprintf(`document.querySelector(%q).focus()`, card["dog"]+" .thumb"))
	moved := evaluate[string](b, fmt.Sprintf(`document.querySelectorAll(%q)[2].dataset.picture`, card["dog"]+" .thumb"))
	b.keys(kb.ArrowRight, kb.ArrowRight, kb.Enter)
	b.until(`document.activeElement.getAttribute('role') === 'menuitem'`)
	b.accessible("a menu")
	b.keys("f", kb.Enter)
	counts(each, each-1, each+1)
	b.until(fmt.Sprintf(`document.querySelector(%q)`, card["frog"]+` .thumb[data-picture="`+moved+`"]`))
	b.until(fmt.Sprintf(`document.activeElement.matches(%q)`, card["dog"]+" .thumb"))
	b.until(`document.querySelector('.train .fit').innerText.includes('75 pictures') && !document.querySelector('.train.waiting')`)

	// And another one is dragged.
	b.drag(card["airplane"]+" .thumb", card["dog"]+" .card-head")
	counts(each-1, each, each+1)

	// The camera fills a class as long as the button is held.
	b.button(card["frog"], "Camera")
	b.until(fmt.Sprintf(`document.querySelector(%q)?.videoWidth > 0`, card["frog"]+" video"))
	b.hold(card["frog"]+" .hold", 700*time.Millisecond)
	b.until(fmt.Sprintf(`parseInt(document.querySelector(%q).innerText) > %d`, card["frog"]+" .class-title .soft", each+1))
	b.button(card["frog"], "Close the camera")
	t.Logf("after filming, the class has %s", says("frog"))

	// Fine-tuning is begun, stopped, found again after a reload, resumed and discarded.
	evaluate[any](b, `document.querySelector('#steps').value = '50'`)
	b.button(".tuning", "Fine-tune")
	b.until(`document.querySelector('.curve polyline')`)
	b.button(".tuning", "Stop")
	b.until(`document.querySelector('.tuning').innerText.includes('Paused at step')`)
	b.run(chromedp.Reload())
	b.until(`document.querySelector('.tuning')?.innerText.includes('Paused at step')`)
	b.button(".tuning", "Resume")
	b.until(`document.querySelector('.tuning').innerText.includes('left')`)
	b.button(".tuning", "Stop")
	b.button(".tuning", "Discard")
	b.button("dialog", "Discard it")
	b.until(`!document.querySelector('.progress') && document.querySelector('.offer')`)

	// Kept on the server, it answers there; downloaded, it is right with bit classify.
	b.fill("#keep-name", "wings")
	b.button(".take", "Keep")
	b.until(`document.querySelector('.take pre')`)
	client := &api.Client{Server: s.url}
	file, err := os.ReadFile(cifar(t, "test", "frog", 1)[0])
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.Classify(t.Context(), file, api.Options{Model: "wings"}); err != nil {
		t.Error(err)
	}
	downloads := t.TempDir()
	b.downloadTo(downloads)
	b.button(".take", "Hugging Face folder (.zip)")
	b.until(`document.getElementById('status').innerText.includes('is downloaded')`)
	model := unzip(t, waitFor(t, downloads, ".zip"))
	right, all = 0, 0
	for _, class := range classes {
		for _, p := range classify(t, model, cifar(t, "test", class, 30)) {
			all++
			if !slices.Contains(classes, p) {
				t.Errorf("bit classify says %q", p)
			}
			if p == class {
				right++
			}
		}
	}
	t.Logf("bit classify with the downloaded model: %d of %d held-out pictures are right", right, all)
	if all != 90 || float64(right) <= 0.6*float64(all) {
		t.Errorf("bit classify: %d of %d held-out pictures are right, want more than 60 %% of 90", right, all)
	}
	b.run(chromedp.EmulateViewport(360, 740))
	if wide := evaluate[int](b, `document.documentElement.scrollWidth`); wide > 360 {
		t.Errorf("on a phone the page is %d pixels wide", wide)
	}
	b.accessible("a project on a phone")
	b.quiet()
}

// drag takes an element with the mouse and lets it fall on another.
func (b *tab) drag(from, to string) {
	b.t.Helper()
	evaluate[any](b, fmt.Sprintf(`document.querySelector(%q).scrollIntoView({block: 'center'})`, from))
	b.run(chromedp.DragAndDrop(from, to))
}

// hold keeps a button pressed with the mouse.
func (b *tab) hold(selector string, how time.Duration) {
	b.t.Helper()
	at := evaluate[[]float64](b, fmt.Sprintf(`(e => { e.scrollIntoView({block: 'center'}); const r = e.getBoundingClientRect(); return [r.x + r.width / 2, r.y + r.height / 2]; })(document.querySelector(%q))`, selector))
	b.run(chromedp.MouseEvent(input.DispatchMouseEventTypeMouseMoved, at[0], at[1]),
		chromedp.MouseEvent(input.DispatchMouseEventTypeMousePressed, at[0], at[1], chromedp.ButtonLeft), chromedp.Sleep(how),
		chromedp.MouseEvent(input.DispatchMouseEventTypeMouseReleased, at[0], at[1], chromedp.ButtonLeft))
}

// waitFor waits for a file in a folder whose download is complete.
func waitFor(t testing.TB, dir, ending string) string {
	t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if files, _ := filepath.Glob(filepath.Join(dir, "*"+ending)); len(files) > 0 {
			return files[0]
		}
	}
	t.Fatalf("nothing was downloaded to %s", dir)
	return ""
}

// unzip unpacks a file that has one folder, which it returns.
func unzip(t testing.TB, path string) string {
	t.Helper()
	z, err := zip.OpenReader(path)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	dir := t.TempDir()
	if err := os.CopyFS(dir, z); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, strings.TrimSuffix(filepath.Base(path), ".zip"))
}

// classify runs bit classify and returns the best label of each file.
func classify(t testing.TB, model string, files []string) (labels []string) {
	t.Helper()
	path, err := program()
	if err != nil {
		t.Fatal(err)
	}
	var out, problems bytes.Buffer
	cmd := exec.Command(path, append([]string{"classify", "--model", model, "--json"}, files...)...)
	cmd.Stdout, cmd.Stderr = &out, &problems
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v: %s", err, &problems)
	}
	for d := json.NewDecoder(&out); d.More(); {
		var line struct {
			Predictions []struct{ Label string }
		}
		if err := d.Decode(&line); err != nil {
			t.Fatal(err)
		}
		labels = append(labels, line.Predictions[0].Label)
	}
	return labels
}

// A server that wants a token has the page ask for it, once.
func TestToken(t *testing.T) {
	secret := strings.Repeat("correct horse ", 10) + "battery staple" // longer than a name may be
	t.Setenv("BIT_TOKEN", secret)
	s := serveIn(t, t.TempDir())
	b := browse(t, 390, 844)
	b.theme("dark")
	b.run(chromedp.Navigate(s.url))
	for _, token := range []string{"wrong", secret} {
		b.until(`document.querySelector('dialog[open] input')`)
		b.accessible("the dialog")
		b.fill("dialog input", token+kb.Enter)
		b.until(`!document.querySelector('dialog')` + map[bool]string{true: " && document.querySelector('.well')", false: " || document.querySelector('dialog input').value === ''"}[token != "wrong"])
	}
	b.drop(".well", fixture.Case(t, "images", "coffee.png"))
	b.until(`document.querySelectorAll('.bars li').length === 5`)
	b.run(chromedp.Reload())
	b.until(`document.querySelector('.well') && !document.querySelector('dialog')`)
}

// What a model takes for none of its classes is not given the name of one.
func TestUnknown(t *testing.T) {
	m, err := bit.Open(t.Context(), "")
	if err == nil {
		// No picture is so sure.
		err = m.SetCalibration(calibrate.Calibration{Unknown: &calibrate.Unknown{Score: calibrate.MaxLogit, Threshold: 1e6, FalseReject: 0.5}})
	}
	dir := filepath.Join(t.TempDir(), "strict")
	if err == nil {
		err = m.Save(dir, weights.Card{})
	}
	if err != nil {
		t.Fatal(err)
	}
	s := serveIn(t, "none", "--model", "BiT-Tiny-R26x0.5,"+dir)
	b := browse(t, 1280, 860)
	b.run(chromedp.Navigate(s.url))
	b.until(`document.querySelector('.well')`)
	b.drop(".well", fixture.Case(t, "images", "cat.png"))
	b.until(`document.querySelector('.verdict h2')`)
	if says := b.text(".verdict h2"); says == "None of the classes" {
		t.Error("a model without a threshold knows none of its classes")
	}
	evaluate[any](b, `(s => { s.value = 'strict'; s.dispatchEvent(new Event('change')); })(document.querySelector('#model'))`)
	b.until(`document.querySelector('.verdict h2').innerText === 'None of the classes'`)
	b.accessible("unknown")
	b.quiet()
}
