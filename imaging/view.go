package imaging

// Region is a rectangle in a picture, in its pixels: pixel (x, y) is the square from (x, y) to (x+1, y+1). Its edges may
// run through pixels, and outside of the picture.
type Region struct {
	X0, Y0, X1, Y1 float64
}

// View returns what a prepared picture shows of the original of w x h pixels: Process maps this region to all of its
// result, linearly along each side. It reaches beyond the original where the result is padded. It must follow what
// Transform does.
func (p *Processor) View(w, h int) Region {
	rw, rh := p.resized(w, h)
	left, top, width, height := 0, 0, rw, rh
	if p.DoCenterCrop {
		left, top, width, height = (rw-p.CropWidth)>>1, (rh-p.CropHeight)>>1, p.CropWidth, p.CropHeight
	}
	sx, sy := float64(w)/float64(rw), float64(h)/float64(rh)
	return Region{float64(left) * sx, float64(top) * sy, float64(left+width) * sx, float64(top+height) * sy}
}
