package nn

import "github.com/bigtransfer/bit/internal/kernels"

// tap is one position of a kernel: the source pixel it reads lies (dh, dw) from the grid point's own.
type tap struct{ dh, dw int }

// gather describes the matrix whose product with a kernel is a convolution, without ever building it whole: row
// (n,i,j) holds, tap after tap, the segment of source pixels at (i·step+dh, j·step+dw), and zeros where that lies
// outside. It serves the forward product, both gradients, and 1x1 kernels, where it is the map itself.
type gather struct {
	n, h, w, pixel int // source: images, sides, floats a pixel
	segment        int // floats a tap reads: a pixel, or for the stem a whole kernel row of adjacent pixels
	gh, gw         int // grid sides
	step           int // source pixels from one grid point to the next
	taps           []tap
}

func (g *gather) rows() int  { return g.n * g.gh * g.gw }
func (g *gather) depth() int { return len(g.taps) * g.segment }

// pointwise reports whether rows of the matrix are pixels of the source, in order.
func (g *gather) pointwise() bool {
	return len(g.taps) == 1 && g.taps[0] == tap{} && g.step == 1 && g.gh == g.h && g.gw == g.w
}

// pack writes rows [m0,m1) and columns [k0,k1) of the matrix to dst, row stride ld. With norm, source values pass
// through GroupNorm and ReLU on the way; the zeros outside do not.
func (g *gather) pack(dst []float32, ld int, src []float32, norm *GroupNorm, m0, m1, k0, k1 int) {
	grid := g.gh * g.gw
	for t := k0 / g.segment; t*g.segment < k1; t++ {
		c0, c1 := max(k0-t*g.segment, 0), min(k1-t*g.segment, g.segment)
		out := dst[t*g.segment+c0-k0:]
		if g.pointwise() {
			for m := m0; m < m1; {
				image, hi := 0, m1
				if norm != nil {
					image = m / grid
					hi = min(m1, (image+1)*grid)
				}
				g.run(out[(m-m0)*ld:], ld, src, m*g.pixel+c0, g.pixel, hi-m, c1-c0, norm, image, c0)
				m = hi
			}
			continue
		}
		tap := g.taps[t]
		for m := m0; m < m1; {
			image, at := m/grid, m%grid
			i, j := at/g.gw, at%g.gw
			hi := min(m+g.gw-j, m1)
			row := i*g.step + tap.dh
			// Grid columns [lo, up) of this row read inside the source.
			lo, up := 0, 0
			if row >= 0 && row < g.h {
				lo = max(0, ceilDiv(-tap.dw, g.step))
				if tap.dw > 0 {
					lo = 0
				}
				up = max(0, (g.w-1-tap.dw+g.step)/g.step)
			}
			end := j + hi - m
			lo, up = min(max(lo, j), end), min(max(up, j), end)
			if up < lo {
				up = lo
			}
			o := out[(m-m0)*ld:]
			if lo > j {
				kernels.CopyRows(o, ld, zeroSegment[:c1-c0], 0, lo-j, c1-c0)
			}
			if up > lo {
				at := ((image*g.h+row)*g.w + lo*g.step + tap.dw) * g.pixel
				g.run(o[(lo-j)*ld:], ld, src, at+c0, g.step*g.pixel, up-lo, c1-c0, norm, image, c0)
			}
			if end > up {
				kernels.CopyRows(o[(up-j)*ld:], ld, zeroSegment[:c1-c0], 0, end-up, c1-c0)
			}
			m = hi
		}
	}
}

func (g *gather) run(dst []float32, ld int, src []float32, at, stride, rows, cols int, norm *GroupNorm, image, c0 int) {
	if norm == nil {
		kernels.CopyRows(dst, ld, src[at:], stride, rows, cols)
		return
	}
	s := image*norm.channels + c0
	kernels.Affine(dst, ld, src[at:], stride, rows, cols, norm.scale[s:], norm.shift[s:], 0)
}

// zeroSegment is what taps outside the source read; no packed block is wider.
var zeroSegment [max(maxDepth, maxGradDepth)]float32
