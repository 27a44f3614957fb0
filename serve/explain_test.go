package serve

import (
	"bytes"
	"fmt"
	"image"
	"net/http"
	"testing"

	"github.com/bigtransfer/bit/api"
	"github.com/bigtransfer/bit/internal/fixture"
)

// The map of a class sums to its logit less the bias, and the logit is the reference's.
func TestExplain(t *testing.T) {
	_, h := newServer(t, nil)
	client := &api.Client{Server: h.URL}
	for _, r := range references(t) {
		for _, class := range []string{"", "class 3"} {
			got, err := client.Explain(t.Context(), r.file, class, api.Options{Top: 3})
			if err != nil {
				t.Fatal(err)
			}
			e := got.Explanation
			best := order(r.logits)
			want := best[0]
			if class != "" {
				want = 3
			}
			if got.Model != "tiny" || len(got.Predictions) != 3 || got.Predictions[0].Index != best[0] || e.Class != want {
				t.Errorf("%s: %+v, want class %d of tiny explained and %v the best", r.name, got, want, best[:3])
			}
			if len(e.Map) != e.Rows*e.Columns || e.Rows < 1 {
				t.Fatalf("%s: %d values in %d rows of %d", r.name, len(e.Map), e.Rows, e.Columns)
			}
			sum := float64(e.Bias)
			for _, v := range e.Map {
				sum += float64(v)
			}
			near(t, r.name, []float64{sum, float64(e.Logit)}, []float64{r.logits[want], r.logits[want]})
		}
	}
	cat := fixture.Picture(t, "cat.png")
	e, err := client.Explain(t.Context(), cat, "", api.Options{Model: "tiny"})
	if err != nil {
		t.Fatal(err)
	}
	if x := e.Explanation; fmt.Sprint(x.Width, x.Height, x.View[0] >= 0, x.View[2] <= 451) != "451 300 true true" {
		t.Errorf("%+v, want a picture of 451x300 pixels and a view inside it", x)
	}
	for query, status := range map[string]int{"?class=dog": 400, "?class=class+10": 400, "?top=0": 400} {
		if got := send(t, http.MethodPost, h.URL+"/v1/explain"+query, cat); got.status != status {
			t.Errorf("%s: status %d, want %d: %s", query, got.status, status, got.body)
		}
	}
	body, kind := form(t, []string{"a", "b"}, [][]byte{cat, cat})
	if got := send(t, http.MethodPost, h.URL+"/v1/explain", body, "Content-Type", kind); got.status != 400 {
		t.Errorf("two pictures: status %d", got.status)
	}
	got := send(t, http.MethodPut, h.URL+"/v1/explain", cat, "Accept", "image/png,*/*")
	if img, kind, err := image.Decode(bytes.NewReader(got.body)); err != nil || kind != "png" || img.Bounds().Dx() != 451 || img.Bounds().Dy() != 300 {
		t.Errorf("an overlay of 451x300 pixels: %s, %v, status %d", kind, err, got.status)
	}
}
