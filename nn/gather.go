package nn

import "github.com/bigtransfer/bit/internal/kernels"

// tap is where a kernel reads: (dh, dw) source pixels from the grid point's own, never outside the source.
type tap struct{ dh, dw int }

// gather describes the matrix whose product with a kernel is a convolution, without ever building it whole: row
// (n,i,j) holds, tap after tap, the segment of source values that begins at pixel (i·step+dh, j·step+dw). It serves the
// forward product, both gradients, and 1x1 kernels, where it is the map itself. A kernel wider than a pixel reads a
// source with its zeros around it (see padded), so that each of its rows is one segment of adjacent pixels.
type gather struct {
	n, h, w, pixel int // source: images, sides, floats a pixel
	segment        int // floats a tap reads
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

// pack writes rows [m0,m1) and columns [k0,k1) of the matrix to dst, row stride ld. With norm, which takes a segment
// of one pixel, values pass through GroupNorm and ReLU on the way.
func (g *gather) pack(dst []float32, ld int, src []float32, norm *GroupNorm, m0, m1, k0, k1 int) {
	grid := g.gh * g.gw
	for t := k0 / g.segment; t*g.segment < k1; t++ {
		c0, c1 := max(k0-t*g.segment, 0), min(k1-t*g.segment, g.segment)
		out := dst[t*g.segment+c0-k0:]
		for m := m0; m < m1; {
			// A run is as many rows as lie at one stride in the source, of one image if there is a norm.
			var hi, at int
			image := m / grid
			if g.pointwise() {
				hi, at = m1, m*g.pixel
				if norm != nil {
					hi = min(m1, (image+1)*grid)
				}
			} else {
				i, j := m%grid/g.gw, m%grid%g.gw
				hi = min(m1, m+g.gw-j)
				at = ((image*g.h+i*g.step+g.taps[t].dh)*g.w + j*g.step + g.taps[t].dw) * g.pixel
			}
			o := out[(m-m0)*ld:]
			if norm == nil {
				kernels.CopyRows(o, ld, src[at+c0:], g.step*g.pixel, hi-m, c1-c0)
			} else {
				s := image*norm.channels + c0
				kernels.Affine(o, ld, src[at+c0:], g.step*g.pixel, hi-m, c1-c0, norm.scale[s:], norm.shift[s:], 0)
			}
			m = hi
		}
	}
}

// padded is a copy of a map, through GroupNorm and ReLU if there is a norm, with zeros around it. The zeros do not pass
// through the norm. Its memory is the engine's, shared by all layers: fill it right before use.
type padded struct {
	e                        *Engine
	x                        *Map
	norm                     *GroupNorm
	top, left, bottom, right int // pixels of zeros
	fillT                    func(thread, i int)
}

func newPadded(e *Engine, x *Map, norm *GroupNorm, top, left, bottom, right int) *padded {
	p := &padded{e: e, x: x, norm: norm, top: top, left: left, bottom: bottom, right: right}
	p.fillT = p.fillTask
	grown(&e.padded, x.N*p.h()*p.w()*x.C)
	return p
}

func (p *padded) h() int { return p.x.H + p.top + p.bottom }
func (p *padded) w() int { return p.x.W + p.left + p.right }

// fill makes the copy and returns it.
func (p *padded) fill() []float32 {
	p.e.Pool.For(p.x.N*p.h(), p.fillT)
	return p.e.padded
}

func (p *padded) fillTask(_, i int) {
	x := p.x
	width := p.w() * x.C
	row := p.e.padded[i*width:][:width]
	image, h := i/p.h(), i%p.h()-p.top
	if h < 0 || h >= x.H {
		clear(row)
		return
	}
	left, right := p.left*x.C, (p.left+x.W)*x.C
	clear(row[:left])
	clear(row[right:])
	src := x.Data[(image*x.H+h)*x.W*x.C:][:x.W*x.C]
	if p.norm == nil {
		copy(row[left:right], src)
		return
	}
	kernels.Affine(row[left:right], x.C, src, x.C, x.W, x.C, p.norm.scale[image*x.C:], p.norm.shift[image*x.C:], 0)
}
