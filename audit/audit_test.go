package audit

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/bigtransfer/bit/data"
	"github.com/bigtransfer/bit/imaging"
)

// TestLabelIssues, by hand: the mean probability of its own label is (0.9+0.8+0.2+0.5)/4 = 0.6 for class 0 and
// (0.7+0.9)/2 = 0.8 for class 1.
func TestLabelIssues(t *testing.T) {
	p := []float64{
		0.9, 0.1, // label 0
		0.8, 0.2, // label 0
		0.2, 0.8, // label 0, and confidently 1
		0.5, 0.5, // label 0: of no class confidently
		0.3, 0.7, // label 1: of no class confidently, though 0.7 is more than 0.3
		0.1, 0.9, // label 1
	}
	got := LabelIssues(p, []int{0, 0, 0, 0, 1, 1}, 2)
	if want := []LabelIssue{{Row: 2, Suggest: 1, Confidence: 0.2}}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	// Nor does a class that no head has known, as its pictures were all held out at once.
	if got := LabelIssues([]float64{0.4, 0.6, 0, 0.8, 0.2, 0, 0.5, 0.5, 0}, []int{0, 0, 2}, 3); slices.ContainsFunc(got, func(i LabelIssue) bool { return i.Suggest == 2 }) {
		t.Errorf("%v of a class without heads", got)
	}
	// A class that no picture has suggests nothing.
	if got := LabelIssues([]float64{0.1, 0.9, 0.2, 0.8}, []int{0, 0}, 2); len(got) != 0 {
		t.Errorf("%v of a class without pictures", got)
	}
}

// TestOutOfSample: two clouds that a line tells apart, one picture with the other's label, and a copy of it with the same
// wrong label: held out together, neither can vouch for the other.
func TestOutOfSample(t *testing.T) {
	const n, d = 40, 6
	r := rand.New(rand.NewPCG(1, 1))
	x, labels, group := make([]float32, n*d), make([]int, n), make([]int, n)
	for i := range n {
		labels[i], group[i] = i%2, i
		for j := range d {
			x[i*d+j] = float32(4*float64(labels[i])*float64(j%2) + r.NormFloat64())
		}
	}
	labels[0] = 1
	copy(x[2*d:3*d], x[:d])
	labels[2], group[2] = 1, 0
	p, err := OutOfSample(t.Context(), x, labels, group, 3, 4, 2, 1)
	if err != nil {
		t.Fatal(err)
	}
	for i := range n {
		row := p[3*i:][:3]
		if sum := row[0] + row[1] + row[2]; math.Abs(sum-1) > 1e-9 || row[2] != 0 {
			t.Fatalf("probabilities %v", row)
		}
		if truth := i % 2; row[truth] < 0.5 {
			t.Errorf("picture %d: %v, want mostly %d", i, row, truth)
		}
	}
	issues := LabelIssues(p, labels, 3)
	if len(issues) < 2 || issues[0].Row+issues[1].Row != 2 || issues[0].Row*issues[1].Row != 0 {
		t.Errorf("issues %v, want rows 0 and 2 first", issues)
	}
	// Folds keep groups together and spread classes.
	folded := assignFolds(labels, group, 4, 1)
	count := map[[2]int]int{}
	for i, f := range folded {
		count[[2]int{labels[i], f}]++
	}
	if folded[0] != folded[2] {
		t.Error("a group in two folds")
	}
	for at, n := range count {
		if n < 4 || n > 7 {
			t.Errorf("%d pictures of class %d in fold %d", n, at[0], at[1])
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := OutOfSample(ctx, x, labels, group, 3, 4, 1, 1); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v after cancelling", err)
	}
}

// TestLaplacian, by hand: of a single bright pixel in 3 x 4, the two inner pixels have -4 and 1 times 10, mean -15,
// variance 625.
func TestLaplacian(t *testing.T) {
	luma := []float64{
		0, 0, 0, 0,
		0, 10, 0, 0,
		0, 0, 0, 0,
	}
	if got := laplacianVariance(luma, 4, 3); got != 625 {
		t.Errorf("variance %v, want 625", got)
	}
	if got := laplacianVariance(luma[:4], 2, 2); !math.IsNaN(got) {
		t.Errorf("variance %v of 2 x 2 pixels", got)
	}
}

// pictures are a source of pictures in memory, by their index. A missing one is broken.
type pictures []*imaging.Image

func (p pictures) Image(e data.Example) (*imaging.Image, error) {
	if p[e.At] == nil {
		return nil, &data.BrokenError{Err: imaging.ErrCorrupt}
	}
	return p[e.At].Clone(), nil
}

// TestOdd: ten sharp pictures and one of each kind.
func TestOdd(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 3))
	noise := func(w, h, low, high int) *imaging.Image {
		im := imaging.NewImage(w, h)
		for i := range im.Pix {
			im.Pix[i] = uint8(low + r.IntN(high-low+1))
		}
		return im
	}
	var p pictures
	for i := range 10 {
		p = append(p, noise(40+i%3, 40, 0, 255))
	}
	kinds := []Kind{Dark, Bright, Blurred, OddSize, OddSize, Corrupt}
	smooth := imaging.NewImage(40, 40)
	for i := range smooth.Pix {
		smooth.Pix[i] = uint8(3 * (i / 3 % 40)) // a gradient from black to grey has no edge
	}
	p = append(p, noise(40, 40, 0, 40), noise(40, 40, 240, 255), smooth, noise(150, 150, 0, 255), noise(160, 16, 0, 255), nil)
	ds := &data.Dataset{Source: p, Classes: []string{"a"}}
	for i := range p {
		ds.Train = append(ds.Train, data.Example{At: int64(i)})
	}
	entries := Entries(ds)
	done := 0
	looks, err := lookAt(t.Context(), ds, entries, 2, func(int) { done++ })
	if err != nil {
		t.Fatal(err)
	}
	if done != len(p) {
		t.Errorf("progress told %d times, want %d", done, len(p))
	}
	got := map[int][]Kind{}
	for _, f := range odd(entries, looks, func(int) string { return "a" }) {
		got[f.Entry] = append(got[f.Entry], f.Kind)
		if f.Severity < 0 || f.Severity > 1 || f.Detail == "" || f.Class != "a" || f.Split != "train" {
			t.Errorf("%+v", f)
		}
	}
	for i := range p {
		want := []Kind(nil)
		if i >= 10 {
			want = kinds[i-10 : i-9]
		}
		if !slices.Equal(got[i], want) {
			t.Errorf("picture %d: %v, want %v (%+v)", i, got[i], want, looks[i])
		}
	}
}
