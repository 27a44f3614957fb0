package imaging

import (
	"image"

	"github.com/bigtransfer/bit/internal/jpeg"
	"github.com/bigtransfer/bit/internal/kernels"
)

// fromYCbCr fills im with m's pixels as if a JPEG file held them.
func fromYCbCr(im *Image, m *image.YCbCr) {
	across, down := 1, 1
	switch m.SubsampleRatio {
	case image.YCbCrSubsampleRatio422:
		across = 2
	case image.YCbCrSubsampleRatio420:
		across, down = 2, 2
	case image.YCbCrSubsampleRatio440:
		down = 2
	case image.YCbCrSubsampleRatio411:
		across = 4
	case image.YCbCrSubsampleRatio410:
		across, down = 4, 2
	}
	w, h := (im.W+across-1)/across, (im.H+down-1)/down
	yo, co := m.YOffset(m.Rect.Min.X, m.Rect.Min.Y), m.COffset(m.Rect.Min.X, m.Rect.Min.Y)
	fromPlanes(im, &jpeg.Picture{W: im.W, H: im.H, Colour: jpeg.YCbCr, Planes: []jpeg.Plane{
		{Pix: m.Y[yo:], Stride: m.YStride, W: im.W, H: im.H, Across: 1, Down: 1},
		{Pix: m.Cb[co:], Stride: m.CStride, W: w, H: h, Across: across, Down: down},
		{Pix: m.Cr[co:], Stride: m.CStride, W: w, H: h, Across: across, Down: down},
	}})
}

// planeRows yields a plane at the picture's full width, row after row, as libjpeg-turbo computes it (jdsample.c): by the
// "fancy" triangle filter where it has one, 2:1 in either or both directions, and by replication elsewhere (4:1:1, 4:1:0).
type planeRows struct {
	*jpeg.Plane
	full []uint8 // one row
}

func newPlaneRows(p *jpeg.Plane) planeRows {
	r := planeRows{Plane: p}
	if p.Across > 1 || p.Down > 1 {
		r.full = make([]uint8, p.W*p.Across)
	}
	return r
}

// row returns row y of the picture, valid until the next call.
func (p *planeRows) row(y int) []uint8 {
	near := p.Pix[y/p.Down*p.Stride:][:p.W]
	// The row that the triangle filter reaches into: above for the upper of two rows, below for the lower. At the
	// picture's edge that is the near row itself.
	far := near
	if p.Down == 2 {
		fy := min(max(y/2-1+2*(y&1), 0), p.H-1)
		far = p.Pix[fy*p.Stride:][:p.W]
	}
	// jdsample.c wants more than two samples for its horizontal filters and replicates otherwise.
	wide := p.W > 2
	switch {
	case p.Across == 1 && p.Down == 1:
		return near
	case p.Across == 1 && p.Down == 2:
		upsampleV2(p.full, near, far, y&1)
	case p.Across == 2 && p.Down == 1 && wide:
		upsampleH2(p.full, near)
	case p.Across == 2 && p.Down == 2 && wide:
		kernels.UpsampleH2V2(p.full, near, far)
	default:
		replicate(p.full, near, p.Across)
	}
	return p.full
}

// replicate writes each sample n times.
func replicate(out, in []uint8, n int) {
	for i, v := range in {
		for j := range n {
			out[i*n+j] = v
		}
	}
}

// upsampleH2 doubles a row with weights 3/4, 1/4; the roundings of left and right outputs differ so as not to drift.
// out holds 2*len(in) samples, len(in) >= 2.
func upsampleH2(out, in []uint8) {
	n := len(in)
	out = out[:2*n]
	prev := uint32(in[0])
	for i := 0; i < n-1; i++ {
		c, next := 3*uint32(in[i]), uint32(in[i+1])
		out[2*i] = uint8((c + prev + 1) >> 2)
		out[2*i+1] = uint8((c + next + 2) >> 2)
		prev = uint32(in[i])
	}
	out[2*n-2] = uint8((3*uint32(in[n-1]) + prev + 1) >> 2)
	out[2*n-1] = in[n-1]
	out[0] = in[0]
}

// upsampleV2 computes one of the two rows between which near lies; lower is 1 for the lower one.
func upsampleV2(out, near, far []uint8, lower int) {
	bias := uint32(1 + lower)
	far = far[:len(near)]
	for i, v := range near {
		out[i] = uint8((3*uint32(v) + uint32(far[i]) + bias) >> 2)
	}
}

// convertYCbCrRow writes RGB for len(rgb)/3 pixels.
func convertYCbCrRow(rgb, y, cb, cr []uint8) {
	n := len(rgb) / 3
	kernels.YCbCrToRGB(rgb, y[:n], cb[:n], cr[:n])
}
