package audit

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"math"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/bigtransfer/bit/data"
	"github.com/bigtransfer/bit/imaging"
)

// look is what is measured of a picture itself.
type look struct {
	err           error // it cannot be decoded
	width, height int
	digest        [32]byte // of size and pixels
	hash          imaging.Hash
	low, high     uint8   // luma that 1 % and 99 % of its pixels are below or at
	sharpness     float64 // variance of the Laplacian of luma
}

// sharpSide is the longest side, in pixels, at which sharpness is measured: a large photograph is not expected to be sharp
// to the pixel.
const sharpSide = 256

// lookAt decodes and measures every picture, on several goroutines. An error is one of reading, not of decoding.
func lookAt(ctx context.Context, src data.Source, entries []Entry, workers int, progress func(done int)) ([]look, error) {
	if workers <= 0 {
		workers = runtime.GOMAXPROCS(0)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	src = data.Uncounted(src) // all that is broken is listed, however much
	looks := make([]look, len(entries))
	var next, done atomic.Int64
	var told sync.Mutex
	var all sync.WaitGroup
	for range workers {
		all.Go(func() {
			var r imaging.Resizer
			var h imaging.Hasher
			for ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= len(entries) {
					return
				}
				img, err := src.Image(entries[i].Example)
				if _, broken := errors.AsType[*data.BrokenError](err); broken {
					looks[i].err = err
				} else if err != nil {
					cancel(fmt.Errorf("%s: %w", entries[i].Path, err))
					return
				} else {
					looks[i] = measure(img, &r, &h)
				}
				if n := int(done.Add(1)); progress != nil {
					told.Lock()
					progress(n)
					told.Unlock()
				}
			}
		})
	}
	all.Wait()
	return looks, context.Cause(ctx)
}

func measure(img *imaging.Image, r *imaging.Resizer, h *imaging.Hasher) look {
	l := look{width: img.W, height: img.H, hash: h.Hash(img)}
	digest := sha256.New()
	fmt.Fprintf(digest, "%d %d\n", img.W, img.H)
	digest.Write(img.Pix)
	l.digest = [32]byte(digest.Sum(nil))
	if longest := max(img.W, img.H); longest > sharpSide {
		small := new(imaging.Image)
		r.Resize(small, img, img.Bounds(), max(1, img.W*sharpSide/longest), max(1, img.H*sharpSide/longest), imaging.Bilinear)
		img = small
	}
	luma := make([]float64, img.W*img.H)
	var histogram [256]int
	for i := range luma {
		p := img.Pix[3*i:]
		luma[i] = 0.299*float64(p[0]) + 0.587*float64(p[1]) + 0.114*float64(p[2]) // Rec. 601
		histogram[int(luma[i])]++
	}
	l.low, l.high = percentile(histogram[:], len(luma), 0.01), percentile(histogram[:], len(luma), 0.99)
	l.sharpness = laplacianVariance(luma, img.W, img.H)
	return l
}

func percentile(histogram []int, n int, fraction float64) uint8 {
	below := 0
	for v, count := range histogram {
		if below += count; float64(below) >= fraction*float64(n) {
			return uint8(v)
		}
	}
	return 255
}

// laplacianVariance is the variance of the sum of a pixel's four neighbours less four times itself, a measure of how sharp
// edges are (Pech-Pacheco et al. 2000).
func laplacianVariance(luma []float64, w, h int) float64 {
	var n, sum, squares float64
	for y := 1; y < h-1; y++ {
		for x := 1; x < w-1; x++ {
			i := y*w + x
			v := luma[i-1] + luma[i+1] + luma[i-w] + luma[i+w] - 4*luma[i]
			n, sum, squares = n+1, sum+v, squares+v*v
		}
	}
	if n == 0 {
		return math.NaN() // too small to say
	}
	return squares/n - sum/n*(sum/n)
}

// Bounds of what counts as odd. Brightness and sharpness are in units of 8-bit luma.
const (
	darkBelow    = 50  // 99 % of the pixels are darker
	brightAbove  = 235 // 99 % of the pixels are brighter
	blurredBelow = 100 // the usual variance of the Laplacian of a blurred photograph, and besides
	outlier      = 3.5 // modified z-score (Iglewicz & Hoaglin 1993): in units of the median absolute deviation / 0.6745
)

// spread is the middle of some numbers and their deviation from it, by medians, which outliers do not move.
type spread struct{ median, deviation float64 }

func spreadOf(values []float64) spread {
	values = slices.DeleteFunc(slices.Clone(values), math.IsNaN)
	if len(values) == 0 {
		return spread{math.NaN(), math.NaN()}
	}
	median := func(v []float64) float64 {
		slices.Sort(v)
		return (v[(len(v)-1)/2] + v[len(v)/2]) / 2
	}
	s := spread{median: median(values)}
	for i, v := range values {
		values[i] = math.Abs(v - s.median)
	}
	s.deviation = median(values) / 0.6745
	return s
}

// odd finds pictures whose own pixels or size are unlike those of the others.
func odd(entries []Entry, looks []look, class func(int) string) []Finding {
	var sharp, area, shape []float64
	for _, l := range looks {
		if l.err == nil {
			sharp = append(sharp, math.Log(l.sharpness+1))
			area = append(area, math.Log(float64(l.width)*float64(l.height)))
			shape = append(shape, math.Abs(math.Log(float64(l.width)/float64(l.height))))
		}
	}
	sharps, areas, shapes := spreadOf(sharp), spreadOf(area), spreadOf(shape)
	var findings []Finding
	for i, l := range looks {
		e := entries[i]
		add := func(kind Kind, severity float64, detail string, args ...any) {
			findings = append(findings, Finding{
				Kind: kind, Path: e.Path, Split: e.Split, Class: class(e.Label), Severity: min(max(severity, 0), 1), Detail: fmt.Sprintf(detail, args...), Entry: i, First: -1,
			})
		}
		if l.err != nil {
			add(Corrupt, 1, "%v", l.err)
			continue
		}
		if l.high < darkBelow {
			add(Dark, 1-float64(l.high)/darkBelow, "99 %% of its pixels are darker than %d of 255", l.high+1)
		}
		if l.low > brightAbove {
			add(Bright, float64(l.low-brightAbove)/(255-brightAbove), "99 %% of its pixels are brighter than %d of 255", l.low-1)
		}
		if z := (sharps.median - math.Log(l.sharpness+1)) / sharps.deviation; l.sharpness < blurredBelow && z > outlier {
			add(Blurred, 1-l.sharpness/blurredBelow, "variance of the Laplacian %.1f, usual here is %.0f", l.sharpness, math.Exp(sharps.median)-1)
		}
		// Half and double the usual size are not odd, however alike all the others are; nor is twice as long as usual.
		size, stretch := math.Log(float64(l.width)*float64(l.height))-areas.median, math.Abs(math.Log(float64(l.width)/float64(l.height)))-shapes.median
		switch z := math.Abs(size) / areas.deviation; {
		case math.Abs(size) > 2*math.Ln2 && z > outlier:
			add(OddSize, math.Abs(size)/10, "%d x %d pixels, where %.0f in all are usual", l.width, l.height, math.Exp(areas.median))
		case stretch > math.Ln2 && stretch/shapes.deviation > outlier:
			add(OddSize, stretch/5, "%d x %d pixels, longer than usual", l.width, l.height)
		}
	}
	return findings
}
