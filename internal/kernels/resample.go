package kernels

import "fmt"

// ResampleBits is the number of fraction bits of the weights of ResampleRow and ResampleColumns: PRECISION_BITS in the
// Python Imaging Library's Resample.c, whose arithmetic they are.
const ResampleBits = 32 - 8 - 2

const resampleHalf = 1 << (ResampleBits - 1)

// ResampleRow makes a row of RGB pixels, each the weighted sum of len(weights)/len(first) adjacent pixels of src:
//
//	dst[3i+c] = Σ_t weights[i][t]·src[3·(first[i]+t)+c], rounded and limited to 0..255
//
// first must not decrease. The sums must fit into 32 bits, which weights do that sum to 1 and are all within ±2.
func ResampleRow(dst, src []uint8, first, weights []int32) {
	n := len(first)
	if n == 0 {
		return
	}
	taps := len(weights) / n
	if taps < 1 || len(weights) != n*taps || len(dst) != 3*n || first[0] < 0 || 3*(int(first[n-1])+taps) > len(src) {
		panic(fmt.Sprintf("kernels: %d weights for %d pixels of %d values, from %d to the last %d pixels of %d values",
			len(weights), n, len(dst), first[0], taps, len(src)))
	}
	resampleRow(dst, src, first, weights)
}

func resampleRowGeneric(dst, src []uint8, first, weights []int32) {
	if len(first) == 0 {
		return
	}
	taps := len(weights) / len(first)
	for i, f := range first {
		pix := src[3*int(f):][:3*taps]
		var red, green, blue int32 = resampleHalf, resampleHalf, resampleHalf
		for _, w := range weights[i*taps:][:taps] {
			p := pix[:3:3]
			red += w * int32(p[0])
			green += w * int32(p[1])
			blue += w * int32(p[2])
			pix = pix[3:]
		}
		p := dst[3*i : 3*i+3 : 3*i+3]
		p[0], p[1], p[2] = clamp8(red>>ResampleBits), clamp8(green>>ResampleBits), clamp8(blue>>ResampleBits)
	}
}

// ResampleColumns makes a row of values, each the weighted sum of the values below one another in src, whose rows lie
// stride values apart:
//
//	dst[j] = Σ_t weights[t]·src[t·stride+j], rounded and limited to 0..255
//
// The weights are as for ResampleRow.
func ResampleColumns(dst, src []uint8, stride int, weights []int32) {
	if len(dst) == 0 {
		return
	}
	if len(weights) < 1 || stride < 0 || (len(weights)-1)*stride+len(dst) > len(src) {
		panic(fmt.Sprintf("kernels: src holds %d values, want %d rows of %d with stride %d", len(src), len(weights), len(dst), stride))
	}
	resampleColumns(dst, src, stride, weights)
}

func resampleColumnsGeneric(dst, src []uint8, stride int, weights []int32) {
	// In pieces whose sums stay in the first-level cache, two rows at a time: sums are loaded and stored half as often.
	var piece [512]int32
	for at := 0; at < len(dst); at += len(piece) {
		sums := piece[:min(len(piece), len(dst)-at)]
		for j := range sums {
			sums[j] = resampleHalf
		}
		rows := src[at:]
		for t := 0; t < len(weights); t += 2 {
			if t+1 == len(weights) {
				addRow(sums, rows[t*stride:], weights[t])
			} else {
				addTwoRows(sums, rows[t*stride:], rows[(t+1)*stride:], weights[t], weights[t+1])
			}
		}
		for j, s := range sums {
			dst[at+j] = clamp8(s >> ResampleBits)
		}
	}
}

func addTwoRows(sums []int32, row0, row1 []uint8, w0, w1 int32) {
	row0, row1 = row0[:len(sums)], row1[:len(sums)]
	for i := range sums {
		sums[i] += w0*int32(row0[i]) + w1*int32(row1[i])
	}
}

func addRow(sums []int32, row []uint8, w int32) {
	row = row[:len(sums)]
	for i := range sums {
		sums[i] += w * int32(row[i])
	}
}
