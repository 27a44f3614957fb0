package imaging

import (
	"fmt"
	"math"
)

// Filter is a resampling filter. The values are the codes of the Python Imaging Library, which model files use.
type Filter int

// The filters of Pillow (src/libImaging/Resample.c). When shrinking, each is widened by the scale, so that every source
// pixel counts (antialiasing); Nearest picks one pixel instead.
const (
	Nearest  Filter = 0
	Lanczos  Filter = 1 // windowed sinc of radius 3
	Bilinear Filter = 2 // triangle of radius 1
	Bicubic  Filter = 3 // Keys' cubic of radius 2, a = -0.5
	Box      Filter = 4 // radius 0.5: the mean of the pixels covered
	Hamming  Filter = 5 // sinc under a Hamming window, radius 1
)

var filterNames = [...]string{"nearest", "lanczos", "bilinear", "bicubic", "box", "hamming"}

// String returns the filter's name in lower case.
func (f Filter) String() string {
	if !f.valid() {
		return fmt.Sprintf("Filter(%d)", int(f))
	}
	return filterNames[f]
}

func (f Filter) valid() bool { return f >= 0 && int(f) < len(filterNames) }

// radius is the distance beyond which the filter is zero, in output pixels.
func (f Filter) radius() float64 {
	return [...]float64{Lanczos: 3, Bilinear: 1, Bicubic: 2, Box: 0.5, Hamming: 1}[f]
}

// weight is the filter's value at distance t from its centre. Products are converted to float64 one by one, which keeps
// compilers from fusing them with sums: all processors must agree with the reference to the last bit.
func (f Filter) weight(t float64) float64 {
	switch f {
	case Box: // half open: a pixel on the border counts once
		if t > -0.5 && t <= 0.5 {
			return 1
		}
		return 0
	case Bilinear:
		return max(1-math.Abs(t), 0)
	case Hamming:
		t = math.Abs(t)
		switch {
		case t == 0:
			return 1
		case t >= 1:
			return 0
		}
		t *= math.Pi
		// Pillow writes these two constants in single precision.
		const constant, cosine = float64(float32(0.54)), float64(float32(0.46))
		return float64(math.Sin(t) / t * (constant + float64(cosine*math.Cos(t))))
	case Bicubic:
		const a = -0.5
		t = math.Abs(t)
		switch {
		case t < 1:
			return float64(float64((float64((a+2)*t)-(a+3))*t)*t) + 1
		case t < 2:
			return float64((float64((float64((t-5)*t)+8)*t) - 4) * a)
		}
		return 0
	case Lanczos:
		if t >= -3 && t < 3 {
			return float64(sinc(t) * sinc(t/3))
		}
		return 0
	}
	panic(fmt.Sprintf("imaging: no weights for %v", f))
}

func sinc(t float64) float64 {
	if t == 0 {
		return 1
	}
	t *= math.Pi
	return math.Sin(t) / t
}
