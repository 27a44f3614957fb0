package imaging

import "image"

// fromYCbCr fills im with m's pixels as libjpeg-turbo computes them from the same planes: "fancy" (triangle filter)
// chroma upsampling where it has one, 2:1 in either or both directions, and replication elsewhere (4:1:1, 4:1:0),
// then the 16-bit fixed-point colour conversion (jdsample.c, jdcolor.c).
func fromYCbCr(im *Image, m *image.YCbCr) {
	up := newChromaRows(m, im.W, im.H)
	yo := m.YOffset(m.Rect.Min.X, m.Rect.Min.Y)
	for y := range im.H {
		cb, cr := up.row(y)
		convertYCbCrRow(im.row(y), m.Y[yo+y*m.YStride:], cb, cr)
	}
}

// chromaRows yields the chroma of an image at full width, row after row.
type chromaRows struct {
	planes     [2][]uint8 // Cb, Cr from the image's first pixel on
	stride     int
	w, h       int // chroma samples that belong to the image
	ratio      image.YCbCrSubsampleRatio
	full       [2][]uint8 // one upsampled row of each
	sum        []uint16   // a row filtered vertically, times 4
	hDiv, vDiv int
}

func newChromaRows(m *image.YCbCr, width, height int) *chromaRows {
	u := &chromaRows{stride: m.CStride, ratio: m.SubsampleRatio, hDiv: 1, vDiv: 1}
	switch m.SubsampleRatio {
	case image.YCbCrSubsampleRatio422:
		u.hDiv = 2
	case image.YCbCrSubsampleRatio420:
		u.hDiv, u.vDiv = 2, 2
	case image.YCbCrSubsampleRatio440:
		u.vDiv = 2
	case image.YCbCrSubsampleRatio411:
		u.hDiv = 4
	case image.YCbCrSubsampleRatio410:
		u.hDiv, u.vDiv = 4, 2
	}
	u.w, u.h = (width+u.hDiv-1)/u.hDiv, (height+u.vDiv-1)/u.vDiv
	co := m.COffset(m.Rect.Min.X, m.Rect.Min.Y)
	u.planes = [2][]uint8{m.Cb[co:], m.Cr[co:]}
	if u.hDiv > 1 || u.vDiv > 1 {
		n := u.w * u.hDiv
		buf := make([]uint8, 2*n)
		u.full = [2][]uint8{buf[:n], buf[n:]}
	}
	if u.ratio == image.YCbCrSubsampleRatio420 {
		u.sum = make([]uint16, u.w)
	}
	return u
}

// row returns the Cb and Cr of image row y, valid until the next call.
func (u *chromaRows) row(y int) (cb, cr []uint8) {
	var out [2][]uint8
	for p, plane := range u.planes {
		cy := y / u.vDiv
		near := plane[cy*u.stride:][:u.w]
		// The row that the triangle filter reaches into: above for the upper of two rows, below for the lower. At the
		// picture's edge that is the near row itself.
		far := near
		if u.vDiv == 2 {
			fy := min(max(cy-1+2*(y&1), 0), u.h-1)
			far = plane[fy*u.stride:][:u.w]
		}
		full := u.full[p]
		switch {
		case u.hDiv == 1 && u.vDiv == 1:
			full = near
		case u.ratio == image.YCbCrSubsampleRatio440:
			upsampleV2(full, near, far, y&1)
		case u.hDiv == 2 && u.w <= 2:
			// jdsample.c wants more than two samples for its horizontal filters and replicates otherwise.
			replicate(full, near, 2)
		case u.ratio == image.YCbCrSubsampleRatio422:
			upsampleH2(full, near)
		case u.ratio == image.YCbCrSubsampleRatio420:
			upsampleH2V2(full, near, far, u.sum)
		default:
			replicate(full, near, u.hDiv)
		}
		out[p] = full
	}
	return out[0], out[1]
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

// upsampleH2V2 computes one row of twice the width, the weights being 9, 3, 3, 1 sixteenths. len(near) >= 2.
func upsampleH2V2(out, near, far []uint8, sum []uint16) {
	n := len(near)
	far, sum = far[:n], sum[:n]
	for i, v := range near {
		sum[i] = 3*uint16(v) + uint16(far[i])
	}
	out = out[:2*n]
	prev, cur := uint32(sum[0]), uint32(sum[0])
	for i := 0; i < n-1; i++ {
		next := uint32(sum[i+1])
		o := out[2*i : 2*i+2 : 2*i+2]
		o[0] = uint8((3*cur + prev + 8) >> 4)
		o[1] = uint8((3*cur + next + 7) >> 4)
		prev, cur = cur, next
	}
	out[2*n-2] = uint8((3*cur + prev + 8) >> 4)
	out[2*n-1] = uint8((4*cur + 7) >> 4)
}

// convertYCbCrRow writes RGB for len(rgb)/3 pixels. The constants are 1.402, 0.34414, 0.71414 and 1.772 times 2^16,
// as in libjpeg's jdcolor.c (ITU-R BT.601, full range).
func convertYCbCrRow(rgb, y, cb, cr []uint8) {
	n := len(rgb) / 3
	y, cb, cr = y[:n], cb[:n], cr[:n]
	for x := range y {
		luma, u, v := int32(y[x]), int32(cb[x])-128, int32(cr[x])-128
		r := luma + (91881*v+32768)>>16
		g := luma + (-22554*u-46802*v+32768)>>16
		b := luma + (116130*u+32768)>>16
		p := rgb[x*3 : x*3+3 : x*3+3]
		p[0], p[1], p[2] = clamp8(r), clamp8(g), clamp8(b)
	}
}

// clamp8 limits v to 0..255.
func clamp8(v int32) uint8 {
	if uint32(v) > 255 {
		return uint8(^(v >> 31)) // all ones above the range, zero below it
	}
	return uint8(v)
}
