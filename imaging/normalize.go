package imaging

import "fmt"

// Normalizer maps 8-bit RGB to floats: (value*rescale - mean[c]) / std[c], from tables. It is immutable and may be
// shared by goroutines.
type Normalizer struct {
	table [3][256]float32
}

// NewNormalizer returns the map for the given factor (1/255, say) and the mean and standard deviation per channel, in
// the units after rescaling. Roundings are those of NumPy in the Hugging Face processors: the product in float64, then
// float32 throughout.
func NewNormalizer(rescale float64, mean, std [3]float64) *Normalizer {
	n := new(Normalizer)
	for c := range n.table {
		m, s := float32(mean[c]), float32(std[c])
		for v := range n.table[c] {
			n.table[c][v] = (float32(float64(v)*rescale) - m) / s
		}
	}
	return n
}

// SymmetricNormalizer maps 0..255 to [-1, 1], which is what BiT's released weights expect (mean and deviation 0.5).
func SymmetricNormalizer() *Normalizer {
	half := [3]float64{0.5, 0.5, 0.5}
	return NewNormalizer(1.0/255, half, half)
}

// Normalize writes im's pixels to dst in H W C order. It panics unless len(dst) is at least im.H*im.W*3.
func (n *Normalizer) Normalize(dst []float32, im *Image) {
	if len(dst) < len(im.Pix) {
		panic(fmt.Sprintf("imaging: %d x %d pixels need %d floats, got room for %d", im.W, im.H, len(im.Pix), len(dst)))
	}
	pix := im.Pix
	dst = dst[:len(pix)]
	for i := 0; i+3 <= len(pix); i += 3 {
		p, q := dst[i:i+3:i+3], pix[i:i+3:i+3]
		q0, q1, q2 := q[0], q[1], q[2]
		p[0], p[1], p[2] = n.table[0][q0], n.table[1][q1], n.table[2][q2]
	}
}
