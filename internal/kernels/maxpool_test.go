package kernels

import (
	"math"
	"testing"

	"github.com/bigtransfer/bit/internal/cpu"
)

// poolTaps returns the offsets of the taps of output pixel (oy, ox) of a 3x3 pooling with stride 2 over an image that
// is padded by one zero on each side.
func poolTaps(h, w, channels, oy, ox int) (taps [9]int) {
	for i := range taps {
		y, x := 2*oy+i/3-1, 2*ox+i%3-1
		taps[i] = -1
		if y >= 0 && y < h && x >= 0 && x < w {
			taps[i] = (y*w + x) * channels
		}
	}
	return taps
}

// One call a pixel of the output pools a whole image backwards. The integers among the fills make ties frequent, also
// with the zeros of the padding.
func TestMaxPoolBackward(t *testing.T) {
	arenas := newArenas(t, 4)
	eachLevel(t, func(t *testing.T, _ cpu.Level) {
		for _, fill := range fills {
			t.Run(fill.name, func(t *testing.T) {
				for _, channels := range []int{1, 2, 7, 8, 9, 15, 16, 17, 23, 31, 32, 33, 64, 67, 128} {
					for _, size := range [][2]int{{1, 1}, {2, 3}, {5, 4}, {8, 8}} {
						for p := range places {
							maxPoolCase(t, arenas, fill, size[0], size[1], channels, p)
							if t.Failed() {
								return
							}
						}
					}
				}
			})
		}
	})
}

func maxPoolCase(t *testing.T, arenas []arena, fill fill, h, w, channels int, p place) {
	t.Helper()
	next := fill.source(h, w, channels, int(p))
	oh, ow := (h+1)/2, (w+1)/2
	x := arenas[0].matrix(p, h*w, channels, channels, next)
	dy := arenas[1].matrix(p, oh*ow, channels, channels, next)
	dx := arenas[2].matrix(p, h*w, channels, channels, next)
	want, terms := make([]float64, len(dx.data)), make([]float64, len(dx.data))
	for i, v := range dx.data {
		want[i], terms[i] = float64(v), math.Abs(float64(v))
	}

	// The plain loop: forwards, then the first tap that has the maximum.
	outputs := make([]float32, len(dy.data))
	for o := range oh * ow {
		taps := poolTaps(h, w, channels, o/ow, o%ow)
		for c := range channels {
			value := func(tap int) float64 {
				if tap < 0 {
					return 0
				}
				return x.was(tap/channels, c)
			}
			most := math.Inf(-1)
			for _, tap := range taps {
				if v := value(tap); v > most || math.IsNaN(v) {
					most = v
				}
				if math.IsNaN(most) {
					break
				}
			}
			outputs[o*channels+c] = float32(most)
			for _, tap := range taps {
				if value(tap) == most {
					if tap >= 0 {
						want[tap+c] += dy.was(o, c)
						terms[tap+c] += math.Abs(dy.was(o, c))
					}
					break
				}
			}
		}
	}
	i := -1
	y := arenas[3].matrix(p, oh*ow, channels, channels, func() float32 { i++; return outputs[i] })

	for o := range oh * ow {
		taps := poolTaps(h, w, channels, o/ow, o%ow)
		before := taps
		guarded(t, "MaxPoolBackward", func() {
			MaxPoolBackward(dx.data, x.data, y.data[o*channels:], dy.data[o*channels:], &taps, channels)
		})
		if taps != before {
			t.Fatalf("the taps became %v", taps)
		}
	}
	for name, o := range map[string]*operand{"x": x, "y": y, "dy": dy} {
		o.unchanged(t, name)
	}
	dx.equals(t, "dx", func(r, c int) (float64, float64) {
		// At stride 2 at most four outputs see a pixel: four additions, each of which rounds.
		v, tolerance := want[r*channels+c], fill.tolerance(4*unit*terms[r*channels+c])
		if v == 0 && tolerance == 0 {
			tolerance = math.SmallestNonzeroFloat64 // of either sign: a kernel may add 0 to what it leaves alone
		}
		return v, tolerance
	})
}

// The gradient of an output that is infinite or NaN goes to one input, as any other does.
func TestMaxPoolBackwardOfInfinities(t *testing.T) {
	eachLevel(t, func(t *testing.T, _ cpu.Level) {
		for _, channels := range []int{1, 8, 16, 19} {
			for _, gradient := range []float64{math.Inf(1), math.Inf(-1), math.NaN()} {
				image, dx := make([]float32, 9*channels), make([]float32, 9*channels)
				y, dy := make([]float32, channels), make([]float32, channels)
				for c := range channels {
					y[c], dy[c] = 5, float32(gradient)
					for _, pixel := range []int{2, 3, 8} { // three equal maxima
						image[pixel*channels+c] = 5
					}
				}
				var taps [9]int
				for i := range taps {
					taps[i] = i * channels
				}
				MaxPoolBackward(dx, image, y, dy, &taps, channels)
				for i, v := range dx {
					want := 0.0
					if i/channels == 2 {
						want = gradient
					}
					if !agree(float64(v), want, math.SmallestNonzeroFloat64) {
						t.Fatalf("%d channels: the gradient %v puts %v into pixel %d, want %v", channels, gradient, v, i/channels, want)
					}
				}
			}
		}
	})
}

// A tap in the padding, wherever it stands, takes the gradient of an output that is 0 from the taps behind it, and
// leaves that of another output to them.
func TestMaxPoolBackwardOfOnePaddingTap(t *testing.T) {
	eachLevel(t, func(t *testing.T, _ cpu.Level) {
		for _, channels := range []int{1, 8, 16, 21, 35} {
			for padding := range 9 {
				for _, most := range []float32{0, 2} {
					x, dx := make([]float32, 9*channels), make([]float32, 9*channels)
					y, dy := make([]float32, channels), make([]float32, channels)
					var taps [9]int
					for i := range taps {
						taps[i] = i * channels
						for c := range channels {
							x[i*channels+c] = most // every tap behind the padding
							if i < padding {
								x[i*channels+c] = -1
							}
							y[c], dy[c] = most, 3
						}
					}
					taps[padding] = -1
					MaxPoolBackward(dx, x, y, dy, &taps, channels)
					for i, v := range dx {
						want := float32(0)
						if most != 0 && i/channels == padding+1 {
							want = 3
						}
						if v != want {
							t.Fatalf("%d channels, padding as tap %d, maximum %v: dx of tap %d is %v, want %v", channels, padding, most, i/channels, v, want)
						}
					}
				}
			}
		}
	})
}
