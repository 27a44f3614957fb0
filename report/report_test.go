package report

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"image/jpeg"
	"io"
	"math"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"github.com/bigtransfer/bit"
	"github.com/bigtransfer/bit/audit"
	"github.com/bigtransfer/bit/calibrate"
	"github.com/bigtransfer/bit/data"
	"github.com/bigtransfer/bit/eval"
	"github.com/bigtransfer/bit/internal/fixture"
	"github.com/bigtransfer/bit/train"
)

// checkPage parses a page as a browser does, and reports what would need a network, an element without its text
// alternative, an id that is there twice, and a picture that is none.
func checkPage(t *testing.T, page []byte) {
	t.Helper()
	if regexp.MustCompile(`https?:|//[a-z]|@import|url\(`).Match(page) {
		t.Error("the page refers to something outside")
	}
	if strings.Contains(string(page), "ZgotmplZ") || regexp.MustCompile(`[^s]NaN`).Match(page) { // isNaN is the script's
		t.Error("a value was not fit for its place")
	}
	root, err := html.Parse(bytes.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	ids, targets := map[string]bool{}, []string{}
	for n := range root.Descendants() {
		if n.Type != html.ElementNode {
			continue
		}
		attr := map[string]string{}
		for _, a := range n.Attr {
			attr[a.Key] = a.Val
		}
		if id := attr["id"]; id != "" && ids[id] {
			t.Errorf("id %q twice", id)
		} else if id != "" {
			ids[id] = true
		}
		if id := attr["aria-labelledby"]; id != "" {
			targets = append(targets, id)
		}
		if href := attr["href"]; strings.HasPrefix(href, "#") {
			targets = append(targets, href[1:])
		}
		switch n.Data {
		case "img":
			encoded, ok := strings.CutPrefix(attr["src"], "data:image/jpeg;base64,")
			content, err := base64.StdEncoding.DecodeString(encoded)
			if !ok || err != nil || attr["alt"] == "" {
				t.Fatalf("picture %.60q, alt %q, error %v", attr["src"], attr["alt"], err)
			}
			if _, err := jpeg.Decode(bytes.NewReader(content)); err != nil {
				t.Error(err)
			}
		case "svg":
			if attr["role"] != "img" || attr["aria-label"] == "" {
				t.Error("a chart without a name")
			}
		}
	}
	for _, id := range targets {
		if !ids[id] {
			t.Errorf("no element with id %q", id)
		}
	}
}

func mini(t *testing.T) *data.Dataset {
	t.Helper()
	ds, err := data.Open(fixture.Data(t, "cifar10-mini"))
	if err != nil {
		t.Fatal(err)
	}
	return ds
}

// TestEvaluation: a page of three outcomes, two of which are wrong, the surer one first.
func TestEvaluation(t *testing.T) {
	m, err := bit.OpenClassifier(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	ds := mini(t)
	l := eval.NewLedger(200, calibrate.Calibration{Temperature: 2})
	for i, label := range []int32{3, 4, 5} {
		z := make([]float32, 200)
		z[3] = float32(5 + i)
		if err := l.Add(z, []int32{label}, []int32{int32(i)}); err != nil {
			t.Fatal(err)
		}
	}
	e := Evaluation{Model: m, Data: "a<b>&\"c", Split: "test", Metrics: l.Metrics(), Source: ds, Examples: ds.Test}
	for i := range e.Metrics.Classes {
		e.Metrics.Classes[i].Label = m.Label(e.Metrics.Classes[i].Index)
	}
	for step := range 500 {
		e.History.Steps = append(e.History.Steps, train.StepRecord{Step: step + 1, Loss: 2 / float64(step+1), Accuracy: 0.5})
	}
	e.History.Evaluations = []train.EvaluationRecord{{Step: 250, Split: "val", Top1: 0.4, Loss: 3}, {Step: 500, Split: "val", Top1: 0.8, Loss: 1}}
	var b bytes.Buffer
	if err := e.Write(t.Context(), &b); err != nil {
		t.Fatal(err)
	}
	checkPage(t, b.Bytes())
	page := b.String()
	for _, want := range []string{
		"<h1>" + m.Name() + " on a&lt;b&gt;&amp;&#34;c</h1>", "33.33 %", "At temperature 2", "1 of 1 images of " + m.Label(4) + " are taken for " + m.Label(3),
		"2 of 2 pictures that are predicted wrong", `data-value="0.3333333333333333"`, "val after step 250: 0.4", "How it was trained",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page has no %q", want)
		}
	}
	if a, b := strings.Index(page, ds.Test[2].Path), strings.Index(page, ds.Test[1].Path); a < 0 || b < a {
		t.Errorf("the mistakes are at %d and %d, want the surer one first", a, b)
	}
	// The last evaluation, at the end of the axis and 1/3 of the way to the largest loss.
	if want := strings.TrimSpace(curves(e.History)[0].Two); !strings.HasSuffix(want, pointAt(1, 1./3)) {
		t.Errorf("line %q does not end at %s", want, pointAt(1, 1./3))
	}
	e.Mistakes, e.History = -1, train.History{}
	b.Reset()
	if err := e.Write(t.Context(), &b); err != nil || strings.Contains(b.String(), "<img") || strings.Contains(b.String(), "How it was") {
		t.Errorf("pictures or curves without any, error %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if e.Mistakes = 0; !errors.Is(e.Write(ctx, io.Discard), context.Canceled) {
		t.Error("a cancelled page is written")
	}
}

func pointAt(x, y float64) string {
	return tidy(left+x*plotWide) + "," + tidy(top+(1-y)*plotHigh)
}

func tidy(v float64) string {
	text := []byte{}
	tenths := int(math.Round(10 * v))
	for _, d := range []int{1000, 100, 10} {
		if tenths >= d {
			text = append(text, byte('0'+tenths/d%10))
		}
	}
	return string(append(text, '.', byte('0'+tenths%10)))
}

// TestManyClasses lists confusions where a matrix would not be legible, and several labels have a page without pictures.
func TestManyClasses(t *testing.T) {
	m, err := bit.OpenClassifier(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	l := eval.NewLedger(200, calibrate.Calibration{})
	for i := range int32(60) {
		z := make([]float32, 200)
		z[(i+1)%60] = 5
		if err := l.Add(z, []int32{i}, []int32{i}); err != nil {
			t.Fatal(err)
		}
	}
	ds := mini(t)
	several, err := eval.MeasureMultiLabel([]float32{1, -1, 2, 3}, [][]int32{{0}, {0, 1}}, 2)
	if err != nil {
		t.Fatal(err)
	}
	for text, metrics := range map[string]eval.Metrics{"The 50 most frequent confusions": l.Metrics(), "Mean average precision": several} {
		var b bytes.Buffer
		if err := (Evaluation{Model: m, Metrics: metrics, Source: ds, Examples: ds.Test, Mistakes: 2}).Write(t.Context(), &b); err != nil {
			t.Fatal(err)
		}
		checkPage(t, b.Bytes())
		if !strings.Contains(b.String(), text) {
			t.Errorf("no %q", text)
		}
	}
}

func TestAudit(t *testing.T) {
	ds := mini(t)
	r := &audit.Report{Images: 700, Classes: ds.Classes, Counts: map[audit.Kind]int{audit.Label: 1, audit.Duplicate: 1}, Findings: []audit.Finding{
		{Kind: audit.Label, Path: ds.Train[0].Path, Class: "cat<script>", Suggest: "dog", Entry: 0, First: -1},
		{Kind: audit.Duplicate, Path: ds.Test[1].Path, SameAs: ds.Train[2].Path, Detail: "the same pixels", Entry: len(ds.Train) + 1, First: 2},
	}}
	var b bytes.Buffer
	if err := Audit(t.Context(), &b, ds, r, "mini"); err != nil {
		t.Fatal(err)
	}
	checkPage(t, b.Bytes())
	for _, want := range []string{"Audit of mini", "cat&lt;script&gt; → <strong>dog</strong>", "the same pixels <span", ds.Test[1].Path, ds.Train[2].Path} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("the page has no %q", want)
		}
	}
	if n := strings.Count(b.String(), "<img"); n != 3 {
		t.Errorf("%d pictures, want 3", n)
	}
}
